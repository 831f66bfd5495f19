// The native module: class Engine, and a few functions that tests call directly. Its TypeScript face is
// src/policy/native.ts; what can be checked there is checked there, here only state and shapes.

#include <napi.h>

#include "convert.h"
#include "core/error.h"
#include "replies.h"

namespace tarl {

class EngineObject : public Napi::ObjectWrap<EngineObject> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(
        env, "Engine",
        {InstanceMethod<&EngineObject::initialise>("initialise"), InstanceMethod<&EngineObject::read>("read"),
         InstanceMethod<&EngineObject::write>("write"), InstanceMethod<&EngineObject::tensor>("tensor"),
         InstanceMethod<&EngineObject::open>("open"), InstanceMethod<&EngineObject::append>("append"),
         InstanceMethod<&EngineObject::generate>("generate"), InstanceMethod<&EngineObject::abort>("abort"),
         InstanceMethod<&EngineObject::fork>("fork"), InstanceMethod<&EngineObject::close>("close"),
         InstanceMethod<&EngineObject::score>("score"), InstanceMethod<&EngineObject::trace>("trace"),
         InstanceMethod<&EngineObject::trace_cached>("traceCached"),
         InstanceMethod<&EngineObject::backward>("backward"), InstanceMethod<&EngineObject::update>("update"),
         InstanceMethod<&EngineObject::stats>("stats"), InstanceMethod<&EngineObject::dispose>("dispose")});
  }

  explicit EngineObject(const Napi::CallbackInfo& info)
      : ObjectWrap(info), env_(info.Env()), replies_(info.Env()) {
    guarded(env_, [&] { engine_ = std::make_shared<Engine>(to_engine(info[0].As<Napi::Object>())); });
    napi_add_env_cleanup_hook(env_, at_exit, this);
  }

  ~EngineObject() override {
    if (engine_) napi_remove_env_cleanup_hook(env_, at_exit, this);
    shut();
  }

 private:
  /// What a job leaves for JavaScript's thread: makes the promise's value.
  using Answer = std::function<Napi::Value(Napi::Env)>;

  static void at_exit(void* self) { static_cast<EngineObject*>(self)->shut(); }

  void shut() {
    replies_.close();
    if (engine_) engine_->stop();
    engine_.reset();
  }

  Engine& engine() {
    if (!engine_) throw Error("DISPOSED", "the engine is disposed");
    return *engine_;
  }

  /// A promise for what `job(engine)` returns; the job runs on the engine's thread.
  template <class Job>
  Napi::Value promise(const Job& job) {
    auto deferred = std::make_shared<Napi::Promise::Deferred>(env_);
    Engine& on = engine();
    replies_.expect(env_);
    on.post([this, deferred, job, &on] {
      Answer answer;
      std::exception_ptr failure;
      try {
        answer = job(on);
      } catch (...) {
        failure = std::current_exception();
      }
      replies_.send([deferred, answer, failure](Napi::Env env) {
        if (failure)
          deferred->Reject(to_error(env, failure).Value());
        else
          deferred->Resolve(answer(env));
      });
    });
    return deferred->Promise();
  }

  static Answer nothing() {
    return [](Napi::Env env) { return env.Undefined(); };
  }

  // initialise(seed): random weights
  Napi::Value initialise(const Napi::CallbackInfo& info) {
    return guarded(env_, [&] {
      const uint64_t seed = static_cast<uint64_t>(info[0].As<Napi::Number>().Int64Value());
      return promise([seed](Engine& e) {
        e.model().initialise(seed);
        e.weights_changed();
        return nothing();
      });
    });
  }

  /// A parameter, "grad/NAME", or a tensor of the optimizer's state.
  static at::Tensor find(Engine& e, const std::string& name) {
    at::Tensor t;
    if (name.starts_with("grad/")) {
      const at::Tensor p = e.model().parameter(name.substr(5));
      if (p.defined()) t = p.grad().defined() ? p.grad() : at::zeros_like(p);
    } else {
      t = e.model().parameter(name);
      if (!t.defined()) {
        auto& state = e.trainer().optimizer().state();
        if (const auto it = state.find(name); it != state.end()) t = it->second;
      }
    }
    if (!t.defined()) throw Error("INVALID_ARGUMENT", "there is no tensor named " + name);
    return t;
  }

  // read(places): fills tensors from files
  Napi::Value read(const Napi::CallbackInfo& info) {
    return guarded(env_, [&] {
      return promise([places = to_places(info[0])](Engine& e) {
        for (const TensorPlace& place : places) read_tensor(place, find(e, place.name).detach());
        e.weights_changed();
        return nothing();
      });
    });
  }

  // write(places): writes tensors into files
  Napi::Value write(const Napi::CallbackInfo& info) {
    return guarded(env_, [&] {
      return promise([places = to_places(info[0])](Engine& e) {
        for (const TensorPlace& place : places) write_tensor(place, find(e, place.name));
        return nothing();
      });
    });
  }

  // tensor(name): { shape, data }
  Napi::Value tensor(const Napi::CallbackInfo& info) {
    return guarded(env_, [&] {
      const std::string name = info[0].As<Napi::String>();
      return promise([name](Engine& e) -> Answer {
        const at::Tensor t = find(e, name).detach().clone();
        return [t](Napi::Env env) -> Napi::Value {
          Napi::Object o = Napi::Object::New(env);
          Napi::Array shape = Napi::Array::New(env);
          for (int64_t d = 0; d < t.dim(); d++)
            shape[static_cast<uint32_t>(d)] = Napi::Number::New(env, t.size(d));
          o.Set("shape", shape);
          o.Set("data", from_tensor(env, t));
          return o;
        };
      });
    });
  }

  static int64_t id(const Napi::Value& v) { return v.As<Napi::Number>().Int64Value(); }

  // open(id, ids, seed)
  void open(const Napi::CallbackInfo& info) {
    guarded(env_, [&] {
      Engine& e = engine();
      e.post([&e, conversation = id(info[0]), ids = to_ids(info[1], "ids"),
              seed = static_cast<uint64_t>(id(info[2]))] { e.open(conversation, ids, seed); });
    });
  }

  // append(id, ids)
  void append(const Napi::CallbackInfo& info) {
    guarded(env_, [&] {
      Engine& e = engine();
      e.post([&e, conversation = id(info[0]), ids = to_ids(info[1], "ids")] {
        try {
          e.append(conversation, ids);
        } catch (const Error&) {
          // Busy or closed: src/policy/policy.ts has already refused it.
        }
      });
    });
  }

  // generate(id, sampling): { ids, logp, ended }
  Napi::Value generate(const Napi::CallbackInfo& info) {
    return guarded(env_, [&] {
      Engine& e = engine();
      auto deferred = std::make_shared<Napi::Promise::Deferred>(env_);
      const int64_t conversation = id(info[0]);
      const Sampling sampling = to_sampling(info[1].As<Napi::Object>());
      replies_.expect(env_);
      e.post([this, &e, deferred, conversation, sampling] {
        const Engine::Done done = [this, deferred](Generation g, std::exception_ptr failure) {
          replies_.send([deferred, g = std::move(g), failure](Napi::Env env) {
            if (failure) return deferred->Reject(to_error(env, failure).Value());
            Napi::Object o = Napi::Object::New(env);
            o.Set("ids", from_ids(env, g.ids));
            o.Set("logp", from_floats(env, g.logp));
            o.Set("ended", Napi::String::New(env, g.ended));
            deferred->Resolve(o);
          });
        };
        try {
          e.generate(conversation, sampling, done);
        } catch (...) {
          done({}, std::current_exception());
        }
      });
      return Napi::Value(deferred->Promise());
    });
  }

  // abort(id)
  void abort(const Napi::CallbackInfo& info) {
    guarded(env_, [&] {
      Engine& e = engine();
      e.post([&e, conversation = id(info[0])] { e.abort(conversation); });
    });
  }

  // fork(id, twin, seed)
  void fork(const Napi::CallbackInfo& info) {
    guarded(env_, [&] {
      Engine& e = engine();
      e.post([&e, from = id(info[0]), twin = id(info[1]), seed = static_cast<uint64_t>(id(info[2]))] {
        try {
          e.fork(from, twin, seed);
        } catch (const Error&) {
          // As for append; the twin's first generate reports that it does not exist.
        }
      });
    });
  }

  // close(id); does nothing on a disposed engine
  void close(const Napi::CallbackInfo& info) {
    if (!engine_) return;
    Engine& e = *engine_;
    e.post([&e, conversation = id(info[0])] { e.close(conversation); });
  }

  // score(ids, rows, temperature): { logp, entropy, top1 }
  Napi::Value score(const Napi::CallbackInfo& info) {
    return guarded(env_, [&] {
      const double temperature = info[2].As<Napi::Number>();
      require(temperature > 0, "temperature: expected more than 0");
      return promise(
          [ids = to_ids(info[0], "ids"), rows = to_ids(info[1], "rows"), temperature](Engine& e) -> Answer {
            const auto scores = std::make_shared<Scores>(e.trainer().score(ids, rows, temperature));
            return [scores](Napi::Env env) -> Napi::Value {
              Napi::Object o = Napi::Object::New(env);
              o.Set("logp", from_floats(env, scores->logp));
              o.Set("entropy", from_floats(env, scores->entropy));
              o.Set("top1", from_ids(env, scores->top1));
              return o;
            };
          });
    });
  }

  static Answer from_trace(const Trace& trace) {
    return [trace](Napi::Env env) -> Napi::Value {
      Napi::Object o = Napi::Object::New(env);
      o.Set("logits", from_tensor(env, trace.logits));
      o.Set("hidden", from_tensor(env, trace.hidden));
      Napi::Array residuals = Napi::Array::New(env);
      for (size_t i = 0; i < trace.residuals.size(); i++)
        residuals[static_cast<uint32_t>(i)] = from_tensor(env, trace.residuals[i]);
      o.Set("residuals", residuals);
      return o;
    };
  }

  // trace(ids, rows, positions | null): { logits, hidden, residuals }
  Napi::Value trace(const Napi::CallbackInfo& info) {
    return guarded(env_, [&] {
      return promise([ids = to_ids(info[0], "ids"), rows = to_ids(info[1], "rows"),
                      positions = to_ids(info[2], "positions")](Engine& e) {
        return from_trace(e.trainer().trace(ids, rows, positions));
      });
    });
  }

  // traceCached(ids, parts): { logits, hidden, residuals: [] }
  Napi::Value trace_cached(const Napi::CallbackInfo& info) {
    return guarded(env_, [&] {
      return promise([ids = to_ids(info[0], "ids"), parts = to_ids(info[1], "parts")](Engine& e) {
        return from_trace(e.trace_cached(ids, parts));
      });
    });
  }

  // backward(batch, loss): statistics; gradients add up in the parameters
  Napi::Value backward(const Napi::CallbackInfo& info) {
    return guarded(env_, [&] {
      const Napi::Object b = info[0].As<Napi::Object>(), o = info[1].As<Napi::Object>();
      const double temperature = to_number(o, "temperature");
      require(temperature > 0, "temperature: expected more than 0");
      return promise([ids = to_ids(b.Get("ids"), "ids"), rows = to_ids(b.Get("rows"), "rows"),
                      weight = to_floats(b.Get("weight"), "weight"),
                      advantage = to_floats(b.Get("advantage"), "advantage"),
                      old_logp = to_floats(b.Get("oldLogp"), "oldLogp"),
                      ref_logp = to_floats(b.Get("refLogp"), "refLogp"), loss = to_loss(o),
                      temperature](Engine& e) -> Answer {
        const LossStats stats =
            e.trainer().backward({ids, rows, weight, advantage, old_logp, ref_logp}, loss, temperature);
        return [stats](Napi::Env env) -> Napi::Value { return from_stats(env, stats); };
      });
    });
  }

  // update(optimizer): gradient norm before clipping; clears the gradients
  Napi::Value update(const Napi::CallbackInfo& info) {
    return guarded(env_, [&] {
      return promise([options = to_optimizer(info[0].As<Napi::Object>())](Engine& e) -> Answer {
        const double norm = e.trainer().optimizer().step(e.context(), options);
        e.weights_changed();
        return [norm](Napi::Env env) -> Napi::Value { return Napi::Number::New(env, norm); };
      });
    });
  }

  // stats(): counters of the conversations
  Napi::Value stats(const Napi::CallbackInfo&) {
    return guarded(env_, [&] {
      return promise([](Engine& e) -> Answer {
        const EngineStats s = e.stats();
        return [s](Napi::Env env) -> Napi::Value {
          Napi::Object o = Napi::Object::New(env);
          const std::pair<const char*, int64_t> numbers[] = {
              {"rounds", s.rounds}, {"computed", s.computed}, {"sampled", s.sampled},
              {"shared", s.shared}, {"pages", s.pages},       {"pagesLimit", s.pages_limit}};
          for (const auto& [name, value] : numbers)
            o.Set(name, Napi::Number::New(env, static_cast<double>(value)));
          return o;
        };
      });
    });
  }

  // dispose(): resolves when the thread has ended; generations under way end as aborted
  Napi::Value dispose(const Napi::CallbackInfo&) {
    const auto deferred = Napi::Promise::Deferred::New(env_);
    if (engine_) {
      napi_remove_env_cleanup_hook(env_, at_exit, this);
      engine_->stop();
      engine_.reset();
      replies_.finish();
    }
    deferred.Resolve(env_.Undefined());
    return deferred.Promise();
  }

  Napi::Env env_;
  Replies replies_;
  std::shared_ptr<Engine> engine_;
};

