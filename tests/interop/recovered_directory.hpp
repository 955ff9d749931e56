// SPDX-License-Identifier: Apache-2.0
//
// A golden directory of Kafka's as real files that a broker of ours has had open: recovered by us,
// and left cleanly.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tests/interop/written_directory.hpp"
#include "tests/support/golden.hpp"

namespace interop {

class RecoveredDirectory {
 public:
  /// `derived`: suffixes of files that are left out, as if Kafka had never written them; so is its
  /// clean end then. Left out are two partitions that are damaged below their recovery point, where
  /// recovery does not look: of one a batch, of the other an index.
  RecoveredDirectory(const std::string& golden_case, const std::string& name,
                     const std::vector<std::string>& derived = {}) {
    const std::filesystem::path from = golden::dir() / golden_case / name;
    std::filesystem::copy(from, path(), std::filesystem::copy_options::recursive);
    std::filesystem::remove_all(path() + "/crash-flip-flushed-0");
    std::filesystem::remove_all(path() + "/crash-stale-index-0");
    for (const auto& entry : std::filesystem::recursive_directory_iterator(path())) {
      std::filesystem::permissions(entry.path(), std::filesystem::perms::owner_all);
      for (const std::string& suffix : derived) {
        if (entry.path().filename().string().ends_with(suffix)) dropped_.push_back(entry.path());
      }
    }
    if (!derived.empty()) dropped_.push_back(path() + "/.kafka_cleanshutdown");
    for (const auto& file : dropped_) std::filesystem::remove(file);
    std::filesystem::permissions(path(), std::filesystem::perms::owner_all);
    {
      OpenedBroker opened(path(), now);
      told_ = opened.told;
      for (const std::string& topic : test::must(opened.broker.list_topics())) {
        const auto partitions = test::must(opened.broker.describe_topic(topic)).partitions;
        // The small golden data have not all partitions of each topic.
        const bool whole = std::all_of(partitions.begin(), partitions.end(), [&](const auto& one) {
          return std::filesystem::exists(from /
                                         (topic + "-" + std::to_string(one.partition.value())));
        });
        if (!whole || topic.starts_with("__")) continue;
        topics_[topic] = std::ssize(partitions);
        for (const auto& one : partitions) {  // a log is recovered when it is used first
          (void)view(opened.broker, {topic, one.partition},
                     ottla::IsolationLevel::read_uncommitted);
        }
      }
      test::must(opened.broker.close());
    }
    OpenedBroker again(path(), now);
    view_ = interop::view(again.broker, topics());
    test::must(again.broker.close());
  }

  static constexpr ottla::Timestamp now{1'795'337'000'000};

  std::string path() const { return directory_ / "recovered"; }
  std::vector<std::string> topics() const {
    std::vector<std::string> names;
    for (const auto& [name, partitions] : topics_) names.push_back(name);
    return names;
  }
  /// With their numbers of partitions.
  const std::map<std::string, std::int64_t>& definitions() const { return topics_; }
  const std::string& seen() const { return view_; }
  const std::string& told() const { return told_; }

 private:
  TemporaryDirectory directory_;
  std::vector<std::filesystem::path> dropped_;
  std::map<std::string, std::int64_t> topics_;
  std::string view_;
  std::string told_;
};

}  // namespace interop
