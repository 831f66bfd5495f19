// A model small enough that native tests run thousands of rounds, and a way to wait for an engine's thread.

#pragma once
#include <future>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/engine.h"

namespace tarl {

inline EngineOptions tiny(bool kernels, int64_t layers = 2) {
  EngineOptions o;
  o.config = {61, layers, 4, 2, 8, 1e4, 1e-6, true, 0.3};
  o.shapes = {{"model.embed_tokens.weight", {61, 24}}, {"model.norm.weight", {24}}};
  for (int64_t layer = 0; layer < layers; layer++) {
    const std::string at = "model.layers." + std::to_string(layer) + ".";
    for (const auto& [name, sizes] :
         std::vector<std::pair<std::string, std::vector<int64_t>>>{{"self_attn.q_proj.weight", {32, 24}},
                                                                   {"self_attn.q_proj.bias", {32}},
                                                                   {"self_attn.k_proj.bias", {16}},
                                                                   {"self_attn.v_proj.bias", {16}},
                                                                   {"self_attn.k_proj.weight", {16, 24}},
                                                                   {"self_attn.v_proj.weight", {16, 24}},
                                                                   {"self_attn.o_proj.weight", {24, 32}},
                                                                   {"self_attn.q_norm.weight", {8}},
                                                                   {"self_attn.k_norm.weight", {8}},
                                                                   {"mlp.gate_proj.weight", {40, 24}},
                                                                   {"mlp.up_proj.weight", {40, 24}},
                                                                   {"mlp.down_proj.weight", {24, 40}},
                                                                   {"input_layernorm.weight", {24}},
                                                                   {"post_attention_layernorm.weight", {24}}})
      o.shapes.push_back({at + name, sizes});
  }
  o.threads = 2;
  o.kernels = kernels;
  o.trained = true;
  o.context_length = 120;
  o.kv_tokens = 4096;
  o.round_tokens = 50;
  o.learning.micro_tokens = 50;
  return o;
}

/// Runs work on the engine's thread and waits.
template <class F>
auto on(Engine& engine, const F& work) {
  std::promise<decltype(work())> promise;
  engine.post([&] {
    if constexpr (std::is_void_v<decltype(work())>) {
      work();
      promise.set_value();
    } else {
      promise.set_value(work());
    }
  });
  return promise.get_future().get();
}

}  // namespace tarl
