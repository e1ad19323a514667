// The examples of a stack on a GPU, for networks that other code computes.
//
// A thread draws an example. The threads of a warp write the inputs of all 32 of them together, one after another, so that
// neighbours write to neighbouring places.
//
// What is given at compile time: REAL. No size is.

#include "examples.h"

// Draws inputs of shape (trials, count, n) and labels of shape (trials, count). The index is of shape (trials, count), or of
// shape (count) if all trials share it.
extern "C" __global__ void draw_examples(Stream stream, int64_t trials, int64_t n, int64_t count, const int64_t *index,
                                         int64_t is_shared, real *x, real *y) {
  const int64_t examples = trials * count;
  const int64_t own = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x, first = own - lane();
  // Behind the last example the threads of a warp draw that one again: all of them take part in what a warp does together.
  const int64_t place = own < examples ? own : examples - 1;
  const int64_t example = index[is_shared ? place % count : place];
  const real label = draw_example(stream, place / count, static_cast<int>(n), example, [&](int word, uint32_t bits) {
    const int64_t input = 32 * word + lane();
    for (int other = 0; other < WARP; ++other) {
      const uint32_t its = __shfl_sync(ALL, bits, other);
      if (first + other < examples && input < n) x[(first + other) * n + input] = input_of(its, lane());
    }
  });
  if (own < examples) y[own] = label;
}
