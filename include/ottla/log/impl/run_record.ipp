// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <absl/strings/str_cat.h>

#include <ottla/log/impl/signed_text.hpp>
#include <ottla/log/run_record.hpp>

namespace ottla::inline OTTLA_ABI {

OTTLA_INLINE std::string format_run_record(const RunRecord& record) {
  return log_impl::sign_text(
      absl::StrCat("ottla run 1\npid ", record.process, "\nboot ", record.volume.boot_id,
                   "\ndevice ", record.volume.device, "\nrun ", record.run.to_hex(), "\nera ",
                   record.era.to_hex(), "\nrewrite ", record.rewrite_tail ? 1 : 0, "\n"));
}

OTTLA_INLINE std::optional<RunRecord> parse_run_record(std::string_view text) {
  const auto body = log_impl::verified_text(text);
  if (!body) {
    return std::nullopt;
  }
  log_impl::TextLines lines(*body);
  const auto value = [&](std::string_view key) {
    const auto fields = log_impl::split<2>(lines.next().value_or(""));
    return fields[0] == key ? fields[1] : std::string_view();
  };
  if (lines.next() != "ottla run 1") {
    return std::nullopt;
  }
  const auto pid = log_impl::number<std::uint64_t>(value("pid"));
  const std::string_view boot = value("boot");
  const auto device = log_impl::number<std::uint64_t>(value("device"));
  const auto run = log_impl::parse_hex_uuid(value("run"));
  const auto era = log_impl::parse_hex_uuid(value("era"));
  const auto rewrite = log_impl::decimal(value("rewrite"));
  if (!pid || boot.empty() || !device || !run || !era || !rewrite || *rewrite > 1 || lines.next()) {
    return std::nullopt;
  }
  return RunRecord{*pid, {std::string(boot), *device}, *run, *era, *rewrite == 1};
}

}  // namespace ottla::inline OTTLA_ABI
