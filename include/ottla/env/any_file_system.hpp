// SPDX-License-Identifier: Apache-2.0
//
// Any file system behind one type, so that files on disk or in memory are a choice of the running
// program:
//   AnyFileSystem files = in_memory ? AnyFileSystem(MemoryFileSystem()) :
//   AnyFileSystem(PosixFileSystem());
// One virtual call an operation.
#pragma once

#include <memory>
#include <type_traits>
#include <utility>

#include <ottla/base/ref.hpp>
#include <ottla/base/status.hpp>
#include <ottla/env/file_system.hpp>

namespace ottla::inline OTTLA_ABI {

class AnyFile {
 public:
  template <class F>
  requires(!std::same_as<F, AnyFile> && File<F>) explicit AnyFile(F file)
      : model_(std::make_unique<ModelOf<F>>(std::move(file))) {}

  absl::StatusOr<std::size_t> read(std::int64_t position, MutableBytes into) const {
    return model_ ? model_->read(position, into) : absl::StatusOr<std::size_t>(closed());
  }
  absl::Status write(std::int64_t position, std::span<const Bytes> pieces, IoReason why) {
    return model_ ? model_->write(position, pieces, why) : closed();
  }
  absl::StatusOr<std::int64_t> size() const {
    return model_ ? model_->size() : absl::StatusOr<std::int64_t>(closed());
  }
  absl::Status truncate(std::int64_t size, IoReason why) {
    return model_ ? model_->truncate(size, why) : closed();
  }
  absl::Status sync(IoReason why) { return model_ ? model_->sync(why) : closed(); }
  absl::Status reserve(std::int64_t size, IoReason why) {
    return model_ ? model_->reserve(size, why) : closed();
  }
  void rest() {
    if (model_) {
      model_->rest();
    }
  }
  absl::Status close() {
    const std::unique_ptr<Model> model = std::move(model_);
    return model ? model->close() : closed();
  }

 private:
  struct Model {
    virtual ~Model() = default;
    virtual absl::StatusOr<std::size_t> read(std::int64_t position, MutableBytes into) const = 0;
    virtual absl::Status write(std::int64_t position, std::span<const Bytes> pieces,
                               IoReason why) = 0;
    virtual absl::StatusOr<std::int64_t> size() const = 0;
    virtual absl::Status truncate(std::int64_t size, IoReason why) = 0;
    virtual absl::Status sync(IoReason why) = 0;
    virtual absl::Status reserve(std::int64_t size, IoReason why) = 0;
    virtual void rest() = 0;
    virtual absl::Status close() = 0;
  };

  template <class F>
  struct ModelOf final : Model {
    explicit ModelOf(F its_file) : file(std::move(its_file)) {}
    absl::StatusOr<std::size_t> read(std::int64_t position, MutableBytes into) const override {
      return file.read(position, into);
    }
    absl::Status write(std::int64_t position, std::span<const Bytes> pieces,
                       IoReason why) override {
      return file.write(position, pieces, why);
    }
    absl::StatusOr<std::int64_t> size() const override { return file.size(); }
    absl::Status truncate(std::int64_t size, IoReason why) override {
      return file.truncate(size, why);
    }
    absl::Status sync(IoReason why) override { return file.sync(why); }
    absl::Status reserve(std::int64_t size, IoReason why) override {
      return file.reserve(size, why);
    }
    void rest() override { file.rest(); }
    absl::Status close() override { return file.close(); }

    F file;
  };

  static absl::Status closed() {
    return error(Fault::closed, "the file was closed or moved from; open it again");
  }

  std::unique_ptr<Model> model_;
};

class AnyLock {
 public:
  template <class L>
  requires(!std::same_as<L, AnyLock>) explicit AnyLock(L lock)
      : model_(std::make_unique<ModelOf<L>>(std::move(lock))) {}

 private:
  struct Model {
    virtual ~Model() = default;
  };
  template <class L>
  struct ModelOf final : Model {
    explicit ModelOf(L its_lock) : lock(std::move(its_lock)) {}
    L lock;
  };

  std::unique_ptr<Model> model_;
};

/// Thread-safe. Copies are handles of one file system.
class AnyFileSystem {
 public:
  using File = AnyFile;
  using Lock = AnyLock;

