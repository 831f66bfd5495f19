// Tensor bytes from and to files. Which tensor lies where is decided and checked in TypeScript
// (src/policy/checkpoint.ts); here bytes are only moved and converted.

#pragma once
#include <torch/torch.h>

#include <map>
#include <memory>
#include <string>

namespace tarl {

/// TensorEntry of src/policy/safetensors.ts.
struct TensorPlace {
  std::string name, file, dtype;
  int64_t offset, bytes;
};

/// Reads tensors out of memory-mapped files; each file is mapped once, as long as this lives, and pages that
/// were read are given back at once, so that loading takes no memory besides the weights. A place outside of
/// its file is CHECKPOINT, also when the file shrank since its header was read. A file that another process
/// cuts while it is being copied ends the process (SIGBUS): nobody may do that to a mapped file.
class MappedFiles {
 public:
  MappedFiles();
  ~MappedFiles();
  /// Fills `to`, converting from the stored dtype.
  void read(const TensorPlace&, at::Tensor to);

 private:
  class Mapping;
  std::map<std::string, std::unique_ptr<Mapping>> files_;
};

/// Writes elements `from` and on of a tensor as the place's dtype. The file exists and is long enough.
void write_part(const TensorPlace&, int64_t from, const at::Tensor& values);
/// Writes a whole tensor, a piece at a time.
void write_tensor(const TensorPlace&, const at::Tensor&);

}  // namespace tarl
