// Errors that cross into JavaScript with a code (EngineErrorCode in src/errors.ts).

#pragma once
#include <stdexcept>
#include <string>

namespace tarl {

class Error : public std::runtime_error {
 public:
  Error(const char* code, const std::string& message) : std::runtime_error(message), code_(code) {}
  const char* code() const { return code_; }

 private:
  const char* code_;
};

/// For what a caller got wrong: names the value and what was expected.
inline void require(bool condition, const std::string& message) {
  if (!condition) throw Error("INVALID_ARGUMENT", message);
}

/// Runs work whose failure there is nobody to tell of.
template <class F>
void attempt(const F& work) {
  try {
    work();
  } catch (...) {
    // Whoever waits for an answer has been given one; nothing thrown may end the process.
  }
}

}  // namespace tarl
