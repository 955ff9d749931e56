// SPDX-License-Identifier: Apache-2.0
//
// A library to preload: the kernel's file calls fail, are cut short or take long, as the
// environment's OTTLA_FAULTS says, or the program by `ottla_faults`. Rules between semicolons:
//
//   write ENOSPC path=/orders-0/ from=3 times=2; read short; sync delay=200
//
// What calls: a name of interposed::names, or any. What becomes of them: an error's name; `short`,
// half of the bytes; `delay=` milliseconds; `full=`, so many bytes are written, then ENOSPC;
// `count`, nothing. Of those with `path` in their path the first is 1: those `from` a number on, so
// many `times`, `every` N-th, all `but` each N-th. Several rules: delays add up, the first other
// one that holds is followed.
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

#include <poll.h>

#include "tests/support/interposed_calls.hpp"

namespace {

enum class Effect { fail, shorten, delay, fill, count };

struct Rule {
  int kind = -1;  // any
  Effect effect = Effect::count;
  int failure = 0;
  std::atomic<long> amount{0};  // milliseconds, or bytes that are left
  std::string path;
  long from = 1, times = std::numeric_limits<long>::max(), every = 1, but = 0;
  std::atomic<long> calls{0};

  bool holds() {
    const long number = ++calls - from;  // from 0
    return number >= 0 && number / every < times && number % every == 0 &&
           (but == 0 || (number + 1) % but != 0);
  }
};
using Rules = std::deque<Rule>;

std::atomic<Rules*> current{nullptr};
std::atomic<long> hits{0};

[[noreturn]] void wrong(std::string_view what) {
  std::fprintf(stderr, "OTTLA_FAULTS: what is \"%.*s\"?\n", static_cast<int>(what.size()),
               what.data());
  std::_Exit(2);
}

long number(std::string_view text) {
  long value = -1;
  const char* end = text.data() + text.size();
  if (std::from_chars(text.data(), end, value).ptr != end || value < 0) wrong(text);
  return value;
}

std::string_view take(std::string_view& text, char until) {
  const std::size_t end = std::min(text.find(until), text.size());
  const std::string_view taken = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return taken;
}

void set_effect(Rule& rule, std::string_view word) {
  constexpr std::pair<std::string_view, int> errors[] = {
      {"EIO", EIO},       {"ENOSPC", ENOSPC}, {"EDQUOT", EDQUOT}, {"EINTR", EINTR},
      {"EMFILE", EMFILE}, {"ENFILE", ENFILE}, {"EROFS", EROFS},   {"EACCES", EACCES}};
  for (const auto& [name, value] : errors) {
    if (word != name) continue;
    rule.effect = Effect::fail;
    rule.failure = value;
    return;
  }
  const std::string_view name = take(word, '=');
  if (name == "delay" || name == "full") {
    rule.effect = name == "delay" ? Effect::delay : Effect::fill;
    rule.amount = number(word);
  } else if (name == "short") {
    rule.effect = Effect::shorten;
  } else if (name != "count") {
    wrong(name);
  }
}

void set_limit(Rule& rule, std::string_view word) {
  const std::string_view name = take(word, '=');
  if (name == "path") {
    rule.path = word;
  } else if (name == "from") {
    rule.from = number(word);
  } else if (name == "times") {
    rule.times = number(word);
  } else if (name == "every") {
    rule.every = std::max(1L, number(word));
  } else if (name == "but") {
    rule.but = number(word);
  } else {
    wrong(name);
  }
}

void add_rule(Rules& rules, std::string_view text) {
  int words = 0;
  while (!text.empty()) {
    const std::string_view word = take(text, ' ');
    if (word.empty()) continue;
    if (words++ == 0) {
      const auto* kind =
          std::find(std::begin(interposed::names), std::end(interposed::names), word);
      if (kind == std::end(interposed::names) && word != "any") wrong(word);
      rules.emplace_back().kind = word == "any" ? -1 : int(kind - interposed::names);
    } else if (words == 2) {
      set_effect(rules.back(), word);
    } else {
      set_limit(rules.back(), word);
    }
  }
}

/// Whether the call is to be answered so.
bool follow(Rule& rule, const interposed::Call& call, interposed::Answer& answer) {
  switch (rule.effect) {
    case Effect::fail:
      answer.failure = rule.failure;
      return true;
    case Effect::shorten:
      answer.most = (call.bytes + 1) / 2;
      return true;
    case Effect::delay:
      ::poll(nullptr, 0, static_cast<int>(rule.amount));
      return false;
    case Effect::fill: {
      const long bytes = static_cast<long>(call.bytes);
      const long left = std::max(0L, rule.amount.fetch_sub(bytes));
      answer.failure = left == 0 && bytes > 0 ? ENOSPC : 0;
      answer.most = static_cast<std::size_t>(std::min(left, bytes));
      return left < bytes;
    }
    case Effect::count:
      break;
  }
  return false;
}

}  // namespace

/// In the place of the rules that there were; "" for none. Calls that are under way end by the old
/// ones.
extern "C" void ottla_faults(const char* text) {
  auto* rules = new Rules;  // for ever: somebody may still look at them
  for (std::string_view rest = text; !rest.empty();) add_rule(*rules, take(rest, ';'));
  hits = 0;
  current = rules;
}
/// Calls for which a rule held since then.
extern "C" long ottla_faults_hit() { return hits; }

namespace interposed {

Answer before(const Call& call) {
  Answer answer;
  Rules* const rules = current;
  if (rules == nullptr) return answer;
  char buffer[4096];
  for (Rule& rule : *rules) {
    const bool is_meant = rule.kind < 0 || rule.kind == static_cast<int>(call.kind);
    if (!is_meant || path_of(call, buffer).find(rule.path) == std::string_view::npos) continue;
    if (!rule.holds()) continue;
    if (rule.effect != Effect::fill) ++hits;
    const bool answers = follow(rule, call, answer);
    if (answers && rule.effect == Effect::fill) ++hits;
    if (answers) return answer;
  }
  return answer;
}

void after(const Call&, long) {}

}  // namespace interposed

namespace {

[[gnu::constructor]] void read_environment() {
  if (const char* text = std::getenv("OTTLA_FAULTS"); text != nullptr) ottla_faults(text);
}

}  // namespace
