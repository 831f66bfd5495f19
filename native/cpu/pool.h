// A few threads that share loops. Work is claimed piece by piece, so that a thread which the machine has
// taken away delays the piece that it is at and nothing else: a thread that comes when all pieces are claimed
// is not waited for. What a piece computes must not depend on who computes it.

#pragma once
#include <atomic>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

namespace tarl {

class Pool {
 public:
  /// `threads` counts the calling one.
  explicit Pool(int threads);
  ~Pool();
  Pool(const Pool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  /// Calls work(i) for every i in [0, n), in any order, on any thread; returns when all are done. Not
  /// reentrant. The first exception thrown by a piece is rethrown here.
  template <class F>
  void run(int64_t n, const F& work) {
    run_raw(
        n, [](const void* f, int64_t i) { (*static_cast<const F*>(f))(i); }, &work);
  }

 private:
  using Work = void (*)(const void*, int64_t);
  static constexpr uint32_t kShut = 1u << 31;
  void run_raw(int64_t n, Work, const void* data);
  void take();
  void loop();
  void end();

  std::vector<std::thread> workers_;
  std::mutex busy_;
  Work work_ = nullptr;
  const void* data_ = nullptr;
  int64_t count_ = 0;
  std::atomic<int64_t> next_{0};
  std::atomic<uint32_t> round_{0};     // grows when there is work
  std::atomic<uint32_t> gate_{kShut};  // workers inside of the round, and whether more may enter
  std::atomic<bool> failed_{false}, stop_{false};
  std::exception_ptr error_;
};

}  // namespace tarl
