// Runs every native test; the first that fails ends the program.

#include "test.h"

std::vector<tarl::Test>& tarl::tests() {
  static std::vector<Test> list;
  return list;
}

int main() {
  for (const tarl::Test& test : tarl::tests()) {
    std::printf("%s\n", test.name.c_str());
    std::fflush(stdout);
    test.run();
  }
  std::printf("%zu passed, 0 failed\n", tarl::tests().size());
}
