// Tensor bytes from and to files. Which tensor lies where is decided and checked in TypeScript
// (src/policy/checkpoint.ts); here bytes are only moved and converted.

#pragma once
#include <torch/torch.h>

#include <string>

namespace tarl {

/// TensorEntry of src/policy/safetensors.ts.
struct TensorPlace {
  std::string name, file, dtype;
  int64_t offset, bytes;
};

/// Fills `to`, converting from the stored dtype.
void read_tensor(const TensorPlace&, at::Tensor to);
/// Writes `from` as the place's dtype. The file exists and is long enough.
void write_tensor(const TensorPlace&, const at::Tensor& from);

}  // namespace tarl
