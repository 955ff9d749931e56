// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <utility>

#include <ottla/offsets/offset_store.hpp>

namespace ottla::inline OTTLA_ABI {
namespace offsets_impl {

/// What a STRING can hold.
inline constexpr std::size_t longest_string = 32'767;

/// As Java counts the characters of a string.
inline std::size_t utf16_units(std::string_view utf8) {
  std::size_t units = 0;
  for (const char c : utf8) {
    const auto byte = static_cast<unsigned char>(c);
    units += (byte & 0xC0) == 0x80 ? 0U : byte >= 0xF0 ? 2U : 1U;
  }
  return units;
}

/// When a commit that asks for its own retention expires.
inline Timestamp expire_time(std::optional<std::chrono::milliseconds> retention, Timestamp now) {
  if (!retention || retention->count() < 0) {
    return no_timestamp;
  }
  return Timestamp(checked_add(now.value(), std::int64_t{retention->count()}).value_or(INT64_MAX));
}

inline MachineRecord tombstone(std::string_view group, const TopicPartition& partition) {
  return {.key = encode(OffsetKey{std::string(group), partition}), .value = std::nullopt};
}

}  // namespace offsets_impl

OTTLA_INLINE OffsetCommitResponse OffsetStore::commit(const OffsetCommitRequest& request,
                                                      Timestamp now,
                                                      std::vector<MachineRecord>& records) const {
  OffsetCommitResponse response;
  response.partitions.reserve(request.partitions.size());
  for (const OffsetCommitRequest::Partition& one : request.partitions) {
    OffsetCommitResponse::Partition& answer = response.partitions.emplace_back();
    answer.partition = one.partition;
    const std::string metadata = one.metadata.value_or("");
    const auto limit = static_cast<std::size_t>(std::max(config_.metadata_max_bytes, 0));
    if (offsets_impl::utf16_units(metadata) > limit ||
        metadata.size() > offsets_impl::longest_string) {
      answer.error = ErrorCode::offset_metadata_too_large;
    } else if (one.partition.topic.size() > offsets_impl::longest_string ||
               request.group.size() > offsets_impl::longest_string) {
      answer.error = ErrorCode::invalid_request;
    } else {
      const CommittedOffset value{.offset = one.offset,
                                  .leader_epoch = one.leader_epoch,
                                  .metadata = metadata,
                                  .commit_time = now,
                                  .expire_time = offsets_impl::expire_time(request.retention, now),
                                  .topic_id = one.topic_id};
      records.push_back(
          {.key = encode(OffsetKey{request.group, one.partition}), .value = encode(value)});
    }
  }
  return response;
}

OTTLA_INLINE OffsetFetchResponse OffsetStore::fetch(const OffsetFetchRequest& request) const {
  OffsetFetchResponse response;
  const auto add = [&](const TopicPartition& partition, const CommittedOffset* found) {
    OffsetFetchResponse::Partition& answer = response.partitions.emplace_back();
    answer.partition = partition;
    if (request.require_stable && is_pending(request.group, partition)) {
      answer.error = ErrorCode::unstable_offset_commit;
    } else if (found != nullptr) {
      answer.offset = found->offset;
      answer.leader_epoch = found->leader_epoch;
      answer.metadata = found->metadata;
      answer.topic_id = found->topic_id;
    }
  };
  if (request.partitions) {
    response.partitions.reserve(request.partitions->size());
    for (const TopicPartition& partition : *request.partitions) {
      add(partition, find(request.group, partition));
    }
  } else if (const auto group = offsets_.find(request.group); group != offsets_.end()) {
    for (const auto& [partition, stored] : group->second) {
      add(partition, &stored.value);
    }
  }
  return response;
}

OTTLA_INLINE const CommittedOffset* OffsetStore::find(std::string_view group,
                                                      const TopicPartition& partition) const {
  const auto of_group = offsets_.find(group);
  if (of_group == offsets_.end()) {
    return nullptr;
  }
  const auto found = of_group->second.find(partition);
  return found == of_group->second.end() ? nullptr : &found->second.value;
}

OTTLA_INLINE bool OffsetStore::is_pending(std::string_view group,
                                          const TopicPartition& partition) const {
  const auto open = open_.find(group);
  if (open == open_.end()) {
    return false;
  }
  return std::any_of(open->second.begin(), open->second.end(), [&](ProducerId producer) {
    const ByGroup& groups = pending_.find(producer)->second;
    const auto of_group = groups.find(group);
    return of_group != groups.end() && of_group->second.contains(partition);
  });
}

OTTLA_INLINE bool OffsetStore::remove(std::string_view group, const TopicPartition& partition,
                                      std::vector<MachineRecord>& records) const {
  if (find(group, partition) == nullptr && !is_pending(group, partition)) {
    return false;
  }
  records.push_back(offsets_impl::tombstone(group, partition));
  return true;
}

OTTLA_INLINE bool OffsetStore::remove_all(std::string_view group, RecordPortion& portion) const {
  std::set<TopicPartition> all;
  const auto add = [&](const ByGroup& groups) {
    if (const auto of_group = groups.find(group); of_group != groups.end()) {
      for (const auto& [partition, stored] : of_group->second) {
        all.insert(partition);
      }
    }
  };
  add(offsets_);
  if (const auto open = open_.find(group); open != open_.end()) {
    for (const ProducerId producer : open->second) {
      add(pending_.find(producer)->second);
    }
  }
  return std::all_of(all.begin(), all.end(), [&](const TopicPartition& partition) {
    return portion.add(offsets_impl::tombstone(group, partition));
  });
}

OTTLA_INLINE bool OffsetStore::revise(std::string_view group, const TopicPartition& partition,
                                      std::optional<Offset> to, RecordPortion& portion) const {
  const CommittedOffset* found = find(group, partition);
  if (!to) {
    return (found == nullptr && !is_pending(group, partition)) ||
           portion.add(offsets_impl::tombstone(group, partition));
  }
  if (found == nullptr || found->offset <= *to) {
    return true;
  }
  CommittedOffset lower = *found;
  lower.offset = *to;
  lower.leader_epoch = no_leader_epoch;
  return portion.add(
      {.key = encode(OffsetKey{std::string(group), partition}), .value = encode(lower)});
}

OTTLA_INLINE std::vector<std::string> OffsetStore::groups_of(
    const TopicPartition& partition) const {
  std::set<std::string_view> groups;
  for (const auto& [group, offsets] : offsets_) {
    if (offsets.contains(partition)) {
      groups.insert(group);
    }
  }
  for (const auto& [group, producers] : open_) {
    if (is_pending(group, partition)) {
      groups.insert(group);
    }
  }
  return {groups.begin(), groups.end()};
}

OTTLA_INLINE std::vector<OffsetStore::Entry> OffsetStore::all() const {
  std::vector<Entry> entries;
  for (const auto& [group, partitions] : offsets_) {
    for (const auto& [partition, stored] : partitions) {
      entries.push_back({group, partition, stored.value});
    }
  }
  return entries;
}

OTTLA_INLINE bool OffsetStore::expire(std::string_view group, const OffsetExpiry& expiry,
                                      RecordPortion& portion) const {
  const auto of_group = offsets_.find(group);
  if (of_group == offsets_.end()) {
    return !has_open_transaction(group);
  }
  const Timestamp latest = expiry.now - std::chrono::milliseconds(config_.retention).count();
  bool all = true;
  for (const auto& [partition, stored] : of_group->second) {
    const CommittedOffset& value = stored.value;
    const Timestamp since = expiry.empty_since.value_or(value.commit_time);
    const bool due =
        value.expire_time != no_timestamp ? value.expire_time <= expiry.now : since <= latest;
    const bool stays = (expiry.is_subscribed && expiry.is_subscribed(partition.topic)) ||
                       is_pending(group, partition);
    all = due && !stays && portion.add(offsets_impl::tombstone(group, partition)) && all;
  }
  return all && !has_open_transaction(group);
}

OTTLA_INLINE absl::Status OffsetStore::apply(const WrittenRecord& record) {
  OTTLA_ASSIGN(const OffsetKey key, decode_offset_key(record.key.value_or(Bytes())));
  if (!record.value) {
    erase(key);
    return absl::OkStatus();
  }
  OTTLA_ASSIGN(CommittedOffset value, decode_committed_offset(*record.value));
  if (record.producer == no_producer_id) {
    offsets_[key.group][key.partition] = {std::move(value), record.offset};
  } else {
    pending_[record.producer][key.group][key.partition] = {std::move(value), record.offset};
    open_[key.group].insert(record.producer);
  }
  return absl::OkStatus();
}

OTTLA_INLINE void OffsetStore::erase(const OffsetKey& key) {
  if (const auto open = open_.find(key.group); open != open_.end()) {
    for (const ProducerId producer : open->second) {
      const auto of_group = pending_.find(producer)->second.find(key.group);
      if (of_group != pending_.find(producer)->second.end()) {
        of_group->second.erase(key.partition);
      }
    }
  }
  if (const auto of_group = offsets_.find(key.group); of_group != offsets_.end()) {
    of_group->second.erase(key.partition);
    if (of_group->second.empty()) {
      offsets_.erase(of_group);
    }
  }
}

OTTLA_INLINE void OffsetStore::end_transaction(ProducerId producer, bool committed) {
  const auto found = pending_.find(producer);
  if (found == pending_.end()) {
    return;
  }
  ByGroup groups = std::move(found->second);
  pending_.erase(found);
  for (auto& [group, partitions] : groups) {
    if (const auto open = open_.find(group); open != open_.end()) {
      open->second.erase(producer);
      if (open->second.empty()) {
        open_.erase(open);
      }
    }
    for (auto& [partition, stored] : partitions) {
      const auto of_group = offsets_.find(group);
      const bool older = of_group != offsets_.end() && of_group->second.contains(partition) &&
                         of_group->second.find(partition)->second.record > stored.record;
      if (committed && !older) {
        offsets_[group][partition] = std::move(stored);
      }
    }
  }
}

}  // namespace ottla::inline OTTLA_ABI
