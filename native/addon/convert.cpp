#include "convert.h"

#include "core/error.h"

namespace tarl {

namespace {

Napi::Error make_error(Napi::Env env, const char* code, const std::string& message) {
  Napi::Error e = Napi::Error::New(env, message);
  e.Set("code", Napi::String::New(env, code));
  return e;
}

template <class Array, class T>
std::vector<T> copy_array(const Napi::Value& value, const char* name, napi_typedarray_type type,
                          const char* expected) {
  if (value.IsNull() || value.IsUndefined()) return {};
  require(value.IsTypedArray() && value.As<Napi::TypedArray>().TypedArrayType() == type,
          std::string(name) + ": expected a " + expected);
  const Array array = value.As<Array>();
  return std::vector<T>(array.Data(), array.Data() + array.ElementLength());
}

template <class Array, class T>
Napi::Value new_array(Napi::Env env, const std::vector<T>& values) {
  Array array = Array::New(env, values.size());
  std::copy(values.begin(), values.end(), array.Data());
  return array;
}

int64_t to_int(const Napi::Object& o, const char* key) {
  const double x = to_number(o, key);
  require(x == std::floor(x) && std::abs(x) <= 9007199254740991.0,
          std::string(key) + ": expected an integer");
  return static_cast<int64_t>(x);
}

bool to_flag(const Napi::Object& o, const char* key) {
  const Napi::Value v = o.Get(key);
  require(v.IsBoolean(), std::string(key) + ": expected true or false");
  return v.As<Napi::Boolean>();
}

/// The value that a string names.
template <class T>
T to_choice(const Napi::Object& o, const char* key, std::initializer_list<std::pair<const char*, T>> named) {
  const std::string found = to_text(o, key);
  std::string expected;
  for (const auto& [name, value] : named) {
    if (found == name) return value;
    expected += std::string(expected.empty() ? "" : ", ") + name;
  }
  throw Error("INVALID_ARGUMENT", std::string(key) + ": expected one of " + expected);
}

Master to_master(const std::string& name) {
  require(name == "fp32" || name == "split" || name == "none", "master: expected fp32, split or none");
  return name == "fp32" ? Master::fp32 : name == "split" ? Master::split : Master::none;
}

Moments to_moments(const std::string& name) {
  require(name == "fp32" || name == "8bit", "moments: expected fp32 or 8bit");
  return name == "fp32" ? Moments::fp32 : Moments::bits8;
}

Output to_output(const Napi::Value& value) {
  const std::string name = value.IsString() ? value.As<Napi::String>().Utf8Value() : "";
  require(value.IsUndefined() || name == "logits" || name == "values" || name == "both",
          "output: expected logits, values or both");
  return name == "values" ? Output::values : name == "both" ? Output::both : Output::logits;
}

LoraOptions to_lora(const Napi::Value& value) {
  if (value.IsNull()) return {};
  require(value.IsObject(), "lora: expected an object or null");
  const Napi::Object o = value.As<Napi::Object>();
  LoraOptions lora{to_int(o, "rank"), to_number(o, "alpha"), {}};
  require(lora.rank >= 1, "lora: expected a rank of 1 or more");
  const Napi::Value targets = o.Get("targets");
  require(targets.IsArray(), "targets: expected an array");
  const Napi::Array list = targets.As<Napi::Array>();
  for (uint32_t i = 0; i < list.Length(); i++) {
    const Napi::Value name = list[i];
    require(name.IsString(), "targets: expected names");
    lora.targets.push_back(name.As<Napi::String>());
  }
  return lora;
}

RopeScaling to_rope_scaling(const Napi::Value& value) {
  if (value.IsNull()) return {};
  require(value.IsObject(), "ropeScaling: expected an object or null");
  const Napi::Object o = value.As<Napi::Object>();
  return {to_number(o, "factor"), to_number(o, "low"), to_number(o, "high"), to_int(o, "original")};
}

}  // namespace

Napi::Error to_error(Napi::Env env, std::exception_ptr failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const Error& e) {
    return make_error(env, e.code(), e.what());
  } catch (const c10::OutOfMemoryError& e) {
    return make_error(env, "OUT_OF_MEMORY", e.what_without_backtrace());
  } catch (const std::bad_alloc&) {
    return make_error(env, "OUT_OF_MEMORY", "out of memory");
  } catch (const c10::Error& e) {
    const std::string text = e.what_without_backtrace();
    // libtorch has a class for a GPU's memory only (c10/core/impl/alloc_cpu.cpp).
    const bool memory = text.find("can't allocate memory") != text.npos;
    return make_error(env, memory ? "OUT_OF_MEMORY" : "INTERNAL", text.substr(0, text.find('\n')));
  } catch (const std::invalid_argument& e) {
    return make_error(env, "INVALID_ARGUMENT", e.what());
  } catch (const std::exception& e) {
    return make_error(env, "INTERNAL", e.what());
  } catch (...) {
    return make_error(env, "INTERNAL", "unknown failure");
  }
}

