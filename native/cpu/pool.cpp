#include "pool.h"

#include <exception>

namespace tarl {

namespace {

/// Spins for 65 to 190 microseconds, as long as the processor's pause takes (a decode step's gaps are
/// shorter), then sleeps until the value changes.
template <class T>
void wait_while(const std::atomic<T>& value, T old) {
  for (int i = 0; i < 4000; i++) {
    if (value.load(std::memory_order_acquire) != old) return;
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
  }
  value.wait(old, std::memory_order_acquire);
}

}  // namespace

Pool::Pool(int threads) {
  try {
    for (int i = 1; i < threads; i++) workers_.emplace_back([this] { loop(); });
  } catch (...) {  // the system gives no more threads: those that run must end before they are destroyed
    end();
    throw;
  }
}

Pool::~Pool() { end(); }

void Pool::end() {
  stop_ = true;
  round_.fetch_add(1, std::memory_order_release);
  round_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void Pool::run_raw(int64_t n, Work work, const void* data) {
  if (n <= 0) return;
  if (n == 1 || workers_.empty()) {
    for (int64_t i = 0; i < n; i++) work(data, i);
    return;
  }
  const std::lock_guard<std::mutex> lock(busy_);
  work_ = work;
  data_ = data;
  count_ = n;
  error_ = nullptr;
  failed_ = false;
  next_.store(0, std::memory_order_relaxed);
  gate_.fetch_and(~kShut, std::memory_order_release);
  round_.fetch_add(1, std::memory_order_release);
  round_.notify_all();
  take();
  gate_.fetch_or(kShut, std::memory_order_acq_rel);
  for (uint32_t inside; (inside = gate_.load(std::memory_order_acquire)) != kShut;) wait_while(gate_, inside);
  if (failed_) std::rethrow_exception(error_);
}

void Pool::take() {
  try {
    for (int64_t i; (i = next_.fetch_add(1, std::memory_order_relaxed)) < count_;) work_(data_, i);
  } catch (...) {
    if (!failed_.exchange(true)) error_ = std::current_exception();
    next_.store(count_, std::memory_order_relaxed);
  }
}

void Pool::loop() {
  for (uint32_t seen = 0;;) {
    wait_while(round_, seen);
    seen = round_.load(std::memory_order_acquire);
    if (stop_) return;
    // What the round is about is read inside of an open gate alone; one that is too late leaves at once.
    if (!(gate_.fetch_add(1, std::memory_order_acquire) & kShut)) take();
    if (gate_.fetch_sub(1, std::memory_order_release) == kShut + 1) gate_.notify_one();
  }
}

}  // namespace tarl
