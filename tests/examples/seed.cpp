// SPDX-License-Identifier: Apache-2.0
//
// Writes records with headers, nulls and times of their own to topic "seeded" of the directory $1.
#include <array>
#include <iostream>
#include <string_view>

#include <ottla/ottla.hpp>

namespace {

absl::Status seed(const char* directory) {
  using Producer = ottla::Producer<std::string_view, std::string_view>;
  OTTLA_ASSIGN(const ottla::Broker broker, ottla::Broker::open({.log_dirs = directory}));
  OTTLA_TRY(broker.create_topic({.name = "seeded"}));
  OTTLA_ASSIGN(Producer producer, Producer::open(broker));
  const std::array<ottla::RecordHeader, 3> headers = {{{"trace", ottla::as_bytes("\x01\xfe")},
                                                       {"none", std::nullopt},
                                                       {"empty", ottla::as_bytes("")}}};
  const auto send = [&](const Producer::Record& record) { return producer.send(record).status(); };
  OTTLA_TRY(send({.topic = "seeded",
                  .key = std::string_view("k\0\xff", 3),
                  .value = "v",
                  .headers = headers,
                  .timestamp = ottla::Timestamp(1'600'000'000'123)}));
  OTTLA_TRY(send({.topic = "seeded", .timestamp = ottla::Timestamp(0)}));
  OTTLA_TRY(send({.topic = "seeded", .key = "", .value = "", .timestamp = ottla::Timestamp(7)}));
  return producer.flush();
}

}  // namespace

int main(int argc, char** argv) {
  const absl::Status done = argc == 2 ? seed(argv[1]) : absl::InvalidArgumentError("one argument");
  if (!done.ok()) std::cerr << done << '\n';
  return done.ok() ? 0 : 1;
}
