#include "checkpoint.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "error.h"

namespace tarl {

namespace {

/// Elements of a tensor that are converted at once on the way to a file (64 MiB in fp32).
constexpr int64_t kPiece = 1 << 24;

at::ScalarType stored_type(const TensorPlace& place) {
  if (place.dtype == "F32") return at::kFloat;
  if (place.dtype == "BF16") return at::kBFloat16;
  if (place.dtype == "F16") return at::kHalf;
  if (place.dtype == "F64") return at::kDouble;
  if (place.dtype == "U8") return at::kByte;
  if (place.dtype == "I16") return at::kShort;
  throw Error("CHECKPOINT",
              place.name + " is stored as " + place.dtype + ", expected F32, BF16, F16, F64, U8 or I16");
}

[[noreturn]] void fail(const char* what, const TensorPlace& place, const std::string& why) {
  throw Error("CHECKPOINT", std::string(what) + " " + place.name + " in " + place.file + ": " + why);
}

void check_bytes(const TensorPlace& place, const at::Tensor& t, at::ScalarType type) {
  const int64_t needed = t.numel() * static_cast<int64_t>(c10::elementSize(type));
  if (needed != place.bytes)
    fail("cannot use", place, std::to_string(place.bytes) + " bytes, expected " + std::to_string(needed));
}

}  // namespace

class MappedFiles::Mapping {
 public:
  explicit Mapping(const TensorPlace& place) {
    const int file = ::open(place.file.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) fail("cannot read", place, std::strerror(errno));
    struct stat info = {};
    const bool known = ::fstat(file, &info) == 0;
    size_ = known ? info.st_size : 0;
    void* data = size_ > 0 ? ::mmap(nullptr, size(), PROT_READ, MAP_PRIVATE, file, 0) : MAP_FAILED;
    const int reason = errno;
    ::close(file);
    if (data == MAP_FAILED)
      fail("cannot read", place, known && size_ == 0 ? "it is empty" : std::strerror(reason));
    data_ = static_cast<char*>(data);
    ::madvise(data_, size(), MADV_SEQUENTIAL);
  }
  ~Mapping() { ::munmap(data_, size()); }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  char* at(const TensorPlace& place) const {
    if (place.offset < 0 || place.bytes < 0 || place.offset > size_ - place.bytes)
      fail("cannot read", place, "the file ends before it");
    return data_ + place.offset;
  }

  /// Gives back the pages that lie wholly inside of what was read.
  void forget(const TensorPlace& place) const {
    const int64_t page = ::sysconf(_SC_PAGESIZE);
    const int64_t first = (place.offset + page - 1) / page * page,
                  last = (place.offset + place.bytes) / page * page;
    if (last > first) ::madvise(data_ + first, static_cast<size_t>(last - first), MADV_DONTNEED);
  }

 private:
  size_t size() const { return static_cast<size_t>(size_); }

  char* data_ = nullptr;
  int64_t size_ = 0;
};

MappedFiles::MappedFiles() = default;
MappedFiles::~MappedFiles() = default;

void MappedFiles::read(const TensorPlace& place, at::Tensor to) {
  const at::NoGradGuard guard;
  const at::ScalarType type = stored_type(place);
  check_bytes(place, to, type);
  if (place.bytes == 0) return;
  std::unique_ptr<Mapping>& file = files_[place.file];
  if (!file) file = std::make_unique<Mapping>(place);
  char* bytes = file->at(place);
  at::Tensor source;
  if (reinterpret_cast<uintptr_t>(bytes) % c10::elementSize(type) == 0) {
    source = at::from_blob(bytes, to.sizes(), type);
  } else {  // the format does not align tensors
    source = at::empty(to.sizes(), type);
    std::memcpy(source.mutable_data_ptr(), bytes, static_cast<size_t>(place.bytes));
  }
  to.copy_(source);
  file->forget(place);
}

void write_part(const TensorPlace& place, int64_t from, const at::Tensor& values) {
  const at::ScalarType type = stored_type(place);
  const int64_t item = static_cast<int64_t>(c10::elementSize(type));
  const at::Tensor bytes = values.detach().to(at::kCPU, type).contiguous();
  const int64_t size = static_cast<int64_t>(bytes.nbytes());
  if (from < 0 || from * item + size > place.bytes) fail("cannot write", place, "too many values");
  errno = 0;
  std::fstream file(place.file, std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(place.offset + from * item);
  file.write(static_cast<const char*>(bytes.const_data_ptr()), size);
  file.flush();
  if (!file.good()) fail("cannot write", place, errno ? std::strerror(errno) : "the file cannot be opened");
}

void write_tensor(const TensorPlace& place, const at::Tensor& from) {
  check_bytes(place, from, stored_type(place));
  const at::Tensor flat = from.detach().contiguous().view(-1);
  for (int64_t start = 0; start < flat.numel(); start += kPiece)
    write_part(place, start, flat.narrow(0, start, std::min(kPiece, flat.numel() - start)));
}

}  // namespace tarl
