// SPDX-License-Identifier: Apache-2.0
#include <random>

#include <ottla/base/status.hpp>
#include <ottla/record/compression.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/golden.hpp"

using namespace ottla;
using golden::from_hex;

namespace {

const CompressionType codecs[] = {CompressionType::gzip, CompressionType::snappy,
                                  CompressionType::lz4, CompressionType::zstd};

std::vector<std::byte> copy(Bytes bytes) { return {bytes.begin(), bytes.end()}; }

std::vector<std::byte> joined(std::vector<std::byte> a, const std::vector<std::byte>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

std::vector<std::byte> compressed(CompressionType type, Bytes bytes,
                                  std::optional<int> level = std::nullopt) {
  Compressor compressor;
  const auto blob = compressor.compress(type, bytes, level);
  INFO(name(type) << ": " << blob.status());
  REQUIRE(blob.ok());
  return copy(*blob);
}

/// What comes out of a blob that is good.
std::vector<std::byte> decompressed(CompressionType type, Bytes blob) {
  Decompressor decompressor;
  const Decompressed out = decompressor.decompress(type, blob);
  INFO(name(type) << ": " << out.status);
  REQUIRE(out.status.ok());
  return copy(out.bytes);
}

absl::Status refused(CompressionType type, Bytes blob) {
  Decompressor decompressor;
  return decompressor.decompress(type, blob).status;
}

/// Text-like bytes of that size.
std::vector<std::byte> sample(std::size_t size, unsigned seed, unsigned symbols) {
  std::mt19937 random(seed);
  std::vector<std::byte> out(size);
  for (std::byte& byte : out) byte = static_cast<std::byte>(random() % symbols);
  return out;
}

}  // namespace

TEST_CASE("every codec gives back what it was given, at block borders and when it cannot shrink") {
  Compressor compressor;
  Decompressor decompressor;
  const std::size_t k = 1024;
  for (const CompressionType type : codecs) {
    for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{100}, 32 * k - 1,
                                   32 * k, 32 * k + 1, 64 * k - 1, 64 * k, 64 * k + 1, 300 * k}) {
      for (const unsigned symbols : {1U, 4U, 256U}) {
        INFO(name(type) << ", " << size << " bytes of " << symbols << " symbols");
        const auto records = sample(size, 7, symbols);
        const auto blob = compressor.compress(type, records);
        REQUIRE(blob.ok());
        REQUIRE(blob->size() < size + size / 50 + 100);
        const Decompressed out = decompressor.decompress(type, *blob);
        REQUIRE(out.status.ok());
        REQUIRE(copy(out.bytes) == records);
      }
    }
  }
}

TEST_CASE("every level that Kafka allows works, and others are refused") {
  const auto records = sample(5000, 3, 20);
  const auto check = [&](CompressionType type, std::initializer_list<int> good,
                         std::initializer_list<int> bad) {
    for (const int level : good) {
      INFO(name(type) << " " << level);
      CHECK(check_level(type, level).ok());
      CHECK(decompressed(type, compressed(type, records, level)) == records);
    }
    for (const int level : bad) {
      INFO(name(type) << " " << level);
      CHECK(error_code(check_level(type, level)) == ErrorCode::invalid_config);
      CHECK(!Compressor().compress(type, records, level).ok());
    }
  };
  check(CompressionType::gzip, {-1, 1, 2, 3, 4, 5, 6, 7, 8, 9}, {-2, 0, 10});
  check(CompressionType::lz4, {1, 2, 3, 8, 9, 10, 12, 13, 17}, {0, -1, 18});
  check(CompressionType::zstd, {-131072, -5, -1, 0, 1, 3, 19, 20, 22}, {-131073, 23});
  check(CompressionType::snappy, {1}, {});
  CHECK(default_level(CompressionType::gzip) == -1);
  CHECK(default_level(CompressionType::lz4) == 9);
  CHECK(default_level(CompressionType::zstd) == 3);
  CHECK(!default_level(CompressionType::snappy).has_value());
  const auto fast = compressed(CompressionType::gzip, sample(100000, 3, 20), 1);
  const auto small = compressed(CompressionType::gzip, sample(100000, 3, 20), 9);
  CHECK(small.size() < fast.size());
}

