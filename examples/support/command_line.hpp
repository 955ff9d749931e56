// SPDX-License-Identifier: Apache-2.0
//
// The command line of a console program: a table of its options, from which they are read and
// --help is printed. An option's value is the next word, whatever it begins with, or what follows
// `=`; `--` ends the options.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <functional>
#include <iomanip>
#include <iostream>
#include <numeric>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <ottla/base/abi.hpp>
#include <ottla/base/status.hpp>
#include <ottla/base/topic_partition.hpp>

namespace console {

inline constexpr int usage_error = 2;  ///< a program's exit code when it was called wrongly

struct Option {
  std::string name;   ///< with its dashes
  std::string value;  ///< what --help calls its value; empty: it takes none
  std::string about;
  /// Takes the value (empty for an option without); answers what is wrong with it, or nothing.
  std::function<std::string(std::string_view)> take;
};

inline Option text_option(std::string name, std::string value, std::string about,
                          std::string& into) {
  return {std::move(name), std::move(value), std::move(about), [&into](std::string_view text) {
            into = text;
            return std::string(text.empty() ? "it may not be empty" : "");
          }};
}

/// A whole number from `least` on.
template <class Int>
Option number_option(std::string name, std::string value, std::string about, Int& into,
                     std::type_identity_t<Int> least = 1) {
  return {std::move(name), std::move(value), std::move(about),
          [&into, least](std::string_view text) -> std::string {
            const char* end = text.data() + text.size();
            const auto [stop, problem] = std::from_chars(text.data(), end, into);
            return problem == std::errc() && stop == end && into >= least
                       ? ""
                       : "not a number from " + std::to_string(least) + " on";
          }};
}

inline Option topic_option(std::string& into) {
  return {"--topic", "T", "the topic's name", [&into](std::string_view text) {
            into = text;
            return std::string(ottla::sv(ottla::check_topic_name(text).message()));
          }};
}

inline Option flag_option(std::string name, std::string about, bool& into) {
  return {std::move(name), "", std::move(about), [&into](std::string_view) {
            into = true;
            return std::string();
          }};
}

/// One line of cause, one of remedy where there is one: what follows the last "; ".
inline void complain(std::string_view problem) {
  const std::size_t end = problem.rfind("; ");
  std::cout.flush();
  std::cerr << "error: " << problem.substr(0, end) << '\n';
  if (end != std::string_view::npos) {
    std::cerr << "  " << problem.substr(end + 2) << '\n';
  }
}

class CommandLine {
 public:
  /// `synopsis`: the lines under "usage:"; `notes`: what --help says below the options.
  CommandLine(std::string program, std::string synopsis, std::string notes,
              std::vector<Option> options)
      : program_(std::move(program)),
        synopsis_(std::move(synopsis)),
        notes_(std::move(notes)),
        options_(std::move(options)) {}

  /// The words that are no options; or, where the program is to end, its exit code in `exit_code`.
  std::optional<std::vector<std::string>> read(int argc, char** argv, int& exit_code) const {
    std::vector<std::string> operands;
    std::set<const Option*> given;
    exit_code = usage_error;
    for (int i = 1; i < argc; ++i) {
      const std::string_view word = argv[i];
      if (word == "--") {
        operands.insert(operands.end(), argv + i + 1, argv + argc);
        break;
      }
      if (!word.starts_with("-") || word == "-") {
        operands.emplace_back(word);
        continue;
      }
      if (word == "--help" || word == "-h" || word == "--version") {
        word == "--version" ? print_version() : print_help();
        exit_code = std::cout.flush() ? EXIT_SUCCESS : EXIT_FAILURE;
        return std::nullopt;
      }
      const char* next = i + 1 < argc ? argv[i + 1] : nullptr;
      const std::optional<bool> took_next = take(word, next, given);
      if (!took_next) {
        return std::nullopt;
      }
      i += *took_next ? 1 : 0;
    }
    return operands;
  }

  int wrong(std::string_view problem) const {
    const bool has_remedy = problem.find("; ") != std::string_view::npos;
    complain(std::string(problem) +
             (!has_remedy              ? "; "
              : problem.ends_with('?') ? " Or "
                                       : ", ") +
             "see " + program_ + " --help");
    return usage_error;
  }

 private:
  /// Whether the next word was the value; nothing when something is wrong, which was said then.
  std::optional<bool> take(std::string_view word, const char* next,
                           std::set<const Option*>& given) const {
    const std::string_view name = word.substr(0, word.find('='));
    const auto option = std::find_if(options_.begin(), options_.end(),
                                     [&](const Option& one) { return one.name == name; });
    if (option == options_.end()) {
      return refuse("unknown option " + std::string(name) + hint(name));
    }
    if (!given.insert(&*option).second) {
      return refuse(option->name + " is given twice; give it once");
    }
    const bool is_flag = option->value.empty();
    const bool has_own = name.size() < word.size();
    if (is_flag && has_own) {
      return refuse(option->name + " takes no value");
    }
    if (!is_flag && !has_own && next == nullptr) {
      return refuse(option->name + " needs a value; write " + option->name + " " + option->value);
    }
    const std::string_view value = has_own   ? word.substr(name.size() + 1)
                                   : is_flag ? std::string_view()
                                             : std::string_view(next);
    if (const std::string problem = option->take(value); !problem.empty()) {
      return refuse(option->name + " '" + std::string(value) + "': " + problem);
    }
    return !is_flag && !has_own;
  }

  std::optional<bool> refuse(const std::string& problem) const {
    wrong(problem);
    return std::nullopt;
  }

  /// The nearest known option, where one is near.
  std::string hint(std::string_view name) const {
    const auto far = [&](const Option& option) { return distance(name, option.name); };
    const auto nearest =
        std::min_element(options_.begin(), options_.end(),
                         [&](const Option& a, const Option& b) { return far(a) < far(b); });
    return nearest == options_.end() || far(*nearest) > std::max<std::size_t>(2, name.size() / 3)
               ? std::string()
               : "; did you mean " + nearest->name + "?";
  }

  /// How many characters are to be changed, added or dropped.
  static std::size_t distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 0; i < a.size(); ++i) {
      std::size_t diagonal = std::exchange(row[0], i + 1);
      for (std::size_t j = 0; j < b.size(); ++j) {
        const std::size_t change = diagonal + (a[i] == b[j] ? 0 : 1);
        diagonal = std::exchange(row[j + 1], std::min({change, row[j] + 1, row[j + 1] + 1}));
      }
    }
    return row.back();
  }

  void print_version() const { std::cout << program_ << " (Ottla) " << OTTLA_VERSION << '\n'; }

  void print_help() const {
    std::cout << "usage: " << synopsis_ << "\n\n";
    std::size_t width = 0;
    for (const Option& option : options_) {
      width = std::max(width, option.name.size() + 1 + option.value.size());
    }
    const auto print = [&](const std::string& left, const std::string& right) {
      std::cout << "  " << std::left << std::setw(static_cast<int>(width) + 2) << left << right
                << '\n';
    };
    for (const Option& option : options_) {
      print(option.name + " " + option.value, option.about);
    }
    print("--help, --version", "this text; the version");
    std::cout << '\n' << notes_;
  }

  std::string program_;
  std::string synopsis_;
  std::string notes_;
  std::vector<Option> options_;
};

}  // namespace console
