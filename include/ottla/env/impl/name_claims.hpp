// SPDX-License-Identifier: Apache-2.0
//
// Who may change which names of open files now, and how files outlive their names.
#pragma once

#include <algorithm>

#include <ottla/env/impl/descriptor_cache.hpp>
#include <ottla/env/impl/path_text.hpp>

namespace ottla::inline OTTLA_ABI {
namespace env_impl {

/// The paths that one call is about. No two related ones are held at a time.
class DescriptorCache::Claim {
 public:
  Claim(DescriptorCache& cache, std::string_view path, std::string_view to = {})
      : cache_(cache), path_(path), to_(to) {
    Lock lock(cache.mutex_);
    while (taken()) {
      cache.changed_.wait(lock);
    }
    cache.claims_.push_back(this);
  }
  /// The path that `file` has by then.
  Claim(DescriptorCache& cache, const OpenFile& file) : cache_(cache) {
    Lock lock(cache.mutex_);
    path_ = cache.path_under_lock(file);
    while (file.evicting || taken()) {
      cache.changed_.wait(lock);
      path_ = cache.path_under_lock(file);
    }
    cache.claims_.push_back(this);
  }
  Claim(const Claim&) = delete;
  Claim& operator=(const Claim&) = delete;
  ~Claim() {
    {
      Lock lock(cache_.mutex_);
      std::erase(cache_.claims_, this);
    }
    cache_.changed_.notify_all();
  }

  const std::string& path() const { return path_; }

 private:
  static bool related(std::string_view a, std::string_view b) {
    return a == b || lies_below(a, b) || lies_below(b, a);
  }
  bool taken() const OTTLA_REQUIRES(cache_.mutex_) {
    return std::any_of(cache_.claims_.begin(), cache_.claims_.end(), [this](const Claim* other) {
      return related(path_, other->path_) || (!to_.empty() && related(to_, other->path_)) ||
             (!other->to_.empty() &&
              (related(path_, other->to_) || (!to_.empty() && related(to_, other->to_))));
    });
  }

  DescriptorCache& cache_;
  std::string path_;
  std::string to_;
};

/// The open files of a path that is about to lose its name: they stay, each pinned, until this
/// goes.
class DescriptorCache::Held {
 public:
  Held(DescriptorCache& cache, std::string_view path) : cache_(cache) {
    Lock lock(cache.mutex_);
    const auto found = cache.directories_.find(parent_of(path));
    if (found == cache.directories_.end()) {
      return;
    }
    for (OpenFile* file : found->second) {
      if (file->name == name_of(path)) {
        files_.push_back(file);
      }
    }
    for (OpenFile* file : files_) {
      ++file->held;
    }
  }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;
  ~Held() {
    pins_.clear();
    if (files_.empty()) {
      return;
    }
    {
      Lock lock(cache_.mutex_);
      for (OpenFile* file : files_) {
        --file->held;
      }
    }
    cache_.changed_.notify_all();
  }

  /// Before: the path is claimed. A file that somebody else removed already needs nothing.
  absl::Status pin(const std::string& path) {
    pins_.reserve(files_.size());
    for (OpenFile* file : files_) {
      {
        Lock lock(cache_.mutex_);
        while (file->evicting) {
          cache_.changed_.wait(lock);
        }
      }
      if (auto pinned = try_pin(*file)) {
        pins_.push_back(*std::move(pinned));
        continue;
      }
      absl::StatusOr<Pin> reopened = cache_.reopen_claimed(*file, path);
      if (reopened.ok()) {
        pins_.push_back(*std::move(reopened));
      } else if (fault(reopened.status()) != Fault::not_found) {
        return std::move(reopened).status();
      }
    }
    return absl::OkStatus();
  }
  const std::vector<OpenFile*>& files() const { return files_; }

 private:
  DescriptorCache& cache_;
  std::vector<OpenFile*> files_;
  std::vector<Pin> pins_;
};

}  // namespace env_impl
}  // namespace ottla::inline OTTLA_ABI