TEST_CASE("frames begin as Kafka's do") {
  const auto records = sample(100, 1, 4);
  const auto start = [&](CompressionType type, std::size_t size) {
    return golden::to_hex(Bytes(compressed(type, records)).first(size));
  };
  CHECK(start(CompressionType::gzip, 10) == "1f8b08000000000000ff");
  CHECK(start(CompressionType::snappy, 16) == "82534e41505059000000000100000001");
  CHECK(start(CompressionType::lz4, 7) == "04224d18604082");
  CHECK(start(CompressionType::zstd, 4) == "28b52ffd");
  const auto lz4 = compressed(CompressionType::lz4, sample(10, 1, 256));
  CHECK(golden::to_hex(Bytes(lz4).subspan(7, 4)) == "0a000080");  // stored: it would not shrink
  CHECK(golden::to_hex(Bytes(lz4).last(4)) == "00000000");
}

TEST_CASE("an unknown codec is refused by number, and none passes the bytes on") {
  Decompressor decompressor;
  const auto records = sample(10, 1, 256);
  for (int type = 5; type <= 7; ++type) {
    const auto unknown = static_cast<CompressionType>(type);
    CHECK(error_code(decompressor.decompress(unknown, records).status) ==
          ErrorCode::unsupported_compression_type);
    CHECK(error_code(Compressor().compress(unknown, records).status()) ==
          ErrorCode::unsupported_compression_type);
  }
  CHECK(decompressor.decompress(CompressionType::none, records).bytes.data() == records.data());
  CHECK(compression_type("zstd") == CompressionType::zstd);
  CHECK(!compression_type("ZSTD").has_value());
  CHECK(name(static_cast<CompressionType>(5)) == "unknown");
}

TEST_CASE("a bomb stops at the cap of each codec, and takes no memory beyond it") {
  const std::size_t cap = 1 << 20;
  const std::vector<std::byte> zeros(std::size_t{64} << 20, std::byte{0});
  for (const CompressionType type : codecs) {
    INFO(name(type));
    const auto bomb = compressed(type, zeros);
    Decompressor decompressor({.max_bytes = cap});
    const Decompressed out = decompressor.decompress(type, bomb);
    CHECK(error_code(out.status) == ErrorCode::message_too_large);
    CHECK(fault(out.status) == Fault::limit_reached);
    CHECK(out.bytes.size() <= cap + 1);
    CHECK(decompressor.capacity() <= 2 * cap);
  }
}

TEST_CASE("the cap is exact: what just fits comes out, one byte more does not") {
  for (const CompressionType type : codecs) {
    INFO(name(type));
    const auto blob = compressed(type, sample(200000, 5, 3));
    CHECK(Decompressor({.max_bytes = 200000}).decompress(type, blob).status.ok());
    const auto status = Decompressor({.max_bytes = 199999}).decompress(type, blob).status;
    CHECK(error_code(status) == ErrorCode::message_too_large);
  }
}

TEST_CASE("from the wire the ratio counts too; what is in the log already is not asked for it") {
  CHECK(DecompressionLimits{}.of(10) == 16 << 20);
  CHECK(wire_decompression_limits.of(0) == 64 << 10);
  CHECK(wire_decompression_limits.of(1000) == 64000 + (64 << 10));
  CHECK(wire_decompression_limits.of(1 << 30) == 16 << 20);
  const std::vector<std::byte> zeros(std::size_t{4} << 20, std::byte{0});
  const auto blob = compressed(CompressionType::zstd, zeros);
  CHECK(Decompressor().decompress(CompressionType::zstd, blob).status.ok());
  CHECK(
      !Decompressor(wire_decompression_limits).decompress(CompressionType::zstd, blob).status.ok());
}

