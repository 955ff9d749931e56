// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <ottla/base/status.hpp>
#include <ottla/group/assignors.hpp>
#include <ottla/group/sticky_assignment.hpp>

#include "tests/group/assignment_text.hpp"
#include "tests/support/catch.hpp"

using namespace assignment_text;

namespace {

std::string range(const ottla::GroupToAssign& group) {
  return text(group, ottla::range_assignor().assign(group));
}
std::string sticky(const ottla::GroupToAssign& group) {
  return text(group, ottla::sticky_assignment(group, ottla::Transfers::at_once));
}
std::string cooperative_sticky(const ottla::GroupToAssign& group) {
  return text(group, ottla::cooperative_sticky_assignor().assign(group));
}

}  // namespace

TEST_CASE("range gives the remainder of each topic to the first members") {
  CHECK(range(group("t0:3 t1:3", {member("C0", "t0 t1"), member("C1", "t0 t1")})) ==
        "C0: t0-0 t0-1 t1-0 t1-1; C1: t0-2 t1-2");
}

TEST_CASE("range takes static members first, by instance id") {
  CHECK(range(group("t0:7", {member("a", "t0"), with_instance(member("b", "t0"), "z1"),
                             with_instance(member("c", "t0"), "m1")})) ==
        "a: t0-5 t0-6; b: t0-3 t0-4; c: t0-0 t0-1 t0-2");
}

TEST_CASE("range splits each topic among its own subscribers") {
  CHECK(range(group("t0:4 t1:2 t2:1",
                    {member("C0", "t0"), member("C1", "t0 t1"), member("C2", "t1 t2")})) ==
        "C0: t0-0 t0-1; C1: t0-2 t0-3 t1-0; C2: t1-1 t2-0");
}

TEST_CASE("range leaves members without partitions when there are more members than partitions") {
  CHECK(range(group("t0:2", {member("a", "t0"), member("b", "t0"), member("c", "t0")})) ==
        "a: t0-0; b: t0-1; c:");
}

TEST_CASE("range gives a partition to a member in the rack of a replica") {
  auto racked = group("t0:4", {member("a", "t0"), member("b", "t0")});
  racked.members[0].rack = "east";
  racked.members[1].rack = "west";
  racked.topics[0].racks = {{"west"}, {"west"}, {"east"}, {"west"}};
  CHECK(range(racked) == "a: t0-2 t0-3; b: t0-0 t0-1");
}

TEST_CASE("range gives the same partition numbers of topics alike to one member, racks or not") {
  auto racked = group("t0:2 t1:2", {member("a", "t0 t1"), member("b", "t0 t1")});
  racked.members[0].rack = "east";
  racked.members[1].rack = "west";
  racked.topics[0].racks = {{"west"}, {"east"}};
  racked.topics[1].racks = {{"west", "east"}, {"east"}};
  CHECK(range(racked) == "a: t0-1 t1-1; b: t0-0 t1-0");
}

TEST_CASE("sticky deals partitions out like cards at first") {
  CHECK(sticky(group("t0:3 t1:3", {member("C0", "t0 t1"), member("C1", "t0 t1")})) ==
        "C0: t0-0 t0-2 t1-1; C1: t0-1 t1-0 t1-2");
}

TEST_CASE("sticky survivors keep everything when a member has left") {
  CHECK(sticky(group("t0:2 t1:2 t2:2 t3:2", {member("C0", "t0 t1 t2 t3", "t0-0 t1-1 t3-0"),
                                             member("C2", "t0 t1 t2 t3", "t1-0 t2-1")})) ==
        "C0: t0-0 t0-1 t1-1 t3-0; C2: t1-0 t2-0 t2-1 t3-1");
}

TEST_CASE("sticky takes the highest partitions when a member joins") {
  CHECK(sticky(group("t0:6", {member("C0", "t0", "t0-0 t0-2 t0-4"),
                              member("C1", "t0", "t0-1 t0-3 t0-5"), member("C2", "t0")})) ==
        "C0: t0-0 t0-2; C1: t0-1 t0-3; C2: t0-4 t0-5");
}

TEST_CASE("sticky balances as far as different subscriptions allow") {
  CHECK(sticky(group("t0:2 t1:3 t2:1",
                     {member("C0", "t0 t1"), member("C1", "t1 t2"), member("C2", "t1")})) ==
        "C0: t0-0 t0-1; C1: t1-1 t2-0; C2: t1-0 t1-2");
}

