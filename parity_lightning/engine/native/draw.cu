// The examples of a stack on a GPU, for networks that other code computes; see data/sparse_parity.py for what they are.
//
// A thread draws an example. The threads of a warp write the inputs of all 32 of them together, one after another, so that
// neighbours write to neighbouring places.
//
// What is given at compile time: REAL. No size is.

#include "arithmetic.h"

constexpr int WARP = 32;
constexpr unsigned int ALL = 0xFFFFFFFFu;

// Draws inputs of shape (trials, count, n) and labels of shape (trials, count). The index is of shape (trials, count), or of
// shape (count) if all trials share it.
extern "C" __global__ void draw_examples(Stream stream, int64_t trials, int64_t n, int64_t count, const int64_t *index,
                                         int64_t is_shared, real *x, real *y) {
  const int64_t examples = trials * count, words = (n + 31) / 32;
  const int64_t own = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  const int lane = threadIdx.x % WARP;
  const int64_t first = own - lane;
  // Behind the last example the threads of a warp draw that one again: all of them take part in what a warp does together.
  const int64_t place = own < examples ? own : examples - 1, trial = place / count;
  const int64_t example = index[is_shared ? place % count : place];
  const uint32_t low = static_cast<uint32_t>(example), high = static_cast<uint32_t>(example >> 32);
  const uint32_t k0 = static_cast<uint32_t>(stream.low[trial]), k1 = static_cast<uint32_t>(stream.high[trial]);
  const int64_t *relevant = stream.relevant + trial * words;
  uint32_t odd = 0, c[4];
  for (int64_t word = 0; word < words; ++word) {
    if (word % 4 == 0) {
      c[0] = low, c[1] = high, c[2] = static_cast<uint32_t>(word / 4), c[3] = static_cast<uint32_t>(stream.purpose);
      philox(c, k0, k1);
    }
    const int part = static_cast<int>(word % 4);
    const uint32_t drawn = part == 0 ? c[0] : part == 1 ? c[1] : part == 2 ? c[2] : c[3];
    odd ^= drawn & static_cast<uint32_t>(relevant[word]);
    const int64_t input = 32 * word + lane;
    for (int other = 0; other < WARP; ++other) {
      const uint32_t its = __shfl_sync(ALL, drawn, other);
      if (first + other < examples && input < n) x[(first + other) * n + input] = input_of(its, lane);
    }
  }
  int flips = __popc(odd);
  if (stream.is_noisy) {
    c[0] = low, c[1] = high, c[2] = 0, c[3] = static_cast<uint32_t>(stream.noise_purpose);
    philox(c, k0, k1);
    flips += static_cast<int64_t>(c[0]) < stream.flip_below[trial];
  }
  if (own < examples) y[own] = input_of(static_cast<uint32_t>(flips), 0);
}
