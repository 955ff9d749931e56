// SPDX-License-Identifier: Apache-2.0
//
// What a Broker handle and its connections share: the world, log directories, the metadata machine,
// open partitions and group coordinators. Requests come in through handlers/, one header per API;
// background work is posted to the executor. Lives until the last handle, connection and task let
// go; after `close` everybody is answered `closed`.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <absl/status/statusor.h>

#include <ottla/base/murmur2.hpp>
#include <ottla/broker/broker_config.hpp>
#include <ottla/broker/broker_directory.hpp>
#include <ottla/broker/clock_watch.hpp>
#include <ottla/broker/kafka_metadata.hpp>
#include <ottla/broker/machine_keeper.hpp>
#include <ottla/broker/metadata_file.hpp>
#include <ottla/broker/partition.hpp>
#include <ottla/broker/partition_journal.hpp>
#include <ottla/broker/producer_ids.hpp>
#include <ottla/broker/repair.hpp>
#include <ottla/broker/topic_registry.hpp>
#include <ottla/env/env.hpp>
#include <ottla/env/posix/process.hpp>
#include <ottla/group/group_coordinator.hpp>
#include <ottla/log/known_directories.hpp>
#include <ottla/log/log_verification.hpp>
#include <ottla/metadata/metadata_machine.hpp>

namespace ottla::inline OTTLA_ABI {

/// Thread-safe.
template <Env E>
class BasicBrokerCore final : public Counted {
 public:
  using Fs = typename E::FileSystem;
  using Partition = BasicPartition<Fs>;
  using Registry = TopicRegistry<Partition>;
  using Topic = typename Registry::Topic;
  using MetadataKeeper = MachineKeeper<MetadataMachine>;
  using GroupKeeper = MachineKeeper<GroupCoordinator>;

  /// `owned` may be empty where somebody else keeps `env`, which then outlives all handles.
  static absl::StatusOr<Ref<BasicBrokerCore>> open(E& env, std::unique_ptr<E> owned,
                                                   BrokerConfig config);

  World& world() { return world_; }
  E& env() { return env_; }
  const BrokerConfig& config() const { return config_; }
  const std::string& cluster_id() const { return cluster_id_; }
  const TopicConfig& topic_defaults() const { return topic_defaults_; }
  Registry& topics() { return topics_; }
  MetadataKeeper& metadata() { return *metadata_; }
  ProducerIds& producer_ids() { return producer_ids_; }
  Events& events() { return *events_; }
  ClockWatch& clock() { return *clock_; }
  Uuid fresh_uuid() { return random_uuid(env_.random()); }

  /// Ok while requests are taken: else `closed` or `forked`.
  absl::Status usable() const;
  /// This is a child of the process that opened it.
  bool is_inherited() const { return env_.process_generation() != process_generation_; }

  /// Opens the partitions of a topic that the metadata machine knows and that are not open yet. The
  /// first error; the others are open then, and those that are not are tried again by the next
  /// call.
  absl::Status open_topic(std::string_view name);
  /// All of its partitions are open.
  bool is_open(std::string_view name) const;
  /// Closes the topic's partitions, takes their directories away, and the offsets that groups have
  /// committed for them.
  absl::Status drop_topic(const TopicId& id);
  /// As Partition's; where it begins.
  absl::StatusOr<Offset> delete_records(const TopicPartition& partition, Offset before);
  /// Of everything that is open, in this thread.
  absl::StatusOr<VerifyReport> verify(const VerifyProgress& progress);
  absl::StatusOr<RepairReport> repair(const TopicPartition& name, Repair how);
  /// The coordinator of a group; makes the topic of committed offsets at first, and loads at first
  /// use.
  absl::StatusOr<Ref<GroupKeeper>> coordinator(std::string_view group);
  /// Of every partition of the offsets topic that has records; loads them. Those that are damaged
  /// are left out and told to the events; `failed`: why another one was not loaded.
  std::vector<Ref<GroupKeeper>> all_coordinators(absl::Status& failed);
  /// Whether `id`, which may be zero, is of a deleted topic: also where there is a new one of the
  /// name.
  bool is_deleted(std::string_view topic, const TopicId& id) const;

  /// Takes up work of the background that there was no memory to go on with.
  void find_lost_chores();

  absl::Status close(SteadyTime deadline);

 private:
  template <class T, class... Args>
  friend Ref<T> make_ref(Args&&... args);
  using Directory = BrokerDirectory<Fs>;
  struct Found {
    TopicPartition partition;
    TopicId id;
    std::size_t directory = 0;
  };

  /// Work of the background: one timer each, by mutex_.
  struct Chore {
    Duration (BasicBrokerCore::*work)();  // until it is due again
    std::uint64_t turn = 0;
    TimerId timer = no_timer;  // of that turn
    bool lost = false;         // there was no memory for the timer
  };

