// What steps on a CPU (step.cpp) and on a GPU (step.cu) have in common: what is handed over, random words, activations,
// losses and updates, all for a single number.

#pragma once

#ifdef __CUDACC_RTC__
typedef long long int64_t;
typedef unsigned long long uint64_t;
typedef int int32_t;
typedef unsigned int uint32_t;
#else
#include <math.h>
#include <stdint.h>
#endif
#ifdef __CUDACC__
#define DEVICE __device__ __forceinline__
#else
#define DEVICE inline
#endif

#ifndef REAL
#define REAL float
#endif
typedef REAL real;

// The vectorized sine and cosine of glibc.
#if defined(__GLIBC__) && defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
extern "C" __attribute__((simd("notinbranch"), const)) float sinf(float) noexcept;
extern "C" __attribute__((simd("notinbranch"), const)) float cosf(float) noexcept;
extern "C" __attribute__((simd("notinbranch"), const)) double sin(double) noexcept;
extern "C" __attribute__((simd("notinbranch"), const)) double cos(double) noexcept;
#endif
DEVICE float sine(float z) { return sinf(z); }
DEVICE double sine(double z) { return sin(z); }
DEVICE float cosine(float z) { return cosf(z); }
DEVICE double cosine(double z) { return cos(z); }

enum Activation { IDENTITY, RELU, POWER, ZIGZAG, INFINITE_ZIGZAG, POLYNOMIAL, SINUSOID };
enum Loss { HINGE, SQUARE, CROSS_ENTROPY, CORRELATION };
enum Rule { SGD, SIGN_SGD, ADAM };
enum Tensor { WEIGHT, BIAS, OUTPUT, OUTPUT_BIAS, TENSORS };

// A trial's tensors follow one another: trial t has those at t times their size.
struct Parameter {
  real *value;           // null if the network has none
  real *state[2];        // of the optimizer; null if it keeps none
  int64_t is_trainable;  // frozen ones are left alone
  int64_t option;        // where the options of its group begin
};

struct Network {
  int64_t n, units, activation, degree, is_product;
  const double *coefficients;  // of the polynomial: pairs of coefficient and knot, the innermost first
  int64_t coefficient_count;
  Parameter parameters[TENSORS];
};

struct Stream {
  const int64_t *low, *high, *relevant, *flip_below;  // of each trial; relevant: words of 32 bits
  int64_t purpose, noise_purpose, is_noisy;
};

struct Update {
  int64_t rule, option_count;
  int64_t has_decay, has_weight_decay, has_momentum, has_nesterov, is_decoupled;
};

// The product of two words of 32 bits, and its halves.
DEVICE uint64_t product(uint32_t word, uint32_t factor) { return static_cast<uint64_t>(word) * factor; }
DEVICE uint32_t upper(uint64_t product) { return static_cast<uint32_t>(product >> 32); }
DEVICE uint32_t lower(uint64_t product) { return static_cast<uint32_t>(product); }

// Philox4x32-10 of a counter, or of several side by side; see data/philox.py.
template <typename Word>
DEVICE void philox(Word (&c)[4], uint32_t k0, uint32_t k1) {
  for (int round = 0; round < 10; ++round) {
    const auto p0 = product(c[0], 0xD2511F53u), p1 = product(c[2], 0xCD9E8D57u);
    c[0] = upper(p1) ^ c[1] ^ k0, c[2] = upper(p0) ^ c[3] ^ k1;
    c[1] = lower(p1), c[3] = lower(p0);
    k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
  }
}

// A bit b as the input (-1)^b.
DEVICE real input_of(uint32_t word, int64_t bit) {
  return static_cast<real>(1 - 2 * static_cast<int32_t>((word >> bit) & 1));
}

// A power of a number, or of several side by side.
template <typename Number>
DEVICE Number power(Number z, int64_t degree) {
  Number value = Number{} + real(1);
  for (; degree > 0; degree >>= 1, z *= z)
    if (degree & 1) value *= z;
  return value;
}

// A triangle wave of period 4, and its derivative; see nets/activations.py.
DEVICE real place_in_period(real z, real k) {
  const real shifted = z - k;
  return shifted - 4 * floor(shifted / 4);
}
DEVICE real wave(real z, real k) { return fabs(place_in_period(z, k) - 2) - 1; }
DEVICE real wave_slope(real z, real k) {
  const real rest = place_in_period(z, k);
  return rest > 2 ? real(1) : rest < 2 ? real(-1) : rest == 2 ? real(0) : rest;
}

