// SPDX-License-Identifier: Apache-2.0
//
// What the owner of a log was told, life after life, and what it has to find for it. Each check
// watches one property and knows nothing of how the log keeps it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include <ottla/sim/checkers.hpp>

namespace simulate {

using ottla::Violation;

struct Record {
  std::int64_t offset = 0;
  std::int32_t epoch = 0;
  std::string value;  ///< of a log that is compacted: key, "=" and value, which a tombstone lacks
};

/// What an opening found.
struct Found {
  std::int64_t start = 0;
  std::int64_t end = 0;
  std::vector<Record> records = {};
  bool lied = false;  ///< the device, before
  /// Then the log tells of it: by the report, as damage, or by an error.
  bool told_of_loss = false;
};

/// What must have outlived the last life.
enum class Kept : std::uint8_t {
  written,  ///< the process died
  durable,  ///< the machine did, or a sync failed and the pages went back
};

class History {
 public:
  enum class Told : std::uint8_t { written, unknown, refused };

  std::int64_t start() const { return start_; }
  std::int64_t written() const { return written_; }
  std::int64_t durable() const { return durable_; }
  const std::vector<Violation>& violations() const { return violations_; }

  void appended(std::int64_t offset, const Record& record, Told told) {
    if (told == Told::written && !may_begin_at(offset)) {
      violated("dense offsets",
               "an append at " + text(offset) + ", the log ended at " + text(written_));
    }
    Slot& slot = slot_at(offset);
    slot.gone = slot.gone && told != Told::written;
    if (told == Told::refused) {
      slot.refused.push_back(record.value);
      return;
    }
    values_.insert(record.value);
    slot.may_be.push_back(record);
    if (told == Told::written) {
      written_ = offset + 1;
    }
  }

  void violated(std::string property, std::string what) {
    violations_.push_back({std::move(property), std::move(what)});
  }

  /// Everything below `end` is on the device: what else may have been there is gone.
  void flushed(std::int64_t end) {
    for (std::int64_t offset = durable_; offset < end; ++offset) {
      Slot& slot = slot_at(offset);
      if (slot.may_be.size() > 1) {
        slot.may_be = {slot.may_be.back()};
      }
      slot.refused.clear();
    }
    durable_ = std::max(durable_, end);
  }
  /// The owner gave up what lies below.
  void start_raised(std::int64_t start) {
    start_ = lowest_start_ = std::max(start_, start);
    highest_start_ = std::max(highest_start_, start_);
  }
  /// Likewise, and was not told whether that is known.
  void start_raising(std::int64_t start) { highest_start_ = std::max(highest_start_, start); }
  /// The next batch begins at `to`, where one is written; there is nothing in between.
  void skipped(std::int64_t to) {
    for (std::int64_t offset = written_; offset < to; ++offset) {
      slot_at(offset).gone = true;
    }
  }
  /// It is damaged, and taken out when its owner says so.
  void taken_out(std::int64_t offset) { slot_at(offset).gone = true; }
  /// Nothing from `end` on may come back, once the owner `knows` that it is cut off.
  void cut_back(std::int64_t end, bool knows) {
    durable_ = std::min(durable_, end);
    written_ = std::min(written_, end);
    for (std::int64_t offset = end; knows && offset < past(); ++offset) {
      refuse(slot_at(offset));
    }
  }
  /// It was emptied, to begin at `start`; after a power cut it may be empty elsewhere.
  void begun_anew(std::int64_t start, bool knows) {
    cut_back(std::min(start_, start), knows);
    lowest_start_ = std::min({lowest_start_, start_, start});
    highest_start_ = std::max(highest_start_, start);
    start_ = start;
    written_ = knows ? start : written_;
  }
  /// Nothing of it was durable, and it is gone.
  void lost() { *this = History(std::move(violations_), compacted_); }
  /// Records may go once there is a newer one with their key.
  void compacts() { compacted_ = true; }

  void read(const Found& found) { check_records(found, true); }
  /// What was found is what there is from now on.
  void opened(const Found& found, Kept kept) {
    check_start(found, kept);
    check_lost(found, kept);
    check_records(found, kept == Kept::written);
    start_ = highest_start_ = found.start;
    lowest_start_ = kept == Kept::durable ? start_ : std::min(lowest_start_, start_);
    durable_ = std::clamp(durable_, found.start, found.end);
    written_ = found.end;
    slots_.resize(static_cast<std::size_t>(std::max<std::int64_t>(0, found.end - base_)));
    for (Slot& slot : slots_) {
      slot.gone = slot.gone || found.told_of_loss;
    }
    for (const Record& record : found.records) {
      if (record.offset < found.end) {
        slot_at(record.offset) = {.may_be = {record}};
      }
    }
  }

  History() = default;

 private:
  History(std::vector<Violation> violations, bool compacted)
      : violations_(std::move(violations)), compacted_(compacted) {}

  struct Slot {
    std::vector<Record> may_be = {};  // the last one is what was acknowledged, where it was
    std::vector<std::string> refused = {};
    bool gone = false;  // and told of
  };