  /// A round of compaction.
  struct CleaningJob {
    Ref<Partition> partition;
    Ref<typename Partition::Cleaning> round;
  };

  /// A partition that is read in the background.
  struct ScrubbingJob {
    Ref<Partition> partition;
    BasicLogVerification<Fs> log;
  };

  /// Where a partition lies. By its topic's id: another topic of the name lies elsewhere.
  struct Place {
    TopicId id;
    std::size_t directory = 0;
    bool anew = false;                     // made again: it was known at opening, and was nowhere
    bool is_made = true;                   // else it was begun there, which may have failed
    std::vector<std::size_t> others = {};  // where it lies, too
  };

  struct Strange {
    absl::Status why;
    std::size_t directory = 0;
    bool is_nobodys = false;  // no topic had its name when the broker was opened
  };

  BasicBrokerCore(E& env, std::unique_ptr<E> owned, BrokerConfig config);

  /// Whether the first one, which has the metadata log, was left cleanly.
  absl::StatusOr<bool> open_directories();
  absl::Status open_metadata(bool clean);
  std::vector<KnownDirectory> present_directories() const;
  absl::Status find_missing_directories();
  void note_directories();
  void settle_missing_directories(bool all_open);
  std::vector<std::string> note_known_topics();
  void revise_after_loss();
  absl::Status adopt(const std::vector<Found>& found);
  void tell_not_adopted(const MetadataMachine::AdoptTopic& topic, const std::vector<Found>& found);
  std::string adopt_configs(MetadataMachine::AdoptTopic& topic, const MetadataTopic* known) const;
  std::optional<MetadataMachine> read_kafka_metadata();
  absl::StatusOr<std::vector<Found>> find_partitions();
  absl::Status find_partition(BasicLogDirectory<Fs>& directory, Found one,
                              std::vector<Found>& found);
  absl::Status settle(const std::vector<Found>& found);
  void tell_strange();
  absl::Status forget_deleted();
  absl::Status tell_failed(const absl::Status& done, const Directory& directory,
                           std::string_view what);
  void find_nobodys();
  absl::Status open_partitions(std::string_view name);
  absl::StatusOr<BasicLog<Fs>> open_log(Directory& directory, const TopicPartition& partition,
                                        const TopicId& id, const TopicConfig& config,
                                        const LogOpening& opening, RecoveryReport& recovered);
  absl::StatusOr<Ref<Partition>> open_one(const TopicPartition& partition);
  absl::StatusOr<ReopenedLog<Fs>> reopen(Partition& partition, Repair how, RepairReport& done);
  absl::Status settle_repaired(const Partition& partition);
  absl::StatusOr<Ref<Partition>> open_partition(const MetadataTopic& topic, PartitionId partition);
  template <class Note>
  Ref<Directory> noted(const Partition& partition, Note note);
  void note_place(const std::string& name, const Place& place) OTTLA_REQUIRES(mutex_);
  absl::StatusOr<Place> make_place(const TopicPartition& partition, const TopicId& id,
                                   Durability durability);
  absl::Status make_directory(const TopicPartition& partition, const TopicId& id,
                              Durability durability, std::size_t where,
                              const std::optional<Strange>& strange);
  absl::Status found_twice(const std::string& name, const Place& place) const;
  absl::Status found_nowhere(const TopicPartition& partition) const;
  absl::Status forget_taken_away(const TopicPartition& partition);
  std::vector<std::pair<TopicPartition, std::size_t>> places_of(const TopicId& id);
  absl::Status drop_place(const TopicPartition& partition, std::size_t where);
  absl::Status drop_places(const std::vector<std::pair<TopicPartition, std::size_t>>& places);
  absl::Status remove_partition(const Ref<Partition>& partition);
  bool is_hung(const std::string& name);
  absl::Status drop_hung();
  void report(const TopicPartition& partition, const RecoveryReport& report);
  absl::Status make_offsets_topic();
  absl::StatusOr<Ref<GroupKeeper>> coordinator(const Topic& topic, std::int32_t number);
  absl::StatusOr<Ref<GroupKeeper>> load_coordinator(const Ref<Partition>& partition);
  absl::Status end_members(GroupKeeper& keeper);
  absl::Status revise_offsets(GroupKeeper& keeper, const TopicPartition* only = nullptr);
  absl::Status revise(GroupKeeper& keeper, std::vector<GroupCoordinator::OffsetsRevised::One> all);
  absl::Status damaged_groups(const Partition& partition, const absl::Status& why);
  std::optional<Offset> right_offset(const TopicPartition& partition,
                                     const CommittedOffset& committed) const;
  absl::Status forget_offsets(const std::vector<TopicPartition>& partitions);
  template <class Keeper, class Event, class Take>
  absl::Status submit_and_wait(Keeper& keeper, Event event, Take take);
  SteadyTime file_deadline() const;

