// Quantities of resources, as text and as JSON.
#include "base/fuzz.h"
#include "node/quantity.h"

using namespace penstock;
using node::Quantity;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = fuzz::text(data, size);
  fuzz::taken([&] {
    const Quantity quantity = Quantity::parse(text, "x");
    CHECK_INVARIANT(Quantity::parse(quantity.text()) == quantity);
    quantity.units();
    quantity.milli();
    quantity.number();
  });
  fuzz::taken([&] { Quantity::read(parse_json(text)); });
  return 0;
}
