#include "checkpoint.h"

#include <fstream>

#include "error.h"

namespace tarl {

namespace {

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

void check(bool condition, const TensorPlace& place, const char* what) {
  if (!condition) throw Error("CHECKPOINT", std::string(what) + " " + place.name + " in " + place.file);
}

}  // namespace

void read_tensor(const TensorPlace& place, at::Tensor to) {
  const at::NoGradGuard guard;
  const at::Tensor bytes = at::empty(to.sizes(), stored_type(place));
  check(static_cast<int64_t>(bytes.nbytes()) == place.bytes, place, "wrong number of bytes for");
  std::ifstream file(place.file, std::ios::binary);
  file.seekg(place.offset);
  file.read(static_cast<char*>(bytes.mutable_data_ptr()), place.bytes);
  check(file.good(), place, "cannot read");
  to.copy_(bytes);
}

void write_tensor(const TensorPlace& place, const at::Tensor& from) {
  const at::Tensor bytes = from.detach().to(at::kCPU, stored_type(place)).contiguous();
  check(static_cast<int64_t>(bytes.nbytes()) == place.bytes, place, "wrong number of bytes for");
  std::fstream file(place.file, std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(place.offset);
  file.write(static_cast<const char*>(bytes.const_data_ptr()), place.bytes);
  file.flush();
  check(file.good(), place, "cannot write");
}

}  // namespace tarl
