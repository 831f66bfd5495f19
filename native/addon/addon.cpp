// The native module: class Engine, and a few functions that tests call directly. Its TypeScript face is
// src/policy/native.ts; what can be checked there is checked there, here only state and shapes.

#include <napi.h>

#include "convert.h"
#include "core/error.h"
#include "core/start.h"
#include "cpu/kernels.h"
#include "replies.h"

namespace tarl {

class EngineObject : public Napi::ObjectWrap<EngineObject> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "Engine",
                       {InstanceMethod<&EngineObject::initialise>("initialise"),
                        InstanceMethod<&EngineObject::initialise_adapter>("initialiseAdapter"),
                        InstanceMethod<&EngineObject::read>("read"),
                        InstanceMethod<&EngineObject::write>("write"),
                        InstanceMethod<&EngineObject::tensor>("tensor"),
                        InstanceMethod<&EngineObject::open>("open"),
                        InstanceMethod<&EngineObject::append>("append"),
                        InstanceMethod<&EngineObject::generate>("generate"),
                        InstanceMethod<&EngineObject::abort>("abort"),
                        InstanceMethod<&EngineObject::fork>("fork"),
                        InstanceMethod<&EngineObject::close>("close"),
                        InstanceMethod<&EngineObject::score>("score"),
                        InstanceMethod<&EngineObject::values>("values"),
                        InstanceMethod<&EngineObject::trace>("trace"),
                        InstanceMethod<&EngineObject::trace_cached>("traceCached"),
                        InstanceMethod<&EngineObject::backward>("backward"),
                        InstanceMethod<&EngineObject::step>("step"),
                        InstanceMethod<&EngineObject::state>("state"),
                        InstanceMethod<&EngineObject::stats>("stats"),
                        InstanceMethod<&EngineObject::batch_invariant>("batchInvariant"),
                        InstanceMethod<&EngineObject::dispose>("dispose")});
  }

  explicit EngineObject(const Napi::CallbackInfo& info)
      : ObjectWrap(info), env_(info.Env()), replies_(info.Env()) {
    guarded(env_, [&] { engine_ = std::make_unique<Engine>(to_engine(info[0].As<Napi::Object>())); });
    napi_add_env_cleanup_hook(env_, at_exit, this);
  }

  ~EngineObject() override {
    if (engine_) napi_remove_env_cleanup_hook(env_, at_exit, this);
    shut();
  }

 private:
  using Deferred = std::shared_ptr<Napi::Promise::Deferred>;
  /// What a job leaves for JavaScript's thread: makes the promise's value.
  using Answer = std::function<Napi::Value(Napi::Env)>;

  static void at_exit(void* self) { static_cast<EngineObject*>(self)->shut(); }

  void shut() {
    replies_.close();
    engine_.reset();
  }

  Engine& engine() {
    if (disposed_) throw Error("DISPOSED", "the engine is disposed");
    return *engine_;
  }

  /// A promise to settle; until then the process and this object stay alive.
  Deferred expect() {
    replies_.expect(env_);
    Ref();
    return std::make_shared<Napi::Promise::Deferred>(env_);
  }

  /// From the engine's thread: settles a promise on JavaScript's thread.
  void settle(const Deferred& deferred, Answer answer, std::exception_ptr failure = nullptr) {
    replies_.send([this, deferred, answer = std::move(answer), failure](Napi::Env env) {
      try {
        if (failure) std::rethrow_exception(failure);
        deferred->Resolve(answer(env));
      } catch (const Napi::Error& e) {
        deferred->Reject(e.Value());
      } catch (...) {
        deferred->Reject(to_error(env, std::current_exception()).Value());
      }
      Unref();
    });
  }

  /// A promise for what `job(engine)` returns; the job runs on the engine's thread.
  template <class Job>
  Napi::Value promise(const Job& job) {
    Engine& on = engine();
    const Deferred deferred = expect();
    on.post([this, deferred, job, &on] {
      try {
        if (on.stopping()) throw Error("DISPOSED", "the engine is disposed");
        settle(deferred, job(on));
      } catch (...) {
        settle(deferred, {}, std::current_exception());
      }
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
        e.change([&] { e.model().initialise(seed); });
        return nothing();
      });
    });
  }

  // initialiseAdapter(seed): one that adds nothing yet
  Napi::Value initialise_adapter(const Napi::CallbackInfo& info) {
    return guarded(env_, [&] {
      const uint64_t seed = static_cast<uint64_t>(info[0].As<Napi::Number>().Int64Value());
      return promise([seed](Engine& e) {
        e.change([&] { e.model().initialise_adapter(seed); });
        return nothing();
      });
    });
  }

  /// A parameter, "grad/NAME", "merged/NAME" (with the adapter's part), or a tensor of the optimizer's state.
  static at::Tensor find(Engine& e, const std::string& name) {
    at::Tensor t;
    if (name.starts_with("grad/")) {
      if (const Parameter* p = e.model().parameter(name.substr(5)))
        t = p->gradient().defined() ? p->gradient() : at::zeros_like(p->value, at::kFloat);
    } else if (name.starts_with("merged/")) {
      if (const Parameter* p = e.model().parameter(name.substr(7))) t = e.model().merged(*p);
    } else if (const Parameter* p = e.model().parameter(name)) {
      t = p->value;
    } else {
      t = e.trainer().optimizer().state(name);
    }
    if (!t.defined()) throw Error("INVALID_ARGUMENT", "there is no tensor named " + name);
    return t;
  }

  // read(places): fills tensors from files
  Napi::Value read(const Napi::CallbackInfo& info) {
    return guarded(env_, [&] {
      return promise([places = to_places(info[0])](Engine& e) {
        e.change([&] {
          MappedFiles files;
          for (const TensorPlace& place : places) files.read(place, find(e, place.name).detach());
        });
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
        const at::Tensor t = to_host(find(e, name));
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
      const std::vector<int32_t> ids = to_ids(info[1], "ids");
      e.check(ids);
      e.post([&e, conversation = id(info[0]), ids, seed = static_cast<uint64_t>(id(info[2]))] {
        e.open(conversation, ids, seed);
      });
    });
  }

  // append(id, ids); where the conversation is busy or closed src/policy/policy.ts has already refused it
  void append(const Napi::CallbackInfo& info) {
    guarded(env_, [&] {
      Engine& e = engine();
      const std::vector<int32_t> ids = to_ids(info[1], "ids");
      e.check(ids);
      e.post([&e, conversation = id(info[0]), ids] { e.append(conversation, ids); });
    });
  }

  // generate(id, sampling): { ids, logp, ended }
  Napi::Value generate(const Napi::CallbackInfo& info) {
    return guarded(env_, [&] {
      Engine& e = engine();
      const int64_t conversation = id(info[0]);
      const Sampling sampling = to_sampling(info[1].As<Napi::Object>());
      const Deferred deferred = expect();
      e.post([this, &e, deferred, conversation, sampling] {
        const Engine::Done done = [this, deferred](Generation g, std::exception_ptr failure) {
          const auto answer = [g = std::move(g)](Napi::Env env) -> Napi::Value {
            Napi::Object o = Napi::Object::New(env);
            o.Set("ids", from_ids(env, g.ids));
            o.Set("logp", from_floats(env, g.logp));
            o.Set("ended", Napi::String::New(env, g.ended));
            return o;
          };
          settle(deferred, answer, failure);
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

  // abort(id, late?): late, the generation fails as DEADLINE with that message; nothing on a disposed engine
  void abort(const Napi::CallbackInfo& info) {
    if (disposed_) return;
    std::exception_ptr failure;
    if (info[1].IsString())
      failure = std::make_exception_ptr(Error("DEADLINE", info[1].As<Napi::String>().Utf8Value()));
    Engine& e = *engine_;
    e.post([&e, conversation = id(info[0]), failure] { e.abort(conversation, failure); });
  }

  // fork(id, twin, seed); refused as for append, and where it fails the twin's first generation says that it
  // is closed
  void fork(const Napi::CallbackInfo& info) {
    guarded(env_, [&] {
      Engine& e = engine();
      e.post([&e, from = id(info[0]), twin = id(info[1]), seed = static_cast<uint64_t>(id(info[2]))] {
        e.fork(from, twin, seed);
      });
    });
  }

  // close(id); does nothing on a disposed engine
  void close(const Napi::CallbackInfo& info) {
    if (disposed_) return;
    Engine& e = *engine_;
    e.post([&e, conversation = id(info[0])] { e.close(conversation); });
  }

  // score(ids, rows, temperature, adapter): { logp, entropy, top1 }
  Napi::Value score(const Napi::CallbackInfo& info) {
    return guarded(env_, [&] {
      const double temperature = info[2].As<Napi::Number>();
      require(temperature >= kColdest, "temperature: expected 1e-6 or more");
      return promise([ids = to_ids(info[0], "ids"), rows = to_ids(info[1], "rows"), temperature,
                      adapter = info[3].As<Napi::Boolean>().Value()](Engine& e) -> Answer {
        const auto scores = std::make_shared<Scores>(e.trainer().score(ids, rows, temperature, adapter));
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

  // values(ids, rows): Float32Array
  Napi::Value values(const Napi::CallbackInfo& info) {
    return guarded(env_, [&] {
      return promise([ids = to_ids(info[0], "ids"), rows = to_ids(info[1], "rows")](Engine& e) -> Answer {
        return [values = e.trainer().values(ids, rows)](Napi::Env env) { return from_floats(env, values); };
      });
    });
  }

  static Answer from_trace(Trace trace) {
    trace.logits = to_host(trace.logits);
    trace.hidden = to_host(trace.hidden);
    for (at::Tensor& t : trace.residuals) t = to_host(t);
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

  /// A batch and its loss, copied.
  struct Lesson {
    std::vector<int32_t> ids, rows;
    std::vector<float> weight, advantage, old_logp, ref_logp, old_values, returns;
    LossOptions loss;
    double temperature;
    Batch batch() const { return {ids, rows, weight, advantage, old_logp, ref_logp, old_values, returns}; }
  };

  static Lesson to_lesson(const Napi::CallbackInfo& info) {
    const Napi::Object b = info[0].As<Napi::Object>(), o = info[1].As<Napi::Object>();
    const double temperature = to_number(o, "temperature");
    require(temperature >= kColdest, "temperature: expected 1e-6 or more");
    const Napi::Value given = b.Get("values");
    const auto value = [&](const char* name) {
      return given.IsObject() ? to_floats(given.As<Napi::Object>().Get(name), name) : std::vector<float>();
    };
    return {to_ids(b.Get("ids"), "ids"),
            to_ids(b.Get("rows"), "rows"),
            to_floats(b.Get("weight"), "weight"),
            to_floats(b.Get("advantage"), "advantage"),
            to_floats(b.Get("oldLogp"), "oldLogp"),
            to_floats(b.Get("refLogp"), "refLogp"),
            value("old"),
            value("returns"),
            to_loss(o),
            temperature};
  }

  // backward(batch, loss): statistics; gradients add up in the parameters
  Napi::Value backward(const Napi::CallbackInfo& info) {
    return guarded(env_, [&] {
      return promise([lesson = to_lesson(info)](Engine& e) -> Answer {
        const LossStats stats = e.trainer().backward(lesson.batch(), lesson.loss, lesson.temperature);
        return [stats](Napi::Env env) -> Napi::Value { return from_stats(env, stats); };
      });
    });
  }

  // step(batch, loss, optimizer): statistics with the gradient's norm before clipping
  Napi::Value step(const Napi::CallbackInfo& info) {
    return guarded(env_, [&] {
      return promise([lesson = to_lesson(info),
                      optimizer = to_optimizer(info[2].As<Napi::Object>())](Engine& e) -> Answer {
        const Step step = e.change(
            [&] { return e.trainer().step(lesson.batch(), lesson.loss, lesson.temperature, optimizer); });
        return [step](Napi::Env env) -> Napi::Value {
          Napi::Object o = from_stats(env, step.stats);
          o.Set("gradNorm", Napi::Number::New(env, step.grad_norm));
          return o;
        };
      });
    });
  }

  // state(): names of the optimizer's tensors
  Napi::Value state(const Napi::CallbackInfo&) {
    return guarded(env_, [&] {
      return promise([](Engine& e) -> Answer {
        return [names = e.trainer().optimizer().names()](Napi::Env env) -> Napi::Value {
          Napi::Array list = Napi::Array::New(env, names.size());
          for (size_t i = 0; i < names.size(); i++) list[static_cast<uint32_t>(i)] = names[i];
          return list;
        };
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
              {"rounds", s.rounds},   {"computed", s.computed},     {"recomputed", s.recomputed},
              {"sampled", s.sampled}, {"shared", s.shared},         {"waiting", s.waiting},
              {"pages", s.pages},     {"pagesLimit", s.pages_limit}};
          for (const auto& [name, value] : numbers)
            o.Set(name, Napi::Number::New(env, static_cast<double>(value)));
          return o;
        };
      });
    });
  }

  // batchInvariant(): whether a conversation's bits do not depend on its company
  Napi::Value batch_invariant(const Napi::CallbackInfo&) {
    return guarded(env_, [&] { return Napi::Boolean::New(env_, engine().batch_invariant()); });
  }

  // dispose(): resolves when the thread has ended; generations under way end as aborted, other work as
  // DISPOSED
  Napi::Value dispose(const Napi::CallbackInfo&) {
    return guarded(env_, [&] {
      Engine& e = engine();
      disposed_ = true;
      const Deferred deferred = expect();
      e.stop([this, deferred] {
        settle(deferred, [this](Napi::Env env) {
          napi_remove_env_cleanup_hook(env, at_exit, this);
          engine_.reset();
          replies_.finish();
          return env.Undefined();
        });
      });
      return Napi::Value(deferred->Promise());
    });
  }

  Napi::Env env_;
  Replies replies_;
  std::unique_ptr<Engine> engine_;
  bool disposed_ = false;
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

// valueLoss({ values, oldValues, returns, weight }, clip): the critic's loss on plain numbers
Napi::Value value_loss_of(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const Napi::Object in = info[0].As<Napi::Object>();
    const auto doubles = [&](const char* name) { return to_doubles(in.Get(name), name); };
    const auto values = doubles("values"), old_values = doubles("oldValues"), returns = doubles("returns"),
               weight = doubles("weight");
    std::vector<double> grad_values(values.size());
    const ValueSums sums =
        value_loss({values, old_values, returns, weight}, info[1].As<Napi::Number>(), grad_values);
    Napi::Object o = Napi::Object::New(info.Env());
    o.Set("gradValues", from_doubles(info.Env(), grad_values));
    o.Set("loss", Napi::Number::New(info.Env(), sums.loss));
    o.Set("clipped", Napi::Number::New(info.Env(), sums.clipped));
    o.Set("tokens", Napi::Number::New(info.Env(), static_cast<double>(sums.tokens)));
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

// writeStart(places, shapes, initializerRange, layers, seed): random starting weights into files, on this
// thread
Napi::Value write_start(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const std::vector<TensorPlace> places = to_places(info[0]);
    const std::vector<Shape> shapes = to_shapes(info[1]);
    require(places.size() == shapes.size(), "shapes: expected one for each place");
    StartValues start(info[2].As<Napi::Number>(), info[3].As<Napi::Number>(),
                      static_cast<uint64_t>(info[4].As<Napi::Number>().Int64Value()));
    for (size_t i = 0; i < places.size(); i++)
      start.next(shapes[i].name, shapes[i].sizes,
                 [&](int64_t from, const at::Tensor& values) { write_part(places[i], from, values); });
    return info.Env().Undefined();
  });
}

// isa(): the instruction set of the kernels in use
Napi::Value isa(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), kernels<float>().isa);
}

// cuda(): true when there is a GPU that libtorch can use
Napi::Value cuda(const Napi::CallbackInfo& info) { return Napi::Boolean::New(info.Env(), cuda_available()); }

// cudaMemory(): free bytes of the first GPU; 0 without one
Napi::Value cuda_memory_of(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(cuda_memory()));
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  exports.Set("Engine", EngineObject::define(env));
  exports.Set("policyLoss", Napi::Function::New<policy_loss_of>(env, "policyLoss"));
  exports.Set("valueLoss", Napi::Function::New<value_loss_of>(env, "valueLoss"));
  exports.Set("distribution", Napi::Function::New<distribution_of>(env, "distribution"));
  exports.Set("writeStart", Napi::Function::New<write_start>(env, "writeStart"));
  exports.Set("isa", Napi::Function::New<isa>(env, "isa"));
  exports.Set("cuda", Napi::Function::New<cuda>(env, "cuda"));
  exports.Set("cudaMemory", Napi::Function::New<cuda_memory_of>(env, "cudaMemory"));
  return exports;
}

}  // namespace tarl

static Napi::Object init(Napi::Env env, Napi::Object exports) { return tarl::init(env, exports); }
NODE_API_MODULE(tarl, init)
