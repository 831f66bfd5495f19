// A minimal frame for the native tests, which run under AddressSanitizer and UBSan (npm run test:asan).

#pragma once
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

namespace tarl {

struct Test {
  std::string name;
  std::function<void()> run;
};
std::vector<Test>& tests();

struct Register {
  Register(const char* name, std::function<void()> run) { tests().push_back({name, std::move(run)}); }
};

[[noreturn]] inline void fail(const char* file, int line, const std::string& what) {
  std::fprintf(stderr, "%s:%d: %s\n", file, line, what.c_str());
  std::exit(1);
}

/// Numbers between -1 and 1 that are the same in every run.
inline std::vector<float> numbers(size_t n, uint32_t seed) {
  std::vector<float> list(n);
  for (float& x : list) {
    seed = seed * 1664525u + 1013904223u;
    x = static_cast<float>(seed >> 8) / 8388608.f - 1.f;
  }
  return list;
}

}  // namespace tarl

#define TEST(name)                                            \
  static void name();                                         \
  static const ::tarl::Register register_##name(#name, name); \
  static void name()
#define EXPECT(condition) \
  if (!(condition)) ::tarl::fail(__FILE__, __LINE__, #condition)
#define EXPECT_NEAR(a, b, bound)         \
  if (!(std::abs((a) - (b)) <= (bound))) \
  ::tarl::fail(__FILE__, __LINE__,       \
               std::string(#a) + " is " + std::to_string(a) + ", expected " + std::to_string(b))
