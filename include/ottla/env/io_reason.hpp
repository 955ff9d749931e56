// SPDX-License-Identifier: Apache-2.0
//
// Why a file is changed. Each write, sync, rename, truncate, create and remove carries its reason:
// the names of the places where a kill or a fault is injected, and the rows of the fault coverage
// table.
#pragma once

#include <cstdint>
#include <string_view>

#include <ottla/base/abi.hpp>

namespace ottla::inline OTTLA_ABI {

enum class IoReason : std::uint8_t {
  append,             ///< batches at the end of a log
  undo_append,        ///< cutting off what a failed append left
  flush,              ///< making a log durable up to its end
  roll,               ///< the files of a new segment
  seal,               ///< the end of a segment that stops being active
  index_append,       ///< index entries of written batches
  index_rebuild,      ///< an index made anew from its log
  recover_cut,        ///< a torn tail: saving it, cutting it
  recover_rewrite,    ///< a tail rewritten after a failed sync
  truncate,           ///< a log cut back on purpose
  delete_segment,     ///< retention: renaming to .deleted, unlinking
  checkpoint,         ///< recovery points, log starts, epochs and other small files
  producer_snapshot,  ///< producer state beside a segment
  create_partition,   ///< a partition's directory and partition.metadata
  delete_partition,   ///< renaming to -delete, emptying, removing
  metadata,           ///< ottla_metadata
  open_directory,     ///< the lock, meta.properties, the run file, removing clean-stop markers
  clean_stop,         ///< writing clean-stop markers
  compaction,         ///< .cleaned and .swap files
  repair,             ///< what a damaged log loses by its owner's choice: saved, taken out
  other,              ///< a program's own use of a component
};
inline constexpr int io_reasons = static_cast<int>(IoReason::other) + 1;

std::string_view name(IoReason reason);

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/env/impl/io_reason.ipp>
#endif
