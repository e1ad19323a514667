// What the kernels of step.cu share: a block's memory, sums over a warp, activations, the update of a number.

#pragma once

#include "examples.h"

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

// How weights are updated, in constants of the compiler: no branch for each number.
DEVICE Update compiled_for(Update update) {
  update.rule = OPTIMIZER;
  update.has_decay = HAS_DECAY, update.has_weight_decay = HAS_WEIGHT_DECAY, update.is_decoupled = IS_DECOUPLED;
  update.has_momentum = STATES == 1, update.has_nesterov = HAS_NESTEROV;
  return update;
}

// Not inlined: a hundred copies of what is long would take half a minute to compile.
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
