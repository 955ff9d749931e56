// SPDX-License-Identifier: Apache-2.0
//
// A broker under real limits of the kernel: a disk of 8 MiB, the process's limits on file sizes and
// descriptors. What was acknowledged stays, what is refused says why, and all goes on once there is
// room again. Each runs in a child of its own.
#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/catch.hpp"
#include "tests/support/memory_broker.hpp"
#include "tests/support/temporary_directory.hpp"

using namespace ottla;
using namespace test;

namespace {

/// What `body` says, from a process of its own, or how that ended. Called while no other thread
/// runs.
std::string in_child(const std::function<std::string()>& body) {
  int ends[2];
  if (pipe(ends) != 0) throw std::runtime_error("no pipe");
  const pid_t child = fork();
  if (child < 0) throw std::runtime_error("no child");
  if (child == 0) {
    std::string said;
    try {
      said = body();
    } catch (const std::exception& thrown) {
      said = thrown.what();
    }
    const bool told = write(ends[1], said.data(), said.size()) == ssize_t(said.size());
    _exit(told ? 0 : 1);
  }
  close(ends[1]);
  std::string said;
  char buffer[4096];
  for (ssize_t n = 0; (n = read(ends[0], buffer, sizeof buffer)) > 0;) {
    said.append(buffer, static_cast<std::size_t>(n));
  }
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFSIGNALED(status)) said += " (ended by signal " + std::to_string(WTERMSIG(status)) + ")";
  return said;
}

void limit(decltype(RLIMIT_FSIZE) what, rlim_t most) {
  rlimit now{};
  getrlimit(what, &now);
  now.rlim_cur = std::min(most, now.rlim_max);
  if (setrlimit(what, &now) != 0) throw std::runtime_error("no limit can be set");
}

const std::string large(1'000, 'x');

/// Sends records of 1 KB, a batch each, until one is refused, or `most` are acknowledged.
struct Sent {
  std::vector<std::string> acknowledged;
  absl::Status refused;
};
Sent send(const Broker& broker, int partitions, int most) {
  auto producer = must(
      TextProducer::open(broker, {.linger = 0ms, .delivery_timeout = 2s, .request_timeout = 1s}));
  static int number = 0;
  Sent sent;
  for (int i = 0; i < most; ++i) {
    const std::string value = std::to_string(number++) + " " + large;
    auto receipt = producer.send(
        {.topic = "orders", .partition = PartitionId(i % partitions), .value = value});
    auto outcome = receipt.ok() ? producer.wait(*receipt).status() : receipt.status();
    if (!outcome.ok()) {
      sent.refused = outcome;
      return sent;
    }
    sent.acknowledged.push_back(value);
  }
  return sent;
}

/// Of `all`, those that cannot be read; and a record that is there twice.
std::string missing(const Broker& broker, int partitions, std::vector<std::string> all) {
  auto consumer = must(TextConsumer::open(broker, {.offset_reset = OffsetReset::earliest}));
  std::vector<TopicPartition> of;
  for (int i = 0; i < partitions; ++i) of.push_back(partition(i));
  must(consumer.assign(of));
  const auto ends = must(consumer.end_offsets(of));
  const auto left = [&] {
    return std::any_of(of.begin(), of.end(), [&](const auto& each) {
      return must(consumer.position(each)) < ends.at(each);
    });
  };
  std::vector<std::string> seen;
  for (int polls = 0; left() && polls < 1'000; ++polls) {
    const auto records = must(consumer.poll(200ms));
    for (const auto& record : records) seen.push_back(*record.value());
    must(records.status());
  }
  std::sort(all.begin(), all.end());
  std::sort(seen.begin(), seen.end());
  if (std::adjacent_find(seen.begin(), seen.end()) != seen.end()) return "a record is there twice";
  return std::includes(seen.begin(), seen.end(), all.begin(), all.end())
             ? ""
             : std::to_string(all.size()) + " were acknowledged, " + std::to_string(seen.size()) +
                   " are there";
}

void add(std::vector<std::string>& to, const Sent& sent) {
  to.insert(to.end(), sent.acknowledged.begin(), sent.acknowledged.end());
}

}  // namespace

