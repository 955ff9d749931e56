// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ottla/env/any_file_system.hpp>
#include <ottla/index/offset_index.hpp>
#include <ottla/index/time_index.hpp>
#include <ottla/index/transaction_index.hpp>

#ifdef OTTLA_COMPILED_SOURCE
namespace ottla::inline OTTLA_ABI {
template class BasicOffsetIndex<AnyFile>;
template class BasicTimeIndex<AnyFile>;
template class BasicTransactionIndex<AnyFile>;
}  // namespace ottla::inline OTTLA_ABI
#endif