std::vector<int32_t> to_ids(const Napi::Value& v, const char* name) {
  return copy_array<Napi::Int32Array, int32_t>(v, name, napi_int32_array, "Int32Array");
}

std::vector<float> to_floats(const Napi::Value& v, const char* name) {
  return copy_array<Napi::Float32Array, float>(v, name, napi_float32_array, "Float32Array or null");
}

std::vector<double> to_doubles(const Napi::Value& v, const char* name) {
  return copy_array<Napi::Float64Array, double>(v, name, napi_float64_array, "Float64Array or null");
}

double to_number(const Napi::Object& o, const char* key) {
  const Napi::Value v = o.Get(key);
  require(v.IsNumber(), std::string(key) + ": expected a number");
  const double x = v.As<Napi::Number>();
  require(std::isfinite(x), std::string(key) + ": expected a finite number");
  return x;
}

std::string to_text(const Napi::Object& o, const char* key) {
  const Napi::Value v = o.Get(key);
  require(v.IsString(), std::string(key) + ": expected a string");
  return v.As<Napi::String>();
}

Sampling to_sampling(const Napi::Object& o) {
  Sampling s;
  s.temperature = to_number(o, "temperature");
  s.top_p = to_number(o, "topP");
  s.top_k = to_int(o, "topK");
  s.min_p = to_number(o, "minP");
  s.max_tokens = to_int(o, "maxTokens");
  const Napi::Value stops = o.Get("stopIds");
  require(stops.IsArray(), "stopIds: expected an array");
  const Napi::Array list = stops.As<Napi::Array>();
  for (uint32_t i = 0; i < list.Length(); i++) {
    const Napi::Value id = list[i];
    require(id.IsNumber(), "stopIds: expected numbers");
    s.stop_ids.push_back(id.As<Napi::Number>().Int32Value());
  }
  require(s.temperature == 0 || s.temperature >= kColdest, "temperature: expected 0, or 1e-6 or more");
  require(s.top_p > 0 && s.top_p <= 1, "topP: expected more than 0 and at most 1");
  require(s.top_k >= 0, "topK: expected 0 or more");
  require(s.min_p >= 0 && s.min_p <= 1, "minP: expected 0 to 1");
  require(s.max_tokens >= 1, "maxTokens: expected 1 or more");
  return s;
}

LossOptions to_loss(const Napi::Object& o) {
  LossOptions loss;
  loss.ratio = to_choice<Ratio>(o, "ratio",
                                {{"token", Ratio::token},
                                 {"sequence", Ratio::sequence},
                                 {"product", Ratio::product},
                                 {"none", Ratio::none}});
  loss.kl_kind = to_choice<KlKind>(o, "klKind",
                                   {{"k1", KlKind::k1},
                                    {"k2", KlKind::k2},
                                    {"k3", KlKind::k3},
                                    {"abs", KlKind::abs},
                                    {"k1+", KlKind::k1_through},
                                    {"k3+", KlKind::k3_through},
                                    {"k3_is", KlKind::k3_is},
                                    {"k3_score", KlKind::k3_score}});
  loss.clip_low = to_number(o, "clipLow");
  loss.clip_high = to_number(o, "clipHigh");
  loss.dual_clip = to_number(o, "dualClip");
  loss.kl_coef = to_number(o, "klCoef");
  loss.kl_clamp = to_number(o, "klClamp");
  loss.entropy_coef = to_number(o, "entropyCoef");
  const Napi::Value value = o.Get("value");
  if (value.IsObject()) {
    loss.value_coef = to_number(value.As<Napi::Object>(), "coef");
    loss.value_clip = to_number(value.As<Napi::Object>(), "clip");
  }
  return loss;
}

OptimizerOptions to_optimizer(const Napi::Object& o) {
  OptimizerOptions options;
  const std::string kind = to_text(o, "kind");
  require(kind == "adamw" || kind == "muon", "kind: expected adamw or muon");
  options.muon = kind == "muon";
  options.muon_scale = to_number(o, "muonScale");
  options.lr = to_number(o, "lr");
  options.beta1 = to_number(o, "beta1");
  options.beta2 = to_number(o, "beta2");
  options.eps = to_number(o, "eps");
  options.weight_decay = to_number(o, "weightDecay");
  options.decay_vectors = to_flag(o, "decayVectors");
  options.max_grad_norm = to_number(o, "maxGradNorm");
  return options;
}

