// SPDX-License-Identifier: Apache-2.0
//
// A type of one's own in records, with headers: orders go in as an `Order`, a callback hears of
// each outcome, and a consumer reads those of the second day. A record that is no order is an error
// of that record alone. All in memory: nothing is left behind.
#include <cstdint>
#include <iostream>
#include <string>
#include <vector>

#include <ottla/ottla.hpp>

using namespace std::chrono_literals;

struct Order {
  std::string what;
  std::int32_t pieces = 0;
};

/// As bytes: the pieces, then the text.
template <>
struct ottla::Serde<Order> {
  using input = const Order&;
  static Bytes serialize(input order, std::vector<std::byte>& scratch) {
    scratch.clear();
    ByteWriter writer(scratch);
    writer.integer(order.pieces);
    writer.string(order.what);
    return scratch;
  }
  static absl::StatusOr<Order> deserialize(Bytes bytes) {
    ByteReader reader(bytes);
    Order order;
    order.pieces = reader.integer<std::int32_t>();
    order.what = reader.string();
    if (!reader.exhausted()) return bad_bytes("an order", "they are too few or too many");
    return order;
  }
};

constexpr ottla::Timestamp first_day{1'700'000'000'000};
constexpr ottla::Timestamp second_day{1'700'086'400'000};

absl::Status send(const ottla::Broker& broker) {
  int acknowledged = 0;
  OTTLA_ASSIGN(auto producer, (ottla::Producer<std::string, Order>::open(
                                  broker, {.on_delivery = [&](const ottla::Delivery& each) {
                                    acknowledged += each.offset.ok() ? 1 : 0;
                                  }})));
  const ottla::RecordHeader from_shop[] = {{"source", ottla::as_bytes("shop")}};
  const auto order = [&](ottla::Timestamp when, const char* who, Order what) {
    return producer
        .send(
            {.topic = "orders", .key = who, .value = what, .headers = from_shop, .timestamp = when})
        .status();
  };
  OTTLA_TRY(order(first_day, "ada", {"lamp", 1}));
  OTTLA_TRY(order(second_day, "bob", {"chair", 4}));
  OTTLA_TRY(order(second_day, "cyd", {"table", 1}));
  OTTLA_TRY(producer.flush());
  std::cout << acknowledged << " orders acknowledged\n";

  OTTLA_ASSIGN(auto careless, (ottla::Producer<std::string, std::string>::open(broker)));
  OTTLA_TRY(
      careless.send({.topic = "orders", .key = "dan", .value = "two", .timestamp = second_day})
          .status());
  return careless.flush();
}

absl::Status read_second_day(const ottla::Broker& broker) {
  OTTLA_ASSIGN(auto consumer, (ottla::Consumer<std::string, Order>::open(broker)));
  OTTLA_TRY(consumer.assign({{"orders", ottla::PartitionId(0)}}));
  OTTLA_TRY(consumer.seek_to_time(second_day));
  OTTLA_ASSIGN(const auto records, consumer.poll(1s));
  for (const auto& record : records) {
    std::cout << record.offset() << ' ' << *record.key() << ": ";
    if (const auto order = record.value(); order.ok()) {
      std::cout << order->pieces << " x " << order->what;
    } else {
      std::cout << order.status().message();
    }
    for (const ottla::RecordHeader& header : record.headers()) {
      std::cout << " (" << header.key << ' ' << ottla::as_string_view(*header.value) << ')';
    }
    std::cout << '\n';
  }
  return records.status();
}

absl::Status run() {
  OTTLA_ASSIGN(const auto broker, ottla::Broker::open({.log_dirs = ottla::in_memory}));
  OTTLA_TRY(broker.create_topic({.name = "orders"}));
  OTTLA_TRY(send(broker));
  return read_second_day(broker);
}

int main() {
  const absl::Status done = run();
  if (!done.ok()) std::cerr << "error: " << done.message() << '\n';
  return done.ok() ? 0 : 1;
}
