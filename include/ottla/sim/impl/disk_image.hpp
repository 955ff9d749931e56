// SPDX-License-Identifier: Apache-2.0
//
// Everything a simulated disk holds: inodes by number, each a file or a directory, each with what
// processes see, what the device holds, and what is pending between them. A name that is made,
// moved or removed is a pending entry of its directory; moved to another directory, it is one of
// each. Plain data without faults or chance.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ottla/env/file_system.hpp>
#include <ottla/sim/impl/disk_failure.hpp>
#include <ottla/sim/impl/disk_file.hpp>

namespace ottla::inline OTTLA_ABI {
namespace sim_impl {

using InodeNumber = std::uint64_t;
inline constexpr InodeNumber no_inode = 0;
inline constexpr InodeNumber root_inode = 1;

using Entries = std::map<std::string, InodeNumber, std::less<>>;

/// `removed` goes, and `inode` is `added` and nothing else in this directory. Either name may be
/// empty.
struct EntryChange {
  ChangeNumber change;
  std::string removed = {};
  std::string added = {};
  InodeNumber inode = no_inode;

  void apply(Entries& entries) const;
};

struct Inode {
  FileKind kind = FileKind::file;
  DiskFile file;    // of a file
  Entries entries;  // of a directory, as all of what follows
  Entries durable_entries;
  std::vector<EntryChange> pending;  // ascending
  int links = 0;                     // names that processes see
  int handles = 0;                   // open Files
};

class DiskImage {
 public:
  DiskImage();

  Inode& inode(InodeNumber number) { return inodes_.find(number)->second; }
  const Inode& inode(InodeNumber number) const { return inodes_.find(number)->second; }
  const std::map<InodeNumber, Inode>& inodes() const { return inodes_; }
  /// Of the next change to a file.
  ChangeNumber next_change() { return ++changes_; }

  // Paths are resolved ones.

  DiskFailure find(std::string_view path, InodeNumber& found) const;
  DiskFailure find_directory(std::string_view path, InodeNumber& found) const;
  DiskFailure open(std::string_view path, OpenMode mode, Timestamp now, InodeNumber& found);
  DiskFailure create_directory(std::string_view path, Timestamp now);
  DiskFailure rename(std::string_view path, std::string_view to);
  DiskFailure remove(std::string_view path, FileKind kind);

  void open_handle(InodeNumber number) { ++inode(number).handles; }
  void close_handle(InodeNumber number) { --inode(number).handles; }

  /// The entries of one directory, or of all, are on the device.
  void settle_entries(InodeNumber directory);
  void settle_all_entries();
  /// The pending entries that name this file are.
  void settle_names_of(InodeNumber number);
  /// Where `path` would replace the file `to`, its data is.
  void settle_replacement(std::string_view path, std::string_view to);

  void heal_sectors();

  /// Bytes of all files that have a name or are open.
  std::int64_t used_bytes() const;

  /// After a crash of the machine: the names are `entries` by directory, and the contents `files`.
  DiskImage restarted(const std::map<InodeNumber, Entries>& entries,
                      std::map<InodeNumber, std::vector<std::byte>>&& files) const;
  /// After a crash of the process.
  void drop_handles();

 private:
  DiskFailure find_place(std::string_view path, InodeNumber& directory,
                         std::string_view& name) const;
  InodeNumber add_inode(FileKind kind, Timestamp now, InodeNumber directory, std::string_view name);
  void change_entries(InodeNumber directory, EntryChange change);
  void drop_unreachable();

  std::map<InodeNumber, Inode> inodes_;
  InodeNumber last_inode_ = root_inode;
  ChangeNumber changes_ = 0;
  std::size_t drop_above_ = 64;  // inodes
};

}  // namespace sim_impl
}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/sim/impl/disk_image.ipp>
#endif