  template <class Fs>
  requires(!std::same_as<Fs, AnyFileSystem> &&
           FileSystem<Fs>) explicit AnyFileSystem(Fs file_system)
      : model_(make_ref<ModelOf<Fs>>(std::move(file_system))) {}

  absl::StatusOr<AnyFile> open(std::string_view path, OpenMode mode, IoReason why) {
    return model_->open(path, mode, why);
  }
  absl::StatusOr<FileStatus> status(std::string_view path) { return model_->status(path); }
  absl::StatusOr<std::vector<DirectoryEntry>> list(std::string_view path) {
    return model_->list(path);
  }
  absl::Status create_directory(std::string_view path, IoReason why) {
    return model_->create_directory(path, why);
  }
  absl::Status rename(std::string_view path, std::string_view to, IoReason why) {
    return model_->rename(path, to, why);
  }
  absl::Status remove(std::string_view path, IoReason why) { return model_->remove(path, why); }
  absl::Status remove_directory(std::string_view path, IoReason why) {
    return model_->remove_directory(path, why);
  }
  absl::Status sync_directory(std::string_view path, IoReason why) {
    return model_->sync_directory(path, why);
  }
  absl::Status set_modified(std::string_view path, Timestamp time) {
    return model_->set_modified(path, time);
  }
  absl::StatusOr<AnyLock> lock(std::string_view path) { return model_->lock(path); }
  absl::StatusOr<VolumeId> volume(std::string_view path) { return model_->volume(path); }

 private:
  struct Model : Counted {
    virtual absl::StatusOr<AnyFile> open(std::string_view path, OpenMode mode, IoReason why) = 0;
    virtual absl::StatusOr<FileStatus> status(std::string_view path) = 0;
    virtual absl::StatusOr<std::vector<DirectoryEntry>> list(std::string_view path) = 0;
    virtual absl::Status create_directory(std::string_view path, IoReason why) = 0;
    virtual absl::Status rename(std::string_view path, std::string_view to, IoReason why) = 0;
    virtual absl::Status remove(std::string_view path, IoReason why) = 0;
    virtual absl::Status remove_directory(std::string_view path, IoReason why) = 0;
    virtual absl::Status sync_directory(std::string_view path, IoReason why) = 0;
    virtual absl::Status set_modified(std::string_view path, Timestamp time) = 0;
    virtual absl::StatusOr<AnyLock> lock(std::string_view path) = 0;
    virtual absl::StatusOr<VolumeId> volume(std::string_view path) = 0;
  };

  template <class Fs>
  struct ModelOf final : Model {
    explicit ModelOf(Fs its_fs) : fs(std::move(its_fs)) {}
    absl::StatusOr<AnyFile> open(std::string_view path, OpenMode mode, IoReason why) override {
      OTTLA_ASSIGN(auto file, fs.open(path, mode, why));
      return AnyFile(std::move(file));
    }
    absl::StatusOr<FileStatus> status(std::string_view path) override { return fs.status(path); }
    absl::StatusOr<std::vector<DirectoryEntry>> list(std::string_view path) override {
      return fs.list(path);
    }
    absl::Status create_directory(std::string_view path, IoReason why) override {
      return fs.create_directory(path, why);
    }
    absl::Status rename(std::string_view path, std::string_view to, IoReason why) override {
      return fs.rename(path, to, why);
    }
    absl::Status remove(std::string_view path, IoReason why) override {
      return fs.remove(path, why);
    }
    absl::Status remove_directory(std::string_view path, IoReason why) override {
      return fs.remove_directory(path, why);
    }
    absl::Status sync_directory(std::string_view path, IoReason why) override {
      return fs.sync_directory(path, why);
    }
    absl::Status set_modified(std::string_view path, Timestamp time) override {
      return fs.set_modified(path, time);
    }
    absl::StatusOr<AnyLock> lock(std::string_view path) override {
      OTTLA_ASSIGN(auto lock, fs.lock(path));
      return AnyLock(std::move(lock));
    }
    absl::StatusOr<VolumeId> volume(std::string_view path) override { return fs.volume(path); }

    Fs fs;
  };

  Ref<Model> model_;
};
static_assert(FileSystem<AnyFileSystem>);

}  // namespace ottla::inline OTTLA_ABI
