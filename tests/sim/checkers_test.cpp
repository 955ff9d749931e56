// SPDX-License-Identifier: Apache-2.0
//
// Each checker passes what is right and catches the least that is wrong.
#include <string>
#include <utility>
#include <vector>

#include <ottla/sim/checkers.hpp>

#include "tests/support/catch.hpp"

using namespace ottla;

namespace {

using Kind = HistoryEvent::Kind;

const TopicPartition plain{"plain", PartitionId(0)};
const TopicPartition durable{"durable", PartitionId(0)};
const TopicPartition keyed{"keyed", PartitionId(0)};

/// A history by words. Values are their client's name, "-" and a number.
struct Told : History {
  Told() {
    add_topic("durable", {.durable = true});
    add_topic("keyed", {.compacted = true});
  }

  Told& send(const TopicPartition& at, const std::string& value, const std::string& key = "",
             bool tombstone = false) {
    note({.kind = Kind::send,
          .client = value.substr(0, value.find('-')),
          .partition = at,
          .record = {.value = value, .key = key, .tombstone = tombstone}});
    return *this;
  }
  Told& told(Kind kind, const TopicPartition& at, const std::string& value, int offset = -1,
             Durability level = Durability::written) {
    note({.kind = kind,
          .partition = at,
          .record = {.offset = Offset(offset), .value = value},
          .durability = level});
    return *this;
  }
  Told& written(const TopicPartition& at, const std::string& value, int offset,
                Durability level = Durability::written) {
    return send(at, value).told(Kind::ok, at, value, offset, level);
  }
  Told& poll(const TopicPartition& at, const std::string& value, int offset) {
    note({.kind = Kind::poll,
          .client = "c",
          .group = "g",
          .partition = at,
          .record = {.offset = Offset(offset), .value = value}});
    return *this;
  }
  using Found = std::vector<std::pair<int, std::string>>;
  Told& log(const TopicPartition& at, int start, int end, const Found& found,
            const std::string& key = "") {
    HistoryEvent event{.kind = Kind::log,
                       .partition = at,
                       .offset = Offset(start),
                       .end = Offset(end),
                       .asked = size()};
    for (const auto& [offset, value] : found) {
      event.records.push_back({.offset = Offset(offset), .value = value, .key = key});
    }
    note(event);
    return *this;
  }
  Told& bounds(const TopicPartition& at, int start, int end) {
    note({.kind = Kind::bounds,
          .partition = at,
          .offset = Offset(start),
          .end = Offset(end),
          .asked = size()});
    return *this;
  }
  Told& at(Kind kind, const TopicPartition& partition = {}, int offset = -1) {
    note({.kind = kind, .group = "g", .partition = partition, .offset = Offset(offset)});
    return *this;
  }
  std::uint64_t commit(int offset) {
    return note({.kind = Kind::commit, .group = "g", .partition = plain, .offset = Offset(offset)});
  }
  Told& committed(int offset) {
    note({.kind = Kind::committed,
          .group = "g",
          .partition = plain,
          .offset = Offset(offset),
          .asked = size()});
    return *this;
  }
  Told& commit(int offset, Kind how) {
    const std::uint64_t number = commit(offset);
    note({.kind = how, .partition = plain, .asked = number});
    return *this;
  }
  Told& owns(const std::string& member, int generation) {
    note({.kind = Kind::owns,
          .client = member,
          .group = "g",
          .partition = plain,
          .generation = Generation(generation)});
    return *this;
  }
};

/// The properties that are violated.
std::vector<std::string> broken(const Violations& found) {
  std::vector<std::string> all;
  for (const Violation& each : found) {
    CHECK(!each.text.empty());
    all.push_back(each.property);
  }
  return all;
}
using Properties = std::vector<std::string>;

}  // namespace

