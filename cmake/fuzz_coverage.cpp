// Tells libFuzzer which code an input reaches. g++ calls __sanitizer_cov_trace_pc at each edge; libFuzzer has one of
// that name which only says that it wants clang's counters (the linker takes the first, which is ours), but beside
// those it looks at any bytes in the section named here. Not instrumented itself.
#include <cstddef>
#include <cstdint>

extern "C" char __executable_start;

namespace {

constexpr size_t kCounters = 1 << 16;
__attribute__((section("__libfuzzer_extra_counters"), used)) uint8_t counters[kCounters];

}  // namespace

extern "C" void __sanitizer_cov_trace_pc() {
  // From the program's start, which address space randomisation moves.
  const auto at =
      reinterpret_cast<uintptr_t>(__builtin_return_address(0)) - reinterpret_cast<uintptr_t>(&__executable_start);
  uint8_t& counter = counters[(at * 0x9e37'79b9'7f4a'7c15ull) >> 48];
  if (counter != UINT8_MAX) ++counter;
}

// Comparisons of floating-point numbers, which g++ reports and libFuzzer does not listen to.
extern "C" void __sanitizer_cov_trace_cmpf(float, float) {}
extern "C" void __sanitizer_cov_trace_cmpd(double, double) {}
