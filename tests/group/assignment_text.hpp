// SPDX-License-Identifier: Apache-2.0
//
// Groups to assign and assignments as short text: member("C0", "t0 t1", "t0-0 t1-1") subscribes to
// t0 and t1 and owns two partitions; an assignment reads "C0: t0-0 t0-1; C1:".
#pragma once

#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <ottla/base/topic_partition.hpp>
#include <ottla/group/assignor.hpp>

namespace assignment_text {

inline std::vector<std::string> words(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> found;
  for (std::string word; in >> word;) {
    found.push_back(word);
  }
  return found;
}

inline std::vector<ottla::PartitionsOfTopic> partitions(const std::string& text) {
  std::map<std::string, std::vector<ottla::PartitionId>> by_topic;
  for (const std::string& word : words(text)) {
    const auto parsed = ottla::TopicPartition::parse(word);
    by_topic[parsed->topic].push_back(parsed->partition);
  }
  std::vector<ottla::PartitionsOfTopic> result;
  for (const auto& [topic, of_topic] : by_topic) {
    result.push_back({topic, of_topic});
  }
  return result;
}

inline ottla::MemberToAssign member(std::string id, const std::string& topics,
                                    const std::string& owned = "") {
  return {.id = std::move(id), .topics = words(topics), .owned = partitions(owned)};
}

inline ottla::MemberToAssign with_instance(ottla::MemberToAssign member, std::string instance) {
  member.instance_id = std::move(instance);
  return member;
}

inline ottla::MemberToAssign in_generation(ottla::MemberToAssign member, int generation) {
  member.generation = ottla::Generation(generation);
  return member;
}

/// `topics`: "t0:3 t1:2".
inline ottla::GroupToAssign group(const std::string& topics,
                                  std::vector<ottla::MemberToAssign> members) {
  ottla::GroupToAssign result;
  for (const std::string& word : words(topics)) {
    const auto colon = word.find(':');
    result.topics.push_back(
        {.name = word.substr(0, colon), .partitions = std::stoi(word.substr(colon + 1))});
  }
  result.members = std::move(members);
  return result;
}

inline std::string text(const ottla::GroupToAssign& group,
                        const ottla::GroupAssignment& assignment) {
  std::map<std::string, std::string> by_member;
  for (std::size_t i = 0; i < assignment.size(); ++i) {
    std::string& of_member = by_member[group.members[i].id];
    for (const auto& part : assignment[i].partitions) {
      for (const ottla::PartitionId partition : part.partitions) {
        of_member += " " + part.topic + "-" + std::to_string(partition.value());
      }
    }
  }
  std::string result;
  for (const auto& [id, of_member] : by_member) {
    result += (result.empty() ? "" : "; ") + id + ":" + of_member;
  }
  return result;
}

}  // namespace assignment_text