TEST_CASE("a history in which everything is as it should be has no violation") {
  Told it;
  it.at(Kind::subscribe, plain);
  it.written(plain, "a-0", 0).written(plain, "b-0", 1).written(plain, "a-1", 2);
  it.send(plain, "a-2").told(Kind::not_written, plain, "a-2");
  it.send(plain, "b-1").told(Kind::unknown, plain, "b-1");
  it.bounds(plain, 0, 3).poll(plain, "a-0", 0).poll(plain, "b-0", 1).owns("m", 1);
  it.commit(2, Kind::commit_ok).committed(2).at(Kind::process_death);
  it.log(plain, 0, 4, {{0, "a-0"}, {1, "b-0"}, {2, "a-1"}, {3, "b-1"}}).owns("n", 1);
  it.committed(2).poll(plain, "a-1", 2).poll(plain, "b-1", 3);
  it.at(Kind::delete_records, plain, 2).at(Kind::records_deleted, plain, 2);
  it.commit(4, Kind::commit_ok).committed(4).bounds(plain, 2, 4);
  it.log(plain, 2, 4, {{2, "a-1"}, {3, "b-1"}}).at(Kind::finished);
  CHECK(broken(check(it)) == Properties());
  CHECK(check(History()).empty());
}

TEST_CASE("a lost write is one that was acknowledged, polled or found, and is not there") {
  CHECK(broken(lost_writes(Told().written(plain, "a-0", 0).log(plain, 0, 0, {}))) ==
        Properties{"lost write"});
  CHECK(broken(lost_writes(Told().send(plain, "a-0").poll(plain, "a-0", 0).log(plain, 0, 0, {}))) ==
        Properties{"lost write"});
  CHECK(broken(lost_writes(Told().log(plain, 0, 1, {{0, "a-0"}}).log(plain, 0, 0, {}))) ==
        Properties{"lost write"});
  // What was not durable goes with the machine, what was not acknowledged goes with the process.
  for (const bool power : {true, false}) {
    const auto ended = [&](const TopicPartition& partition) {
      Told it;
      it.written(partition, "a-0", 0);
      return power ? it.at(Kind::power_cut) : it.at(Kind::sync_failed).at(Kind::process_death);
    };
    CHECK(lost_writes(ended(plain).log(plain, 0, 0, {})).empty());
    CHECK(!lost_writes(ended(durable).log(durable, 0, 0, {})).empty());
  }
  Told refused;  // what cannot be synced is not shown, and not lost
  refused.written(durable, "a-0", 0).at(Kind::sync_failed).log(durable, 0, 0, {});
  CHECK(lost_writes(refused).empty());
  CHECK(!lost_writes(refused.at(Kind::process_death).log(durable, 0, 0, {})).empty());
  CHECK(!lost_writes(Told()
                         .written(plain, "a-0", 0)
                         .at(Kind::dimmed)
                         .at(Kind::process_death)
                         .log(plain, 0, 0, {}))
             .empty());
  CHECK(!lost_writes(Told().written(plain, "a-0", 0).at(Kind::process_death).log(plain, 0, 0, {}))
             .empty());
  CHECK(
      lost_writes(Told().send(plain, "a-0").at(Kind::process_death).log(plain, 0, 0, {})).empty());
  // A durable one takes those below it with it.
  Told below;
  below.written(plain, "a-0", 0).written(plain, "a-1", 1, Durability::durable);
  below.at(Kind::power_cut).log(plain, 1, 2, {{1, "a-1"}});
  CHECK(broken(lost_writes(below)) == Properties{"lost write"});
}

TEST_CASE("what was deleted, or whose topic was, is not lost") {
  CHECK(lost_writes(
            Told().written(plain, "a-0", 0).at(Kind::delete_records, plain, 1).log(plain, 1, 1, {}))
            .empty());
  CHECK(
      !lost_writes(
           Told().written(plain, "a-0", 0).at(Kind::delete_records, plain, 1).log(plain, 0, 1, {}))
           .empty());
  CHECK(lost_writes(
            Told().written(plain, "a-0", 0).at(Kind::delete_topic, plain).log(plain, 0, 0, {}))
            .empty());
}

TEST_CASE("a compacted record is lost unless a newer one with its key is there, or deleted it") {
  const auto wrote = [](const std::string& value, int offset, bool tombstone = false) {
    Told it;
    it.send(keyed, "a-0", "k").told(Kind::ok, keyed, "a-0", 0);
    it.send(keyed, value, "k", tombstone).told(Kind::ok, keyed, value, offset);
    return it;
  };
  CHECK(lost_writes(wrote("a-1", 1).log(keyed, 0, 2, {{1, "a-1"}}, "k")).empty());
  CHECK(broken(lost_writes(wrote("a-1", 1).log(keyed, 0, 2, {{0, "a-0"}}, "k"))) ==
        Properties{"lost write"});
  CHECK(lost_writes(wrote("a-1", 1, true).log(keyed, 0, 2, {})).empty());
  // Its tombstone went before it did.
  CHECK(broken(lost_writes(wrote("a-1", 1, true).log(keyed, 0, 2, {{0, "a-0"}}, "k"))) ==
        Properties{"lost write"});
}

