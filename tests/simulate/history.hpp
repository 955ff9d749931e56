// SPDX-License-Identifier: Apache-2.0
//
// What the owner of a log was told, life after life, and what it has to find for it. Each check
// watches one property and knows nothing of how the log keeps it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

namespace simulate {

struct Violation {
  std::string property;
  std::string text;
};

struct Record {
  std::int64_t offset = 0;
  std::int32_t epoch = 0;
  std::string value;
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
    if (told == Told::written && offset != written_) {
      violated("dense offsets",
               "an append at " + text(offset) + ", the log ended at " + text(written_));
    }
    Slot& slot = slot_at(offset);
    slot.gone = false;
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
  void start_raised(std::int64_t start) { start_ = std::max(start_, start); }

  void read(const Found& found) { check_records(found, true); }
  /// What was found is what there is from now on.
  void opened(const Found& found, Kept kept) {
    check_start(found, kept);
    check_lost(found, kept);
    check_records(found, kept == Kept::written);
    start_ = found.start;
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

 private:
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

  void check_start(const Found& found, Kept kept) {
    // The name of a first segment that nobody synced may be lost, and those behind it be found.
    const bool may_move = kept != Kept::written && start_ == durable_;
    if (!found.told_of_loss && (found.start < start_ || (found.start > start_ && !may_move))) {
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
  }
  /// Once it was told that something is gone it need not be told again.
  void check_missing(const Found& found, std::int64_t from, std::int64_t to) {
    const auto past = base_ + static_cast<std::int64_t>(slots_.size());
    for (; from < std::min(to, past); ++from) {
      if (!slot_at(from).gone && !found.told_of_loss) {
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
    if (record.offset < base_ ||
        record.offset - base_ >= static_cast<std::int64_t>(slots_.size())) {
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
  std::int64_t written_ = 0;
  std::int64_t durable_ = 0;
  std::vector<Violation> violations_;
};

}  // namespace simulate
