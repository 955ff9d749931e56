// SPDX-License-Identifier: Apache-2.0
//
// Where a machine's records are written: the metadata file, or a partition of an internal topic. A
// keeper has one.
#pragma once

#include <span>
#include <vector>

#include <absl/functional/any_invocable.h>
#include <absl/functional/function_ref.h>
#include <absl/status/statusor.h>

#include <ottla/base/ref.hpp>
#include <ottla/protocol/decision.hpp>

namespace ottla::inline OTTLA_ABI {

class Journal : public Counted {
 public:
  /// Called once: the offset of the first record, all of them being *written*; or why not, and none
  /// of them will ever be seen unless the outcome is `unknown`.
  using Done = absl::AnyInvocable<void(absl::StatusOr<Offset>)>;

  /// Writes `records` together or not at all. `done` is called from any thread, without a lock,
  /// perhaps before this returns. One append at a time.
  virtual void append(std::span<const MachineRecord> records, Done done) noexcept = 0;

  /// Calls `take` for every record in order; ends with its first error.
  virtual absl::Status load(absl::FunctionRef<absl::Status(const WrittenRecord&)> take) = 0;
};

}  // namespace ottla::inline OTTLA_ABI