TEST_CASE("an aborted read sees what was refused, or what nobody sent there") {
  Told refused;
  refused.send(plain, "a-0").told(Kind::not_written, plain, "a-0").poll(plain, "a-0", 0);
  CHECK(broken(aborted_reads(refused)) == Properties{"aborted read"});
  CHECK(broken(aborted_reads(Told().log(plain, 0, 1, {{0, "a-0"}}))) == Properties{"wrong record"});
  CHECK(broken(aborted_reads(Told().send(durable, "a-0").poll(plain, "a-0", 0))) ==
        Properties{"wrong record"});
}

TEST_CASE("a record at two offsets is a duplicate, two at one offset are inconsistent") {
  const Told twice = Told().written(plain, "a-0", 0).poll(plain, "a-0", 1);
  CHECK(broken(duplicates(twice)) == Properties{"duplicate"});
  const Told both = Told().written(plain, "a-0", 0).send(plain, "b-0").poll(plain, "b-0", 0);
  CHECK(broken(inconsistent_offsets(both)) == Properties{"inconsistent offsets"});
  // The place of what a power cut took is taken again, that of what is durable is not.
  for (const auto& [partition, wrong] : {std::pair(plain, false), std::pair(durable, true)}) {
    Told again;
    again.written(partition, "a-0", 0).at(Kind::power_cut).written(partition, "b-0", 0);
    CHECK(inconsistent_offsets(again).empty() == !wrong);
  }
}

TEST_CASE("a client's records are in the order of its sends") {
  Told acknowledged;
  acknowledged.send(plain, "a-0").send(plain, "a-1");
  acknowledged.told(Kind::ok, plain, "a-1", 0).told(Kind::ok, plain, "a-0", 1);
  CHECK(broken(misordered_sends(acknowledged)) == Properties{"order"});
  Told found;
  found.send(plain, "a-0").send(plain, "a-1").log(plain, 0, 2, {{0, "a-1"}, {1, "a-0"}});
  CHECK(broken(misordered_sends(found)) == Properties{"order"});
  Told others;
  others.send(plain, "a-0").send(plain, "b-0").log(plain, 0, 2, {{0, "b-0"}, {1, "a-0"}});
  CHECK(misordered_sends(others).empty());
}

TEST_CASE("a log is dense from its beginning to its end, and its epochs do not go back") {
  CHECK(broken(gaps(Told().log(plain, 0, 3, {{0, "a-0"}, {2, "a-1"}}))) ==
        Properties{"dense offsets"});
  CHECK(broken(gaps(Told().log(plain, 0, 2, {{0, "a-0"}}))) == Properties{"dense offsets"});
  CHECK(broken(gaps(Told().log(plain, 1, 2, {{0, "a-0"}, {1, "a-1"}}))) ==
        Properties{"dense offsets"});
  CHECK(gaps(Told().log(keyed, 0, 5, {{1, "a-0"}, {3, "a-1"}})).empty());
  CHECK(broken(gaps(Told().log(keyed, 0, 5, {{3, "a-0"}, {1, "a-1"}}))) ==
        Properties{"dense offsets"});
  Told epochs;
  epochs.note({.kind = Kind::log,
               .partition = plain,
               .offset = Offset(0),
               .end = Offset(2),
               .records = {{.offset = Offset(0), .value = "a-0", .epoch = LeaderEpoch(1)},
                           {.offset = Offset(1), .value = "a-1", .epoch = LeaderEpoch(0)}}});
  CHECK(broken(gaps(epochs)) == Properties{"dense offsets"});
}

TEST_CASE("each send is told one outcome, and by the end it is") {
  CHECK(broken(wrong_outcomes(Told().written(plain, "a-0", 0).told(Kind::unknown, plain, "a-0"))) ==
        Properties{"outcome"});
  CHECK(broken(wrong_outcomes(Told().send(plain, "a-0").at(Kind::finished))) ==
        Properties{"outcome"});
  CHECK(
      wrong_outcomes(Told().send(plain, "a-0").at(Kind::process_death).at(Kind::finished)).empty());
}

