// SPDX-License-Identifier: Apache-2.0
//
// Finding all that is damaged in a log, before it is mended.
#pragma once

#include <algorithm>
#include <string>
#include <utility>

#include <absl/strings/str_cat.h>

#include <ottla/base/crc32c.hpp>
#include <ottla/log/impl/log_repair_impl.hpp>

namespace ottla::inline OTTLA_ABI {

template <FileSystem Fs>
void BasicLog<Fs>::Opener::Repairer::add(std::size_t segment, std::int64_t position,
                                         std::int64_t end, SkippedRange offsets,
                                         std::string problem) {
  bad_.push_back(
      {segment,
       position,
       end,
       {offsets, path(segment), position, end - position, std::move(problem), std::string()}});
}

/// Below it the log is known to have had records.
template <FileSystem Fs>
Offset BasicLog<Fs>::Opener::Repairer::known_end() const {
  const auto& clean = opener_.opening_.clean_end;
  return std::max(opener_.durable_end_, clean ? clean->end : Offset(0));
}

/// Where what was read of a segment ends, be it good or bad.
template <FileSystem Fs>
Offset BasicLog<Fs>::Opener::Repairer::end_of(std::size_t segment) const {
  const Offset good = found_[segment].next;
  return !bad_.empty() && bad_.back().segment == segment
             ? std::max(bad_.back().told.offsets.next, good)
             : good;
}

template <FileSystem Fs>
absl::Status BasicLog<Fs>::Opener::Repairer::find() {
  const Offset log_start = opener_.opening_.log_start;
  if (bases_.empty()) {
    no_files_ = known_end() > log_start || opener_.files_->damaged;
    if (no_files_) {
      bases_.push_back(log_start);
      found_.push_back({.next = log_start});
      add(0, 0, 0, {log_start, std::max(known_end(), log_start)}, "the log has no files");
    }
    return absl::OkStatus();
  }
  const auto above = std::upper_bound(bases_.begin(), bases_.end(), log_start);
  first_ = static_cast<std::size_t>(std::max(bases_.begin() + 1, above) - 1 - bases_.begin());
  found_.resize(bases_.size());
  for (std::size_t i = first_; i < bases_.size(); ++i) {
    OTTLA_TRY(read_segment(i));
    compare_closed(i);
    find_hole(i);
  }
  return absl::OkStatus();
}

template <FileSystem Fs>
absl::Status BasicLog<Fs>::Opener::Repairer::read_segment(std::size_t segment) {
  Found& found = found_[segment];
  found.next = bases_[segment];
  found.expected = found.next;
  OTTLA_ASSIGN(const auto file, place_.files.open(path(segment), OpenMode::read, why));
  OTTLA_ASSIGN(auto survey, Survey::begin(file));
  found.size = survey.size();
  while (!survey.at_end()) {
    OTTLA_ASSIGN(std::string problem, read_good(survey, segment));
    if (survey.at_end()) {
      break;
    }
    const std::int64_t bad = survey.position();
    if (const absl::Status passed = survey.pass_bad(found.next, limit(segment) - 1); !passed.ok()) {
      return annotate(passed, path(segment));
    }
    OTTLA_ASSIGN(const Offset next, next_offset(file, segment, bad, survey.position()));
    add(segment, bad, survey.position(), {found.next, std::max(found.next, next)},
        std::move(problem));
    found.expected.reset();
  }
  return absl::OkStatus();
}

/// What is wrong with the first batch that is not good; the end may come first.
template <FileSystem Fs>
absl::StatusOr<std::string> BasicLog<Fs>::Opener::Repairer::read_good(Survey& survey,
                                                                      std::size_t segment) {
  Found& found = found_[segment];
  for (;;) {
    OTTLA_ASSIGN(const bool whole, survey.next());
    if (!whole) {
      return std::string("no whole batch is there");
    }
    OTTLA_ASSIGN(std::string problem, judge(survey, segment));
    if (!problem.empty()) {
      return problem;
    }
    const BatchHeader& header = survey.header();
    std::byte bytes[batch_header_size];
    header.write(bytes);
    found.digest = crc32c(bytes, found.digest);
    found.next = header.next_offset();
    found.expected = found.next;
    found.epoch = std::max(found.epoch, header.leader_epoch);
  }
}

/// What is wrong with a whole batch; empty where nothing is. As recovery judges, and readers do.
template <FileSystem Fs>
absl::StatusOr<std::string> BasicLog<Fs>::Opener::Repairer::judge(Survey& survey,
                                                                  std::size_t segment) const {
  const BatchHeader& header = survey.header();
  const Found& found = found_[segment];
  if (header.base_offset < found.next || header.last_offset_delta < 0 ||
      header.last_offset_delta >= limit(segment) - header.base_offset) {
    return absl::StrCat("a batch with offsets ", header.base_offset.value(), " to ",
                        header.last_offset().value(), " where ", found.next.value(), " should be");
  }
  if (header.leader_epoch != no_leader_epoch && header.leader_epoch < found.epoch) {
    return absl::StrCat("leader epoch ", header.leader_epoch.value(), " behind ",
                        found.epoch.value());
  }
  absl::Status refused = opener_.check_offsets(header, found.expected);
  if (refused.ok() && opener_.epochs_known_) {
    refused = opener_.check_epoch(header);
  }
  OTTLA_ASSIGN(const bool matches, survey.checksum_matches());
  return !refused.ok() ? std::string(sv(refused.message()))
         : matches     ? std::string()
                       : absl::StrCat("the batch at offset ", header.base_offset.value(),
                                      " does not match its checksum");
}

/// Of the batch at `good`; of what follows the segment where nothing good is left in it.
template <FileSystem Fs>
absl::StatusOr<Offset> BasicLog<Fs>::Opener::Repairer::next_offset(const FileT& file,
                                                                   std::size_t segment,
                                                                   std::int64_t bad,
                                                                   std::int64_t good) const {
  const Found& found = found_[segment];
  std::byte head[batch_header_size];
  if (good < found.size) {
    OTTLA_TRY(file.read(good, head).status());
    return BatchHeader::parse(head).base_offset;
  }
  if (segment + 1 < bases_.size()) {
    const auto ended =
        opener_.manifest_known_ ? log_.manifest_.end_before(bases_[segment + 1]) : std::nullopt;
    return ended && *ended >= found.next ? *ended : bases_[segment + 1];
  }
  // A batch that is bad by its checksum alone has a header that says how many offsets it had.
  OTTLA_ASSIGN(const std::size_t read, file.read(bad, head));
  const BatchHeader header = read < sizeof head ? BatchHeader() : BatchHeader::parse(head);
  const bool plausible = read == sizeof head && header.base_offset == found.next &&
                         header.last_offset_delta >= 0 &&
                         header.record_count - 1 == header.last_offset_delta &&
                         static_cast<std::int64_t>(header.size()) == good - bad;
  return std::max(known_end(), plausible ? header.next_offset() : found.next);
}

/// What the manifest says of it does not hold: it is short, or its batches are others. Of one that
/// is short what it begins with is taken for good: the manifest cannot tell.
template <FileSystem Fs>
void BasicLog<Fs>::Opener::Repairer::compare_closed(std::size_t segment) {
  const auto line = log_.manifest_.segments().find(bases_[segment]);
  if (line == log_.manifest_.segments().end()) {
    return;
  }
  const SealedSegment& closed = line->second;
  const Offset closed_end = std::min(closed.end(), limit(segment));
  Found& found = found_[segment];
  const bool all_good = bad_.empty() || bad_.back().segment != segment;
  if (end_of(segment) < closed_end && found.size < closed.size) {
    add(segment, found.size, found.size, {end_of(segment), closed_end},
        "it ends here, and was closed with more");
  } else if (found.size > closed.size ||
             (all_good && (found.size != closed.size || found.next != closed.end() ||
                           closed.digest.value_or(found.digest) != found.digest))) {
    const Offset base = bases_[segment];
    std::erase_if(bad_, [&](const Bad& bad) { return bad.segment == segment; });
    add(segment, 0, found.size, {base, std::max(closed_end, found.next)},
        "its batches are not those that were there when it was closed");
    found.next = base;
  }
}

/// Between a segment and the next one, or behind the last one.
template <FileSystem Fs>
void BasicLog<Fs>::Opener::Repairer::find_hole(std::size_t segment) {
  Offset end = end_of(segment);
  const std::int64_t size = found_[segment].size;
  if (segment + 1 == bases_.size()) {
    if (end < known_end() && known_end() > opener_.opening_.log_start) {
      add(segment, size, size, {end, known_end()}, "it ends here, and was longer");
    }
    return;
  }
  const Offset next = bases_[segment + 1];
  const auto& closed = log_.manifest_.segments();
  const auto missing = std::find_if(closed.lower_bound(end), closed.lower_bound(next),
                                    [&](const auto& line) { return line.second.last >= end; });
  const bool joined = opener_.joined(segment, end);
  if (end < next && (!joined || missing != closed.lower_bound(next))) {
    end = joined ? missing->first : end;
    add(segment, size, size, {end, next}, "the file behind it is missing");
  }
}

}  // namespace ottla::inline OTTLA_ABI
