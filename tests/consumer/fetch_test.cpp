// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "tests/support/catch.hpp"
#include "tests/support/fake_connection.hpp"

using namespace ottla;
using namespace test;
using namespace std::chrono_literals;

namespace {

using Reader = Consumer<std::string_view, std::string>;

TopicPartition part(int number) { return {"orders", PartitionId(number)}; }

Reader reader(const FakeHost& host, std::vector<TopicPartition> of, ConsumerConfig config = {}) {
  config.offset_reset = OffsetReset::earliest;
  auto consumer = Reader::open(host, std::move(config));
  REQUIRE(consumer.ok());
  REQUIRE(consumer->assign(of).ok());
  return *std::move(consumer);
}

/// "0:v7": the partition, and the value; a message where the poll or the walk failed.
std::vector<std::string> polled(Reader& consumer, std::chrono::milliseconds timeout = 0ms) {
  const auto records = consumer.poll(timeout);
  if (!records.ok()) return {"failed: " + std::string(sv(records.status().message()))};
  std::vector<std::string> all;
  for (const auto& record : *records) {
    all.push_back(std::to_string(record.partition().value()) + ":" + *record.value());
    CHECK(*record.value() == "v" + std::to_string(record.offset().value()));
  }
  if (!records->status().ok()) {
    all.push_back("ended: " + std::string(sv(records->status().message())));
  } else {
    CHECK(records->count() == static_cast<std::int64_t>(all.size()));
  }
  return all;
}

std::vector<std::string> values(int partition, std::int64_t from, std::int64_t to) {
  std::vector<std::string> all;
  for (std::int64_t i = from; i < to; ++i) {
    all.push_back(std::to_string(partition) + ":v" + std::to_string(i));
  }
  return all;
}

/// Gives a record of `batch_of` a length beyond the batch.
void damage_record(MutableBytes batch, std::size_t record) {
  const std::size_t size = batch_of(0, 1).size() - batch_header_size;
  batch[batch_header_size + record * size] = std::byte{0x7e};
}

bool begins(const std::vector<std::string>& all, std::size_t at, std::string_view text) {
  return all.size() > at && all[at].substr(0, text.size()) == text;
}

}  // namespace

TEST_CASE("a batch larger than a poll is answered in parts, each record once") {
  FakeHost host;
  host.connection->append_records(0, 1, 10);
  host.connection->append_records(0, 1, 3);
  Reader consumer = reader(host, {part(0)}, {.max_poll_records = 4});
  CHECK(polled(consumer) == values(0, 0, 4));
  CHECK(*consumer.position(part(0)) == Offset(4));
  CHECK(polled(consumer) == values(0, 4, 8));
  CHECK(polled(consumer) == values(0, 8, 10));  // the next batch would not fit whole
  CHECK(polled(consumer) == values(0, 10, 13));
  CHECK(polled(consumer).empty());
  CHECK(host.connection->fetches == 2);
}

TEST_CASE("records below the position are skipped inside a batch, compressed or not") {
  const auto codec = GENERATE(CompressionType::none, CompressionType::zstd);
  FakeHost host;
  host.connection->append(0, batch_of(0, 20, {.compression = codec}), 20);
  Reader consumer = reader(host, {part(0)});
  REQUIRE(consumer.seek(part(0), Offset(17)).ok());
  CHECK(polled(consumer) == values(0, 17, 20));
  REQUIRE(consumer.seek(part(0), Offset(0)).ok());
  CHECK(polled(consumer) == values(0, 0, 20));
}

TEST_CASE("control batches and batches without a record only move the position") {
  FakeHost host;
  FakeConnection& broker = *host.connection;
  broker.append(0, batch_of(0, 2), 2);
  broker.append(0, batch_of(2, 1, {.is_control = true}), 3);
  broker.append(0, emptied_batch(BatchHeader::parse(batch_of(3, 4).bytes())).freeze(), 7);
  Reader consumer = reader(host, {part(0)});
  CHECK(polled(consumer) == values(0, 0, 2));
  CHECK(*consumer.position(part(0)) == Offset(7));
  broker.append(0, batch_of(7, 1, {.is_control = true}), 8);
  SECTION("a poll that meets nothing else ends with its time") {
    CHECK(polled(consumer, 10ms).empty());
    CHECK(*consumer.position(part(0)) == Offset(8));
  }
  SECTION("what lies behind them comes in the same poll") {
    broker.log(0).pieces.push_back({batch_of(8, 2), 10});
    broker.log(0).end = 10;
    Reader small = reader(host, {part(0)}, {.max_partition_fetch_bytes = 1});
    REQUIRE(small.seek(part(0), Offset(2)).ok());
    CHECK(polled(small) == values(0, 8, 10));
  }
}