// policyLoss({ logp, entropy, oldLogp, refLogp, advantage, weight, rows }, options): the trainer's loss on
// plain numbers
Napi::Value policy_loss_of(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const Napi::Object in = info[0].As<Napi::Object>();
    const auto doubles = [&](const char* name) { return to_doubles(in.Get(name), name); };
    const auto logp = doubles("logp"), entropy = doubles("entropy"), old_logp = doubles("oldLogp"),
               ref_logp = doubles("refLogp"), advantage = doubles("advantage"), weight = doubles("weight");
    const auto rows = to_ids(in.Get("rows"), "rows");
    std::vector<double> grad_logp(logp.size()), grad_entropy(logp.size());
    const LossStats stats = policy_loss({logp, entropy, old_logp, ref_logp, advantage, weight, rows},
                                        to_loss(info[1].As<Napi::Object>()), grad_logp, grad_entropy)
                                .finish();
    Napi::Object o = Napi::Object::New(info.Env());
    o.Set("gradLogp", from_doubles(info.Env(), grad_logp));
    o.Set("gradEntropy", from_doubles(info.Env(), grad_entropy));
    o.Set("stats", from_stats(info.Env(), stats));
    return Napi::Value(o);
  });
}

// distribution(logits, sampling): the probabilities that the sampler draws from
Napi::Value distribution_of(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const std::vector<float> logits = to_floats(info[0], "logits");
    return from_doubles(info.Env(), distribution(logits, to_sampling(info[1].As<Napi::Object>())));
  });
}

// isa(): the instruction set of the kernels in use
Napi::Value isa(const Napi::CallbackInfo& info) { return Napi::String::New(info.Env(), kernels().isa); }

// cuda(): true when there is a GPU that libtorch can use
Napi::Value cuda(const Napi::CallbackInfo& info) { return Napi::Boolean::New(info.Env(), cuda_available()); }

Napi::Object init(Napi::Env env, Napi::Object exports) {
  exports.Set("Engine", EngineObject::define(env));
  exports.Set("policyLoss", Napi::Function::New<policy_loss_of>(env, "policyLoss"));
  exports.Set("distribution", Napi::Function::New<distribution_of>(env, "distribution"));
  exports.Set("isa", Napi::Function::New<isa>(env, "isa"));
  exports.Set("cuda", Napi::Function::New<cuda>(env, "cuda"));
  return exports;
}

}  // namespace tarl

static Napi::Object init(Napi::Env env, Napi::Object exports) { return tarl::init(env, exports); }
NODE_API_MODULE(tarl, init)
