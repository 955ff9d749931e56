// SPDX-License-Identifier: Apache-2.0
//
// Lines of a descriptor as they are: any bytes between two line feeds, a carriage return is kept,
// the last line needs no line feed. It never waits: `readable` tells whether there is something, so
// that a program can wait for other things too.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include <poll.h>
#include <unistd.h>

namespace console {

class LineSource {
 public:
  /// Lines longer than `max_line` bytes come out cut, as `is_long()`.
  LineSource(int descriptor, std::size_t max_line) : descriptor_(descriptor), max_line_(max_line) {}

  enum class Got { line, nothing_yet, end, error };

  /// `line()` is valid until the next call.
  Got next() {
    while (true) {
      if (take_line()) {
        return Got::line;
      }
      if (at_end_) {
        return Got::end;
      }
      if (!readable()) {
        return Got::nothing_yet;
      }
      if (!refill()) {
        return Got::error;
      }
    }
  }
  std::string_view line() const { return line_; }
  bool is_long() const { return is_long_; }
  int descriptor() const { return descriptor_; }
  /// After an error.
  std::string problem() const { return std::strerror(error_); }

 private:
  static constexpr std::size_t piece = 256 << 10;

  bool readable() const {
    pollfd one = {.fd = descriptor_, .events = POLLIN, .revents = 0};
    return ::poll(&one, 1, 0) > 0;
  }

  bool take_line() {
    const std::string_view rest(buffer_.data() + begin_, end_ - begin_);
    const std::size_t feed = rest.find('\n', looked_at_);
    const bool ends = feed != std::string_view::npos;
    if (!ends && !(at_end_ && (!rest.empty() || dropped_))) {
      looked_at_ = rest.size();
      if (rest.size() > max_line_) {  // the rest of it goes by unseen
        dropped_ = true;
        end_ = begin_ + max_line_;
        looked_at_ = max_line_;
      }
      return false;
    }
    line_ = rest.substr(0, feed);
    is_long_ = dropped_ || line_.size() > max_line_;
    begin_ += ends ? feed + 1 : rest.size();
    looked_at_ = 0;
    dropped_ = false;
    return true;
  }

  bool refill() {
    if (begin_ > 0) {
      std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
      end_ -= begin_;
      begin_ = 0;
    }
    if (buffer_.size() < end_ + piece) {
      buffer_.resize(end_ + piece);
    }
    const ssize_t got = ::read(descriptor_, buffer_.data() + end_, piece);
    if (got < 0) {
      error_ = errno;
      return error_ == EINTR || error_ == EAGAIN;
    }
    at_end_ = got == 0;
    end_ += static_cast<std::size_t>(got);
    return true;
  }

  int descriptor_;
  std::size_t max_line_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::size_t looked_at_ = 0;  // of what is left, without a line feed
  bool dropped_ = false;       // some of the line that is being read
  bool at_end_ = false;
  bool is_long_ = false;
  std::string_view line_;
  int error_ = 0;
};

}  // namespace console
