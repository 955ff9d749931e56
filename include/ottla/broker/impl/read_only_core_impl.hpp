// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <set>

#include <absl/strings/str_cat.h>

#include <ottla/base/guard.hpp>
#include <ottla/broker/metadata_file.hpp>
#include <ottla/broker/read_only_core.hpp>
#include <ottla/env/small_file.hpp>
#include <ottla/log/directory_health.hpp>
#include <ottla/log/log_directory.hpp>
#include <ottla/log/partition_metadata.hpp>

namespace ottla::inline OTTLA_ABI {

namespace broker_impl {
inline constexpr std::size_t largest_noted = std::size_t{256} << 20;

/// Empty where there is no such file.
template <FileSystem Fs>
absl::StatusOr<std::string> read_noted(Fs& files, const std::string& path) {
  auto text = read_small_file(files, path, largest_noted);
  return fault(text.status()) == Fault::not_found ? std::string() : std::move(text);
}
}  // namespace broker_impl

template <Env E>
BasicReadOnlyCore<E>::BasicReadOnlyCore(E& env, std::unique_ptr<E> owned, BrokerConfig config)
    : owned_(std::move(owned)),
      env_(env),
      world_(env),
      config_(std::move(config)),
      process_generation_(env.process_generation()),
      events_(make_ref<Events>(world_, config_.on_event)),
      buffers_(make_ref<ReadBuffers>()) {}

template <Env E>
auto BasicReadOnlyCore<E>::open(E& env, std::unique_ptr<E> owned, BrokerConfig config)
    -> absl::StatusOr<Ref<BasicReadOnlyCore>> {
  OTTLA_TRY(check_broker_config(config));
  auto core = make_ref<BasicReadOnlyCore>(env, std::move(owned), std::move(config));
  const std::string properties = core->config_.log_dirs.paths().front() + "/meta.properties";
  OTTLA_ASSIGN(const std::string text, broker_impl::read_noted(env.file_system(), properties));
  core->cluster_id_ = core->config_.cluster_id;
  if (!text.empty()) {
    OTTLA_ASSIGN(const MetaProperties noted, parse_meta_properties(text, properties));
    core->cluster_id_ = noted.cluster_id;
  }
  OTTLA_TRY(core->look());
  return core;
}

template <Env E>
absl::Status BasicReadOnlyCore<E>::usable() const {
  if (is_inherited()) {
    return error(Fault::forked,
                 "this broker belongs to the parent process; open a new one in the child");
  }
  if (closed_.load(std::memory_order_acquire)) {
    return error(ErrorCode::not_leader_or_follower, Fault::closed,
                 "the broker was closed; open it again");
  }
  return absl::OkStatus();
}

template <Env E>
absl::Status BasicReadOnlyCore<E>::refusal() const {
  OTTLA_TRY(usable());
  return error(ErrorCode::policy_violation, Fault::read_only,
               "the broker was opened with Access::read_only, so nothing is written: write through "
               "the process that has the directories open, or open them with Access::read_write");
}

template <Env E>
absl::Status BasicReadOnlyCore<E>::look() {
  const SteadyTime deadline = after(world_.steady_now(), std::chrono::seconds(60));
  if (!look_work_.take(world_, deadline)) {
    return error(Fault::timed_out, "the disk is busy; try again");
  }
  absl::Status looked = guarded([&] { return look_at_directories(); });
  look_work_.give();
  return looked;
}

/// How the last writer of the directory left it, or a living one will: the kernel that it wrote to
/// has run on since, or nothing is known of what was on the device.
template <Env E>
absl::StatusOr<LogOpening> BasicReadOnlyCore<E>::last_stop(const std::string& directory) {
  Fs& files = env_.file_system();
  const auto read = [&](std::string_view name) {
    return broker_impl::read_noted(files, absl::StrCat(directory, "/", av(name)));
  };
  OTTLA_ASSIGN(const std::string run_text, read(run_record_file));
  OTTLA_ASSIGN(const std::string clean, read(kafka_clean_stop_file));
  const std::optional<RunRecord> run = parse_run_record(run_text);
  OTTLA_ASSIGN(const VolumeId volume, files.volume(directory));
  const bool lived_on = run && run->volume == volume;
  LogOpening opening{.last_stop = !clean.empty() ? LastStop::clean
                                  : lived_on     ? LastStop::process_crash
                                                 : LastStop::system_crash,
                     .foreign = run_text.empty()};
  if (lived_on) {
    opening.era = run->era;
  }
  return opening;
}

template <Env E>
auto BasicReadOnlyCore<E>::checkpoint(const std::string& directory, CheckpointKind kind)
    -> absl::StatusOr<std::map<std::string, Offset>> {
  const std::string path =
      absl::StrCat(directory, "/", av(checkpoint_files[static_cast<std::size_t>(kind)]));
  OTTLA_ASSIGN(const std::string text, broker_impl::read_noted(env_.file_system(), path));
  std::map<std::string, Offset> offsets;
  const auto entries = parse_offset_checkpoint(text, path);
  if (!entries.ok()) {
    events_->tell(EventLevel::warning, "log_directory", path, sv(entries.status().message()));
    return offsets;
  }
  for (const PartitionOffset& entry : *entries) {
    offsets.insert_or_assign(entry.partition.to_string(), entry.offset);
  }
  return offsets;
}

template <Env E>
absl::Status BasicReadOnlyCore<E>::find_partitions(const std::string& directory,
                                                   std::multimap<TopicPartition, Found>& found) {
  Fs& files = env_.file_system();
  OTTLA_ASSIGN(const auto entries, files.list(directory));
  OTTLA_ASSIGN(const LogOpening stop, last_stop(directory));
  OTTLA_ASSIGN(const auto starts, checkpoint(directory, CheckpointKind::log_start));
  OTTLA_ASSIGN(const auto recovered, checkpoint(directory, CheckpointKind::recovery_point));
  const auto offset_of = [](const std::map<std::string, Offset>& offsets, const std::string& name) {
    const auto at = offsets.find(name);
    return at == offsets.end() ? Offset(0) : at->second;
  };
  for (const DirectoryEntry& entry : entries) {
    const auto partition = TopicPartition::parse(entry.name);
    if (entry.kind != FileKind::directory ||
        directory_kind(entry.name) != DirectoryKind::partition || !partition ||
        partition->topic == cluster_metadata_topic) {
      continue;
    }
    Found one{.directory = absl::StrCat(directory, "/", entry.name), .opening = stop};
    one.opening.log_start = offset_of(starts, entry.name);
    one.opening.recovery_point = offset_of(recovered, entry.name);
    const std::string path = absl::StrCat(one.directory, "/", av(partition_metadata_file));
    const auto text = broker_impl::read_noted(files, path);
    if (not_tried(text.status())) {
      return text.status();
    }
    const auto id = text.ok() ? parse_partition_metadata(*text, path) : text.status();
    if (!id.ok()) {  // or it is being made, or taken away
      events_->tell(
          EventLevel::warning, "unknown_directory", text.ok() ? one.directory : path,
          absl::StrCat("left alone, since it does not say whose it is: ", id.status().message()));
      continue;
    }
    one.id = *id;
    found.emplace(*partition, std::move(one));
  }
  return absl::OkStatus();
}

/// By our own log of topics, as far as it is whole: what is torn at its end was told to nobody.
template <Env E>
absl::StatusOr<MetadataMachine> BasicReadOnlyCore<E>::read_metadata() {
  const std::string path =
      absl::StrCat(config_.log_dirs.paths().front(), "/", av(metadata_file_name));
  OTTLA_ASSIGN(const std::string content, broker_impl::read_noted(env_.file_system(), path));
  MetadataMachine machine{MetadataPlacement{}};
  BatchCursor batches(as_bytes(content), path);
  Offset next(0);
  std::size_t end = 0;
  while (const BatchView* batch = batches.next()) {
    if (batch->header().base_offset != next) {
      break;
    }
    RecordCursor records = batch->records();
    while (const RecordView* record = records.next()) {
      OTTLA_TRY(machine.apply({.key = record->key(), .value = record->value(), .offset = next}));
      ++next;
    }
    OTTLA_TRY(records.status());
    end = batches.position();
  }
  if (end < content.size() && broker_impl::batch_follows(as_bytes(content).subspan(end), next)) {
    return error(Fault::corrupt, absl::StrCat(path, " is damaged at byte ", end,
                                              "; restore the file from a backup"));
  }
  return machine;
}

template <Env E>
absl::Status BasicReadOnlyCore<E>::look_at_directories() {
  OTTLA_TRY(usable());
  // Directories first: a topic is noted before it has one.
  std::multimap<TopicPartition, Found> found;
  for (const std::string& directory : config_.log_dirs.paths()) {
    OTTLA_TRY(find_partitions(directory, found));
  }
  OTTLA_ASSIGN(const MetadataMachine machine, read_metadata());
  std::map<TopicId, Known> known;
  std::set<std::string, std::less<>> names;
  for (const auto& [name, topic] : machine.topics()) {
    known[topic.id] = {name, topic.partitions.size()};
    names.insert(name);
  }
  for (const auto& [partition, one] : found) {
    const bool adopted =
        known.contains(one.id)
            ? known[one.id].name == partition.topic && machine.find(one.id) == nullptr
            : !machine.was_removed(one.id) && !names.contains(partition.topic);
    if (adopted) {
      Known& topic = known[one.id];
      topic.name = partition.topic;
      names.insert(partition.topic);
      topic.partitions =
          std::max(topic.partitions, static_cast<std::size_t>(partition.partition.value()) + 1);
    }
  }
  const SteadyTime now = world_.steady_now();
  for (const Ref<Topic>& topic : topics_.all()) {
    if (!known.contains(topic->id)) {
      topics_.remove(topic->id);
      for (const Ref<Partition>& partition : topic->partitions) {
        partition ? partition->close(now) : void();
      }
    }
  }
  for (const auto& [id, topic] : known) {
    update(id, topic, found);
  }
  return absl::OkStatus();
}

/// A topic that has changed gets a new entry, with the partitions that were open.
template <Env E>
void BasicReadOnlyCore<E>::update(const TopicId& id, const Known& known,
                                  const std::multimap<TopicPartition, Found>& found) {
  const Ref<Topic> old = topics_.find(id);
  bool changed = !old || old->partitions.size() != known.partitions;
  auto topic = make_ref<Topic>();
  topic->name = known.name;
  topic->id = id;
  for (std::size_t i = 0; i < known.partitions; ++i) {
    const TopicPartition name{known.name, PartitionId(static_cast<std::int32_t>(i))};
    Ref<Partition> partition =
        old && i < old->partitions.size() ? old->partitions[i] : Ref<Partition>();
    const auto [first, last] = found.equal_range(name);
    const auto place =
        std::find_if(first, last, [&](const auto& entry) { return entry.second.id == id; });
    if (partition && place != last) {
      partition->set_log_start(place->second.opening.log_start);
    } else if (place != last) {
      partition = make_ref<Partition>(
          world_, env_.file_system(),
          typename Partition::Options{name, id, place->second.directory, place->second.opening},
          buffers_, events_);
      changed = true;
    }
    topic->partitions.push_back(std::move(partition));
  }
  if (changed) {
    topics_.put(std::move(topic));
  }
}

template <Env E>
void BasicReadOnlyCore<E>::follow() {
  if (!following_.exchange(true)) {
    arm();
  }
}

template <Env E>
void BasicReadOnlyCore<E>::arm() {
  TimerId timer = no_timer;
  const absl::Status posted = guarded([&] {
    timer = world_.post_at(
        after(world_.steady_now(), config_.follow_interval),
        [self = Ref<BasicReadOnlyCore>(this)] { self->follow_once(); }, this);
  });
  if (!posted.ok()) {
    following_.store(false);  // the next one who waits tries again
    return;
  }
  {
    Lock lock(mutex_);
    timer_ = timer;
  }
  if (closed_.load()) {
    world_.cancel(timer);
  }
}

template <Env E>
void BasicReadOnlyCore<E>::follow_once() {
  if (closed_.load()) {
    return;
  }
  bool waits = false;
  topics_.for_each_partition([&](Partition& partition) {
    const absl::Status polled = guarded([&] { waits = partition.poll() || waits; });
    waits = waits || !polled.ok();
  });
  if (waits) {
    arm();
    return;
  }
  following_.store(false);
  // Who has come in between found it armed.
  topics_.for_each_partition(
      [&](Partition& partition) { waits = partition.has_waiters() || waits; });
  if (waits) {
    follow();
  }
}

template <Env E>
auto BasicReadOnlyCore<E>::coordinator(const Ref<Topic>& topic, std::int32_t number)
    -> absl::StatusOr<Ref<Groups>> {
  Ref<Partition> partition;
  if (topic) {
    partition = topic->partitions[static_cast<std::size_t>(number)];
    if (!partition) {
      return error(ErrorCode::coordinator_not_available,
                   absl::StrCat("partition ", number, " of ", topic->name, " is not there"));
    }
  }
  auto fresh = make_ref<Groups>(partition);
  Ref<Groups> groups;
  {
    Lock lock(mutex_);
    Ref<Groups>& kept = groups_[number];
    if (!kept || kept->partition().get() != partition.get()) {
      std::swap(kept, fresh);
    }
    groups = kept;
  }
  OTTLA_TRY(groups->catch_up(world_, after(world_.steady_now(), std::chrono::seconds(60))));
  return groups;
}

/// None where nothing was ever committed. Looked for again where it, or a part of it, is missing.
template <Env E>
auto BasicReadOnlyCore<E>::groups_topic() -> absl::StatusOr<Ref<Topic>> {
  for (bool anew = false;; anew = true) {
    Ref<Topic> topic = topics_.find(offsets_topic);
    if (anew || (topic && std::all_of(topic->partitions.begin(), topic->partitions.end(),
                                      [](const auto& partition) { return bool(partition); }))) {
      return topic;
    }
    OTTLA_TRY(look());
  }
}

template <Env E>
auto BasicReadOnlyCore<E>::coordinator(std::string_view group) -> absl::StatusOr<Ref<Groups>> {
  OTTLA_ASSIGN(const Ref<Topic> topic, groups_topic());
  const std::size_t partitions = topic ? topic->partitions.size() : 1;
  return coordinator(topic, partition_for_id(group, static_cast<std::int32_t>(partitions)));
}

template <Env E>
auto BasicReadOnlyCore<E>::all_coordinators(absl::Status& failed) -> std::vector<Ref<Groups>> {
  std::vector<Ref<Groups>> all;
  const auto found = groups_topic();
  failed.Update(found.status());
  const Ref<Topic> topic = found.ok() ? *found : Ref<Topic>();
  for (std::size_t i = 0; topic && i < topic->partitions.size(); ++i) {
    auto groups = coordinator(topic, static_cast<std::int32_t>(i));
    if (groups.ok()) {
      all.push_back(*std::move(groups));
    } else {
      failed.Update(groups.status());
    }
  }
  return all;
}

template <Env E>
bool BasicReadOnlyCore<E>::is_deleted(std::string_view name, const TopicId& id) const {
  const Ref<Topic> topic = topics_.find(name);
  return !id.is_zero() && (!topic || topic->id != id);
}

template <Env E>
absl::Status BasicReadOnlyCore<E>::close(SteadyTime deadline) {
  if (is_inherited()) {
    return usable();
  }
  if (closed_.exchange(true)) {
    return absl::OkStatus();
  }
  const TimerId timer = [&] {
    Lock lock(mutex_);
    return timer_;
  }();
  world_.cancel(timer);
  topics_.for_each_partition([&](Partition& partition) { partition.close(deadline); });
  return absl::OkStatus();
}

}  // namespace ottla::inline OTTLA_ABI
