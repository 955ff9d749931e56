// SPDX-License-Identifier: Apache-2.0
//
// Renaming and removing under open files.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include <absl/strings/str_cat.h>
#include <unistd.h>

#include <ottla/env/impl/descriptor_cache.hpp>
#include <ottla/env/impl/name_claims.hpp>
#include <ottla/env/impl/path_text.hpp>
#include <ottla/env/impl/system_error.hpp>

namespace ottla::inline OTTLA_ABI {
namespace env_impl {

OTTLA_INLINE void DescriptorCache::attach(OpenFile& file, std::string_view directory) {
  auto found = directories_.find(directory);
  if (found == directories_.end()) {
    found = directories_.emplace(std::string(directory), OpenFiles()).first;
  }
  found->second.push_back(&file);
  file.directory = &*found;
}

OTTLA_INLINE void DescriptorCache::detach(OpenFile& file) {
  OpenFiles& files = file.directory->second;
  *std::find(files.begin(), files.end(), &file) = files.back();
  files.pop_back();
  if (files.empty()) {
    directories_.erase(directories_.find(file.directory->first));
  }
  file.directory = nullptr;
}

OTTLA_INLINE absl::Status DescriptorCache::remove(std::string_view path) {
  OTTLA_ASSIGN(const std::string full, resolve(path));
  const Claim claim(*this, full);
  Held held(*this, full);
  OTTLA_TRY(held.pin(full));
  if (::unlink(full.c_str()) != 0) {
    return name_changed(errno, "remove", full);
  }
  Lock lock(mutex_);
  take_names(held);
  lock.unlock();  // before `held` goes
  return absl::OkStatus();
}

OTTLA_INLINE absl::Status DescriptorCache::rename(std::string_view path, std::string_view to) {
  OTTLA_ASSIGN(const std::string full, resolve(path));
  OTTLA_ASSIGN(const std::string full_to, resolve(to));
  const auto failed = [&] {
    return name_changed(errno, "rename", absl::StrCat(full, " to ", full_to));
  };
  if (full == full_to) {
    return ::rename(full.c_str(), full_to.c_str()) == 0 ? absl::OkStatus() : failed();
  }
  const Claim claim(*this, full, full_to);
  Held replaced(*this, full_to);
  OTTLA_TRY(replaced.pin(full_to));
  if (::rename(full.c_str(), full_to.c_str()) != 0) {
    return failed();
  }
  Lock lock(mutex_);
  take_names(replaced);
  move_names(full, full_to);
  lock.unlock();  // before `replaced` goes
  return absl::OkStatus();
}

OTTLA_INLINE void DescriptorCache::take_names(const Held& held) {
  for (OpenFile* file : held.files()) {
    detach(*file);
    file->nameless = true;
  }
}

// `path` was a file with open ones, or a directory with open files in and below it.
OTTLA_INLINE void DescriptorCache::move_names(const std::string& path, const std::string& to) {
  std::vector<std::pair<OpenFile*, std::string>> moved;  // file, new directory
  if (const auto found = directories_.find(parent_of(path)); found != directories_.end()) {
    for (OpenFile* file : found->second) {
      if (file->name == name_of(path)) {
        moved.emplace_back(file, parent_of(to));
      }
    }
  }
  const std::size_t renamed_files = moved.size();
  const auto add_directory = [&](const OpenDirectory& directory) {
    for (OpenFile* file : directory.second) {
      moved.emplace_back(file, to + directory.first.substr(path.size()));
    }
  };
  if (const auto found = directories_.find(path); found != directories_.end()) {
    add_directory(*found);
  }
  for (auto at = directories_.lower_bound(path + "/");
       at != directories_.end() && lies_below(path, at->first); ++at) {
    add_directory(*at);
  }
  for (std::size_t i = 0; i < moved.size(); ++i) {
    OpenFile& file = *moved[i].first;
    detach(file);
    if (i < renamed_files) {
      file.name = name_of(to);
    }
    attach(file, moved[i].second);
  }
}

}  // namespace env_impl
}  // namespace ottla::inline OTTLA_ABI
