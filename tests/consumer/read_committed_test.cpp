// SPDX-License-Identifier: Apache-2.0
#include <ottla/record/control_record.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/fake_connection.hpp"
#include "tests/support/must.hpp"

using namespace ottla;
using namespace test;
using namespace std::chrono_literals;

namespace {

constexpr ProducerId first{7};
constexpr ProducerId second{8};

struct MarkedLog {
  FakeHost host;
  std::int64_t end = 0;

  void append(ProducerId producer, int records = 1, bool transactional = true,
              CompressionType codec = CompressionType::none) {
    BatchFields fields{.compression = codec};
    if (producer != no_producer_id) {
      fields.producer_id = producer;
      fields.producer_epoch = ProducerEpoch(0);
      fields.base_sequence = 0;
      fields.is_transactional = transactional;
    }
    add(batch_of(end, records, fields), records);
  }
  void mark(ProducerId producer, ControlType type) {
    SealedBatch marker = must(marker_batch({.base_offset = Offset(end),
                                            .leader_epoch = LeaderEpoch(3),
                                            .timestamp = Timestamp(5),
                                            .producer_id = producer,
                                            .producer_epoch = ProducerEpoch(0)},
                                           {.type = type}));
    add(std::move(marker).freeze(), 1);
  }
  void add(SharedBytes batch, std::int64_t offsets) {
    end += offsets;
    host.connection->append(0, std::move(batch), end);
  }
  void aborted(std::vector<AbortedRange> ranges) {
    host.connection->log(0).aborted = std::move(ranges);
  }

  /// Offsets, from `from` on.
  std::vector<std::int64_t> read(std::int64_t from = 0) {
    auto consumer = must(Consumer<std::string, std::string>::open(
        host,
        {.offset_reset = OffsetReset::earliest, .isolation = IsolationLevel::read_committed}));
    must(consumer.assign({{"orders", PartitionId(0)}}));
    must(consumer.seek({"orders", PartitionId(0)}, Offset(from)));
    std::vector<std::int64_t> offsets;
    for (;;) {
      const auto records = must(consumer.poll(0ms));
      must(records.status());
      for (const auto& record : records) {
        offsets.push_back(record.offset().value());
      }
      if (records.empty()) {
        CHECK(must(consumer.position({"orders", PartitionId(0)})) == Offset(end));
        return offsets;
      }
    }
  }
};

using Offsets = std::vector<std::int64_t>;

}  // namespace

TEST_CASE("records of aborted transactions are passed over, those between them are not") {
  MarkedLog log;
  log.append(first, 2);                   // 0, 1: aborted
  log.append(second);                     // 2: committed
  log.append(no_producer_id);             // 3
  log.append(first);                      // 4: aborted
  log.mark(first, ControlType::abort);    // 5
  log.append(first);                      // 6: its next transaction, committed
  log.mark(second, ControlType::commit);  // 7
  log.mark(first, ControlType::commit);   // 8
  log.append(second);                     // 9: aborted
  log.append(second, 1, false);           // 10: of no transaction
  log.mark(second, ControlType::abort);   // 11
  log.aborted({{second, Offset(9)}, {first, Offset(0)}});
  CHECK(log.read() == Offsets{2, 3, 6, 10});
  CHECK(log.read(4) == Offsets{6, 10});
}

TEST_CASE("a commit marker of one ends nothing of another, and lists may name what lies ahead") {
  MarkedLog log;
  log.append(first, 3, true, CompressionType::zstd);  // 0 to 2: aborted
  log.mark(second, ControlType::commit);              // 3
  log.append(first);                                  // 4: aborted
  log.mark(first, ControlType::abort);                // 5
  log.append(first);                                  // 6
  log.aborted({{first, Offset(0)}, {first, Offset(50)}, {ProducerId(9), Offset(1)}});
  CHECK(log.read() == Offsets{6});
}

TEST_CASE("where everything was aborted the position goes on") {
  MarkedLog log;
  log.append(first, 3);
  log.append(first, 3);
  log.mark(first, ControlType::abort);
  log.aborted({{first, Offset(0)}});
  CHECK(log.read().empty());
}