TEST_CASE("a partition that always has data does not come first in each fetch") {
  FakeHost host;
  Reader consumer = reader(host, {part(0), part(1)});
  polled(consumer);
  CHECK(host.connection->asked == std::vector<int>{0, 1});
  polled(consumer);
  CHECK(host.connection->asked == std::vector<int>{1, 0});
  REQUIRE(consumer.pause({part(1)}).ok());
  polled(consumer);
  CHECK(host.connection->asked == std::vector<int>{0});
  CHECK(*consumer.paused() == std::vector<TopicPartition>{part(1)});
}

TEST_CASE("partitions come in ascending order and share a poll's records") {
  FakeHost host;
  host.connection->append_records(1, 2, 3);
  host.connection->append_records(0, 1, 2);
  Reader consumer = reader(host, {part(1), part(0)}, {.max_poll_records = 5});
  auto expected = values(0, 0, 2);
  for (auto& value : values(1, 0, 3)) expected.push_back(value);
  CHECK(polled(consumer) == expected);
  CHECK(polled(consumer) == values(1, 3, 6));
}

TEST_CASE(
    "a checksum that does not match is an error of that place, and nothing before it is lost") {
  FakeHost host;
  const bool verified = GENERATE(false, true);
  const auto flip = [](MutableBytes batch) { batch[batch.size() - 2] ^= std::byte{1}; };
  host.connection->append(0, batch_of(0, 3), 3);
  host.connection->append(0, changed(batch_of(3, 2), false, flip), 5, verified);
  host.connection->append(0, batch_of(5, 2), 7);
  Reader consumer = reader(host, {part(0)});
  if (verified) {  // who verified it answers for it: nobody computes it again
    const auto records = consumer.poll(0ms);
    REQUIRE(records.ok());
    CHECK(records->count() == 7);
    return;
  }
  CHECK(polled(consumer) == values(0, 0, 3));
  CHECK(*consumer.position(part(0)) == Offset(3));
  for (int again = 0; again < 2; ++again) {
    const auto failed = consumer.poll(0ms).status();
    CHECK(fault(failed) == Fault::corrupt);
    CHECK(error_code(failed) == ErrorCode::corrupt_message);
    const std::string text(sv(failed.message()));
    CHECK(text.find("orders-0 at offset 3") != std::string::npos);
    CHECK(text.find("seek to 5") != std::string::npos);
    CHECK(*consumer.position(part(0)) == Offset(3));
  }
  REQUIRE(consumer.seek(part(0), Offset(5)).ok());
  CHECK(polled(consumer) == values(0, 5, 7));
}

TEST_CASE("check.crcs off reads what nobody verified") {
  FakeHost host;
  const auto flip = [](MutableBytes batch) { batch[batch_position::crc] ^= std::byte{1}; };
  host.connection->append(0, changed(batch_of(0, 3), false, flip), 3, false);
  Reader consumer = reader(host, {part(0)}, {.check_crcs = false});
  CHECK(polled(consumer) == values(0, 0, 3));
}

TEST_CASE("a record that cannot be walked ends the walk, and the consumer does not pass it") {
  FakeHost host;
  const auto damage = [](MutableBytes batch) { damage_record(batch, 2); };
  host.connection->append(0, changed(batch_of(0, 5), true, damage), 5);
  host.connection->append(0, batch_of(5, 2), 7);
  Reader consumer = reader(host, {part(0)}, {.group = "g", .auto_commit = false});
  const auto first = polled(consumer);
  REQUIRE(first.size() == 3);
  CHECK(first[1] == "0:v1");
  CHECK(begins(first, 2, "ended: orders-0 at offset 2: "));
  CHECK(first[2].find("seek to 5") != std::string::npos);
  OffsetCommitRequest committed;
  host.connection->on_commit = [&](OffsetCommitRequest request, Reply<OffsetCommitResponse> reply) {
    committed = std::move(request);
    reply(OffsetCommitResponse{});
  };
  REQUIRE(consumer.commit().ok());
  CHECK(committed.partitions.at(0).offset == Offset(2));
  for (int again = 0; again < 2; ++again) {
    CHECK(begins(polled(consumer), 0, "failed: orders-0 at offset 2"));
  }
  REQUIRE(consumer.seek(part(0), Offset(5)).ok());
  CHECK(polled(consumer) == values(0, 5, 7));
}

