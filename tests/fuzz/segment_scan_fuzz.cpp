// SPDX-License-Identifier: Apache-2.0
//
// A segment of arbitrary bytes: a byte of options, its offset and time index (UINT16 length and
// bytes each), and the log. Recovery finds the prefix that a plain scan finds, finds it again, and
// look-ups are those of a scan.
#include <ottla/record/batch_view.hpp>
#include <ottla/segment/segment_files.hpp>

#include "files.hpp"

using namespace ottla;

namespace {

struct Options {
  explicit Options(std::uint8_t bits)
      : trust_indexes((bits & 1) != 0),
        without_indexes((bits & 2) != 0),
        good_checksums((bits & 4) != 0),
        prefix((bits & 8) != 0),
        segment({.index_interval_bytes = (bits & 16) != 0 ? 0 : 200}) {}
  bool trust_indexes;
  bool without_indexes;
  bool good_checksums;
  bool prefix;
  SegmentOptions segment;
};

struct Found {
  BatchHeader header;
  std::size_t position = 0;
  bool operator==(const Found&) const = default;
};

void make_checksums_good(MutableBytes log) {
  for (std::size_t at = 0; at < log.size();) {
    const ScannedBatch scanned = scan_batch(log.subspan(at), log.size() - at);
    if (scanned.verdict != BatchVerdict::whole) {
      return;
    }
    stamp_checksum(log.subspan(at, scanned.size));
    at += scanned.size;
  }
}

/// The good batches before the first bad one.
std::vector<Found> plain_scan(Bytes log) {
  std::vector<Found> batches;
  Offset before{-1};
  LeaderEpoch epoch = no_leader_epoch;
  for (std::size_t at = 0; at < log.size();) {
    const ScannedBatch scanned = scan_batch(log.subspan(at), log.size() - at);
    if (scanned.verdict != BatchVerdict::whole) {
      break;
    }
    const BatchHeader header = BatchHeader::parse(log.subspan(at));
    const bool offsets_fit = header.base_offset > before && header.last_offset_delta >= 0 &&
                             header.base_offset.value() <= INT32_MAX - header.last_offset_delta;
    const bool led = header.leader_epoch == no_leader_epoch || header.leader_epoch >= epoch;
    if (!offsets_fit || !led || !checksum_matches(log.subspan(at, scanned.size))) {
      break;
    }
    batches.push_back({header, at});
    before = header.last_offset();
    epoch = std::max(epoch, header.leader_epoch);
    at += scanned.size;
  }
  return batches;
}

void check_find(const Segment& segment, const std::vector<Found>& batches, Offset target) {
  const auto place = segment.find(target);
  fuzz::require(place.ok(), "a recovered segment is damaged", place.status().ToString());
  const auto expected = std::find_if(batches.begin(), batches.end(), [&](const Found& batch) {
    return batch.header.last_offset() >= target;
  });
  fuzz::require(place->has_value() == (expected != batches.end()), "an offset is not found");
  if (*place) {
    fuzz::require((*place)->position == static_cast<std::int64_t>(expected->position) &&
                      (*place)->header == expected->header,
                  "an offset is found elsewhere");
  }
}

/// As Segment::find_timestamp; nothing where a record on the way is malformed.
std::optional<std::optional<TimestampOffset>> plain_find_timestamp(
    Bytes log, const std::vector<Found>& batches, Timestamp target) {
  Decompressor decompressor({.max_bytes = std::size_t{256} << 10});
  for (const Found& batch : batches) {
    if (batch.header.max_timestamp < target) {
      continue;
    }
    RecordCursor records = BatchView(log.subspan(batch.position)).records(decompressor);
    while (const RecordView* record = records.next()) {
      if (record->timestamp() >= target && record->offset() >= Offset(0)) {
        return TimestampOffset{record->timestamp(), record->offset()};
      }
    }
    if (!records.ok()) {
      return std::nullopt;
    }
  }
  return std::optional<TimestampOffset>();
}

void check_times(const Segment& segment, Bytes log, const std::vector<Found>& batches) {
  Decompressor decompressor({.max_bytes = std::size_t{256} << 10});
  for (std::size_t i = 0; i < batches.size() && i < 12; ++i) {
    for (const std::int64_t near : {0, 1}) {
      const std::int64_t time = batches[i].header.max_timestamp.value();
      const Timestamp target(time == INT64_MAX ? time : time + near);
      if (target < Timestamp(0)) {
        continue;
      }
      const auto expected = plain_find_timestamp(log, batches, target);
      const auto found = segment.find_timestamp(target, Offset(0), decompressor);
      fuzz::require(found.ok() == expected.has_value(), "another verdict of a look-up by time",
                    found.status().ToString());
      fuzz::require(!expected || *found == *expected, "a look-up by time differs from a scan");
    }
  }
}

/// Whatever is there is read without harm.
void read_unrecovered(Segment& segment) {
  if (const absl::Status found = segment.find_end(); !found.ok()) {
    fuzz::require(fault(found) == Fault::corrupt, "an error of another kind", found.ToString());
  }
  Decompressor decompressor({.max_bytes = std::size_t{256} << 10});
  for (const std::int64_t target : {0, 1, 5, 100, 1 << 30}) {
    const auto place = segment.find(Offset(target));
    if (place.ok() && *place) {
      const auto bytes = segment.read_batches((*place)->position, 300);
      BatchCursor batches(bytes.ok() ? bytes->bytes() : Bytes());
      while (batches.next() != nullptr) {
      }
      fuzz::require(batches.ok(), "a batch is answered that does not pass",
                    batches.status().ToString());
    }
    (void)segment.find_timestamp(Timestamp(target), Offset(0), decompressor);
    (void)segment.upper_bound(target, 100);
  }
  (void)segment.each_batch(Offset(0),
                           [](const BatchHeader&, std::int64_t) { return absl::OkStatus(); });
}

std::vector<Found> recover(Segment& segment, bool trust_indexes, SegmentRecovery& report) {
  std::vector<Found> visited;
  const auto recovered = segment.recover(
      {.trust_indexes = trust_indexes}, [&](const BatchHeader& header, std::int64_t position) {
        visited.push_back({header, static_cast<std::size_t>(position)});
        return absl::OkStatus();
      });
  fuzz::Files::must(recovered.status());
  report = *recovered;
  fuzz::require(report.valid_end <= report.file_size && report.problem.empty() == report.clean(),
                "a report that does not fit");
  return visited;
}

Segment open(fuzz::Files& files, const Options& options) {
  auto segment = open_segment(files.fs, "/d", Offset(0), options.segment, no_timestamp,
                              options.prefix ? IndexLoad::prefix : IndexLoad::strict);
  fuzz::Files::must(segment.status());
  return *std::move(segment);
}

void check_recovered(fuzz::Files& files, const Options& options, Bytes log) {
  const std::vector<Found> plain = plain_scan(log);
  SegmentRecovery report;
  {
    Segment segment = open(files, options);
    const std::vector<Found> visited = recover(segment, options.trust_indexes, report);
    if (report.scanned_from == 0) {
      fuzz::require(visited == plain, "recovery differs from a plain scan");
    }
    fuzz::Files::must(segment.cut_tail());
    if (report.scanned_from == 0) {
      for (std::size_t i = 0; i < plain.size() && i < 12; ++i) {
        check_find(segment, plain, plain[i].header.base_offset);
        check_find(segment, plain, plain[i].header.last_offset() + 1);
      }
      check_times(segment, log, plain);
    }
    fuzz::Files::must(segment.become_inactive());
    fuzz::Files::must(segment.close());
  }
  SegmentRecovery again;
  Segment segment = open(files, options);
  fuzz::require(!segment.indexes_damaged(), "recovered indexes are damaged");
  recover(segment, options.trust_indexes, again);
  fuzz::require(again.clean() && again.valid_end == report.valid_end &&
                    again.next_offset == report.next_offset,
                "recovery finds something else the second time");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const Options options(input.integer<std::uint8_t>());
  const Bytes offset_index = input.piece();
  const Bytes time_index = input.piece();
  const Bytes rest = input.rest();
  std::vector<std::byte> log(rest.begin(), rest.end());
  if (options.good_checksums) {
    make_checksums_good(log);
  }
  fuzz::Files files;
  files.put(offset_file_path("/d", Offset(0), log_suffix), log);
  if (!options.without_indexes) {
    files.put(offset_file_path("/d", Offset(0), offset_index_suffix), offset_index);
    files.put(offset_file_path("/d", Offset(0), time_index_suffix), time_index);
  }
  {
    Segment segment = open(files, options);
    read_unrecovered(segment);
  }
  check_recovered(files, options, log);
  return 0;
}
