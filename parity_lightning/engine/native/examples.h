// Examples on a GPU, drawn by the threads of a warp; see data/sparse_parity.py for what they are.

#pragma once

#include "arithmetic.h"

constexpr int WARP = 32;
constexpr unsigned int ALL = 0xFFFFFFFFu;
DEVICE int lane() { return threadIdx.x % WARP; }

// Four random words for an example; see random_words in data/philox.py.
DEVICE void draw_words(int64_t index, int64_t block, int64_t purpose, uint32_t k0, uint32_t k1, uint32_t (&c)[4]) {
  c[0] = static_cast<uint32_t>(index), c[1] = static_cast<uint32_t>(index >> 32);
  c[2] = static_cast<uint32_t>(block), c[3] = static_cast<uint32_t>(purpose);
  philox(c, k0, k1);
}

// Draws an example for each thread of a warp and returns its label; take is called with each of its words.
template <typename Take>
DEVICE real draw_example(const Stream &stream, int64_t trial, int n, int64_t index, const Take &take) {
  const int words = (n + 31) / 32;
  const uint32_t k0 = static_cast<uint32_t>(stream.low[trial]), k1 = static_cast<uint32_t>(stream.high[trial]);
  const int64_t *relevant = stream.relevant + trial * words;
  uint32_t odd = 0, c[4];
  for (int first = 0; first < words; first += 4) {
    draw_words(index, first / 4, stream.purpose, k0, k1, c);
#pragma unroll
    for (int w = 0; w < 4; ++w) {
      if (first + w >= words) break;
      odd ^= c[w] & static_cast<uint32_t>(relevant[first + w]);
      take(first + w, c[w]);
    }
  }
  real y = __popc(odd) & 1 ? real(-1) : real(1);
  if (stream.is_noisy) {
    draw_words(index, 0, stream.noise_purpose, k0, k1, c);
    if (static_cast<int64_t>(c[0]) < stream.flip_below[trial]) y = -y;
  }
  return y;
}
