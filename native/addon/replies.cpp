#include "replies.h"

namespace tarl {

Replies::Replies(Napi::Env env)
    : function_(Napi::ThreadSafeFunction::New(env, Napi::Function::New(env, [](const Napi::CallbackInfo&) {}),
                                              "tarl", 0, 1)) {
  function_.Unref(env);
}

void Replies::expect(Napi::Env env) {
  if (state_->awaited++ == 0) function_.Ref(env);
}

void Replies::send(Reply reply) {
  const std::lock_guard<std::mutex> lock(state_->mutex);
  if (state_->released) return;
  auto packet = std::make_unique<Packet>(Packet{std::move(reply), state_, function_});
  const napi_status status =
      function_.NonBlockingCall(packet.get(), [](Napi::Env env, Napi::Function, Packet* raw) {
        const std::unique_ptr<Packet> owned(raw);
        if (env == nullptr || owned->state->dropped) return;
        const Napi::HandleScope scope(env);
        if (--owned->state->awaited == 0) owned->function.Unref(env);
        try {
          owned->reply(env);
        } catch (...) {
          // A reply only settles a promise; there is nobody else to tell.
        }
      });
  if (status == napi_ok)
    packet.release();
  else
    state_->released = state_->dropped = true;  // the environment is closing
}

void Replies::finish() {
  const std::lock_guard<std::mutex> lock(state_->mutex);
  if (state_->released) return;
  state_->released = true;
  function_.Release();
}

void Replies::close() {
  finish();
  state_->dropped = true;
}

}  // namespace tarl