// The activation, and its derivative if that is wanted; of a Network, or of what else has its degree and coefficients.
template <int KIND, bool WITH_SLOPE, typename Net>
DEVICE real activation_of(const Net &net, real z, real &slope) {
  if (KIND == RELU) {
    if (WITH_SLOPE) slope = z <= 0 ? real(0) : real(1);
    return z <= 0 ? real(0) : z;
  }
  if (KIND == POWER) {
    const real below = power(z, net.degree - 1);
    if (WITH_SLOPE) slope = static_cast<real>(net.degree) * below;
    return z * below;
  }
  if (KIND == ZIGZAG) {
    const real k = static_cast<real>(net.degree), sign = net.degree % 2 ? real(-1) : real(1);
    const real inside = z < -k ? -k : z > k ? k : z;
    const real above = z - k > 0 ? z - k : real(0), below = -z - k > 0 ? -z - k : real(0);
    if (WITH_SLOPE)
      slope = (z >= -k && z <= k ? wave_slope(inside, k) : z != z ? z : real(0)) + (above > 0 ? real(1) : real(0)) -
              (below > 0 ? sign : real(0));
    return wave(inside, k) + above + sign * below;
  }
  if (KIND == INFINITE_ZIGZAG) {
    const real k = static_cast<real>(net.degree);
    if (WITH_SLOPE) slope = wave_slope(z, k);
    return wave(z, k);
  }
  if (KIND == POLYNOMIAL) {
    const real square = z * z;
    real value = static_cast<real>(net.coefficients[0]), inner = 0;
    for (int64_t c = 1; c < net.coefficient_count; ++c) {
      const real knot = static_cast<real>(net.coefficients[2 * c + 1]);
      inner = inner * (square - knot) + value;
      value = static_cast<real>(net.coefficients[2 * c]) + value * (square - knot);
    }
    // inner is the derivative by the square.
    if (WITH_SLOPE) slope = net.degree % 2 ? value + 2 * square * inner : 2 * z * inner;
    return net.degree % 2 ? value * z : value;
  }
  if (KIND == SINUSOID) {
    if (WITH_SLOPE) slope = cosine(z);
    return sine(z);
  }
  if (WITH_SLOPE) slope = 1;
  return z;
}

// The loss of a margin y f, and its derivative by the margin.
DEVICE real loss_of(int64_t loss, real margin, real *slope) {
  switch (loss) {
    case HINGE:
      *slope = 1 - margin <= 0 ? real(0) : real(-1);
      return 1 - margin <= 0 ? real(0) : 1 - margin;
    case SQUARE:
      *slope = -2 * (1 - margin);
      return (1 - margin) * (1 - margin);
    case CROSS_ENTROPY: {
      const real grown = exp(-fabs(margin));
      *slope = margin >= 0 ? -grown / (1 + grown) : -1 / (1 + grown);
      return (margin > 0 ? real(0) : -margin) + log1p(grown);
    }
    default:
      *slope = -1;
      return -margin;
  }
}

struct Options {
  real lr, momentum, weight_decay, keep;                        // SGD: keep is 1 - decay
  real mean_rate, square_keep, square_rate, length, scale, eps;  // Adam
};

DEVICE Options read_options(const Update &update, const double *o, double steps) {
  Options read = {};
  if (update.rule == ADAM) {
    const double lr = o[0], beta1 = o[1], beta2 = o[2], weight_decay = o[4];
    read.mean_rate = static_cast<real>(1 - beta1), read.square_keep = static_cast<real>(beta2);
    read.square_rate = static_cast<real>(1 - beta2), read.eps = static_cast<real>(o[3]);
    read.length = static_cast<real>(lr / (1 - pow(beta1, steps)));
    read.scale = static_cast<real>(sqrt(1 - pow(beta2, steps)));
    read.weight_decay = static_cast<real>(weight_decay), read.keep = static_cast<real>(1 - lr * weight_decay);
  } else if (update.rule == SIGN_SGD) {
    read.lr = static_cast<real>(o[0]), read.keep = static_cast<real>(1 - o[1]);
  } else {
    read.lr = static_cast<real>(o[0]), read.momentum = static_cast<real>(o[1]);
    read.weight_decay = static_cast<real>(o[2]), read.keep = static_cast<real>(1 - o[3]);
  }
  return read;
}

// The updates of engine/update_rules.py: of a number and its optimizer's state in place.
DEVICE void adam(const Update &update, const Options &o, real &p, real g, real &first, real &second) {
  real value = p;
  if (update.has_weight_decay && update.is_decoupled) value = value * o.keep;
  else if (update.has_weight_decay) g = g + value * o.weight_decay;
  first = first + (g - first) * o.mean_rate;
  second = second * o.square_keep + g * g * o.square_rate;
  p = value - first / (sqrt(second) / o.scale + o.eps) * o.length;
}
DEVICE void sign_sgd(const Options &o, real &p, real g) {
  const real sign = g > 0 ? real(1) : g < 0 ? real(-1) : g == 0 ? real(0) : g;
  p = p * o.keep - sign * o.lr;
}
DEVICE void plain_sgd(const Update &update, const Options &o, real &p, real gradient) {
  const real value = update.has_decay ? p * o.keep : p;
  const real g = update.has_weight_decay ? gradient + value * o.weight_decay : gradient;
  p = value - g * o.lr;
}
DEVICE void sgd_with_momentum(const Update &update, const Options &o, real &p, real gradient, real &first) {
  const real value = update.has_decay ? p * o.keep : p;
  const real g = update.has_weight_decay ? gradient + value * o.weight_decay : gradient;
  const real buffer = first * o.momentum + g;
  // As in PyTorch, the buffer waits while the momentum is 0.
  if (o.momentum != 0) first = buffer;
  p = value - (update.has_nesterov ? g + buffer * o.momentum : buffer) * o.lr;
}
