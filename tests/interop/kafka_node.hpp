// SPDX-License-Identifier: Apache-2.0
//
// A Kafka of one node on loopback, in a Java machine of its own, that never outlives its test.
#pragma once

#include <array>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/interop/kafka_tools.hpp"
#include "tests/support/golden.hpp"

namespace kafka {

class Node {
 public:
  /// On `directory`, which is formatted where it is new. Its log lies in `directory`/log.
  explicit Node(const std::string& directory) : directory_(directory) {
    std::filesystem::create_directories(directory);
    const std::vector<int> ports = free_ports(2);
    address_ = "127.0.0.1:" + std::to_string(ports[0]);
    const std::string controller = "127.0.0.1:" + std::to_string(ports[1]);
    std::ofstream(directory + "/node.properties")
        << "process.roles=broker,controller\nnode.id=1\n"
        << "controller.quorum.voters=1@" << controller << "\n"
        << "listeners=PLAINTEXT://" << address_ << ",CONTROLLER://" << controller << "\n"
        << "advertised.listeners=PLAINTEXT://" << address_ << "\n"
        << "controller.listener.names=CONTROLLER\n"
        << "listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT\n"
        << "log.dirs=" << log_dir() << "\n"
        << "offsets.topic.num.partitions=3\noffsets.topic.replication.factor=1\n"
        << "transaction.state.log.num.partitions=1\ntransaction.state.log.replication.factor=1\n"
        << "transaction.state.log.min.isr=1\ngroup.initial.rebalance.delay.ms=0\n"
        << "log.retention.ms=-1\nauto.create.topics.enable=false\n"
        << "producer.id.expiration.ms=2147483647\n";
    start();
    wait_for(ports[0]);
  }
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;
  ~Node() { kill(); }

  std::string log_dir() const { return directory_ + "/log"; }

  /// A client's words; an error of it is an error.
  std::string client(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), address_);
    Output output = run("KafkaClient", arguments);
    if (output.exit_status != 0) {
      throw std::runtime_error(output.text + "\n" + golden::read_text(directory_ + "/node.out"));
    }
    return std::move(output.text);
  }

  /// Leaves a clean end.
  void stop() {
    ::kill(process_, SIGTERM);
    if (!ends_within(30'000)) throw std::runtime_error("Kafka does not stop");
  }
  void kill() {
    if (process_ <= 0) return;
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
    process_ = -1;
  }

 private:
  static std::vector<int> free_ports(std::size_t count) {
    std::vector<int> sockets;
    std::vector<int> ports;
    while (sockets.size() < count) {
      sockets.push_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      sockaddr_in address = loopback(0);
      socklen_t size = sizeof address;
      auto* const any = reinterpret_cast<sockaddr*>(&address);
      if (::bind(sockets.back(), any, size) != 0 ||
          ::getsockname(sockets.back(), any, &size) != 0) {
        throw std::runtime_error("no port is free");
      }
      ports.push_back(ntohs(address.sin_port));
    }
    for (const int socket : sockets) ::close(socket);
    return ports;
  }
  static sockaddr_in loopback(int port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
  }

  void start() {
    const std::string properties = directory_ + "/node.properties";
    const std::string said = directory_ + "/node.out";
    const std::array<const char*, 8> arguments = {"java",
                                                  "-Xmx384m",
                                                  "-XX:+UseSerialGC",
                                                  "-XX:TieredStopAtLevel=1",
                                                  "-cp",
                                                  OTTLA_KAFKA_TOOLS "/libs/*:" OTTLA_KAFKA_TOOLS
                                                                    "/classes",
                                                  "KafkaNode",
                                                  properties.c_str()};
    std::vector<char*> words;
    for (const char* one : arguments) words.push_back(const_cast<char*>(one));
    words.push_back(nullptr);
    const pid_t parent = ::getpid();
    process_ = ::fork();
    if (process_ < 0) throw std::runtime_error("cannot fork");
    if (process_ > 0) return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int out = ::open(said.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    ::dup2(out, 1);
    ::dup2(out, 2);
    if (::getppid() == parent) ::execvp("java", words.data());
    ::_exit(127);
  }
  bool ends_within(int milliseconds) {
    const auto descriptor = static_cast<int>(::syscall(SYS_pidfd_open, process_, 0));
    pollfd process{.fd = descriptor, .events = POLLIN, .revents = 0};
    const bool ended = ::poll(&process, 1, milliseconds) == 1;
    ::close(descriptor);
    if (ended && ::waitpid(process_, nullptr, 0) == process_) process_ = -1;
    return ended;
  }
  void wait_for(int port) {
    for (int i = 0; i < 1200 && !ends_within(50); ++i) {
      const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      const sockaddr_in address = loopback(port);
      const bool there =
          ::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
      ::close(socket);
      if (there) return;
    }
    throw std::runtime_error("Kafka does not start: " +
                             golden::read_text(directory_ + "/node.out"));
  }

  std::string directory_;
  std::string address_;
  pid_t process_ = -1;
};

}  // namespace kafka