TEST_CASE("gzip: optional header fields and several members are read, trailing junk is not") {
  const auto a = compressed(CompressionType::gzip, as_bytes("first "));
  const auto b = compressed(CompressionType::gzip, as_bytes("second"));
  const auto gzip = [](const std::vector<std::byte>& blob) {
    return std::string(as_string_view(decompressed(CompressionType::gzip, blob)));
  };
  CHECK(gzip(joined(a, b)) == "first second");
  CHECK(gzip(joined(a, from_hex("1f8b08"))) == "first ");
  CHECK(gzip(joined(a, std::vector<std::byte>(40, std::byte{7}))) == "first ");
  // Extra field, name, comment and header checksum: flags 1e.
  const auto all = from_hex(
      "1f8b081e000000000003"
      "0200abcd"
      "6e616d6500"
      "6300");
  const auto body = copy(Bytes(a).subspan(10));
  CHECK(error_code(refused(CompressionType::gzip, joined(joined(all, from_hex("0000")), body))) ==
        ErrorCode::invalid_record);
  CHECK(gzip(joined(joined(all, from_hex("0192")), body)) == "first ");
  auto without_checksum = all;
  without_checksum[3] = std::byte{0x1c};
  CHECK(gzip(joined(without_checksum, body)) == "first ");
}

TEST_CASE("gzip: a wrong checksum or size, and a cut, are errors behind what came out") {
  const auto good = compressed(CompressionType::gzip, as_bytes("some text"));
  Decompressor decompressor;
  for (std::size_t back = 1; back <= 8; ++back) {
    auto bad = good;
    bad[bad.size() - back] ^= std::byte{1};
    const Decompressed out = decompressor.decompress(CompressionType::gzip, bad);
    CHECK(error_code(out.status) == ErrorCode::invalid_record);
    CHECK(as_string_view(out.bytes) == "some text");
  }
  for (std::size_t size = 0; size < good.size(); ++size) {
    CHECK(!refused(CompressionType::gzip, Bytes(good).first(size)).ok());
  }
}

TEST_CASE("snappy: repeated headers and a bare block are read, a chunk needs a length") {
  const auto a = compressed(CompressionType::snappy, as_bytes("first "));
  const auto b = compressed(CompressionType::snappy, as_bytes("second"));
  const auto snappy = [](const std::vector<std::byte>& blob) {
    return std::string(as_string_view(decompressed(CompressionType::snappy, blob)));
  };
  CHECK(snappy(joined(a, b)) == "first second");
  CHECK(snappy(copy(Bytes(a).subspan(20))) == "first ");
  CHECK(snappy(joined(a, from_hex("010203"))) == "first ");  // too short for a length
  for (const char* const tail : {"00000000", "ffffffff", "7fffffff", "0000000200"}) {
    CHECK(!refused(CompressionType::snappy, joined(a, from_hex(tail))).ok());
  }
  CHECK(!refused(CompressionType::snappy, joined(a, from_hex("82534e41505059"))).ok());
  auto version = a;
  version[15] = std::byte{0};  // compatible with version 0 only
  CHECK(!refused(CompressionType::snappy, version).ok());
  CHECK(!refused(CompressionType::snappy, Bytes()).ok());
}

TEST_CASE("snappy: a length that the bytes cannot hold takes no memory") {
  Decompressor decompressor;
  // A bare block that claims 15 MiB.
  const Decompressed out =
      decompressor.decompress(CompressionType::snappy, from_hex("808080070000"));
  CHECK(error_code(out.status) == ErrorCode::invalid_record);
  CHECK(decompressor.capacity() < 1000);
  CHECK(error_code(
            decompressor.decompress(CompressionType::snappy, from_hex("ffffffff0f00")).status) ==
        ErrorCode::message_too_large);
}

TEST_CASE("lz4: every frame that Kafka's reader takes, whatever it leaves out") {
  const std::string block = "14000000af6162636465666768696a0a00a650666768696a";
  std::string text;
  for (int i = 0; i < 20; ++i) text += "abcdefghij";
  const auto lz4 = [](const std::string& hex) {
    return std::string(as_string_view(decompressed(CompressionType::lz4, from_hex(hex))));
  };
  CHECK(lz4("04224d18604082" + block + "00000000") == text);
  CHECK(lz4("04224d18604082" + block + block + "00000000") == text + text);
  CHECK(lz4("04224d187040ad" + block + "116cd11100000000") == text);  // block checksum
  CHECK(lz4("04224d186440a7" + block + "000000008f58832e") == text);  // content checksum
  CHECK(lz4("04224d186440a7" + block + "0000000000000000") == text);  // ... which is ignored
  CHECK(lz4("04224d186840c800000000000000d4" + block + "00000000") == text);  // content size
  CHECK(lz4("04224d187c40c8000000000000002c" + block + "116cd111000000008f58832e") == text);
  CHECK(lz4("04224d18604082" + block + "00000000deadbeef") == text);  // behind the end mark
}