TEST_CASE("a damaged record is found in the part of a batch that was polled") {
  FakeHost host;
  const auto damage = [](MutableBytes batch) { damage_record(batch, 4); };
  host.connection->append(0, changed(batch_of(0, 6), true, damage), 6);
  Reader consumer = reader(host, {part(0)}, {.max_poll_records = 3});
  CHECK(polled(consumer) == values(0, 0, 3));
  const auto next = polled(consumer);
  CHECK(begins(next, 0, "0:v3"));
  CHECK(begins(next, 1, "ended: orders-0 at offset 4"));
}

TEST_CASE(
    "bytes that are no batch, and batches that lead nowhere, are errors and no endless poll") {
  FakeHost host;
  const auto bytes = GENERATE(as<std::string>{}, "magic", "length", "backwards", "cut");
  SharedBytes piece = batch_of(0, 3);
  if (bytes == "magic") {
    piece = changed(piece, true, [](MutableBytes batch) { batch[16] = std::byte{9}; });
  } else if (bytes == "length") {
    piece = changed(piece, false, [](MutableBytes batch) { batch[8] = std::byte{0xff}; });
  } else if (bytes == "backwards") {
    piece = changed(piece, true, [](MutableBytes batch) { batch[23] = std::byte{0xff}; });
  } else {
    piece = piece.slice(0, piece.size() - 1);
  }
  host.connection->append(0, piece, 3);
  Reader consumer = reader(host, {part(0)});
  CHECK(begins(polled(consumer, 10ms), 0, "failed: orders-0 at offset 0: "));
  CHECK(*consumer.position(part(0)) == Offset(0));
}

TEST_CASE("what a fetch could not bring is told, and tried again by the next poll") {
  FakeHost host;
  host.connection->append_records(0, 1, 2);
  Reader consumer = reader(host, {part(0)});
  host.connection->log(0).status = error(Fault::io, "the device failed");
  CHECK(polled(consumer) == std::vector<std::string>{"failed: orders-0: the device failed"});
  CHECK(polled(consumer) == values(0, 0, 2));
  host.connection->fetch_fails = error(Fault::closed, "the broker was closed");
  CHECK(fault(consumer.poll(1s).status()) == Fault::closed);
}

TEST_CASE("fetch.min.bytes are waited for, fetch.max.wait at most") {
  FakeHost host;
  FakeConnection& broker = *host.connection;
  Reader consumer = reader(host, {part(0)}, {.fetch_min_bytes = 200, .fetch_max_wait = 500ms});
  const SteadyTime start = broker.env.clock().steady_now();
  const auto passed = [&] { return broker.env.clock().steady_now() - start; };
  SECTION("a little is left for a while") {
    broker.append_records(0, 1, 1);
    CHECK(polled(consumer).empty());
    CHECK(polled(consumer, 2s) == values(0, 0, 1));
    CHECK(passed() == 500ms);
  }
  SECTION("enough comes at once") {
    broker.env.executor().post_at(start + 100ms, [&] { broker.append_records(0, 1, 1); });
    broker.env.executor().post_at(start + 200ms, [&] { broker.append_records(0, 1, 40); });
    CHECK(polled(consumer, 2s) == values(0, 0, 41));
    CHECK(passed() == 200ms);
  }
  SECTION("a little that comes later is left as long") {
    broker.env.executor().post_at(start + 700ms, [&] { broker.append_records(0, 1, 1); });
    CHECK(polled(consumer, 60s) == values(0, 0, 1));
    CHECK(passed() == 1s);
  }
}

TEST_CASE("a poll whose partitions were paused while little was there sleeps") {
  FakeHost host;
  FakeConnection& broker = *host.connection;
  Reader consumer = reader(host, {part(0)}, {.fetch_min_bytes = 200, .fetch_max_wait = 500ms});
  broker.append_records(0, 1, 1);
  CHECK(polled(consumer).empty());
  REQUIRE(consumer.pause({part(0)}).ok());
  int turns = 0;
  broker.looked = [&] {
    if (++turns == 100) consumer.wakeup();  // it would not end
    return broker.version;
  };
  CHECK(polled(consumer, 3s).empty());
  CHECK(turns < 5);
}

