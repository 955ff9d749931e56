// SPDX-License-Identifier: Apache-2.0
//
// Lines of inputs that were not taken, told as ranges.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>
#include <tuple>
#include <vector>

#include "command_line.hpp"

namespace console {

class FailedLines {
 public:
  enum class How { failed, unknown };  ///< unknown: the line may be there

  /// The inputs are ordered as they are read; lines are added in any order.
  void add(std::size_t input, std::uint64_t line, How how) {
    if (!ranges_.empty() && ranges_.back().goes_on_with(input, line, how)) {
      ranges_.back().last = line;
    } else {
      ranges_.push_back({input, line, line, how});
    }
  }

  /// Where there are many ranges, what is behind the first is summed up by input.
  void tell(const std::vector<std::string>& labels) {
    merge();
    for (std::size_t i = 0; i < ranges_.size();) {
      const Range& range = ranges_[i];
      const std::string& label = labels[range.input];
      const auto end = std::find_if(ranges_.begin() + static_cast<std::ptrdiff_t>(i), ranges_.end(),
                                    [&](const Range& other) { return other.input != range.input; });
      if (i < shown || end - ranges_.begin() == static_cast<std::ptrdiff_t>(i + 1)) {
        complain(label + ": " + place(range) +
                 (range.how == How::failed ? " failed" : " may have been written, or not"));
        ++i;
        continue;
      }
      std::uint64_t count = 0;
      bool all_known = true;
      for (; ranges_.begin() + static_cast<std::ptrdiff_t>(i) != end; ++i) {
        count += ranges_[i].last - ranges_[i].first + 1;
        all_known = all_known && ranges_[i].how == How::failed;
      }
      const Range all{range.input, range.first, std::prev(end)->last, range.how};
      complain(label + ": " + std::to_string(count) + " of the " + place(all) +
               (all_known ? " failed" : " failed, or may have been written"));
    }
  }

 private:
  static constexpr std::size_t shown = 10;

  struct Range {
    std::size_t input;
    std::uint64_t first;
    std::uint64_t last;
    How how;

    bool goes_on_with(std::size_t other, std::uint64_t line, How other_how) const {
      return input == other && last + 1 == line && how == other_how;
    }
  };

  static std::string place(const Range& range) {
    return range.first == range.last
               ? "line " + std::to_string(range.first)
               : "lines " + std::to_string(range.first) + "-" + std::to_string(range.last);
  }

  void merge() {
    std::sort(ranges_.begin(), ranges_.end(), [](const Range& a, const Range& b) {
      return std::tie(a.input, a.first) < std::tie(b.input, b.first);
    });
    std::vector<Range> merged;
    for (const Range& range : ranges_) {
      if (!merged.empty() && merged.back().goes_on_with(range.input, range.first, range.how)) {
        merged.back().last = range.last;
      } else {
        merged.push_back(range);
      }
    }
    ranges_ = std::move(merged);
  }

  std::vector<Range> ranges_;
};

}  // namespace console