TEST_CASE("sticky believes the newer of two claims, and neither of two in one generation") {
  CHECK(sticky(group("t0:2", {in_generation(member("a", "t0", "t0-0 t0-1"), 3),
                              in_generation(member("b", "t0", "t0-0"), 4)})) == "a: t0-1; b: t0-0");
  CHECK(sticky(group("t0:4", {in_generation(member("a", "t0", "t0-2 t0-3"), 4),
                              in_generation(member("b", "t0", "t0-2"), 4)})) ==
        "a: t0-0 t0-3; b: t0-1 t0-2");
}

TEST_CASE("sticky ignores partitions that do not exist") {
  CHECK(sticky(group("t0:2", {member("a", "t0 gone", "t0-1 t0-7 gone-0"),
                              member("b", "t0 gone", "other-3")})) == "a: t0-1; b: t0-0");
  CHECK(sticky(group("t0:2 t1:1", {member("a", "t0", "t0-1 t0-7 gone-0"),
                                   member("b", "t0 t1", "t1-9")})) == "a: t0-0 t0-1; b: t1-0");
}

TEST_CASE("cooperative-sticky withholds what another member has to give up first") {
  CHECK(cooperative_sticky(group("t0:4", {member("C0", "t0", "t0-0 t0-1 t0-2 t0-3"),
                                          member("C1", "t0")})) == "C0: t0-0 t0-1; C1:");
  CHECK(cooperative_sticky(group("t0:4", {member("C0", "t0", "t0-0 t0-1"), member("C1", "t0")})) ==
        "C0: t0-0 t0-1; C1: t0-2 t0-3");
}

TEST_CASE("cooperative-sticky hands out at once what nobody owns") {
  CHECK(cooperative_sticky(group("t0:3 t1:3", {member("C0", "t0 t1", "t0-0 t1-1"),
                                               member("C2", "t0 t1", "t0-2 t1-2")})) ==
        "C0: t0-0 t0-1 t1-1; C2: t0-2 t1-0 t1-2");
}

TEST_CASE("cooperative-sticky withholds partitions of a topic that its owner no longer wants") {
  CHECK(cooperative_sticky(group("t0:2 t1:2", {member("C0", "t0", "t0-0 t0-1 t1-0 t1-1"),
                                               member("C1", "t0 t1")})) == "C0: t0-0 t0-1; C1:");
}

TEST_CASE("cooperative-sticky reads a generation from user data where the subscription has none") {
  auto told = group("t0:2", {member("a", "t0", "t0-0 t0-1"), member("b", "t0", "t0-0 t0-1")});
  told.members[1].user_data = ottla::cooperative_sticky_assignor().user_data(ottla::Generation(9));
  CHECK(cooperative_sticky(told) == "a:; b: t0-0");
}

TEST_CASE("an assignment does not depend on the order in which topics and members are given") {
  auto given =
      group("t0:5 t1:4 t2:3", {member("a", "t0 t1", "t0-0 t0-1 t1-0"), member("b", "t1 t2"),
                               member("c", "t0 t1 t2", "t2-1"), member("d", "t2", "t2-0 t2-2")});
  const std::string by_range = range(given);
  const std::string by_sticky = sticky(given);
  std::reverse(given.members.begin(), given.members.end());
  std::reverse(given.topics.begin(), given.topics.end());
  std::swap(given.members[1], given.members[2]);
  CHECK(range(given) == by_range);
  CHECK(sticky(given) == by_sticky);
}

TEST_CASE("assignors accept a group with nothing in it") {
  for (const char* name : {"range", "cooperative-sticky"}) {
    const auto assignor = ottla::assignor_named(name);
    REQUIRE(assignor.ok());
    CHECK(assignor->assign({}).empty());
    const auto nothing_to_read = group("", {member("a", "t0"), member("b", "")});
    CHECK(text(nothing_to_read, assignor->assign(nothing_to_read)) == "a:; b:");
  }
}

TEST_CASE("an assignor is found by its name") {
  CHECK(ottla::assignor_named("range")->name == "range");
  CHECK(ottla::assignor_named("cooperative-sticky")->name == "cooperative-sticky");
  CHECK(ottla::error_code(ottla::assignor_named("rang").status()) ==
        ottla::ErrorCode::unsupported_assignor);
}

TEST_CASE("a member is cooperative when all its assignors are") {
  const ottla::Assignor range = ottla::range_assignor();
  const ottla::Assignor sticky = ottla::cooperative_sticky_assignor();
  using enum ottla::RebalanceProtocol;
  CHECK(ottla::rebalance_protocol(std::vector{range, sticky}) == eager);
  CHECK(ottla::rebalance_protocol(std::vector{sticky}) == cooperative);
  CHECK(ottla::rebalance_protocol({}) == eager);
}