TEST_CASE("records that are held are counted, and too many of them are an error") {
  FakeHost host;
  host.connection->append_records(0, 3, 10);
  Reader consumer = reader(host, {part(0)}, {.max_poll_records = 10, .max_pinned_bytes = 250});
  auto first = consumer.poll(0ms);
  auto second = consumer.poll(0ms);
  REQUIRE((first.ok() && second.ok()));
  CHECK(fault(consumer.poll(0ms).status()) == Fault::limit_reached);
  *first = Reader::Records();
  CHECK(polled(consumer) == values(0, 20, 30));
}

TEST_CASE("a program's event loop is told when polling is worth while") {
  FakeHost host;
  Reader consumer = reader(host, {part(0)});
  int told = 0;
  REQUIRE(consumer.on_ready([&] { ++told; }).ok());
  CHECK(polled(consumer).empty());
  host.connection->append_records(0, 1, 1);
  CHECK(told == 1);
  CHECK(polled(consumer) == values(0, 0, 1));
  REQUIRE(consumer.on_ready({}).ok());
  host.connection->append_records(0, 1, 1);
  CHECK(told == 1);
}

TEST_CASE("an event loop that was told of too many records is told when enough were let go") {
  FakeHost host;
  host.connection->append_records(0, 4, 10);
  const ConsumerConfig config{.max_poll_records = 10, .max_pinned_bytes = 250};
  Reader consumer = reader(host, {part(0)}, config);
  int told = 0;
  REQUIRE(consumer.on_ready([&] { ++told; }).ok());
  std::vector<Reader::Records> held;
  for (int i = 0; i < 3; ++i) {
    auto records = consumer.poll(0ms);
    if (records.ok()) held.push_back(*std::move(records));
  }
  REQUIRE(held.size() == 2);
  CHECK(fault(consumer.poll(0ms).status()) == Fault::limit_reached);
  host.connection->env.advance(4min);
  CHECK(told == 0);
  held.pop_back();
  CHECK(told == 1);
  held.clear();
  CHECK(told == 1);
  CHECK(polled(consumer) == values(0, 20, 30));
}

TEST_CASE("an event loop is told to try again after an error, but not of one that stays") {
  FakeHost host;
  host.connection->append_records(0, 1, 2);
  Reader consumer = reader(host, {part(0)});
  int told = 0;
  REQUIRE(consumer.on_ready([&] { ++told; }).ok());
  host.connection->log(0).status = error(Fault::io, "the device failed");
  CHECK(begins(polled(consumer), 0, "failed"));
  CHECK(told == 0);
  host.connection->env.advance(1s);
  CHECK(told == 1);
  CHECK(polled(consumer) == values(0, 0, 2));
  host.connection->fetch_fails = error(Fault::closed, "the broker was closed");
  CHECK(begins(polled(consumer), 0, "failed"));
  host.connection->env.advance(1h);
  CHECK(told == 1);
}

TEST_CASE(
    "a fetch unpacks fetch.max.bytes and a batch at most, the next goes on where it stopped") {
  FakeHost host;
  for (int partition = 0; partition < 2; ++partition) {
    for (std::int64_t first = 0; first < 80; first += 10) {
      host.connection->append(
          partition, batch_of(first, 10, {.compression = CompressionType::zstd}), first + 10);
    }
  }
  const std::int32_t bytes = GENERATE(0, 250, 100'000);
  Reader consumer = reader(host, {part(0), part(1)}, {.fetch_max_bytes = bytes});
  std::vector<std::string> all;
  std::size_t most = 0;
  for (auto some = polled(consumer); !some.empty(); some = polled(consumer)) {
    most = std::max(most, some.size());
    all.insert(all.end(), some.begin(), some.end());
  }
  CHECK(most == (bytes == 0 ? 10U : bytes == 250 ? 30U : 160U));
  std::stable_sort(all.begin(), all.end(),
                   [](const std::string& a, const std::string& b) { return a[0] < b[0]; });
  auto both = values(0, 0, 80);
  for (auto& value : values(1, 0, 80)) both.push_back(std::move(value));
  CHECK(all == both);
}
