// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <utility>

#include <absl/strings/str_cat.h>

#include <ottla/log/impl/signed_text.hpp>
#include <ottla/log/manifest.hpp>

namespace ottla::inline OTTLA_ABI {
namespace log_impl {

inline std::string signed_line(std::string line) {
  absl::StrAppend(&line, " ", hex8(crc32c(as_bytes(line))), "\n");
  return line;
}

/// A line's fields before its sum; nothing where that does not match.
inline std::optional<std::string_view> verified_line(std::string_view line) {
  const std::size_t blank = line.rfind(' ');
  if (blank == std::string_view::npos ||
      line.substr(blank + 1) != hex8(crc32c(as_bytes(line.substr(0, blank))))) {
    return std::nullopt;
  }
  return line.substr(0, blank);
}

inline std::string owner_line(const Manifest::Owner& owner) {
  return signed_line(
      absl::StrCat("ottla 1 ", owner.topic_id.to_string(), " ", owner.partition.value()));
}

inline std::string segment_line(const SealedSegment& segment) {
  return signed_line(absl::StrCat("segment ", segment.base.value(), " ", segment.last.value(), " ",
                                  segment.size, " ", segment.largest.value(), " ",
                                  segment.digest ? hex8(*segment.digest) : "-"));
}

inline std::optional<SealedSegment> parse_segment_line(std::string_view line) {
  const auto fields = split<6>(line);
  const auto base = decimal(fields[1]);
  const auto last = fields[2] == "-1" ? -1 : decimal(fields[2]);
  const auto size = decimal(fields[3]);
  const auto largest = fields[4] == "-1" ? -1 : decimal(fields[4]);
  const auto digest = number<std::uint32_t>(fields[5], 16);
  if (!base || !last || !size || !largest || (!digest && fields[5] != "-")) {
    return std::nullopt;
  }
  return SealedSegment{Offset(*base), Offset(*last), *size, Timestamp(*largest), digest};
}

}  // namespace log_impl

OTTLA_INLINE std::optional<Manifest> Manifest::parse(std::string_view text) {
  log_impl::TextLines lines(text.substr(0, text.rfind('\n') + 1));  // without a torn last line
  const auto owner =
      log_impl::split<4>(log_impl::verified_line(lines.next().value_or("")).value_or(""));
  const auto topic_id = Uuid::parse(owner[2]);
  const auto partition = log_impl::number<std::int32_t>(owner[3]);
  if (owner[0] != "ottla" || owner[1] != "1" || !topic_id || !partition) {
    return std::nullopt;
  }
  Manifest manifest(Owner{*topic_id, PartitionId(*partition)});
  while (const auto line = lines.next()) {
    const auto verified = log_impl::verified_line(*line);
    if (!verified || !manifest.apply(*verified)) {
      break;
    }
  }
  return manifest;
}

OTTLA_INLINE bool Manifest::apply(std::string_view line) {
  if (line.starts_with("segment ")) {
    const auto segment = log_impl::parse_segment_line(line);
    if (segment) {
      add(*segment);
    }
    return segment.has_value();
  }
  if (std::count(line.begin(), line.end(), ' ') == 2) {
    return apply_range(line);
  }
  const auto fields = log_impl::split<2>(line);
  if (fields[0] == "epochs") {
    const auto crc = log_impl::number<std::uint32_t>(fields[1], 16);
    if (crc) {
      epochs_ = {epochs_[1], crc};
    }
    return crc.has_value();
  }
  if (fields[0] == "era") {
    era_ = log_impl::parse_hex_uuid(fields[1]);
    return era_.has_value();
  }
  const auto offset = log_impl::decimal(fields[1]);
  return offset && apply(fields[0], Offset(*offset));
}

OTTLA_INLINE bool Manifest::apply_range(std::string_view line) {
  const auto fields = log_impl::split<3>(line);
  const auto from = log_impl::decimal(fields[1]);
  const auto to = log_impl::decimal(fields[2]);
  if (!from || !to || (fields[0] != "gap" && *from > *to)) {
    return false;
  }
  if (fields[0] == "gap") {
    add_gap(Offset(*from), Offset(*to));
  } else if (fields[0] == "sparse") {
    add_sparse(Offset(*from), Offset(*to));
  } else if (fields[0] == "replaced") {
    replace(Offset(*from), Offset(*to));
  } else if (fields[0] == "skipped") {
    skip({Offset(*from), Offset(*to)});
  } else {
    return false;
  }
  return true;
}

OTTLA_INLINE bool Manifest::apply(std::string_view what, Offset offset) {
  if (what == "synced") {
    set_synced(offset);
  } else if (what == "cut") {
    cut(offset);
  } else if (what == "others") {
    set_others(offset);
  } else {
    return false;
  }
  return true;
}

OTTLA_INLINE std::optional<Offset> Manifest::durable_end() const {
  std::optional<Offset> end = synced();
  if (!segments_.empty()) {
    end = std::max(end, std::optional(segments_.rbegin()->second.end()));
  }
  return end;
}

OTTLA_INLINE std::string Manifest::add(const SealedSegment& segment) {
  segments_.insert_or_assign(segment.base, segment);
  cut_ = Offset(-1);
  return log_impl::segment_line(segment);
}

OTTLA_INLINE std::string Manifest::add_gap(Offset end, Offset next) {
  gaps_.insert_or_assign(next, end);
  return log_impl::signed_line(absl::StrCat("gap ", end.value(), " ", next.value()));
}

OTTLA_INLINE std::string Manifest::add_sparse(Offset from, Offset to) {
  const bool first = sparse_from_ == sparse_to_;
  sparse_from_ = first ? from : std::min(from, sparse_from_);
  sparse_to_ = first ? to : std::max(to, sparse_to_);
  return sparse_line();
}

OTTLA_INLINE std::string Manifest::sparse_line() const {
  return log_impl::signed_line(
      absl::StrCat("sparse ", sparse_from_.value(), " ", sparse_to_.value()));
}

OTTLA_INLINE std::string Manifest::set_others(Offset end) {
  others_ = end;
  return log_impl::signed_line(absl::StrCat("others ", end.value()));
}

OTTLA_INLINE std::string Manifest::set_era(const Uuid& era) {
  era_ = era;
  return log_impl::signed_line(absl::StrCat("era ", era.to_hex()));
}

OTTLA_INLINE std::string Manifest::set_synced(Offset end) {
  synced_ = end;
  cut_ = Offset(-1);
  return log_impl::signed_line(absl::StrCat("synced ", end.value()));
}

OTTLA_INLINE std::string Manifest::set_epochs(std::uint32_t current, std::uint32_t next) {
  // The last two lines have to be these two: an earlier change may have failed in between.
  std::string lines = epochs_[1] == current ? std::string() : add_epochs(current);
  return lines + add_epochs(next);
}

OTTLA_INLINE std::string Manifest::add_epochs(std::uint32_t crc) {
  epochs_ = {epochs_[1], crc};
  return log_impl::signed_line(absl::StrCat("epochs ", log_impl::hex8(crc)));
}

OTTLA_INLINE std::string Manifest::cut(Offset end) {
  std::erase_if(segments_, [&](const auto& entry) {
    return entry.second.base >= end || entry.second.end() >= end;
  });
  std::erase_if(gaps_, [&](const auto& gap) { return gap.first > end; });
  std::erase_if(skipped_, [&](SkippedRange& range) {
    range.next = std::min(range.next, end);
    return range.first >= end;
  });
  sparse_to_ = std::max(sparse_from_, std::min(sparse_to_, end));
  others_ = std::min(others_, end);
  if (synced_ > end) {
    synced_ = end;
  }
  cut_ = end;
  return log_impl::signed_line(absl::StrCat("cut ", end.value()));
}

OTTLA_INLINE std::string Manifest::replace(Offset base, Offset end) {
  synced_ = std::max(durable_end().value_or(end), end);
  cut_ = Offset(-1);
  segments_.erase(segments_.lower_bound(base), segments_.lower_bound(end));
  add_sparse(base, end);
  return log_impl::signed_line(absl::StrCat("replaced ", base.value(), " ", end.value()));
}

OTTLA_INLINE std::string Manifest::skip(const SkippedRange& range) {
  synced_ = durable_end().value_or(synced_);
  cut_ = Offset(-1);
  std::erase_if(segments_, [&](const auto& entry) {
    return entry.second.base <= range.next && entry.second.end() >= range.first;
  });
  add_sparse(range.first, range.next + 1);
  if (range.first < range.next) {
    std::erase_if(skipped_, [&](const SkippedRange& old) {
      return old.first >= range.first && old.next <= range.next;
    });
    const auto at = std::upper_bound(
        skipped_.begin(), skipped_.end(), range,
        [](const SkippedRange& a, const SkippedRange& b) { return a.first < b.first; });
    skipped_.insert(at, range);
  }
  return log_impl::signed_line(
      absl::StrCat("skipped ", range.first.value(), " ", range.next.value()));
}

OTTLA_INLINE void Manifest::drop_below(Offset start) {
  std::erase_if(segments_, [&](const auto& entry) { return entry.second.base < start; });
  std::erase_if(gaps_, [&](const auto& gap) { return gap.first <= start; });
  std::erase_if(skipped_, [&](const SkippedRange& range) { return range.next <= start; });
}

OTTLA_INLINE std::string Manifest::whole_text() const {
  std::string text = log_impl::owner_line(owner_);
  for (const SkippedRange& range : skipped_) {  // before segments that were closed since
    text += log_impl::signed_line(
        absl::StrCat("skipped ", range.first.value(), " ", range.next.value()));
  }
  for (const auto& [base, segment] : segments_) {
    text += log_impl::segment_line(segment);
  }
  if (synced_ >= Offset(0)) {
    text += log_impl::signed_line(absl::StrCat("synced ", synced_.value()));
  }
  if (cut_ >= Offset(0)) {  // before what has been written above it since
    text += log_impl::signed_line(absl::StrCat("cut ", cut_.value()));
  }
  if (sparse_from_ < sparse_to_) {
    text += sparse_line();
  }
  if (others_ > Offset(0)) {
    text += log_impl::signed_line(absl::StrCat("others ", others_.value()));
  }
  for (const auto& [next, end] : gaps_) {
    text += log_impl::signed_line(absl::StrCat("gap ", end.value(), " ", next.value()));
  }
  if (era_) {
    text += log_impl::signed_line(absl::StrCat("era ", era_->to_hex()));
  }
  for (const auto& crc : epochs_) {
    if (crc) {
      text += log_impl::signed_line(absl::StrCat("epochs ", log_impl::hex8(*crc)));
    }
  }
  return text;
}

}  // namespace ottla::inline OTTLA_ABI