EngineOptions to_engine(const Napi::Object& o) {
  const Napi::Object c = o.Get("config").As<Napi::Object>();
  EngineOptions options;
  options.config = {to_int(c, "vocabSize"), to_int(c, "layers"),  to_int(c, "heads"),
                    to_int(c, "kvHeads"),   to_int(c, "headDim"), to_number(c, "ropeTheta"),
                    to_number(c, "rmsEps"), to_flag(c, "tied"),   to_number(c, "initializerRange")};
  options.config.rope_scaling = to_rope_scaling(c.Get("ropeScaling"));
  options.config.output = to_output(c.Get("output"));
  options.shapes = to_shapes(o.Get("shapes"));
  const std::string dtype = to_text(o, "dtype");
  require(dtype == "fp32" || dtype == "bf16", "dtype: expected fp32 or bf16");
  options.dtype = dtype == "bf16" ? at::kBFloat16 : at::kFloat;
  options.device = to_text(o, "device");
  options.threads = static_cast<int>(to_int(o, "threads"));
  require(options.threads >= 1 && options.threads <= 1024, "threads: expected 1 to 1024");
  options.kernels = to_flag(o, "kernels");
  options.batch_invariant = to_flag(o, "batchInvariant");
  options.trained = to_flag(o, "trained");
  options.vocab_limit = to_int(o, "vocabLimit");
  options.context_length = to_int(o, "contextLength");
  options.kv_tokens = to_int(o, "kvTokens");
  options.round_tokens = to_int(o, "roundTokens");
  require(options.round_tokens >= 1, "roundTokens: expected 1 or more");
  options.lora = to_lora(o.Get("lora"));
  options.learning.micro_tokens = to_int(o, "microTokens");
  require(options.learning.micro_tokens >= 1, "microTokens: expected 1 or more");
  options.learning.recompute = to_flag(o, "recompute");
  options.learning.state = {to_master(to_text(o, "master")), to_moments(to_text(o, "moments"))};
  return options;
}

std::vector<Shape> to_shapes(const Napi::Value& value) {
  require(value.IsArray(), "shapes: expected an array");
  const Napi::Array list = value.As<Napi::Array>();
  std::vector<Shape> shapes;
  for (uint32_t i = 0; i < list.Length(); i++) {
    const Napi::Array pair = Napi::Value(list[i]).As<Napi::Array>();
    const Napi::Array sizes = Napi::Value(pair[1u]).As<Napi::Array>();
    Shape shape{Napi::Value(pair[0u]).As<Napi::String>(), {}};
    for (uint32_t d = 0; d < sizes.Length(); d++)
      shape.sizes.push_back(Napi::Value(sizes[d]).As<Napi::Number>().Int64Value());
    shapes.push_back(std::move(shape));
  }
  return shapes;
}

std::vector<TensorPlace> to_places(const Napi::Value& value) {
  require(value.IsArray(), "tensors: expected an array");
  const Napi::Array list = value.As<Napi::Array>();
  std::vector<TensorPlace> places;
  for (uint32_t i = 0; i < list.Length(); i++) {
    const Napi::Object o = Napi::Value(list[i]).As<Napi::Object>();
    places.push_back({to_text(o, "name"), to_text(o, "file"), to_text(o, "dtype"), to_int(o, "offset"),
                      to_int(o, "bytes")});
  }
  return places;
}

Napi::Value from_ids(Napi::Env env, const std::vector<int32_t>& values) {
  return new_array<Napi::Int32Array>(env, values);
}

Napi::Value from_floats(Napi::Env env, const std::vector<float>& values) {
  return new_array<Napi::Float32Array>(env, values);
}

Napi::Value from_doubles(Napi::Env env, const std::vector<double>& values) {
  return new_array<Napi::Float64Array>(env, values);
}

at::Tensor to_host(const at::Tensor& t) {
  return t.detach().to(at::kCPU, at::kFloat, /*non_blocking=*/false, /*copy=*/true).contiguous();
}

Napi::Value from_tensor(Napi::Env env, const at::Tensor& tensor) {
  Napi::Float32Array array = Napi::Float32Array::New(env, static_cast<size_t>(tensor.numel()));
  std::copy_n(tensor.const_data_ptr<float>(), tensor.numel(), array.Data());
  return array;
}

Napi::Object from_stats(Napi::Env env, const LossStats& s) {
  Napi::Object o = Napi::Object::New(env);
  const std::pair<const char*, double> numbers[] = {
      {"loss", s.loss},
      {"pgLoss", s.pg_loss},
      {"klLoss", s.kl_loss},
      {"kl", s.kl},
      {"entropy", s.entropy},
      {"approxKl", s.approx_kl},
      {"ratio", s.ratio},
      {"clipLow", s.clip_low},
      {"clipHigh", s.clip_high},
      {"dualClip", s.dual_clip},
      {"mismatch", s.mismatch},
      {"valueLoss", s.value.loss},
      {"valueClipped", s.value.clipped},
      {"valueExplained", s.value.explained},
      {"tokens", static_cast<double>(s.tokens)},
      {"computedTokens", static_cast<double>(s.computed_tokens)},
      {"lossTokens", static_cast<double>(s.loss_tokens)}};
  for (const auto& [name, value] : numbers) o.Set(name, Napi::Number::New(env, value));
  return o;
}

}  // namespace tarl
