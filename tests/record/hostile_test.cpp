// SPDX-License-Identifier: Apache-2.0
//
// Damaged batches: every truncation, every flipped bit, lying lengths and counts. Copies have
// memory of exactly their size, so that a sanitizer sees one byte too far.
#include <memory>

#include <ottla/record/batch_view.hpp>
#include <ottla/record/control_record.hpp>

#include "tests/record/random_batch.hpp"
#include "tests/record/reference_decoder.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/golden.hpp"

using namespace ottla;

namespace {

/// A copy in memory of exactly that size.
class Exact {
 public:
  explicit Exact(Bytes bytes) : size_(bytes.size()), data_(new std::byte[bytes.size()]) {
    std::copy(bytes.begin(), bytes.end(), data_.get());
  }
  std::byte& operator[](std::size_t i) { return data_[i]; }
  MutableBytes bytes() { return {data_.get(), size_}; }

 private:
  std::size_t size_;
  std::unique_ptr<std::byte[]> data_;
};

SealedBatch sample(CompressionType codec, std::uint64_t seed) {
  // Small: every bit of it will be turned.
  RandomBatch random(seed);
  BatchFields fields = random.fields();
  fields.compression = codec;
  fields.delete_horizon.reset();
  BatchBuilder builder(fields);
  std::vector<RecordHeader> headers;
  for (int i = 0; i < 6; ++i) {
    const RandomRecord record = random.record(0);
    if (record.value.value_or("").size() + record.key.value_or("").size() > 100) continue;
    REQUIRE(builder.append(fields_of(record, headers)).ok());
  }
  REQUIRE(builder.append({.timestamp = Timestamp(5), .key = as_bytes("last")}).ok());
  Compressor compressor;
  auto sealed = builder.seal(compressor);
  REQUIRE(sealed.ok());
  return *std::move(sealed);
}

/// Reads all there is of a batch; what it touches must lie inside.
std::size_t read_all(const BatchView& batch, Decompressor& decompressor) {
  std::size_t seen = 0;
  RecordCursor records = batch.records(decompressor);
  while (const RecordView* record = records.next()) {
    for (const RecordHeader& header : record->headers()) {
      for (const char c : header.key) seen += static_cast<unsigned char>(c);
      for (const std::byte b : header.value.value_or(Bytes())) seen += static_cast<std::size_t>(b);
    }
    for (const std::byte b : record->key().value_or(Bytes())) seen += static_cast<std::size_t>(b);
    for (const std::byte b : record->value().value_or(Bytes())) seen += static_cast<std::size_t>(b);
    (void)parse_marker(*record);
  }
  return seen;
}

std::vector<reference::Record> walk(const BatchView& batch, bool& ok) {
  std::vector<reference::Record> out;
  RecordCursor records = batch.records();
  while (const RecordView* view = records.next()) {
    const RandomRecord record = copy_of(*view);
    const auto difference = [](std::int64_t a, std::int64_t b) {  // wraps around
      return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) -
                                       static_cast<std::uint64_t>(b));
    };
    out.push_back(
        {difference(record.timestamp, batch.header().base_timestamp.value()),
         static_cast<std::int32_t>(difference(record.offset, batch.header().base_offset.value())),
         record.key, record.value, record.headers});
  }
  ok = records.ok();
  return out;
}

constexpr CompressionType all_codecs[] = {CompressionType::none, CompressionType::gzip,
                                          CompressionType::snappy, CompressionType::lz4,
                                          CompressionType::zstd};

}  // namespace

TEST_CASE("a batch cut anywhere is partial, and never read beyond its end") {
  Decompressor decompressor;
  for (const CompressionType codec : all_codecs) {
    const SealedBatch batch = sample(codec, 3);
    for (std::size_t size = 0; size < batch.size(); ++size) {
      Exact cut(batch.bytes().first(size));
      BatchCursor cursor(cut.bytes());
      CHECK(cursor.next() == nullptr);
      CHECK(cursor.ok());
      CHECK(cursor.at_partial() == (size != 0));
    }
  }
}

TEST_CASE("a payload cut anywhere, with a header that agrees, gives an error or fewer records") {
  Decompressor decompressor;
  for (const CompressionType codec : all_codecs) {
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
      const SealedBatch batch = sample(codec, seed);
      for (std::size_t size = batch_header_size; size < batch.size(); ++size) {
        INFO(name(codec) << ", seed " << seed << ", " << size << " bytes");
        Exact cut(batch.bytes().first(size));
        store_big_endian(&cut[batch_position::batch_length], static_cast<std::int32_t>(size - 12));
        stamp_checksum(cut.bytes());
        const auto view = BatchView::parse(cut.bytes());
        REQUIRE(view.ok());
        RecordCursor records = view->records(decompressor);
        while (records.next() != nullptr) {
        }
        CHECK(!records.ok());
        read_all(*view, decompressor);
      }
    }
  }
}

