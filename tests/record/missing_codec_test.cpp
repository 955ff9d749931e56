// SPDX-License-Identifier: Apache-2.0
//
// The same headers in a build that found no codec library. Header-only: an inline namespace of its
// own.
#undef OTTLA_COMPILED
#include <ottla/base/status.hpp>
#include <ottla/record/batch_builder.hpp>
#include <ottla/record/batch_view.hpp>

#include "tests/support/catch.hpp"

#if defined(OTTLA_WITH_ZLIB) || defined(OTTLA_WITH_SNAPPY) || defined(OTTLA_WITH_LZ4) || \
    defined(OTTLA_WITH_ZSTD)
#error "this unit is about a build without codecs"
#endif

using namespace ottla;

TEST_CASE("without its library a codec is an error that names the package") {
  const std::pair<CompressionType, std::string_view> packages[] = {
      {CompressionType::gzip, "zlib1g-dev"},
      {CompressionType::snappy, "libsnappy-dev"},
      {CompressionType::lz4, "liblz4-dev"},
      {CompressionType::zstd, "libzstd-dev"}};
  for (const auto& [type, package] : packages) {
    for (const absl::Status& status :
         {check_codec(type), Compressor().compress(type, as_bytes("x")).status(),
          Decompressor().decompress(type, as_bytes("x")).status}) {
      CHECK(error_code(status) == ErrorCode::unsupported_compression_type);
      CHECK(fault(status) == Fault::unsupported);
      CHECK(sv(status.message()).find(package) != std::string_view::npos);
    }
  }
  CHECK(check_codec(CompressionType::none).ok());
}

TEST_CASE("without any codec, batches that are not compressed work") {
  BatchBuilder builder;
  REQUIRE(builder.append({.timestamp = Timestamp(1), .value = as_bytes("value")}).ok());
  Compressor compressor;
  const auto sealed = builder.seal(compressor);
  REQUIRE(sealed.ok());
  Decompressor decompressor;
  RecordCursor records = BatchView(sealed->bytes()).records(decompressor);
  const RecordView* record = records.next();
  REQUIRE(record != nullptr);
  CHECK(as_string_view(*record->value()) == "value");
}
