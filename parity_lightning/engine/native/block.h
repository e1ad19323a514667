// What the kernels of step.cu share: a block's memory, warps, the words of an example, the update of a number.

#pragma once

#include "arithmetic.h"

constexpr int WARP = 32;
constexpr unsigned int ALL = 0xFFFFFFFFu;
constexpr int MOST_THREADS = 256;

// The memory of a block.
#ifndef BLOCK_MEMORY
extern __shared__ __align__(32) unsigned char memory[];
#define BLOCK_MEMORY memory
#endif
DEVICE real *number(int at) { return reinterpret_cast<real *>(BLOCK_MEMORY) + at; }

struct alignas(sizeof(real) * 4) Four {
  real at[4];
};

DEVICE int lane() { return threadIdx.x % WARP; }

// The sum of a value over the threads of a warp, in a fixed order.
template <typename Number>
DEVICE Number sum_over_warp(Number value) {
  for (int distance = WARP / 2; distance; distance /= 2) value += __shfl_xor_sync(ALL, value, distance);
  return value;
}

// What a thread has of COUNT sums over threads of its warp: sum i goes to those whose lane has the bits of i uppermost.
template <int COUNT, int DISTANCE = WARP / 2>
DEVICE real sums_over_warp(real *value) {
  constexpr int HALF = COUNT / 2;
  const bool is_upper = lane() & DISTANCE;
#pragma unroll
  for (int b = 0; b < HALF; ++b) {
    const real own = is_upper ? value[b + HALF] : value[b], other = is_upper ? value[b] : value[b + HALF];
    value[b] = own + __shfl_xor_sync(ALL, other, DISTANCE);
  }
  if constexpr (HALF > 1) return sums_over_warp<HALF, DISTANCE / 2>(value);
  else return value[0];
}

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

// What the kernels were compiled for, so that no number asks for it.
DEVICE Update compiled_for(Update update) {
  update.rule = OPTIMIZER;
  update.has_decay = HAS_DECAY, update.has_weight_decay = HAS_WEIGHT_DECAY, update.is_decoupled = IS_DECOUPLED;
  update.has_momentum = STATES == 1, update.has_nesterov = HAS_NESTEROV;
  return update;
}

// A hundred copies of what is long would take the compiler half a minute: it is called.
#ifdef __CUDACC__
#define CALLED __device__ __noinline__
#else
#define CALLED inline
#endif

struct Curve {
  int64_t degree;
  const double *coefficients;
  int64_t coefficient_count;
};
struct Point {
  real value, slope;
};
template <bool WITH_SLOPE>
CALLED Point called_activation(Curve curve, real z) {
  Point point = {};
  point.value = activation_of<ACTIVATION, WITH_SLOPE>(curve, z, point.slope);
  return point;
}

// The activation, and its derivative if that is wanted.
template <bool WITH_SLOPE>
DEVICE Point activation(const Network &net, real z) {
  if (ACTIVATION > POWER) return called_activation<WITH_SLOPE>({net.degree, net.coefficients, net.coefficient_count}, z);
  Point point = {};
  point.value = activation_of<ACTIVATION, WITH_SLOPE>(Curve{DEGREE}, z, point.slope);
  return point;
}

struct Updated {
  real p, first, second;
};
CALLED Updated called_adam(Options o, Updated number, real gradient) {
  adam(compiled_for({}), o, number.p, gradient, number.first, number.second);
  return number;
}

DEVICE void update_number(const Update &update, const Options &o, real &p, real gradient, real &first, real &second) {
  if (OPTIMIZER == ADAM) {
    const Updated updated = called_adam(o, {p, first, second}, gradient);
    p = updated.p, first = updated.first, second = updated.second;
  } else if (OPTIMIZER == SIGN_SGD) {
    sign_sgd(o, p, gradient);
  } else if (STATES == 0) {
    plain_sgd(update, o, p, gradient);
  } else {
    sgd_with_momentum(update, o, p, gradient, first);
  }
}

DEVICE bool is_trained(const Parameter &parameter) { return parameter.value && parameter.is_trainable; }