TEST_CASE("a flipped bit is noticed by scan or checksum, save in base offset and epoch") {
  for (const CompressionType codec : all_codecs) {
    const SealedBatch batch = sample(codec, 4);
    for (std::size_t bit = 0; bit < 8 * batch.size(); ++bit) {
      INFO(name(codec) << ", bit " << bit);
      Exact copy(batch.bytes());
      copy[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
      BatchCursor cursor(copy.bytes());
      const bool is_outside = bit / 8 < 8 || (bit / 8 >= 12 && bit / 8 < 16);
      CHECK((cursor.next() != nullptr) == is_outside);
    }
  }
}

TEST_CASE("a flipped bit under a good checksum crashes nothing, and the walk is the reference's") {
  Decompressor decompressor(wire_decompression_limits);
  std::size_t compared = 0;
  for (const CompressionType codec : all_codecs) {
    for (std::uint64_t seed = 1; seed <= 4; ++seed) {
      const SealedBatch batch = sample(codec, seed);
      for (std::size_t bit = 8 * batch_position::attributes; bit < 8 * batch.size(); ++bit) {
        INFO(name(codec) << ", seed " << seed << ", bit " << bit);
        Exact copy(batch.bytes());
        copy[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
        stamp_checksum(copy.bytes());
        const auto view = BatchView::parse(copy.bytes());
        REQUIRE(view.ok());
        read_all(*view, decompressor);
        if (view->is_compressed() ||
            view->header().timestamp_type() == TimestampType::log_append_time) {
          continue;
        }
        bool ok = false;
        const auto ours = walk(*view, ok);
        const auto theirs = reference::Decoder(view->payload()).decode(view->header().record_count);
        REQUIRE(ok == theirs.second);
        REQUIRE(ours == theirs.first);
        ++compared;
      }
    }
  }
  CHECK(compared > 10000);
}

TEST_CASE("payloads with bytes changed, added and taken out are read as the reference reads them") {
  std::mt19937_64 random(99);
  constexpr int values[] = {0, 1, 2, 3, 4, 0x7e, 0x7f, 0x80, 0x81, 0xff};
  std::size_t good = 0;
  for (int round = 0; round < 20000; ++round) {
    const SealedBatch base = sample(CompressionType::none, 1 + random() % 8);
    std::vector<std::byte> bytes(base.bytes().begin(), base.bytes().end());
    for (std::uint64_t n = 1 + random() % 3; n > 0; --n) {
      const auto at = static_cast<std::ptrdiff_t>(batch_header_size +
                                                  random() % (bytes.size() - batch_header_size));
      const auto value = static_cast<std::byte>(values[random() % std::size(values)]);
      switch (random() % 4) {
        case 0:
          bytes.insert(bytes.begin() + at, value);
          break;
        case 1:
          bytes.erase(bytes.begin() + at);
          break;
        default:
          bytes[static_cast<std::size_t>(at)] = value;
      }
    }
    Exact batch(bytes);
    const std::int32_t count = BatchView(base.bytes()).header().record_count;
    store_big_endian(&batch[batch_position::batch_length],
                     static_cast<std::int32_t>(bytes.size() - 12));
    store_big_endian(&batch[batch_position::attributes], std::int16_t{0});
    bool ok = false;
    const auto ours = walk(BatchView(batch.bytes()), ok);
    const auto theirs = reference::Decoder(Bytes(bytes).subspan(batch_header_size)).decode(count);
    REQUIRE(ok == theirs.second);
    REQUIRE(ours == theirs.first);
    if (ok) ++good;
  }
  CHECK(good > 1000);
  CHECK(good < 19000);
}

TEST_CASE(
    "integers of more bytes than needed are read, with excess bits dropped as Kafka drops them") {
  // A timestamp delta of 10 bytes with 6 bits too many, an offset delta 0 of 5 bytes with 3, an
  // empty value's size of 2.
  const auto payload = golden::from_hex(
      "28"
      "00"
      "ffffffffffffffffff7f"
      "8080808070"
      "01"
      "8000"
      "00");
  const BatchHeader header{
      .base_offset = Offset(7), .base_timestamp = Timestamp(100), .record_count = 1};
  Exact exact(payload);
  RecordCursor records(header, exact.bytes());
  const RecordView* record = records.next();
  INFO(records.status());
  REQUIRE(record != nullptr);
  CHECK(record->timestamp() == Timestamp(100 + INT64_MIN));
  CHECK(record->offset() == Offset(7));
  CHECK(record->value().value().empty());
}

TEST_CASE("a declared number of records is not believed, whatever it is") {
  Decompressor decompressor;
  for (const CompressionType codec : all_codecs) {
    const SealedBatch batch = sample(codec, 2);
    const std::int32_t real = BatchView(batch.bytes()).header().record_count;
    for (const std::int32_t count : {-1, INT32_MIN, real - 1, real + 1, INT32_MAX}) {
      INFO(name(codec) << ", " << count << " of " << real);
      Exact copy(batch.bytes());
      store_big_endian(&copy[batch_position::record_count], count);
      RecordCursor records = BatchView(copy.bytes()).records(decompressor);
      std::int32_t walked = 0;
      while (records.next() != nullptr) ++walked;
      CHECK(error_code(records.status()) == ErrorCode::invalid_record);
      CHECK(walked == (count < 0 ? 0 : count < real ? count - 1 : real));
      CHECK(records.next() == nullptr);
    }
  }
}