TEST_CASE("lz4: what Kafka's reader refuses") {
  const std::string block = "14000000af6162636465666768696a0a00a650666768696a";
  const auto lz4 = [](const std::string& hex) {
    return error_code(refused(CompressionType::lz4, from_hex(hex))) == ErrorCode::invalid_record;
  };
  for (const char* const descriptor : {
           "4040c0",  // dependent blocks
           "6140a1",  // dictionary
           "6240f0",  // reserved bit
           "204003",  // version 0
           "a0400f",  // version 2
           "6030d4",  // block size code 3
           "6041bd",  // reserved bits
           "6080d6",  // ... and the topmost
       }) {
    INFO(descriptor);
    CHECK(lz4("04224d18" + std::string(descriptor) + block + "00000000"));
  }
  CHECK(lz4("04224d18604083" + block + "00000000"));          // header checksum
  CHECK(lz4("04224d187040ad" + block + "126cd11100000000"));  // block checksum
  CHECK(lz4("04224d186440a7" + block + "0000000000"));        // content checksum cut
  CHECK(lz4("04224d18604082" + block));                       // no end mark
  CHECK(lz4("04224d18604082" + block + "000000"));
  CHECK(lz4("05224d18604082" + block + "00000000"));  // magic
  CHECK(
      lz4("04224d18604082"
          "01000100"));  // block above 64 KiB
  CHECK(
      lz4("04224d18604082"
          "14000000af61"));  // block cut
  CHECK(
      lz4("04224d18604082"
          "02000000ffff"
          "00000000"));  // nonsense
  CHECK(lz4("04224d186040"));
  CHECK(lz4(""));
}

TEST_CASE("zstd: frames without a content size, several, and skippable ones are read") {
  const auto zstd = [](const std::string& hex) {
    return std::string(as_string_view(decompressed(CompressionType::zstd, from_hex(hex))));
  };
  const std::string raw =
      "28b52ffd"
      "0058"
      "190000"
      "616263";  // one raw block, last
  const std::string repeated =
      "28b52ffd"
      "0058"
      "2b0000"
      "78";  // five times x
  CHECK(zstd(raw) == "abc");
  CHECK(zstd(repeated) == "xxxxx");
  CHECK(zstd(raw + repeated) == "abcxxxxx");
  CHECK(zstd("502a4d18"
             "03000000"
             "112233" +
             raw) == "abc");
  CHECK(zstd("") == "");
  const std::string empty =
      "28b52ffd"
      "0058"
      "010000";  // a raw block of nothing
  CHECK(zstd(empty) == "");
  CHECK(zstd(empty + raw) == "abc");
  const auto damaged = [](const std::string& hex) {
    Decompressor decompressor;
    const Decompressed out = decompressor.decompress(CompressionType::zstd, from_hex(hex));
    return std::pair(error_code(out.status), std::string(as_string_view(out.bytes)));
  };
  CHECK(damaged(raw + "00000000") == std::pair(ErrorCode::invalid_record, std::string("abc")));
  CHECK(damaged(raw + "00") == std::pair(ErrorCode::invalid_record, std::string("abc")));
  CHECK(damaged(raw.substr(0, 20)).first == ErrorCode::invalid_record);
  const std::string before_the_rfc = "25b52ffd00000000";  // as zstd 0.5 wrote them
  CHECK(damaged(raw + before_the_rfc) == std::pair(ErrorCode::invalid_record, std::string("abc")));
}

TEST_CASE("zstd: a small frame that stands for gigabytes stops at the cap") {
  std::string hex =
      "28b52ffd"
      "0058";
  for (int i = 0; i < 20000; ++i) hex += "02001000";  // 128 KiB of one byte
  hex +=
      "030010"
      "00";
  Decompressor decompressor;
  const Decompressed out = decompressor.decompress(CompressionType::zstd, from_hex(hex));
  CHECK(error_code(out.status) == ErrorCode::message_too_large);
  CHECK(decompressor.capacity() <= (16 << 20) + 1);
}
