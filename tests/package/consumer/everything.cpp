// SPDX-License-Identifier: Apache-2.0
//
// The README's program in memory, with clients of other types beside it, so that each template and
// each inline function that a user meets is instantiated under the user's flags.
#include <cstdint>
#include <string>
#include <string_view>

#include <ottla/ottla.hpp>

int everything();

template <class K, class V>
static absl::Status round_trip(const ottla::Broker& broker, std::string_view name, K key, V value) {
  OTTLA_TRY(broker.create_topic({.name = std::string(name), .partitions = 3}));
  using Producer = ottla::Producer<K, V>;
  OTTLA_ASSIGN(Producer producer, Producer::open(broker, {.acks = ottla::Acks::all}));
  OTTLA_ASSIGN(const ottla::Receipt sent,
               producer.send({.topic = name, .key = key, .value = value}));
  OTTLA_TRY(producer.wait(sent).status());
  OTTLA_TRY(producer.flush());
  using Consumer = ottla::Consumer<K, V>;
  OTTLA_ASSIGN(Consumer consumer,
               Consumer::open(broker, {.group = std::string(name),
                                       .topics = {std::string(name)},
                                       .offset_reset = ottla::OffsetReset::earliest}));
  OTTLA_ASSIGN(const auto records, consumer.poll(std::chrono::seconds(10)));
  for (const auto& record : records) {
    if (*record.key() != key || *record.value() != value)
      return absl::DataLossError("not the same");
  }
  OTTLA_TRY(records.count() == 1 ? absl::OkStatus() : absl::DataLossError("not one record"));
  OTTLA_TRY(consumer.commit());
  OTTLA_TRY(consumer.close());
  return producer.close();
}

static absl::Status all() {
  OTTLA_ASSIGN(const ottla::Broker broker, ottla::Broker::open({.log_dirs = ottla::in_memory}));
  OTTLA_TRY(round_trip<std::string, std::string>(broker, "text", "ada", "one lamp"));
  OTTLA_TRY(round_trip<std::string_view, std::string_view>(broker, "views", "ada", "one lamp"));
  OTTLA_TRY(round_trip<std::int64_t, double>(broker, "numbers", 7, 0.5));
  return broker.close();
}

int everything() { return all().ok() ? 0 : 2; }
