// SPDX-License-Identifier: Apache-2.0
//
// Log directories that were there and are not, and partitions that are made anew.
#pragma once

#include <algorithm>

#include <absl/strings/str_cat.h>

#include <ottla/base/guard.hpp>
#include <ottla/base/status.hpp>
#include <ottla/broker/broker_core.hpp>
#include <ottla/env/small_file.hpp>

namespace ottla::inline OTTLA_ABI {

namespace broker_impl {
inline constexpr std::size_t largest_known_directories = std::size_t{1} << 20;

inline std::string known_directories_path(const std::string& directory) {
  return absl::StrCat(directory, "/", av(known_directories_file));
}
}  // namespace broker_impl

template <Env E>
std::vector<KnownDirectory> BasicBrokerCore<E>::present_directories() const {
  std::vector<KnownDirectory> all;
  for (const Ref<Directory>& directory : directories_) {
    const Uuid id = directory->locked(
        [](const BasicLogDirectory<Fs>& same) { return same.properties().directory_id; });
    all.push_back({id, directory->path()});
  }
  return all;
}

/// By what each of them says of the others: before any partition is made, and before it is said of
/// those that are new.
template <Env E>
absl::Status BasicBrokerCore<E>::find_missing_directories() {
  const std::vector<KnownDirectory> present = present_directories();
  const auto is_in = [](const std::vector<KnownDirectory>& all, const KnownDirectory& one) {
    return std::any_of(all.begin(), all.end(),
                       [&](const KnownDirectory& each) { return each.is_same(one); });
  };
  for (const Ref<Directory>& directory : directories_) {
    const std::string path = broker_impl::known_directories_path(directory->path());
    const auto text =
        read_small_file(env_.file_system(), path, broker_impl::largest_known_directories);
    if (fault(text.status()) == Fault::not_found) {
      continue;
    }
    OTTLA_TRY(text.status());
    const auto known = parse_known_directories(*text);
    if (!known) {
      events_->tell(EventLevel::warning, "log_directory", path,
                    "it cannot be read, and is written anew");
      continue;
    }
    for (const KnownDirectory& each : *known) {
      if (!is_in(present, each) && !is_in(missing_, each)) {
        missing_.push_back(each);
      }
    }
  }
  for (const KnownDirectory& each : missing_) {
    events_->tell(EventLevel::warning, "log_directory_missing", each.path,
                  absl::StrCat("directory.id ", each.id.to_string(),
                               " was among the log directories, and is not now: partitions that "
                               "are found nowhere are not served until it is back"));
  }
  note_directories();
  return absl::OkStatus();
}

/// In each of them, once there are several. Where it cannot be written the next opening tries
/// again.
template <Env E>
void BasicBrokerCore<E>::note_directories() {
  std::vector<KnownDirectory> all = present_directories();
  all.insert(all.end(), missing_.begin(), missing_.end());
  std::sort(all.begin(), all.end(), [](const KnownDirectory& a, const KnownDirectory& b) {
    return std::tie(a.id, a.path) < std::tie(b.id, b.path);
  });
  const std::string text = format_known_directories(all);
  const auto note = [&](BasicLogDirectory<Fs>& directory) -> absl::Status {
    const std::string path = broker_impl::known_directories_path(directory.path());
    const auto noted =
        read_small_file(env_.file_system(), path, broker_impl::largest_known_directories);
    const bool is_alone = all.size() == 1 && fault(noted.status()) == Fault::not_found;
    if (is_alone || (noted.ok() && *noted == text)) {
      return absl::OkStatus();
    }
    OTTLA_TRY(directory.health()->check());
    absl::Status written = replace_small_file(env_.file_system(), path, as_bytes(text),
                                              Durability::durable, IoReason::open_directory);
    return directory.health()->replaced(std::move(written), Durability::durable);
  };
  for (const Ref<Directory>& directory : directories_) {
    if (const absl::Status noted = directory->serial(file_deadline(), note); !noted.ok()) {
      events_->tell(EventLevel::warning, "log_directory", directory->path(), sv(noted.message()));
    }
  }
}

/// Nothing that is known is missed: they were taken out on purpose.
template <Env E>
void BasicBrokerCore<E>::settle_missing_directories(bool all_open) {
  if (all_open && !missing_.empty()) {
    missing_.clear();
    note_directories();
  }
}

/// Their names. What is made of them later is made again.
template <Env E>
std::vector<std::string> BasicBrokerCore<E>::note_known_topics() {
  return metadata_->query([this](const MetadataMachine& machine) {
    std::vector<std::string> names;
    for (const auto& [name, topic] : machine.topics()) {
      names.push_back(name);
      known_sizes_.emplace(topic.id, topic.partitions.size());
    }
    return names;
  });
}

/// After the death of the machine groups are told at once what is left of their partitions (R13): a
/// later opening may know nothing of it, since the epochs of what was lost may be lost with it.
template <Env E>
void BasicBrokerCore<E>::revise_after_loss() {
  const Ref<Topic> topic = topics_.find(offsets_topic);
  if (!may_have_lost_ || !topic) {
    return;
  }
  const absl::Status revised = guarded([&] {
    absl::Status all;
    all_coordinators(all);
    for (const Ref<Partition>& partition : topic->partitions) {
      if (partition && partition->ends().recovery_point) {
        all.Update(partition->flush(FlushScope::data, file_deadline()));
      }
    }
    return all;
  });
  if (!revised.ok()) {
    events_->tell(EventLevel::warning, "offsets_of_lost_log", offsets_topic, sv(revised.message()));
  }
}

}  // namespace ottla::inline OTTLA_ABI