TEST_CASE("what a client polls ascends and passes over nothing") {
  CHECK(broken(misordered_polls(Told().poll(plain, "a-1", 1).poll(plain, "a-0", 0))) ==
        Properties{"nonmonotonic poll"});
  CHECK(broken(misordered_polls(Told().poll(plain, "a-0", 0).poll(plain, "a-2", 2))) ==
        Properties{"poll skip"});
  Told moved;
  moved.poll(plain, "a-1", 1);
  moved.note({.kind = Kind::seek, .client = "c", .partition = plain});
  CHECK(misordered_polls(moved.poll(plain, "a-0", 0)).empty());
  CHECK(misordered_polls(
            Told().poll(plain, "a-0", 0).at(Kind::delete_records, plain, 2).poll(plain, "a-2", 2))
            .empty());
  // Where a topic is compacted, what is found there later was there.
  Told compacted;
  compacted.send(keyed, "a-0").send(keyed, "a-1").send(keyed, "a-2");
  compacted.poll(keyed, "a-0", 0).poll(keyed, "a-2", 2);
  CHECK(misordered_polls(compacted).empty());
  Told superseded = compacted;
  CHECK(misordered_polls(superseded.log(keyed, 0, 3, {{1, "a-1"}, {2, "a-2"}}, "k")).empty());
  CHECK(broken(misordered_polls(compacted.log(keyed, 0, 2, {{1, "a-1"}}, "k"))) ==
        Properties{"poll skip"});
}

TEST_CASE("the bounds of a partition never go back") {
  CHECK(broken(bounds_gone_back(Told().bounds(plain, 1, 5).bounds(plain, 1, 4))) ==
        Properties{"bounds"});
  CHECK(broken(bounds_gone_back(Told().bounds(plain, 1, 5).bounds(plain, 0, 5))) ==
        Properties{"bounds"});
  CHECK(broken(bounds_gone_back(Told().written(plain, "a-0", 0).bounds(plain, 0, 0))) ==
        Properties{"bounds"});
  CHECK(broken(bounds_gone_back(Told().at(Kind::records_deleted, plain, 3).bounds(plain, 2, 5))) ==
        Properties{"bounds"});
  CHECK(!bounds_gone_back(Told().bounds(plain, 0, 5).at(Kind::process_death).bounds(plain, 0, 4))
             .empty());
  CHECK(
      bounds_gone_back(Told().bounds(plain, 0, 5).at(Kind::power_cut).bounds(plain, 0, 4)).empty());
  CHECK(!bounds_gone_back(Told().bounds(durable, 0, 5).at(Kind::power_cut).bounds(durable, 0, 4))
             .empty());
  Told refused;  // what cannot be synced is not shown, for a while
  refused.bounds(durable, 0, 5).at(Kind::sync_failed).bounds(durable, 0, 4);
  CHECK(bounds_gone_back(refused).empty());
  CHECK(!bounds_gone_back(refused.at(Kind::process_death).bounds(durable, 0, 4)).empty());
  // Two were asked at once, and the answers came the other way round.
  Told crossed;
  crossed.bounds(plain, 0, 5);
  crossed.note({.kind = Kind::bounds, .partition = plain, .end = Offset(4), .asked = 0});
  CHECK(bounds_gone_back(crossed).empty());
}

TEST_CASE("a partition begins no further than somebody wanted it to") {
  CHECK(broken(misplaced_starts(Told().bounds(plain, 1, 5))) == Properties{"log start"});
  CHECK(broken(misplaced_starts(Told().at(Kind::delete_records, plain, 2).log(plain, 3, 3, {}))) ==
        Properties{"log start"});
  CHECK(misplaced_starts(Told().at(Kind::delete_records, plain, 2).bounds(plain, 2, 5)).empty());
  // The files of a beginning of which nothing was durable may be lost with the machine.
  const auto cut = [](const TopicPartition& partition, int end) {
    Told told;
    told.bounds(partition, 0, end).at(Kind::power_cut).bounds(partition, 5, 5);
    return misplaced_starts(told.bounds(partition, 5, 6));
  };
  CHECK(cut(plain, 3).empty());
  CHECK(cut(durable, 0).empty());
  CHECK(broken(cut(durable, 3)) == Properties{"log start", "log start"});
}

