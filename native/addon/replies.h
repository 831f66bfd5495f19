// The way back from the engine's thread: closures that run on JavaScript's thread. While none is awaited the
// process may end; after the environment began to close nothing is called any more.

#pragma once
#include <napi.h>

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>

namespace tarl {

class Replies {
 public:
  using Reply = std::function<void(Napi::Env)>;

  explicit Replies(Napi::Env env);
  ~Replies() { close(); }

  /// On JavaScript's thread: one more reply is awaited, the process stays alive for it.
  void expect(Napi::Env);
  /// From any thread: calls `reply` on JavaScript's thread, once per `expect`.
  void send(Reply reply);
  /// On JavaScript's thread, when nobody sends any more: what was sent is still delivered.
  void finish();
  /// On JavaScript's thread: replies that were not delivered yet are dropped.
  void close();

 private:
  struct State {
    std::mutex mutex;
    bool released = false;             // the function may not be touched any more
    std::atomic<bool> dropped{false};  // nothing is delivered any more
    int awaited = 0;                   // JavaScript's thread only
  };
  struct Packet {
    Reply reply;
    std::shared_ptr<State> state;
    Napi::ThreadSafeFunction function;
  };
  Napi::ThreadSafeFunction function_;
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

}  // namespace tarl
