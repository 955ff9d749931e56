// SPDX-License-Identifier: Apache-2.0
//
// Which open files have a descriptor. A call pins one for its length: one atomic operation while
// the descriptor is there. At the limit the least used idle one is evicted (a clock hand and a used
// mark: close to LRU, without moving anything at each use); one that must be synced before is taken
// last.
//
// What gives or takes names (open, rename, remove) claims its paths first, and so does getting a
// descriptor back: calls on one path, or on a path and a directory above it, come one after the
// other, others side by side. So a path under a claim names what the cache believes. No system call
// is made under the lock.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include <ottla/base/mutex.hpp>
#include <ottla/base/ref.hpp>
#include <ottla/base/status.hpp>
#include <ottla/env/impl/owned_descriptor.hpp>
#include <ottla/env/posix/process.hpp>

namespace ottla::inline OTTLA_ABI {
namespace env_impl {

class DescriptorCache;
class OpenFile;

struct FileIdentity {
  dev_t device = 0;
  ino_t inode = 0;
  bool operator==(const FileIdentity&) const = default;
};

/// The open files of one directory, by its full path.
using OpenFiles = std::vector<OpenFile*>;
using OpenDirectory = std::map<std::string, OpenFiles, std::less<>>::value_type;

class OpenFile {
 public:
  explicit OpenFile(Ref<DescriptorCache> its_cache) : cache(std::move(its_cache)) {}
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  ~OpenFile();

  const Ref<DescriptorCache> cache;

  // Descriptor + 1 above, pins below; 0: no descriptor.
  std::atomic<std::uint64_t> state{0};
  std::atomic<bool> used{false};        // since the hand passed
  std::atomic<bool> dirty{false};       // written or cut since the last sync
  std::atomic<bool> sync_asked{false};  // somebody wants durability

  // The rest is guarded by the cache's lock.
  OpenDirectory* directory =
      nullptr;  // null: not in the table (closed, or it has no name any more)
  std::string name;
  FileIdentity identity;
  int flags = 0;
  int held = 0;           // name changes that look at it: not to be closed meanwhile
  bool nameless = false;  // removed: its descriptor is the only way to it
  bool evicting = false;
  std::size_t ring_index = 0;
  absl::Status sync_failure;
};

/// A descriptor that stays open meanwhile.
class Pin {
 public:
  Pin(OpenFile& file, int descriptor) : file_(&file), descriptor_(descriptor) {}
  Pin(Pin&& other) noexcept
      : file_(std::exchange(other.file_, nullptr)), descriptor_(other.descriptor_) {}
  Pin& operator=(Pin&&) = delete;
  ~Pin() {
    if (file_ != nullptr) {
      file_->state.fetch_sub(1, std::memory_order_release);
    }
  }
  int descriptor() const { return descriptor_; }

 private:
  OpenFile* file_;
  int descriptor_;
};

class DescriptorCache final : public Counted {
 public:
  explicit DescriptorCache(std::size_t max_descriptors);

  /// The full path; `forked` in a child of the process that made this.
  absl::StatusOr<std::string> resolve(std::string_view path) const;
  /// Opens the full path `path`, outside the cache, evicting others when there is no descriptor.
  absl::StatusOr<OwnedDescriptor> open_descriptor(const std::string& path, int flags);

  absl::StatusOr<std::unique_ptr<OpenFile>> open(std::string_view path, int flags);
  absl::StatusOr<Pin> pin(OpenFile& file);
  /// Evicts it, unless it is pinned, has no name, or must be synced before.
  void rest(OpenFile& file);
  /// Closes, and answers what that or an earlier sync failed with. Before: `pin` is not called any
  /// more.
  absl::Status close(OpenFile& file);
  /// Closes unless it was, in any process, for a destructor: needs no memory.
  void drop(OpenFile& file) noexcept;
  /// What an earlier sync of it failed with, an eviction's too.
  absl::Status sync_failure(const OpenFile& file);
  /// Returns the failure that from now on every sync of it answers.
  absl::Status sync_failed(OpenFile& file, int failure);
  std::string path_of(const OpenFile& file);

  absl::Status rename(std::string_view path, std::string_view to);
  absl::Status remove(std::string_view path);

  /// Bytes that a file may have (RLIMIT_FSIZE), as last seen: a write beyond would be a signal.
  std::int64_t file_size_limit();
  std::size_t descriptors();

 private:
  class Claim;
  friend class Claim;
  class Held;

  absl::StatusOr<OwnedDescriptor> open_file(const std::string& path, int flags,
                                            FileIdentity& identity);
  absl::StatusOr<Pin> reopen_claimed(OpenFile& file, const std::string& path);
  static std::optional<Pin> try_pin(OpenFile& file);
  bool evict_one();
  OpenFile* take_victim(int& descriptor) OTTLA_REQUIRES(mutex_);
  static bool must_sync(const OpenFile& file);
  int take_idle(OpenFile& file) OTTLA_REQUIRES(mutex_);
  void evict(OpenFile& file, int descriptor);
  int take_out(OpenFile& file);
  void note_failure(OpenFile& file, int failure) OTTLA_REQUIRES(mutex_);
  void enter_ring(OpenFile& file, OwnedDescriptor& opened, std::uint64_t pins)
      OTTLA_REQUIRES(mutex_);
  void leave_ring(OpenFile& file) OTTLA_REQUIRES(mutex_);
  void attach(OpenFile& file, std::string_view directory) OTTLA_REQUIRES(mutex_);
  void detach(OpenFile& file) OTTLA_REQUIRES(mutex_);
  std::string path_under_lock(const OpenFile& file) const OTTLA_REQUIRES(mutex_);
  void take_names(const Held& held) OTTLA_REQUIRES(mutex_);
  void move_names(const std::string& path, const std::string& to) OTTLA_REQUIRES(mutex_);

  const std::size_t max_descriptors_;
  const std::string start_directory_;
  const ProcessMark made_in_;
  std::atomic<std::int64_t> file_size_limit_;

  Mutex mutex_{Mutex::Kind::leaf};
  Condition changed_;  // claims, evictions, holds
  std::map<std::string, OpenFiles, std::less<>> directories_ OTTLA_GUARDED_BY(mutex_);
  std::vector<OpenFile*> ring_ OTTLA_GUARDED_BY(mutex_);  // those with a descriptor
  std::size_t hand_ OTTLA_GUARDED_BY(mutex_) = 0;
  std::vector<const Claim*> claims_ OTTLA_GUARDED_BY(mutex_);
};

}  // namespace env_impl
}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/env/impl/descriptor_cache.ipp>
#include <ottla/env/impl/name_changes.ipp>
#endif
