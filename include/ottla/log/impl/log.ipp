// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ottla/log/log.hpp>
#include <ottla/log/log_cleaning.hpp>
#include <ottla/log/log_directory.hpp>
#include <ottla/log/read_only_log.hpp>

#ifdef OTTLA_COMPILED_SOURCE
namespace ottla::inline OTTLA_ABI {
template class BasicLogView<AnyFileSystem>;
template class BasicLog<AnyFileSystem>;
template class BasicLogCleaning<AnyFileSystem>;
template class BasicLogDirectory<AnyFileSystem>;
template class BasicReadOnlyLog<AnyFileSystem>;
}  // namespace ottla::inline OTTLA_ABI
#endif