  void schedule(Chore& chore, Duration delay);
  void run(Chore& chore);
  Duration retention();
  void retain(const Ref<Partition>& partition);
  Duration checkpoints();
  Duration remove_files();
  Duration scrub();
  bool find_scrubbing();
  void tell_damage(const ScrubbingJob& done);
  absl::StatusOr<bool> verify(Partition& partition, const VerifyProgress& progress,
                              VerifyReport& report);
  Duration clean();
  Duration clean_some();
  void find_cleaning();
  void note_uncleanable(const Partition& partition, const absl::Status& why);
  void give_up_cleaning(SteadyTime deadline, const Partition* only = nullptr);
  void end_cleaning(const absl::Status& ended);
  void note_offsets(const Partition& partition);
  static void raise_start(BasicLogDirectory<Fs>& directory, const TopicPartition& partition,
                          Offset start);
  absl::Status save_start(const Partition& partition, Offset start);
  absl::Status close_partitions(SteadyTime deadline);
  absl::Status close_partition(Partition& partition, SteadyTime deadline);
  absl::Status close_all(SteadyTime deadline);
  absl::Status leave_directories(SteadyTime deadline);

  // In the order of building; ended in the reverse.
  std::unique_ptr<E> owned_;
  E& env_;
  WorldOf<E> world_;
  const BrokerConfig config_;
  TopicConfig topic_defaults_;
  std::string cluster_id_;
  const std::uint64_t process_generation_;
  Ref<Events> events_;
  Ref<ClockWatch> clock_;
  Ref<TailBudget> tails_;
  Ref<ReadBuffers> buffers_;
  std::vector<Ref<Directory>> directories_;
  std::vector<KnownDirectory> missing_;         // partitions may lie there; set when opening
  bool may_have_lost_ = false;                  // a partition, records; set when opening
  std::map<TopicId, std::size_t> known_sizes_;  // partitions of the topics known at opening
  Ref<MetadataFile<Fs>> metadata_file_;
  Ref<MetadataKeeper> metadata_;
  ProducerIds producer_ids_;
  Registry topics_;
  std::atomic<bool> closed_{false};
  Baton topic_work_;                              // opening and dropping topics, one at a time
  Baton group_work_;                              // loading coordinators, likewise
  SteadyTime retention_due_ = SteadyTime::min();  // of all partitions; its chore's
  std::vector<Ref<Partition>> unretained_;        // others were writing them; likewise
  std::optional<ScrubbingJob> scrubbing_;         // its chore's
  TopicPartition next_scrubbed_;                  // likewise
  Baton cleaning_work_;                           // compaction, a step at a time
  std::optional<CleaningJob> cleaning_;           // by who has it
  std::set<std::string> uncleanable_;             // likewise: by topic's id and number
  Baton closing_;
  std::optional<absl::Status> close_status_;  // of the first to close; by who has closing_

  Mutex mutex_;
  std::map<std::string, Place> places_ OTTLA_GUARDED_BY(mutex_);  // by name of the partition
  std::vector<std::size_t> load_ OTTLA_GUARDED_BY(mutex_);        // places in each directory
  /// Of deleted topics, by name, whose files somebody may be in yet: their places are kept.
  std::map<std::string, Ref<Partition>> hung_ OTTLA_GUARDED_BY(mutex_);
  /// Directories of that name do not say whose they are.
  std::map<std::string, Strange> strange_ OTTLA_GUARDED_BY(mutex_);
  std::map<std::int32_t, Ref<GroupKeeper>> groups_ OTTLA_GUARDED_BY(mutex_);
  std::array<Chore, 5> chores_{{{&BasicBrokerCore::retention},
                                {&BasicBrokerCore::remove_files},
                                {&BasicBrokerCore::checkpoints},
                                {&BasicBrokerCore::clean},
                                {&BasicBrokerCore::scrub}}};
  std::atomic<bool> chores_lost_{false};
};

}  // namespace ottla::inline OTTLA_ABI

#include <ottla/broker/impl/broker_adopt_impl.hpp>
#include <ottla/broker/impl/broker_cleaner_impl.hpp>
#include <ottla/broker/impl/broker_core_impl.hpp>
#include <ottla/broker/impl/broker_groups_impl.hpp>
#include <ottla/broker/impl/broker_missing_impl.hpp>
#include <ottla/broker/impl/broker_repair_impl.hpp>
#include <ottla/broker/impl/broker_retention_impl.hpp>
#include <ottla/broker/impl/broker_scrubber_impl.hpp>
#include <ottla/broker/impl/broker_topics_impl.hpp>