  static std::string text(std::int64_t number) { return std::to_string(number); }
  Slot& slot_at(std::int64_t offset) {
    const auto index = static_cast<std::size_t>(offset - base_);
    if (index >= slots_.size()) {
      slots_.resize(index + 1);
    }
    return slots_[index];
  }

  std::int64_t past() const { return base_ + static_cast<std::int64_t>(slots_.size()); }
  bool may_begin_at(std::int64_t offset) {
    std::int64_t from = written_;
    while (from < offset && slot_at(from).gone) {
      ++from;
    }
    return from == offset;
  }
  static void refuse(Slot& slot) {
    for (Record& record : slot.may_be) {
      slot.refused.push_back(std::move(record.value));
    }
    slot.may_be.clear();
  }

  void check_start(const Found& found, Kept kept) {
    // The name of a first segment that nobody synced may be lost, and those behind it be found.
    const bool may_move = kept != Kept::written && start_ == durable_;
    const std::int64_t least = std::min(start_, lowest_start_);
    const std::int64_t most = std::max(start_, highest_start_);
    if (!found.told_of_loss && (found.start < least || (found.start > most && !may_move))) {
      violated("log start", "begins at " + text(found.start) + ", not " + text(start_));
    }
  }
  void check_lost(const Found& found, Kept kept) {
    const std::int64_t least = kept == Kept::durable ? durable_ : written_;
    if (found.end < least && !found.told_of_loss) {
      violated("lost write", "ends at " + text(found.end) + ", acknowledged were " + text(least) +
                                 ", durable " + text(durable_));
    }
  }
  void check_records(const Found& found, bool newest) {
    std::int64_t next = found.start;
    for (const Record& record : found.records) {
      if (record.offset < next) {
        violated("order", text(record.offset) + " comes behind " + text(next - 1));
        return;
      }
      check_missing(found, next, record.offset);
      next = record.offset + 1;
      check_record(record, newest, found.lied);
    }
    check_missing(found, next, found.end);
    check_latest(found);
  }
  /// What was left out in compaction is superfluous: each key has the value that it had.
  void check_latest(const Found& found) {
    if (!compacted_) {
      return;
    }
    std::map<std::string, std::string> expected;
    std::map<std::string, std::string> latest;
    const auto note = [](std::map<std::string, std::string>& into, const std::string& text) {
      const std::size_t sign = text.find('=');
      into.insert_or_assign(text.substr(0, sign), text.substr(sign + 1));
    };
    auto record = found.records.begin();
    for (std::int64_t offset = found.start; offset < found.end; ++offset) {
      if (record != found.records.end() && record->offset == offset) {
        note(expected, record->value);
        note(latest, record->value);
        ++record;
      } else if (offset < past() && !slot_at(offset).may_be.empty()) {
        note(expected, slot_at(offset).may_be.back().value);
      }
    }
    std::erase_if(expected, [](const auto& entry) { return entry.second.empty(); });
    std::erase_if(latest, [](const auto& entry) { return entry.second.empty(); });
    if (latest != expected) {
      violated("compaction", "a key has another value than it had at last");
    }
  }
  /// Once it was told that something is gone it need not be told again.
  void check_missing(const Found& found, std::int64_t from, std::int64_t to) {
    for (; from < std::min(to, past()); ++from) {
      if (!slot_at(from).gone && !found.told_of_loss && !compacted_) {
        violated("dense offsets", text(from) + " is missing");
        return;
      }
    }
  }
  /// The checksum does not cover a batch's offset: a device that writes elsewhere than it is told
  /// may move one.
  void check_record(const Record& record, bool newest, bool may_be_moved) {
    if (may_be_moved && values_.count(record.value) > 0) {
      return;
    }
    if (record.offset < base_ || record.offset >= past()) {
      violated("wrong record", "nobody wrote what is at " + text(record.offset));
      return;
    }
    const Slot& slot = slot_at(record.offset);
    const auto is_it = [&](const Record& each) {
      return each.value == record.value && each.epoch == record.epoch;
    };
    if (std::count(slot.refused.begin(), slot.refused.end(), record.value) > 0) {
      violated("aborted read", "a refused record is at " + text(record.offset));
    } else if (std::none_of(slot.may_be.begin(), slot.may_be.end(), is_it)) {
      violated("wrong record", "nobody wrote what is at " + text(record.offset));
    } else if (newest && record.offset < written_ && !is_it(slot.may_be.back())) {
      violated("order", "an older record is at " + text(record.offset));
    }
  }

  static constexpr std::int64_t base_ = 0;
  std::vector<Slot> slots_;
  std::unordered_set<std::string> values_;
  std::int64_t start_ = 0;
  std::int64_t lowest_start_ = 0;  // it may begin in between
  std::int64_t highest_start_ = 0;
  std::int64_t written_ = 0;
  std::int64_t durable_ = 0;
  std::vector<Violation> violations_;
  bool compacted_ = false;
};

}  // namespace simulate
