// Values between JavaScript and C++. Inputs are copied, because jobs run on another thread.

#pragma once
#include <napi.h>
#include <torch/torch.h>

#include <exception>
#include <string>
#include <vector>

#include "core/checkpoint.h"
#include "core/engine.h"

namespace tarl {

/// The JavaScript Error of a C++ exception, with its `code` (EngineErrorCode in src/errors.ts).
Napi::Error to_error(Napi::Env, std::exception_ptr);

/// Calls f and turns what it throws into a JavaScript exception.
template <class F>
auto guarded(Napi::Env env, const F& f) {
  try {
    return f();
  } catch (const Napi::Error&) {
    throw;
  } catch (...) {
    throw to_error(env, std::current_exception());
  }
}

std::vector<int32_t> to_ids(const Napi::Value&, const char* name);
/// Empty for null and undefined.
std::vector<float> to_floats(const Napi::Value&, const char* name);
std::vector<double> to_doubles(const Napi::Value&, const char* name);
double to_number(const Napi::Object&, const char* key);
std::string to_text(const Napi::Object&, const char* key);

Sampling to_sampling(const Napi::Object&);
LossOptions to_loss(const Napi::Object&);
OptimizerOptions to_optimizer(const Napi::Object&);
EngineOptions to_engine(const Napi::Object&);
std::vector<Shape> to_shapes(const Napi::Value&);
std::vector<TensorPlace> to_places(const Napi::Value&);

Napi::Value from_ids(Napi::Env, const std::vector<int32_t>&);
Napi::Value from_floats(Napi::Env, const std::vector<float>&);
Napi::Value from_doubles(Napi::Env, const std::vector<double>&);
/// An fp32 copy in the host's memory. To be made on the engine's thread.
at::Tensor to_host(const at::Tensor&);
/// What to_host made, as a flat Float32Array.
Napi::Value from_tensor(Napi::Env, const at::Tensor&);
Napi::Object from_stats(Napi::Env, const LossStats&);

}  // namespace tarl
