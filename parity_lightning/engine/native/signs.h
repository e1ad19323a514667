// The inputs of examples, which are signs, from their bits: as numbers, or as the bits of each input.

#pragma once

#include <cstring>

#include "arithmetic.h"
#include "vectors.h"

typedef std::conditional_t<sizeof(real) == 4, int32_t, int64_t> lane;
typedef lane lanes __attribute__((vector_size(32)));

// The lowest bits b as inputs (-1)^b.
template <int... L>
static inline vec inputs_of(uint32_t bits, std::integer_sequence<int, L...>) {
  return (static_cast<lane>(bits) & lanes{lane(1) << L...}) == 0 ? splat(1) : splat(-1);
}
static inline vec inputs_of(uint32_t bits) { return inputs_of(bits, std::make_integer_sequence<int, LANES>()); }

// The inputs, (count, n), of bits.
static void expand(const uint32_t *bits, int64_t n, int64_t count, real *x) {
  const int64_t words = (n + 31) / 32;
  for (int64_t b = 0; b < count; ++b)
    for (int64_t word = 0; word < words; ++word) {
      const uint32_t drawn = bits[b * words + word];
      real *to = x + b * n + 32 * word;
      const int64_t here = n - 32 * word < 32 ? n - 32 * word : 32;
      int64_t j = 0;
      for (; j + LANES <= here; j += LANES) {
        const vec inputs = inputs_of(drawn >> j);
        std::memcpy(to + j, &inputs, sizeof inputs);
      }
      for (; j < here; ++j) to[j] = input_of(drawn, j);
    }
}

typedef uint32_t Eight __attribute__((vector_size(32)));

// A step of transposing words, in squares of 2 D bits in 2 D words: the upper D bits of a word and the lower D bits of the
// word D places after it change places. Among eight words, or of eight words and the eight that are D places after them.
template <int D, int... L>
static inline void exchange_bits(Eight &words, std::integer_sequence<int, L...>) {
  constexpr uint32_t lower = ~0u / ((1u << D) + 1);
  const Eight differ = (words >> D ^ chosen<(L ^ D)...>(words, words)) & Eight{(L & D ? 0 : lower)...};
  words ^= differ << D ^ chosen<(L ^ D)...>(differ, differ);
}
template <int D>
static inline void exchange_bits(Eight &one, Eight &other) {
  constexpr uint32_t lower = ~0u / ((1u << D) + 1);
  const Eight differ = (one >> D ^ other) & lower;
  one ^= differ << D, other ^= differ;
}

// Makes bit j of word i bit i of word j.
static inline void transpose(uint32_t (&square)[32]) {
  Eight rows[4];
  std::memcpy(rows, square, sizeof rows);
  exchange_bits<16>(rows[0], rows[2]), exchange_bits<16>(rows[1], rows[3]);
  exchange_bits<8>(rows[0], rows[1]), exchange_bits<8>(rows[2], rows[3]);
  for (Eight &words : rows) {
    const std::make_integer_sequence<int, 8> each{};
    exchange_bits<4>(words, each), exchange_bits<2>(words, each), exchange_bits<1>(words, each);
  }
  std::memcpy(square, rows, sizeof rows);
}

// Of bits of examples, (count, words of inputs), the bits of each input, (n, words of examples); those from count on are 0.
static void turn(const uint32_t *bits, int64_t n, int64_t count, uint32_t *turned) {
  const int64_t words = (n + 31) / 32, turned_words = (count + 31) / 32;
  for (int64_t b = 0; b < count; b += 32)
    for (int64_t i = 0; i < n; i += 32) {
      uint32_t square[32] = {};
      for (int64_t k = 0; k < 32 && b + k < count; ++k) square[k] = bits[(b + k) * words + i / 32];
      transpose(square);
      for (int64_t k = 0; k < 32 && i + k < n; ++k) turned[(i + k) * turned_words + b / 32] = square[k];
    }
}