TEST_CASE("a file that may not grow refuses records, and takes them once it may") {
  const TemporaryDirectory directory;
  CHECK(in_child([&]() -> std::string {
          std::vector<std::string> all;
          {
            const Broker broker = must(Broker::open({.log_dirs = directory.path().string()}));
            must(broker.create_topic({.name = "orders", .partitions = 1}));
            limit(RLIMIT_FSIZE, 1 << 20);
            const Sent sent = send(broker, 1, 5'000);
            add(all, sent);
            if (sent.acknowledged.size() < 500 || sent.acknowledged.size() > 1'100) {
              return std::to_string(sent.acknowledged.size()) + " acknowledged";
            }
            if (fault(sent.refused) != Fault::no_space) return sent.refused.ToString();
            if (std::string lost = missing(broker, 1, all); !lost.empty()) return lost;
            limit(RLIMIT_FSIZE, RLIM_INFINITY);
            const Sent after = send(broker, 1, 100);
            add(all, after);
            if (!after.refused.ok()) return "later: " + after.refused.ToString();
            must(broker.close());
          }
          return missing(must(Broker::open({.log_dirs = directory.path().string()})), 1, all);
        }) == "");
}

TEST_CASE("a process that is short of descriptors loses nothing, and goes on with more") {
  const TemporaryDirectory directory;
  constexpr int partitions = 40;
  CHECK(in_child([&]() -> std::string {
          std::vector<std::string> all;
          limit(RLIMIT_NOFILE, 48);
          {
            const Broker broker = must(Broker::open({.log_dirs = directory.path().string()}));
            must(broker.create_topic({.name = "orders", .partitions = partitions}));
            const Sent sent = send(broker, partitions, 400);
            add(all, sent);
            if (!sent.refused.ok()) return "with half of the limit: " + sent.refused.ToString();
            // The host takes all that is left, and all that the broker gives up for it.
            std::vector<int> taken;
            for (int fd = 0; (fd = dup(0)) >= 0;) taken.push_back(fd);
            const Sent starved = send(broker, partitions, 400);
            add(all, starved);
            if (!starved.refused.ok() && fault(starved.refused) != Fault::no_descriptors &&
                fault(starved.refused) != Fault::timed_out) {
              return "starved: " + starved.refused.ToString();
            }
            for (const int fd : taken) close(fd);
            const Sent after = send(broker, partitions, 400);
            add(all, after);
            if (!after.refused.ok()) return "later: " + after.refused.ToString();
            if (std::string lost = missing(broker, partitions, all); !lost.empty()) return lost;
            must(broker.close());
          }
          return missing(must(Broker::open({.log_dirs = directory.path().string()})), partitions,
                         all);
        }) == "");
}

TEST_CASE("a disk of 8 MiB that is full refuses records, and takes them when there is room") {
  const TemporaryDirectory directory;
  const std::string said = in_child([&]() -> std::string {
    const std::string user = "0 " + std::to_string(getuid()) + " 1";
    const std::string group = "0 " + std::to_string(getgid()) + " 1";
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) {
      return std::string("SKIPPED: no mount namespace of one's own here: ") + strerror(errno);
    }
    std::ofstream("/proc/self/setgroups") << "deny";
    std::ofstream("/proc/self/uid_map") << user;
    std::ofstream("/proc/self/gid_map") << group;
    if (mount("tmpfs", directory.path().c_str(), "tmpfs", 0, "size=8m") != 0) {
      return std::string("SKIPPED: no tmpfs can be mounted here: ") + strerror(errno);
    }
    const std::string disk = directory.path().string();
    std::vector<std::string> all;
    {
      const Broker broker = must(Broker::open({.log_dirs = disk + "/data"}));
      must(broker.create_topic({.name = "orders", .partitions = 2}));
      std::ofstream(disk + "/other") << std::string(1 << 20, 'o');
      const Sent sent = send(broker, 2, 20'000);
      add(all, sent);
      if (sent.acknowledged.size() < 4'000 || sent.acknowledged.size() > 8'000) {
        return std::to_string(sent.acknowledged.size()) + " acknowledged";
      }
      if (fault(sent.refused) != Fault::no_space) return sent.refused.ToString();
      if (std::string lost = missing(broker, 2, all); !lost.empty()) return lost;
      std::filesystem::remove(disk + "/other");
      const Sent after = send(broker, 2, 300);
      add(all, after);
      if (!after.refused.ok()) return "later: " + after.refused.ToString();
      add(all, send(broker, 2, 20'000));  // full again
      const absl::Status closed = broker.close();
      if (!closed.ok() && fault(closed) != Fault::no_space) return closed.ToString();
    }
    return missing(must(Broker::open({.log_dirs = disk + "/data"})), 2, all);
  });
  if (said.starts_with("SKIPPED:")) {
    std::cout << said << "\n";
    return;
  }
  CHECK(said == "");
}
