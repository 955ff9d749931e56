// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ottla/segment/segment.hpp>

#ifdef OTTLA_COMPILED_SOURCE
namespace ottla::inline OTTLA_ABI {
template class BasicSegment<AnyFile>;
}
#endif
