// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <iterator>

#include <ottla/env/io_reason.hpp>

namespace ottla::inline OTTLA_ABI {

OTTLA_INLINE std::string_view name(IoReason reason) {
  constexpr std::string_view names[] = {"append",
                                        "undo_append",
                                        "flush",
                                        "roll",
                                        "seal",
                                        "index_append",
                                        "index_rebuild",
                                        "recover_cut",
                                        "recover_rewrite",
                                        "truncate",
                                        "delete_segment",
                                        "checkpoint",
                                        "producer_snapshot",
                                        "create_partition",
                                        "delete_partition",
                                        "metadata",
                                        "open_directory",
                                        "clean_stop",
                                        "compaction",
                                        "repair",
                                        "other"};
  static_assert(std::size(names) == io_reasons);
  return names[static_cast<int>(reason)];
}

}  // namespace ottla::inline OTTLA_ABI
