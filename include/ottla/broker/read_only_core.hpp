// SPDX-License-Identifier: Apache-2.0
//
// What a broker is that was opened with Access::read_only: the topics that its log directories
// have, Kafka's too, and what groups have committed, to be read. No file is made, changed or
// locked, so another process may write there meanwhile: what it writes is seen by the fetch that
// asks for it, and each `follow_interval` while consumers wait; topics that it makes, deletes or
// enlarges when somebody asks for metadata. Whatever would write is answered `read_only`.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <absl/status/statusor.h>

#include <ottla/base/murmur2.hpp>
#include <ottla/broker/broker_config.hpp>
#include <ottla/broker/read_only_groups.hpp>
#include <ottla/broker/read_only_partition.hpp>
#include <ottla/broker/topic_registry.hpp>
#include <ottla/env/env.hpp>
#include <ottla/log/log_directory.hpp>
#include <ottla/metadata/metadata_machine.hpp>

namespace ottla::inline OTTLA_ABI {

/// Thread-safe.
template <Env E>
class BasicReadOnlyCore final : public Counted {
 public:
  using Fs = typename E::FileSystem;
  using Partition = BasicReadOnlyPartition<Fs>;
  using Registry = TopicRegistry<Partition>;
  using Topic = typename Registry::Topic;
  using Groups = ReadOnlyGroups<Partition>;

  /// `not_found` where a log directory is not there.
  static absl::StatusOr<Ref<BasicReadOnlyCore>> open(E& env, std::unique_ptr<E> owned,
                                                     BrokerConfig config);

  World& world() { return world_; }
  E& env() { return env_; }
  const BrokerConfig& config() const { return config_; }
  const std::string& cluster_id() const { return cluster_id_; }
  Registry& topics() { return topics_; }
  Events& events() { return *events_; }
  absl::Status usable() const;
  bool is_inherited() const { return env_.process_generation() != process_generation_; }
  /// What whatever would write is answered.
  absl::Status refusal() const;

  /// The topics as the directories have them by now, and where their logs begin.
  absl::Status look();
  /// Somebody waits: he is woken when there is something.
  void follow();
  /// What the group has committed by now.
  absl::StatusOr<Ref<Groups>> coordinator(std::string_view group);
  std::vector<Ref<Groups>> all_coordinators(absl::Status& failed);
  bool is_deleted(std::string_view topic, const TopicId& id) const;

  absl::Status close(SteadyTime deadline);

 private:
  template <class T, class... Args>
  friend Ref<T> make_ref(Args&&... args);
  /// A partition's directory.
  struct Found {
    TopicId id = {};
    std::string directory = {};
    LogOpening opening = {};
  };
  struct Known {
    std::string name;
    std::size_t partitions = 0;
  };

  BasicReadOnlyCore(E& env, std::unique_ptr<E> owned, BrokerConfig config);

  absl::Status look_at_directories();
  absl::StatusOr<LogOpening> last_stop(const std::string& directory);
  absl::Status find_partitions(const std::string& directory,
                               std::multimap<TopicPartition, Found>& found);
  absl::StatusOr<std::map<std::string, Offset>> checkpoint(const std::string& directory,
                                                           CheckpointKind kind);
  absl::StatusOr<MetadataMachine> read_metadata();
  void update(const TopicId& id, const Known& known,
              const std::multimap<TopicPartition, Found>& found);
  absl::StatusOr<Ref<Topic>> groups_topic();
  absl::StatusOr<Ref<Groups>> coordinator(const Ref<Topic>& topic, std::int32_t number);
  void arm();
  void follow_once();

  // In the order of building; ended in the reverse.
  std::unique_ptr<E> owned_;
  E& env_;
  WorldOf<E> world_;
  const BrokerConfig config_;
  std::string cluster_id_;
  const std::uint64_t process_generation_;
  Ref<Events> events_;
  Ref<ReadBuffers> buffers_;
  Registry topics_;
  Baton look_work_;
  std::atomic<bool> following_{false};
  std::atomic<bool> closed_{false};

  Mutex mutex_;
  TimerId timer_ OTTLA_GUARDED_BY(mutex_) = no_timer;
  std::map<std::int32_t, Ref<Groups>> groups_ OTTLA_GUARDED_BY(mutex_);
};

}  // namespace ottla::inline OTTLA_ABI

#include <ottla/broker/impl/read_only_core_impl.hpp>
