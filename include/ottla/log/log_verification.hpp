// SPDX-License-Identifier: Apache-2.0
//
// Reads a log from its first byte to its end and checks everything: checksums, offsets, what the
// manifest says of closed segments. It changes no byte of the log (an index file that is gone is
// made, empty, as by any reader), and goes on in steps, beside readers and the writer. What the
// kernel has cached is checked as it is there.
//   LogVerification all(log.view());
//   while (*all.step(1 << 20, buffers)) {}
//   for (const LogDamage& found : all.damage()) print(found.file, found.position, found.why);
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include <ottla/base/status.hpp>
#include <ottla/env/any_file_system.hpp>
#include <ottla/log/log_view.hpp>

namespace ottla::inline OTTLA_ABI {

/// Nothing behind it in its file was looked at.
struct LogDamage {
  std::string file;
  std::int64_t position = 0;  ///< byte from which on it cannot be read
  std::string why;
  /// `corrupt`, also of a file that is gone; else it could not be read, and may be as written.
  Fault fault = Fault::corrupt;
};

/// Not thread-safe.
template <FileSystem Fs>
class BasicLogVerification {
 public:
  explicit BasicLogVerification(BasicLogView<Fs> view);

  /// Checks about `bytes` more, a batch at least; whether there is more. What is damaged, or cannot
  /// be read, is noted and passed over with the rest of its file. An error where the process lacks
  /// memory or descriptors: the next step goes on from the same place. `closed` when the log was.
  absl::StatusOr<bool> step(std::size_t bytes, ReadBuffers& buffers);

  std::int64_t checked_bytes() const { return checked_; }
  const std::vector<LogDamage>& damage() const { return damage_; }

 private:
  using LogSegment = typename BasicLogView<Fs>::LogSegment;
  using Segment = typename BasicLogView<Fs>::Segment;

  absl::StatusOr<std::int64_t> check(const Segment& segment, std::int64_t end, std::size_t bytes,
                                     ReadBuffers& buffers);
  void found(LogDamage damage);
  void next_segment();

  BasicLogView<Fs> view_;
  std::size_t index_ = 0;      // of the segment at hand
  std::int64_t position_ = 0;  // in it
  OffsetRange within_;         // of its batches from there on
  std::uint32_t digest_ = 0;   // of its batch headers up to there
  std::int64_t checked_ = 0;
  std::vector<LogDamage> damage_;
};

using LogVerification = BasicLogVerification<AnyFileSystem>;

}  // namespace ottla::inline OTTLA_ABI

#include <ottla/log/impl/log_verification_impl.hpp>
