#include "db/text_search.h"

#include <bit>
#include <cstdint>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace penstock::db {

namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
char upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; }

}  // namespace

TextSearch::TextSearch(std::string_view wanted) {
  for (const char c : wanted) lower_ += lower(c);
  if (lower_.empty()) return;
  first_[0] = lower_.front();
  first_[1] = upper(lower_.front());
  last_[0] = lower_.back();
  last_[1] = upper(lower_.back());
}

bool TextSearch::equals(const char* at) const {
  for (size_t i = 0; i < lower_.size(); ++i) {
    if (lower(at[i]) != lower_[i]) return false;
  }
  return true;
}

bool TextSearch::in(std::string_view text) const {
  if (lower_.empty()) return true;
  if (text.size() < lower_.size()) return false;
  const size_t places = text.size() - lower_.size() + 1;
  const char* begin = text.data();
#if defined(__SSE2__)
  // Sixteen places at a time: those whose first and last characters fit are looked at.
  const __m128i first0 = _mm_set1_epi8(first_[0]), first1 = _mm_set1_epi8(first_[1]);
  const __m128i last0 = _mm_set1_epi8(last_[0]), last1 = _mm_set1_epi8(last_[1]);
  for (size_t at = 0; at < places; at += 16) {
    const __m128i head = _mm_loadu_si128(reinterpret_cast<const __m128i*>(begin + at));
    const __m128i tail = _mm_loadu_si128(reinterpret_cast<const __m128i*>(begin + at + lower_.size() - 1));
    const __m128i fits = _mm_and_si128(_mm_or_si128(_mm_cmpeq_epi8(head, first0), _mm_cmpeq_epi8(head, first1)),
                                       _mm_or_si128(_mm_cmpeq_epi8(tail, last0), _mm_cmpeq_epi8(tail, last1)));
    for (auto mask = static_cast<uint32_t>(_mm_movemask_epi8(fits)); mask != 0; mask &= mask - 1) {
      const size_t place = at + static_cast<size_t>(std::countr_zero(mask));
      if (place < places && equals(begin + place)) return true;
    }
  }
  return false;
#else
  for (size_t at = 0; at < places; ++at) {
    const bool fits = (begin[at] == first_[0] || begin[at] == first_[1]);
    if (fits && equals(begin + at)) return true;
  }
  return false;
#endif
}

}  // namespace penstock::db
