// SPDX-License-Identifier: Apache-2.0
//
// Keeps what recovery cuts off a log: `<base>.log.cut-<n>` beside it, n counting recoveries. What
// the newest few cut stays, all of it; of a tail 16 MiB, not counting zeros at its end.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>

#include <ottla/base/shared_bytes.hpp>
#include <ottla/log/impl/log_files.hpp>
#include <ottla/log/impl/log_segment.hpp>

namespace ottla::inline OTTLA_ABI::log_impl {

inline constexpr std::int64_t kept_recoveries = 8;
inline constexpr std::int64_t max_kept_tail = std::int64_t{16} << 20;

/// Calls `use(bytes, position)` with [from, to) in pieces.
template <File FileT, class Use>
absl::Status each_piece(const FileT& file, std::int64_t from, std::int64_t to, Use use) {
  Buffer window = Buffer::allocate(std::size_t{256} << 10);
  if (!window) {
    return error(Fault::no_memory, "no memory to copy a part of a log");
  }
  while (from < to) {
    const auto n = std::min(to - from, static_cast<std::int64_t>(window.capacity()));
    OTTLA_ASSIGN(const std::size_t read,
                 file.read(from, window.bytes().first(static_cast<std::size_t>(n))));
    if (read == 0) {
      return error(Fault::io, "a log became shorter while it was read");
    }
    OTTLA_TRY(use(Bytes(window.data(), read), from));
    from += static_cast<std::int64_t>(read);
  }
  return absl::OkStatus();
}

/// [from, to) of one file to another, to its start or to byte `at`.
template <File FileT>
absl::Status copy_bytes(const FileT& source, std::int64_t from, std::int64_t to, FileT& target,
                        IoReason why, std::int64_t at = 0) {
  return each_piece(source, from, to, [&](Bytes bytes, std::int64_t position) {
    return target.write(at + position - from, {&bytes, 1}, why);
  });
}

template <FileSystem Fs>
class CutKeeper {
 public:
  /// `kept`: names of those that are there.
  CutKeeper(LogPlace<Fs>& place, const std::vector<std::string>& kept,
            IoReason why = IoReason::recover_cut)
      : place_(place), why_(why) {
    for (const std::string& name : kept) {
      kept_.push_back({*cut_number(name), base_of(name), name});
    }
    std::sort(kept_.begin(), kept_.end());
    number_ = kept_.empty() ? 0 : kept_.back().number;
  }

  struct Kept {
    std::string name;  ///< empty where nothing was worth it, or there was no room
    std::int64_t bytes = 0;
  };

  /// Bytes [from, to) of a segment's log, which stay there.
  absl::StatusOr<Kept> keep_tail(Offset base, std::int64_t from, std::int64_t to) {
    OTTLA_ASSIGN(auto log, place_.files.open(offset_file_path(place_.directory, base, log_suffix),
                                             OpenMode::read, why_));
    std::int64_t end = from;  // of what is not zero
    OTTLA_TRY(each_piece(log, from, to, [&](Bytes bytes, std::int64_t position) {
      const auto last =
          std::find_if(bytes.rbegin(), bytes.rend(), [](std::byte b) { return b != std::byte{0}; });
      end = last == bytes.rend() ? end : position + (bytes.rend() - last);
      return absl::OkStatus();
    }));
    if (end == from) {
      return Kept{};
    }
    OTTLA_ASSIGN(const std::string name, next_name(base));
    const absl::Status copied = copy(log, from, std::min(end, from + max_kept_tail), name);
    if (fault(copied) == Fault::no_space) {
      place_.files.remove(place_.path(name), why_).IgnoreError();  // gives back what it took
      return Kept{};
    }
    OTTLA_TRY(copied);
    return Kept{name, end - from};
  }

  struct Piece {
    std::int64_t from = 0;
    std::int64_t to = 0;
  };
  /// Pieces of a segment's log, which stay there, one behind the other: all of them, or an error.
  absl::StatusOr<Kept> keep_pieces(Offset base, std::span<const Piece> pieces) {
    OTTLA_ASSIGN(auto log, place_.files.open(offset_file_path(place_.directory, base, log_suffix),
                                             OpenMode::read, why_));
    OTTLA_ASSIGN(const std::string name, next_name(base));
    Kept kept{name};
    const absl::Status copied = [&]() -> absl::Status {
      OTTLA_ASSIGN(auto file, place_.files.open(place_.path(name), OpenMode::create_new, why_));
      for (const Piece& piece : pieces) {
        OTTLA_TRY(copy_bytes(log, piece.from, piece.to, file, why_, kept.bytes));
        kept.bytes += piece.to - piece.from;
      }
      OTTLA_TRY(file.sync(why_));
      return file.close();
    }();
    if (!copied.ok()) {
      place_.files.remove(place_.path(name), why_).IgnoreError();  // gives back what it took
      return copied;
    }
    return kept;
  }

  /// A whole segment, which goes: its log gets another name, its indexes are removed.
  absl::StatusOr<Kept> keep_segment(Offset base) {
    const std::string path = offset_file_path(place_.directory, base, log_suffix);
    OTTLA_ASSIGN(const FileStatus status, place_.files.status(path));
    Kept kept{{}, status.size};
    if (status.size == 0) {
      OTTLA_TRY(place_.files.remove(path, why_));
    } else {
      OTTLA_ASSIGN(kept.name, next_name(base));
      OTTLA_TRY(place_.files.rename(path, place_.path(kept.name), why_));
    }
    for (const std::string_view suffix :
         {offset_index_suffix, time_index_suffix, transaction_index_suffix}) {
      const absl::Status removed =
          place_.files.remove(offset_file_path(place_.directory, base, suffix), why_);
      if (!removed.ok() && fault(removed) != Fault::not_found) {
        return removed;
      }
    }
    return kept;
  }

 private:
  absl::Status copy(const typename Fs::File& log, std::int64_t from, std::int64_t to,
                    const std::string& name) {
    OTTLA_ASSIGN(auto file, place_.files.open(place_.path(name), OpenMode::create_new, why_));
    OTTLA_TRY(copy_bytes(log, from, to, file, why_));
    OTTLA_TRY(file.sync(why_));
    return file.close();
  }

  struct Cut {
    std::int64_t number;
    Offset base;
    std::string name;
    auto operator<=>(const Cut&) const = default;
  };

  static Offset base_of(std::string_view name) {
    return *offset_of_file_name(name.substr(0, name.find(cut_infix)), "");
  }

  /// A recovery goes from the highest segment down, and so does one that goes on where it was
  /// interrupted: what does not lie below all of the last one's begins another. Then room is made.
  absl::StatusOr<std::string> next_name(Offset base) {
    const bool goes_on =
        number_ > 0 && std::none_of(kept_.begin(), kept_.end(), [&](const Cut& cut) {
          return cut.number == number_ && cut.base <= base;
        });
    number_ += goes_on ? 0 : 1;
    while (!kept_.empty() && kept_.front().number <= number_ - kept_recoveries) {
      OTTLA_TRY(place_.files.remove(place_.path(kept_.front().name), why_));
      kept_.erase(kept_.begin());
    }
    kept_.push_back({number_, base, absl::StrCat(offset_file_name(base, cut_infix), number_)});
    return kept_.back().name;
  }

  LogPlace<Fs>& place_;
  IoReason why_;
  std::vector<Cut> kept_;
  std::int64_t number_ = 0;  // of the last recovery
};

}  // namespace ottla::inline OTTLA_ABI::log_impl
