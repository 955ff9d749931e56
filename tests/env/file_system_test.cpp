// SPDX-License-Identifier: Apache-2.0
//
// The contract of File and FileSystem, asked of each model and wrapper.
#include <ottla/base/status.hpp>

#include "tests/env/file_system_subjects.hpp"
#include "tests/support/catch.hpp"

using namespace ottla;

namespace {

constexpr IoReason why = IoReason::other;

template <class File>
std::string content(const File& file, std::size_t limit = 1 << 20) {
  std::string text(limit, '?');
  const auto size = file.read(0, std::as_writable_bytes(std::span(text)));
  REQUIRE(size.ok());
  text.resize(*size);
  return text;
}

template <class File>
void write(File& file, std::int64_t position, std::string_view text) {
  const Bytes piece = as_bytes(text);
  REQUIRE(file.write(position, std::span(&piece, 1), why).ok());
}

template <class Fs>
auto make_file(Fs& fs, const std::string& path, std::string_view text = {}) {
  auto file = fs.open(path, OpenMode::create_new, why);
  REQUIRE(file.ok());
  write(*file, 0, text);
  return *std::move(file);
}

template <class Fs>
std::string text_of(Fs& fs, const std::string& path) {
  const auto file = fs.open(path, OpenMode::read, why);
  REQUIRE(file.ok());
  return content(*file);
}

template <class Fs>
std::string listing(Fs& fs, const std::string& path) {
  const auto entries = fs.list(path);
  REQUIRE(entries.ok());
  std::string text;
  for (const DirectoryEntry& entry : *entries) {
    text += entry.name + (entry.kind == FileKind::directory ? "/ " : " ");
  }
  return text;
}

}  // namespace

#ifndef FILE_SYSTEMS  // another folder's model asks it of itself
#define FILE_SYSTEMS                                                                 \
  PosixSubject, CrampedPosixSubject, MemorySubject, AnySubject<CrampedPosixSubject>, \
      AnySubject<MemorySubject>, FaultSubject<PosixSubject>,                         \
      AnySubject<FaultSubject<MemorySubject>>
#endif

TEMPLATE_TEST_CASE("a new file is empty, and reads back what was written", "[env]", FILE_SYSTEMS) {
  TestType s;
  auto file = make_file(s.fs, s / "a");
  CHECK(*file.size() == 0);
  CHECK(content(file).empty());
  write(file, 0, "hello");
  write(file, 5, " world");
  CHECK(content(file) == "hello world");
  CHECK(*file.size() == 11);
  write(file, 6, "there!!");
  CHECK(content(file) == "hello there!!");
  CHECK(file.sync(why).ok());
  CHECK(file.close().ok());
  CHECK(text_of(s.fs, s / "a") == "hello there!!");
}

TEMPLATE_TEST_CASE("reads are short at the end of the file only", "[env]", FILE_SYSTEMS) {
  TestType s;
  const auto file = make_file(s.fs, s / "a", "0123456789");
  std::byte into[8];
  CHECK(*file.read(0, into) == 8);
  CHECK(as_string_view(into) == "01234567");
  CHECK(*file.read(7, into) == 3);
  CHECK(*file.read(10, into) == 0);
  CHECK(*file.read(1'000'000'000'000, into) == 0);
  CHECK(*file.read(3, MutableBytes()) == 0);
  CHECK(fault(file.read(-1, into).status()) == Fault::invalid_argument);
}

TEMPLATE_TEST_CASE("pieces are written one after the other, empty ones too", "[env]",
                   FILE_SYSTEMS) {
  TestType s;
  auto file = make_file(s.fs, s / "a");
  std::string expected;
  std::vector<std::string> texts;
  for (int i = 0; i < 3000; ++i) {
    texts.push_back(std::string(static_cast<std::size_t>(i % 7), static_cast<char>('a' + i % 26)));
    expected += texts.back();
  }
  std::vector<Bytes> pieces;
  for (const std::string& text : texts) {
    pieces.push_back(as_bytes(text));
  }
  REQUIRE(file.write(0, pieces, why).ok());
  CHECK(content(file) == expected);
  REQUIRE(file.write(0, {}, why).ok());
  CHECK(*file.size() == static_cast<std::int64_t>(expected.size()));
  const Bytes one = as_bytes("x");
  CHECK(fault(file.write(-1, std::span(&one, 1), why)) == Fault::invalid_argument);
}

