// SPDX-License-Identifier: Apache-2.0
//
// The metadata log: our own file `ottla_metadata` in the first log directory, Kafka's metadata
// records in Kafka's record batches, one batch per change, offsets dense from 0. A change is on the
// device before it is answered: a deleted topic never comes back, and whatever is durable in a
// partition has a topic. Rewritten as a snapshot of the state when it has grown to several times
// that, so it never grows without bound. One writer: the keeper of the metadata machine.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <absl/status/statusor.h>

#include <ottla/base/shared_bytes.hpp>
#include <ottla/broker/baton.hpp>
#include <ottla/broker/journal.hpp>
#include <ottla/env/file_system.hpp>
#include <ottla/env/world.hpp>
#include <ottla/log/directory_health.hpp>

namespace ottla::inline OTTLA_ABI {

inline constexpr std::string_view metadata_file_name = "ottla_metadata";

template <FileSystem Fs>
class MetadataFile final : public Journal {
 public:
  /// How the directory was left.
  struct Stop {
    bool clean = false;
    bool sync_failed = false;  ///< perhaps, and the kernel has run on since
  };
  /// Opens `<directory>/ottla_metadata`, making it when missing. What a crash can have left of a
  /// change that nobody was told of, an end of which nothing is whole, is cut and kept in
  /// `ottla_metadata.cut`: `cut` says so. After a clean stop, or before a whole batch, it is
  /// damage: `corrupt`, and the file is left as it is. What it holds is on the device when this
  /// answers ok: unless the stop was clean it is written anew, since the device may lack what the
  /// kernel shows (W5). Where there is no room for that and a sync has failed it can be read, and
  /// appends are refused.
  static absl::StatusOr<Ref<MetadataFile>> open(Fs& fs, World& world, std::string directory,
                                                Stop stop, Ref<DirectoryHealth> health,
                                                std::string& cut);

  /// `closed` also while somebody closes: it does not wait.
  void append(std::span<const MachineRecord> records, Done done) noexcept override;
  absl::Status load(absl::FunctionRef<absl::Status(const WrittenRecord&)> take) override;

  /// Where the file is to be rewritten from; set once the machine is loaded.
  void set_snapshot(std::function<std::vector<MachineRecord>()> snapshot) {
    snapshot_ = std::move(snapshot);
  }
  /// Waits until `deadline` for an append that is under way; `timed_out` then, and it can be called
  /// again. After: appends are refused.
  absl::Status close(SteadyTime deadline);

  /// A file is left alone below this size.
  static constexpr std::int64_t smallest_rewrite = 1 << 20;

 private:
  template <class T, class... Args>
  friend Ref<T> make_ref(Args&&... args);
  MetadataFile(Fs& fs, World& world, std::string directory, typename Fs::File file,
               Ref<DirectoryHealth> health);

  absl::StatusOr<Offset> write(std::span<const MachineRecord> records);
  absl::StatusOr<SharedBytes> batch_of(std::span<const MachineRecord> records, Offset base) const;
  absl::Status scan(absl::FunctionRef<absl::Status(const WrittenRecord&)> take);
  absl::Status recover(Stop stop, std::string& cut);
  absl::Status cut_torn(const absl::Status& found, Stop stop, std::string& cut);
  absl::Status write_anew(Stop stop);
  absl::Status replace(Bytes content);
  absl::Status settle(typename Fs::File& file);
  absl::Status checked(const absl::Status& synced);
  absl::Status undo();
  absl::Status ready();
  absl::Status find_again();
  absl::Status rewrite_when_large();
  absl::Status damaged(std::int64_t position, std::string_view what) const;

  Fs& fs_;
  World world_;
  const std::string directory_;
  const std::string path_;
  const Ref<DirectoryHealth> health_;
  std::optional<typename Fs::File> file_;
  std::int64_t end_ = 0;            // bytes
  std::int64_t snapshot_size_ = 0;  // of the file when it was rewritten last
  Offset next_{0};
  std::function<std::vector<MachineRecord>()> snapshot_;
  bool torn_ = false;    // what lies behind `end_` is to be cut, and there was no descriptor for it
  bool astray_ = false;  // its name may be another file's, or not on the device
  absl::Status failed_;  // a sync, or cutting, has: nothing is written any more
  bool closed_ = false;
  Baton work_;  // an append's, or closing's: it guards all above once the file is open
};

}  // namespace ottla::inline OTTLA_ABI

#include <ottla/broker/impl/metadata_file_impl.hpp>
