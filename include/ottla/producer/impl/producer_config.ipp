// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <absl/strings/str_cat.h>

#include <ottla/base/status.hpp>
#include <ottla/producer/producer_config.hpp>
#include <ottla/record/compression.hpp>

namespace ottla::inline OTTLA_ABI {

OTTLA_INLINE absl::Status check_producer_config(const ProducerConfig& config) {
  OTTLA_TRY(check_config(config));
  OTTLA_TRY(check_codec(config.compression));
  OTTLA_TRY(check_level(CompressionType::gzip, config.gzip_level));
  if (config.enable_idempotence == Idempotence::on && !is_idempotent(config)) {
    return error(ErrorCode::invalid_config, Fault::invalid_argument,
                 "enable.idempotence=true needs acks=all and retries above 0; set them, or leave "
                 "idempotence out");
  }
  if (config.durability == Durability::durable && config.acks == Acks::none) {
    return error(ErrorCode::invalid_config, Fault::invalid_argument,
                 "durability=durable needs an acknowledgement; set acks to 1 or all");
  }
  const std::chrono::milliseconds least = least_delivery_timeout(config);
  if (config.delivery_timeout != ProducerConfig{}.delivery_timeout &&
      config.delivery_timeout < least) {
    return error(
        ErrorCode::invalid_config, Fault::invalid_argument,
        absl::StrCat("delivery.timeout.ms (", config.delivery_timeout.count(),
                     ") is below linger.ms + request.timeout.ms (", least.count(), "); raise it"));
  }
  return absl::OkStatus();
}

}  // namespace ottla::inline OTTLA_ABI