TEMPLATE_TEST_CASE("a hole reads as zeros, however it came to be", "[env]", FILE_SYSTEMS) {
  TestType s;
  auto file = make_file(s.fs, s / "a", "secret");
  REQUIRE(file.truncate(2, why).ok());
  write(file, 5, "x");
  CHECK(content(file) == std::string("se\0\0\0x", 6));
  REQUIRE(file.truncate(1, why).ok());
  REQUIRE(file.truncate(4, why).ok());
  CHECK(content(file) == std::string("s\0\0\0", 4));
  write(file, 700'000, "y");
  const std::string text = content(file);
  REQUIRE(text.size() == 700'001);
  CHECK(text.find_first_not_of('\0', 1) == 700'000);
  write(file, 300'000, "z");
  CHECK(content(file).find('z') == 300'000);
  CHECK(content(file).find_first_not_of('\0', 300'001) == 700'000);
}

TEMPLATE_TEST_CASE("random writes, cuts and reads agree with a string", "[env]", FILE_SYSTEMS) {
  TestType s;
  auto file = make_file(s.fs, s / "a");
  std::string model;
  std::uint64_t state = 42;
  const auto below = [&](std::uint64_t limit) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<std::size_t>((state >> 33) % limit);
  };
  for (int step = 0; step < 400; ++step) {
    const std::size_t position = below(4) == 0 ? below(900'000) : model.size();
    if (below(8) == 0) {
      const std::size_t size = below(model.size() + 1000);
      REQUIRE(file.truncate(static_cast<std::int64_t>(size), why).ok());
      model.resize(size, '\0');
    } else {
      const std::string text(below(step % 50 == 0 ? 600'000 : 3000),
                             static_cast<char>('a' + step % 26));
      write(file, static_cast<std::int64_t>(position), text);
      if (!text.empty()) {
        model.resize(std::max(model.size(), position + text.size()), '\0');
        model.replace(position, text.size(), text);
      }
    }
    REQUIRE(*file.size() == static_cast<std::int64_t>(model.size()));
    const std::size_t from = below(model.size() + 1);
    std::string part(below(300'000), '?');
    const auto size =
        file.read(static_cast<std::int64_t>(from), std::as_writable_bytes(std::span(part)));
    REQUIRE(size.ok());
    part.resize(*size);
    REQUIRE(part == model.substr(from, part.size()));
  }
  CHECK(content(file, model.size() + 1) == model);
}

TEMPLATE_TEST_CASE("each mode of opening says what it found", "[env]", FILE_SYSTEMS) {
  TestType s;
  for (const OpenMode mode : {OpenMode::read, OpenMode::read_write}) {
    const auto missing = s.fs.open(s / "a", mode, why);
    CHECK(fault(missing.status()) == Fault::not_found);
    CHECK(missing.status().message().find("a: No such file") != std::string::npos);
  }
  make_file(s.fs, s / "a", "kept");
  CHECK(fault(s.fs.open(s / "a", OpenMode::create_new, why).status()) == Fault::already_exists);
  CHECK(content(*s.fs.open(s / "a", OpenMode::create, why)) == "kept");
  CHECK(content(*s.fs.open(s / "a", OpenMode::read_write, why)) == "kept");
  CHECK(s.fs.open(s / "b", OpenMode::create, why).ok());
  CHECK(listing(s.fs, s / "") == "a b ");

  auto reading = s.fs.open(s / "a", OpenMode::read, why);
  const Bytes one = as_bytes("x");
  CHECK_FALSE(reading->write(0, std::span(&one, 1), why).ok());
  CHECK_FALSE(reading->truncate(0, why).ok());
  CHECK(content(*reading) == "kept");
}

TEMPLATE_TEST_CASE("what is no file is not opened as one", "[env]", FILE_SYSTEMS) {
  TestType s;
  REQUIRE(s.fs.create_directory(s / "d", why).ok());
  for (const OpenMode mode : {OpenMode::read, OpenMode::read_write, OpenMode::create}) {
    CHECK(fault(s.fs.open(s / "d", mode, why).status()) == Fault::invalid_argument);
  }
  make_file(s.fs, s / "f");
  CHECK(fault(s.fs.open(s / "f/x", OpenMode::create, why).status()) == Fault::not_found);
  CHECK(fault(s.fs.open(s / "no/x", OpenMode::create, why).status()) == Fault::not_found);
  CHECK(fault(s.fs.open("", OpenMode::create, why).status()) == Fault::invalid_argument);
  const std::string zero("a\0b", 3);
  CHECK(fault(s.fs.open(s / zero, OpenMode::create, why).status()) == Fault::invalid_argument);
  CHECK(fault(s.fs.open(s / std::string(300, 'n'), OpenMode::create, why).status()) ==
        Fault::invalid_argument);
}

TEMPLATE_TEST_CASE("status tells kind, size and time", "[env]", FILE_SYSTEMS) {
  TestType s;
  make_file(s.fs, s / "a", "12345");
  REQUIRE(s.fs.create_directory(s / "d", why).ok());
  CHECK(s.fs.status(s / "a")->kind == FileKind::file);
  CHECK(s.fs.status(s / "a")->size == 5);
  CHECK(s.fs.status(s / "a")->modified >= Timestamp(1'600'000'000'000));
  CHECK(s.fs.status(s / "d")->kind == FileKind::directory);
  CHECK(fault(s.fs.status(s / "b").status()) == Fault::not_found);
  for (const Timestamp time : {Timestamp(1'234'567'890'123), Timestamp(0), Timestamp(-1'501)}) {
    REQUIRE(s.fs.set_modified(s / "a", time).ok());
    CHECK(s.fs.status(s / "a")->modified == time);
  }
  CHECK(fault(s.fs.set_modified(s / "b", Timestamp(1))) == Fault::not_found);
}

TEMPLATE_TEST_CASE("a directory lists its entries by name", "[env]", FILE_SYSTEMS) {
  TestType s;
  for (const char* name : {"b", "a", "c-1", "c"}) {
    make_file(s.fs, s / name);
  }
  REQUIRE(s.fs.create_directory(s / "bb", why).ok());
  make_file(s.fs, s / "bb/deep");
  CHECK(listing(s.fs, s / "") == "a b bb/ c c-1 ");
  CHECK(listing(s.fs, s / "bb") == "deep ");
  CHECK(fault(s.fs.list(s / "no").status()) == Fault::not_found);
  CHECK(fault(s.fs.list(s / "a").status()) == Fault::not_found);
  CHECK(s.fs.sync_directory(s / "bb", why).ok());
  CHECK(fault(s.fs.sync_directory(s / "no", why)) == Fault::not_found);
}

TEMPLATE_TEST_CASE("directories are made one level at a time, and removed when empty", "[env]",
                   FILE_SYSTEMS) {
  TestType s;
  CHECK(fault(s.fs.create_directory(s / "a/b", why)) == Fault::not_found);
  REQUIRE(s.fs.create_directory(s / "a", why).ok());
  REQUIRE(s.fs.create_directory(s / "a/b", why).ok());
  CHECK(fault(s.fs.create_directory(s / "a", why)) == Fault::already_exists);
  make_file(s.fs, s / "f");
  CHECK(fault(s.fs.create_directory(s / "f", why)) == Fault::already_exists);
  CHECK(fault(s.fs.remove_directory(s / "a", why)) == Fault::already_exists);
  CHECK(fault(s.fs.remove(s / "a", why)) == Fault::invalid_argument);
  CHECK(fault(s.fs.remove_directory(s / "f", why)) == Fault::not_found);
  CHECK(s.fs.remove_directory(s / "a/b", why).ok());
  CHECK(s.fs.remove_directory(s / "a", why).ok());
  CHECK(fault(s.fs.remove_directory(s / "a", why)) == Fault::not_found);
  CHECK(s.fs.remove(s / "f", why).ok());
  CHECK(fault(s.fs.remove(s / "f", why)) == Fault::not_found);
  CHECK(listing(s.fs, s / "").empty());
}

TEMPLATE_TEST_CASE("rename replaces a file and keeps what is open", "[env]", FILE_SYSTEMS) {
  TestType s;
  auto old = make_file(s.fs, s / "a", "old");
  auto fresh = make_file(s.fs, s / "a.tmp", "fresh");
  auto unrelated = make_file(s.fs, s / "b", "b");
  REQUIRE(s.fs.rename(s / "a.tmp", s / "a", why).ok());
  CHECK(listing(s.fs, s / "") == "a b ");
  CHECK(text_of(s.fs, s / "a") == "fresh");
  CHECK(content(unrelated) == "b");
  CHECK(content(old) == "old");
  CHECK(content(fresh) == "fresh");
  write(fresh, 5, "er");
  write(old, 3, "er");
  CHECK(content(unrelated) == "b");
  CHECK(text_of(s.fs, s / "a") == "fresher");
  CHECK(content(old) == "older");
  CHECK(s.fs.rename(s / "a", s / "a", why).ok());
  CHECK(fault(s.fs.rename(s / "no", s / "a", why)) == Fault::not_found);
  CHECK(fault(s.fs.rename(s / "a", s / "no/a", why)) == Fault::not_found);
}

TEMPLATE_TEST_CASE("files stay usable when a directory above them is renamed", "[env]",
                   FILE_SYSTEMS) {
  TestType s;
  for (const char* name : {"p", "p/q", "p-1", "p.x"}) {
    REQUIRE(s.fs.create_directory(s / name, why).ok());
  }
  auto near = make_file(s.fs, s / "p/f", "near");
  auto far = make_file(s.fs, s / "p/q/f", "far");
  auto beside = make_file(s.fs, s / "p-1/f", "beside");
  REQUIRE(s.fs.rename(s / "p", s / "p.0-delete", why).ok());
  make_file(s.fs, s / "again");
  CHECK(content(near) == "near");
  CHECK(content(far) == "far");
  CHECK(content(beside) == "beside");
  write(far, 3, "ther");
  CHECK(text_of(s.fs, s / "p.0-delete/q/f") == "farther");
  REQUIRE(s.fs.rename(s / "p.0-delete/f", s / "p.0-delete/f.deleted", why).ok());
  CHECK(content(beside) == "beside");
  CHECK(content(near) == "near");
  REQUIRE(s.fs.rename(s / "p.0-delete/f.deleted", s / "p-1/g", why).ok());
  CHECK(content(beside) == "beside");
  CHECK(content(near) == "near");
  CHECK(listing(s.fs, s / "p-1") == "f g ");
}

TEMPLATE_TEST_CASE("rename keeps to the rules of directories", "[env]", FILE_SYSTEMS) {
  TestType s;
  make_file(s.fs, s / "f");
  for (const char* name : {"empty", "full", "d"}) {
    REQUIRE(s.fs.create_directory(s / name, why).ok());
  }
  make_file(s.fs, s / "full/f");
  make_file(s.fs, s / "d/mine");
  CHECK(fault(s.fs.rename(s / "f", s / "empty", why)) == Fault::invalid_argument);
  CHECK(fault(s.fs.rename(s / "d", s / "f", why)) == Fault::not_found);
  CHECK(fault(s.fs.rename(s / "d", s / "full", why)) == Fault::already_exists);
  CHECK(fault(s.fs.rename(s / "d", s / "d/in", why)) == Fault::invalid_argument);
  CHECK(s.fs.rename(s / "d", s / "empty", why).ok());
  CHECK(listing(s.fs, s / "") == "empty/ f full/ ");
  CHECK(listing(s.fs, s / "empty") == "mine ");
}

TEMPLATE_TEST_CASE("a removed file stays usable while it is open", "[env]", FILE_SYSTEMS) {
  TestType s;
  auto gone = make_file(s.fs, s / "a", "first");
  auto too = s.fs.open(s / "a", OpenMode::read, why);
  REQUIRE(s.fs.remove(s / "a", why).ok());
  auto next = make_file(s.fs, s / "a", "second");
  auto other = make_file(s.fs, s / "b", "b");
  CHECK(content(other) == "b");
  CHECK(content(next) == "second");
  write(gone, 5, "!");
  CHECK(content(*too) == "first!");
  CHECK(gone.sync(why).ok());
  CHECK(gone.close().ok());
  CHECK(content(next) == "second");
}

TEMPLATE_TEST_CASE("a closed file answers that it is closed", "[env]", FILE_SYSTEMS) {
  TestType s;
  auto file = make_file(s.fs, s / "a", "x");
  auto moved = std::move(file);
  CHECK(fault(file.sync(why)) == Fault::closed);
  CHECK(moved.close().ok());
  CHECK(fault(moved.close()) == Fault::closed);
  CHECK(fault(moved.size().status()) == Fault::closed);
  CHECK(fault(moved.read(0, {}).status()) == Fault::closed);
  CHECK(fault(moved.write(0, {}, why)) == Fault::closed);
  CHECK(fault(moved.truncate(0, why)) == Fault::closed);
  CHECK(fault(moved.reserve(0, why)) == Fault::closed);
}

TEMPLATE_TEST_CASE("room may be reserved without a change of size", "[env]", FILE_SYSTEMS) {
  TestType s;
  auto file = make_file(s.fs, s / "a", "x");
  const absl::Status reserved = file.reserve(100'000, why);
  CHECK((reserved.ok() || fault(reserved) == Fault::unsupported));
  CHECK(*file.size() == 1);
  CHECK(fault(file.reserve(-1, why)) == Fault::invalid_argument);
}

TEMPLATE_TEST_CASE("a lock excludes others until it is destroyed", "[env]", FILE_SYSTEMS) {
  TestType s;
  {
    const auto lock = s.fs.lock(s / ".lock");
    REQUIRE(lock.ok());
    const auto second = s.fs.lock(s / ".lock");
    CHECK(fault(second.status()) == Fault::locked);
    CHECK(second.status().message().find(".lock") != std::string::npos);
    CHECK(s.fs.lock(s / "another").ok());
  }
  CHECK(listing(s.fs, s / "") == ".lock another ");
  auto lock = s.fs.lock(s / ".lock");
  REQUIRE(lock.ok());
  {
    auto moved = *std::move(lock);
    CHECK_FALSE(s.fs.lock(s / ".lock").ok());
  }
  CHECK(s.fs.lock(s / ".lock").ok());
  CHECK(fault(s.fs.lock(s / "no/.lock").status()) == Fault::not_found);
}

TEMPLATE_TEST_CASE("a volume is the same for what lies on it", "[env]", FILE_SYSTEMS) {
  TestType s;
  make_file(s.fs, s / "a");
  const auto volume = s.fs.volume(s / "a");
  REQUIRE(volume.ok());
  CHECK_FALSE(volume->boot_id.empty());
  CHECK(*volume == *s.fs.volume(s / ""));
  CHECK(fault(s.fs.volume(s / "no").status()) == Fault::not_found);
}

TEMPLATE_TEST_CASE("one spelling of a path is as good as another", "[env]", FILE_SYSTEMS) {
  TestType s;
  REQUIRE(s.fs.create_directory(s / "d/", why).ok());
  auto file = make_file(s.fs, s / "d//f", "text");
  REQUIRE(s.fs.rename(s / "./d/./f", s / "g", why).ok());
  make_file(s.fs, s / "other");
  CHECK(content(file) == "text");
  CHECK(text_of(s.fs, s / "d/../g") == "text");
}
