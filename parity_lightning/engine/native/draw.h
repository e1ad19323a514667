// Examples on a CPU, a few at a time; see data/sparse_parity.py for what they are.

#pragma once

#include <cstring>

#include "arithmetic.h"

#ifdef __AVX2__
#include <immintrin.h>
#endif

// For how many examples random words are drawn at a time.
constexpr int DRAWN = 4;

// A word of each of these examples, in the lower half of 64 bits: a product of two has room there. The upper half is 0, or
// anything where it says so.
struct Words {
  typedef uint64_t Numbers __attribute__((vector_size(8 * DRAWN)));
  Numbers at;
};
inline Words operator^(Words one, Words other) { return {one.at ^ other.at}; }
inline Words operator^(Words one, uint32_t other) { return {one.at ^ static_cast<uint64_t>(other)}; }
inline Words product(Words words, uint32_t factor) {
#ifdef __AVX2__
  const auto factors = _mm256_set1_epi64x(factor);
  return {reinterpret_cast<Words::Numbers>(_mm256_mul_epu32(reinterpret_cast<__m256i>(words.at), factors))};
#else
  return {(words.at & 0xFFFFFFFFu) * static_cast<uint64_t>(factor)};
#endif
}
inline Words upper(Words product) { return {product.at >> 32}; }
// With anything in the upper half.
inline Words lower(Words product) { return product; }

// Four random words for each of some examples, with anything in the upper half; see random_words in data/philox.py.
inline void draw_words(Words::Numbers index, int64_t block, int64_t purpose, uint32_t k0, uint32_t k1, Words (&c)[4]) {
  const Words::Numbers none = {};
  c[0].at = index, c[1].at = index >> 32, c[2].at = none + static_cast<uint32_t>(block);
  c[3].at = none + static_cast<uint32_t>(purpose);
  philox(c, k0, k1);
}

// Labels (-1)^b by the lowest bits.
inline void write_labels(Words::Numbers odd, int64_t count, real *y) {
  typedef int32_t Few __attribute__((vector_size(4 * DRAWN)));
  const Few sign = 1 - 2 * __builtin_convertvector(odd & 1, Few);
  if (count == DRAWN)
    for (int l = 0; l < DRAWN; ++l) y[l] = static_cast<real>(sign[l]);
  else
    for (int64_t l = 0; l < count; ++l) y[l] = static_cast<real>(sign[l]);
}

// The inputs of some examples of a trial as bits, (count, words), those from n on 0, and their labels.
static void draw(const Stream &stream, int64_t trial, int64_t n, const int64_t *index, int64_t count, uint32_t *bits,
                 real *y) {
  typedef uint32_t Few __attribute__((vector_size(4 * DRAWN)));
  const int64_t words = (n + 31) / 32, blocks = (n + 127) / 128;
  const uint32_t k0 = stream.low[trial], k1 = stream.high[trial];
  const int64_t *relevant = stream.relevant + trial * words;
  const uint32_t last_word = n % 32 ? (1u << n % 32) - 1 : ~0u;
  for (int64_t first = 0; first < count; first += DRAWN) {
    const int64_t here = count - first < DRAWN ? count - first : DRAWN;
    Words::Numbers places = {}, odd = {};
    if (here == DRAWN) std::memcpy(&places, index + first, sizeof places);
    else
      for (int64_t l = 0; l < here; ++l) places[l] = index[first + l];
    Words c[4];
    for (int64_t block = 0; block < blocks; ++block) {
      draw_words(places, block, stream.purpose, k0, k1, c);
      for (int64_t word = 4 * block; word < words && word < 4 * block + 4; ++word) {
        odd ^= c[word % 4].at & static_cast<uint32_t>(relevant[word]);
        const Few drawn = __builtin_convertvector(c[word % 4].at, Few) & (word == words - 1 ? last_word : ~0u);
        if (words == 1 && here == DRAWN) std::memcpy(bits + first, &drawn, sizeof drawn);
        else
          for (int64_t l = 0; l < here; ++l) bits[(first + l) * words + word] = drawn[l];
      }
    }
    for (int shift = 16; shift; shift /= 2) odd ^= odd >> shift;
    if (stream.is_noisy) {
      draw_words(places, 0, stream.noise_purpose, k0, k1, c);
      for (int64_t l = 0; l < here; ++l)
        odd[l] ^= static_cast<int64_t>(static_cast<uint32_t>(c[0].at[l])) < stream.flip_below[trial];
    }
    write_labels(odd, here, y + first);
  }
}