TEST_CASE("a group has committed its last commit, or one that may have come after it") {
  CHECK(wrong_commits(Told().committed(-1)).empty());
  CHECK(broken(wrong_commits(Told().committed(3))) == Properties{"committed offset"});
  CHECK(broken(wrong_commits(Told().commit(3, Kind::commit_ok).committed(-1))) ==
        Properties{"committed offset"});
  CHECK(broken(wrong_commits(
            Told().commit(3, Kind::commit_ok).commit(5, Kind::commit_ok).committed(3))) ==
        Properties{"committed offset"});
  CHECK(broken(wrong_commits(
            Told().commit(3, Kind::commit_ok).commit(5, Kind::commit_refused).committed(5))) ==
        Properties{"committed offset"});
  for (const int found : {3, 5}) {
    CHECK(wrong_commits(
              Told().commit(3, Kind::commit_ok).commit(5, Kind::commit_unknown).committed(found))
              .empty());
  }
  Told under_way;
  under_way.commit(3, Kind::commit_ok);
  under_way.commit(5);
  CHECK(wrong_commits(under_way.committed(5)).empty());
}

TEST_CASE("a power cut may take commits and lower them, once") {
  const auto cut = [] {
    return Told().commit(3, Kind::commit_ok).commit(7, Kind::commit_ok).at(Kind::power_cut);
  };
  for (const int found : {-1, 2, 3, 7}) {
    CHECK(wrong_commits(cut().committed(found)).empty());
  }
  CHECK(broken(wrong_commits(cut().committed(8))) == Properties{"committed offset"});
  CHECK(broken(wrong_commits(cut().committed(2).committed(7))) == Properties{"committed offset"});
  CHECK(broken(wrong_commits(cut().commit(4, Kind::commit_ok).committed(7))) ==
        Properties{"committed offset"});
  CHECK(broken(wrong_commits(
            Told().commit(3, Kind::commit_ok).at(Kind::process_death).committed(-1))) ==
        Properties{"committed offset"});
}

TEST_CASE("no two members own a partition in one generation") {
  CHECK(broken(shared_partitions(Told().owns("m", 1).owns("n", 1))) == Properties{"ownership"});
  CHECK(shared_partitions(Told().owns("m", 1).owns("m", 1).owns("n", 2)).empty());
  CHECK(shared_partitions(Told().owns("m", 1).at(Kind::power_cut).owns("n", 1)).empty());
}

TEST_CASE("at the end a group has polled everything that is there, and committed it") {
  const auto reads = [] { return Told().at(Kind::subscribe, plain).written(plain, "a-0", 0); };
  const Told::Found all{{0, "a-0"}};
  CHECK(broken(unseen_records(reads().log(plain, 0, 1, all).at(Kind::finished))) ==
        Properties{"unseen"});
  CHECK(unseen_records(reads().poll(plain, "a-0", 0).log(plain, 0, 1, all).at(Kind::finished))
            .empty());
  CHECK(broken(unseen_records(
            reads().poll(plain, "a-0", 0).log(plain, 0, 1, all).committed(0).at(Kind::finished))) ==
        Properties{"unseen"});
  CHECK(unseen_records(reads().log(plain, 0, 1, all)).empty());
  Told compacted;
  compacted.at(Kind::subscribe, keyed).send(keyed, "a-0").send(keyed, "a-1");
  compacted.log(keyed, 0, 2, {{0, "a-0"}, {1, "a-1"}}, "k").at(Kind::finished);
  CHECK(broken(unseen_records(compacted)) == Properties{"unseen"});  // of both the newer one
}

TEST_CASE("what a process says once it has ended is not noted") {
  History history;
  const HistoryWriter first(history);
  first.note({.kind = Kind::send, .record = {.value = "a-0"}});
  history.note({.kind = Kind::process_death});
  CHECK_FALSE(first.alive());
  CHECK(first.note({.kind = Kind::ok, .record = {.value = "a-0"}}) == 2);
  CHECK(history.size() == 2);
  HistoryWriter(history).note({.kind = Kind::finished});
  CHECK(history.size() == 3);
  CHECK(text(history.events()[0]).find("send a-0") != std::string::npos);
}
