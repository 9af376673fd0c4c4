// Commands of Python steps, which hold shell programs. The byte 0x1f ends an argument.
#include "base/fuzz.h"
#include "node/python_bootstrap.h"

using namespace penstock;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::vector<std::string> argv;
  for (const std::string_view part : fuzz::split(fuzz::text(data, size), '\x1f', 100)) argv.emplace_back(part);
  const auto bootstrap = node::parse_bootstrap(argv);
  const size_t from = bootstrap ? bootstrap->rest : 0;
  CHECK_INVARIANT(from <= argv.size());
  if (const auto program = node::parse_program(argv, from)) {
    CHECK_INVARIANT(program->source < argv.size() && program->args <= argv.size());
  }
  return 0;
}
