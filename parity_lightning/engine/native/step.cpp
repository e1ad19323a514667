// SGD steps and evaluations of two-layer networks and products of linear forms, for any number of inputs, units,
// examples and trials: nothing in here depends on a shape, so it is compiled once for float and once for double.
//
// Each trial is computed separately and in a fixed order. So its weights are the same bit for bit alone and in any stack,
// and however many steps a call takes.

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>

#ifndef REAL
#define REAL float
#endif
typedef REAL real;

// GCC and Clang make vector instructions of these on any machine.
constexpr int LANES = 32 / sizeof(real);
typedef real vec __attribute__((vector_size(32)));

// The vectorized sine and cosine of glibc.
#if defined(__GLIBC__) && defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
extern "C" __attribute__((simd("notinbranch"), const)) float sinf(float) noexcept;
extern "C" __attribute__((simd("notinbranch"), const)) float cosf(float) noexcept;
extern "C" __attribute__((simd("notinbranch"), const)) double sin(double) noexcept;
extern "C" __attribute__((simd("notinbranch"), const)) double cos(double) noexcept;
#endif
static inline float sine(float z) { return sinf(z); }
static inline double sine(double z) { return sin(z); }
static inline float cosine(float z) { return cosf(z); }
static inline double cosine(double z) { return cos(z); }

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

static inline int64_t padded(int64_t count) { return (count + LANES - 1) / LANES * LANES; }

// Memory for the numbers of one trial, set to zero.
struct Scratch {
  real *at;
  size_t bytes;
  explicit Scratch(int64_t count) : bytes((static_cast<size_t>(count) * sizeof(real) + 63) / 64 * 64 + 64) {
    at = static_cast<real *>(std::aligned_alloc(64, bytes));
    if (!at) throw std::bad_alloc();
    clear();
  }
  void clear() { std::memset(at, 0, bytes); }
  ~Scratch() { std::free(at); }
  Scratch(const Scratch &) = delete;
  Scratch &operator=(const Scratch &) = delete;
};

// Philox4x32-10 of several counters at once; see data/philox.py.
constexpr int COUNTERS = 8;
static inline void philox(uint32_t (*c)[COUNTERS], uint32_t k0, uint32_t k1) {
  for (int round = 0; round < 10; ++round) {
    for (int l = 0; l < COUNTERS; ++l) {
      uint64_t p0 = static_cast<uint64_t>(c[0][l]) * 0xD2511F53u, p1 = static_cast<uint64_t>(c[2][l]) * 0xCD9E8D57u;
      uint32_t c0 = static_cast<uint32_t>(p1 >> 32) ^ c[1][l] ^ k0, c2 = static_cast<uint32_t>(p0 >> 32) ^ c[3][l] ^ k1;
      c[1][l] = static_cast<uint32_t>(p1), c[3][l] = static_cast<uint32_t>(p0), c[0][l] = c0, c[2][l] = c2;
    }
    k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
  }
}

// Four random words for each of some examples, at most COUNTERS; see random_words in data/philox.py.
static inline void draw_words(const int64_t *index, int count, int64_t block, int64_t purpose, uint32_t k0, uint32_t k1,
                              uint32_t (*c)[COUNTERS]) {
  for (int l = 0; l < COUNTERS; ++l) {
    const uint64_t i = index[l < count ? l : 0];
    c[0][l] = static_cast<uint32_t>(i), c[1][l] = static_cast<uint32_t>(i >> 32);
    c[2][l] = static_cast<uint32_t>(block), c[3][l] = static_cast<uint32_t>(purpose);
  }
  philox(c, k0, k1);
}

// A bit b as the input (-1)^b.
static inline real input_of(uint32_t word, int64_t bit) {
  return static_cast<real>(1 - 2 * static_cast<int32_t>((word >> bit) & 1));
}

// The inputs, (count, n), and labels of some examples of a trial.
static void draw(const Stream &stream, int64_t trial, int64_t n, const int64_t *index, int64_t count, real *x, real *y) {
  const int64_t words = (n + 31) / 32, blocks = (n + 127) / 128;
  const uint32_t k0 = stream.low[trial], k1 = stream.high[trial];
  const int64_t *relevant = stream.relevant + trial * words;
  for (int64_t first = 0; first < count; first += COUNTERS) {
    const int here = static_cast<int>(count - first < COUNTERS ? count - first : COUNTERS);
    uint32_t odd[COUNTERS] = {};
    for (int64_t block = 0; block < blocks; ++block) {
      uint32_t c[4][COUNTERS];
      draw_words(index + first, here, block, stream.purpose, k0, k1, c);
      for (int64_t w = 0; w < 4 && 4 * block + w < words; ++w) {
        const int64_t word = 4 * block + w, bits = n - 32 * word < 32 ? n - 32 * word : 32;
        for (int l = 0; l < here; ++l) {
          odd[l] ^= c[w][l] & static_cast<uint32_t>(relevant[word]);
          real *to = x + (first + l) * n + 32 * word;
          const uint32_t drawn = c[w][l];
          // With a number of bits that the compiler knows it makes vector instructions.
          if (bits == 32)
            for (int j = 0; j < 32; ++j) to[j] = input_of(drawn, j);
          else
            for (int64_t j = 0; j < bits; ++j) to[j] = input_of(drawn, j);
        }
      }
    }
    for (int l = 0; l < here; ++l) y[first + l] = __builtin_parity(odd[l]) ? real(-1) : real(1);
    if (stream.is_noisy) {
      uint32_t c[4][COUNTERS];
      draw_words(index + first, here, 0, stream.noise_purpose, k0, k1, c);
      for (int l = 0; l < here; ++l)
        if (static_cast<int64_t>(c[0][l]) < stream.flip_below[trial]) y[first + l] = -y[first + l];
    }
  }
}

// The examples of all trials: inputs (trials, count, n) and labels (trials, count). The indices are (trials, count), or
// (count) and the same for all trials.
extern "C" void draw_examples(const Stream *stream, int64_t trials, int64_t n, int64_t count, const int64_t *index,
                              int64_t index_is_shared, real *x, real *y) {
  for (int64_t t = 0; t < trials; ++t)
    draw(*stream, t, n, index + (index_is_shared ? 0 : t * count), count, x + t * count * n, y + t * count);
}

// c[m][j] += sum over d of a(m, d) b[d][j], for M rows and V vectors of columns; a(m, d) = a[m * am + d * ad].
template <int M, int V>
static inline void multiply_block(const real *a, int64_t am, int64_t ad, const real *b, int64_t bd, int64_t depth, real *c,
                                  int64_t cm) {
  vec sum[M][V];
  for (int m = 0; m < M; ++m)
    for (int v = 0; v < V; ++v) sum[m][v] = *reinterpret_cast<const vec *>(c + m * cm + v * LANES);
  for (int64_t d = 0; d < depth; ++d) {
    vec row[V];
    for (int v = 0; v < V; ++v) row[v] = *reinterpret_cast<const vec *>(b + d * bd + v * LANES);
    for (int m = 0; m < M; ++m) {
      const real factor = a[m * am + d * ad];
      for (int v = 0; v < V; ++v) sum[m][v] += factor * row[v];
    }
  }
  for (int m = 0; m < M; ++m)
    for (int v = 0; v < V; ++v) *reinterpret_cast<vec *>(c + m * cm + v * LANES) = sum[m][v];
}

template <int V>
static void multiply_columns(const real *a, int64_t am, int64_t ad, const real *b, int64_t bd, int64_t rows, int64_t depth,
                             real *c, int64_t cm) {
  constexpr int M = V == 1 ? 8 : 4;
  int64_t m = 0;
  for (; m + M <= rows; m += M) multiply_block<M, V>(a + m * am, am, ad, b, bd, depth, c + m * cm, cm);
  for (; m < rows; ++m) multiply_block<1, V>(a + m * am, am, ad, b, bd, depth, c + m * cm, cm);
}

// c += a b, of c's shape (rows, columns); columns is a multiple of LANES.
static void multiply(const real *a, int64_t am, int64_t ad, const real *b, int64_t bd, int64_t rows, int64_t columns,
                     int64_t depth, real *c, int64_t cm) {
  int64_t j = 0;
  for (; j + 3 * LANES <= columns; j += 3 * LANES) multiply_columns<3>(a, am, ad, b + j, bd, rows, depth, c + j, cm);
  for (; j + 2 * LANES <= columns; j += 2 * LANES) multiply_columns<2>(a, am, ad, b + j, bd, rows, depth, c + j, cm);
  for (; j < columns; j += LANES) multiply_columns<1>(a, am, ad, b + j, bd, rows, depth, c + j, cm);
}

static inline real power(real z, int64_t degree) {
  real value = 1;
  for (; degree > 0; degree >>= 1, z *= z)
    if (degree & 1) value *= z;
  return value;
}

// A triangle wave of period 4, and its derivative; see nets/activations.py.
static inline real place_in_period(real z, real k) {
  const real shifted = z - k;
  return shifted - 4 * std::floor(shifted / 4);
}
static inline real wave(real z, real k) { return std::fabs(place_in_period(z, k) - 2) - 1; }
static inline real wave_slope(real z, real k) {
  const real rest = place_in_period(z, k);
  return rest > 2 ? real(1) : rest < 2 ? real(-1) : rest == 2 ? real(0) : rest;
}

// Replaces z by the activation, and by its derivative if there is a place for that.
static void activate(const Network &net, real *__restrict__ z, real *__restrict__ slope, int64_t count) {
  const real k = static_cast<real>(net.degree), sign = net.degree % 2 ? real(-1) : real(1);
  switch (net.activation) {
    case IDENTITY:
      if (slope)
        for (int64_t i = 0; i < count; ++i) slope[i] = 1;
      break;
    case RELU:
      if (slope)
        for (int64_t i = 0; i < count; ++i) slope[i] = z[i] <= 0 ? real(0) : real(1);
      for (int64_t i = 0; i < count; ++i) z[i] = z[i] <= 0 ? real(0) : z[i];
      break;
    case POWER:
      for (int64_t i = 0; i < count; ++i) {
        const real below = power(z[i], net.degree - 1);
        if (slope) slope[i] = k * below;
        z[i] *= below;
      }
      break;
    case ZIGZAG:
      for (int64_t i = 0; i < count; ++i) {
        const real value = z[i], inside = value < -k ? -k : value > k ? k : value;
        const real above = value - k > 0 ? value - k : real(0), below = -value - k > 0 ? -value - k : real(0);
        if (slope)
          slope[i] = (value >= -k && value <= k ? wave_slope(inside, k) : value != value ? value : real(0)) +
                     (above > 0 ? real(1) : real(0)) - (below > 0 ? sign : real(0));
        z[i] = wave(inside, k) + above + sign * below;
      }
      break;
    case INFINITE_ZIGZAG:
      for (int64_t i = 0; i < count; ++i) {
        if (slope) slope[i] = wave_slope(z[i], k);
        z[i] = wave(z[i], k);
      }
      break;
    case POLYNOMIAL:
      for (int64_t i = 0; i < count; ++i) {
        const real at = z[i], square = at * at;
        real value = static_cast<real>(net.coefficients[0]), inner = 0;
        for (int64_t c = 1; c < net.coefficient_count; ++c) {
          const real knot = static_cast<real>(net.coefficients[2 * c + 1]);
          inner = inner * (square - knot) + value;
          value = static_cast<real>(net.coefficients[2 * c]) + value * (square - knot);
        }
        // inner is the derivative by the square.
        if (slope) slope[i] = net.degree % 2 ? value + 2 * square * inner : 2 * at * inner;
        z[i] = net.degree % 2 ? value * at : value;
      }
      break;
    case SINUSOID:
      if (slope)
        for (int64_t i = 0; i < count; ++i) slope[i] = cosine(z[i]);
      for (int64_t i = 0; i < count; ++i) z[i] = sine(z[i]);
      break;
  }
}

// The loss of a margin y f, and its derivative by the margin.
static inline real loss_of(int64_t loss, real margin, real *slope) {
  switch (loss) {
    case HINGE:
      *slope = 1 - margin <= 0 ? real(0) : real(-1);
      return 1 - margin <= 0 ? real(0) : 1 - margin;
    case SQUARE:
      *slope = -2 * (1 - margin);
      return (1 - margin) * (1 - margin);
    case CROSS_ENTROPY: {
      const real grown = std::exp(-std::fabs(margin));
      *slope = margin >= 0 ? -grown / (1 + grown) : -1 / (1 + grown);
      return (margin > 0 ? real(0) : -margin) + std::log1p(grown);
    }
    default:
      *slope = -1;
      return -margin;
  }
}

// The sum of u_j h_j over a row; its order depends on nothing but the number of units.
static inline real weighted_sum(const real *u, const real *h, int64_t columns) {
  vec sum = {};
  for (int64_t j = 0; j < columns; j += LANES)
    sum += *reinterpret_cast<const vec *>(u + j) * *reinterpret_cast<const vec *>(h + j);
  real total = 0;
  for (int l = 0; l < LANES; ++l) total += sum[l];
  return total;
}

struct Options {
  real lr, momentum, weight_decay, keep;                        // SGD: keep is 1 - decay
  real mean_rate, square_keep, square_rate, length, scale, eps;  // Adam
};

static Options read_options(const Update &update, const double *o, double steps) {
  Options read = {};
  if (update.rule == ADAM) {
    const double lr = o[0], beta1 = o[1], beta2 = o[2], weight_decay = o[4];
    read.mean_rate = static_cast<real>(1 - beta1), read.square_keep = static_cast<real>(beta2);
    read.square_rate = static_cast<real>(1 - beta2), read.eps = static_cast<real>(o[3]);
    read.length = static_cast<real>(lr / (1 - std::pow(beta1, steps)));
    read.scale = static_cast<real>(std::sqrt(1 - std::pow(beta2, steps)));
    read.weight_decay = static_cast<real>(weight_decay), read.keep = static_cast<real>(1 - lr * weight_decay);
  } else if (update.rule == SIGN_SGD) {
    read.lr = static_cast<real>(o[0]), read.keep = static_cast<real>(1 - o[1]);
  } else {
    read.lr = static_cast<real>(o[0]), read.momentum = static_cast<real>(o[1]);
    read.weight_decay = static_cast<real>(o[2]), read.keep = static_cast<real>(1 - o[3]);
  }
  return read;
}

// The updates of engine/update_rules.py, of a parameter and its state in place.
static void update_values(const Update &update, const Options &o, real *__restrict__ p, const real *__restrict__ gradient,
                          real *__restrict__ first, real *__restrict__ second, int64_t count) {
  if (update.rule == ADAM) {
    for (int64_t i = 0; i < count; ++i) {
      real g = gradient[i], value = p[i];
      if (update.has_weight_decay && update.is_decoupled) value = value * o.keep;
      else if (update.has_weight_decay) g = g + value * o.weight_decay;
      first[i] = first[i] + (g - first[i]) * o.mean_rate;
      second[i] = second[i] * o.square_keep + g * g * o.square_rate;
      p[i] = value - first[i] / (std::sqrt(second[i]) / o.scale + o.eps) * o.length;
    }
  } else if (update.rule == SIGN_SGD) {
    for (int64_t i = 0; i < count; ++i) {
      const real g = gradient[i], sign = g > 0 ? real(1) : g < 0 ? real(-1) : g == 0 ? real(0) : g;
      p[i] = p[i] * o.keep - sign * o.lr;
    }
  } else if (!update.has_momentum) {
    for (int64_t i = 0; i < count; ++i) {
      const real value = update.has_decay ? p[i] * o.keep : p[i];
      const real g = update.has_weight_decay ? gradient[i] + value * o.weight_decay : gradient[i];
      p[i] = value - g * o.lr;
    }
  } else {
    for (int64_t i = 0; i < count; ++i) {
      const real value = update.has_decay ? p[i] * o.keep : p[i];
      const real g = update.has_weight_decay ? gradient[i] + value * o.weight_decay : gradient[i];
      const real buffer = first[i] * o.momentum + g;
      // As in PyTorch, the buffer waits while the momentum is 0.
      if (o.momentum != 0) first[i] = buffer;
      p[i] = value - (update.has_nesterov ? g + buffer * o.momentum : buffer) * o.lr;
    }
  }
}

// One trial's tensors, laid out for the loops: the weights as (n, units), units filled up to vectors with zeros.
struct Trial {
  const Network &net;
  const int64_t columns;
  Scratch values[TENSORS], gradients[TENSORS], first[TENSORS], second[TENSORS];

  Trial(const Network &network, bool trains)
      : net(network), columns(padded(network.units)),
        values{Scratch(network.n * columns), Scratch(columns), Scratch(columns), Scratch(1)},
        gradients{Scratch(trains ? network.n * columns : 1), Scratch(columns), Scratch(columns), Scratch(1)},
        first{Scratch(has_state(trains, 0) ? network.n * columns : 1), Scratch(columns), Scratch(columns), Scratch(1)},
        second{Scratch(has_state(trains, 1) ? network.n * columns : 1), Scratch(columns), Scratch(columns), Scratch(1)} {}

  bool has_state(bool trains, int which) const { return trains && net.parameters[WEIGHT].state[which]; }
  int64_t size(int tensor) const {
    return tensor == WEIGHT ? net.n * net.units : tensor == OUTPUT_BIAS ? 1 : net.units;
  }
  int64_t padded_size(int tensor) const { return tensor == WEIGHT ? net.n * columns : tensor == OUTPUT_BIAS ? 1 : columns; }

  void read(int tensor, const real *from, int64_t trial, real *to) const {
    from += trial * size(tensor);
    if (tensor == WEIGHT)
      for (int64_t j = 0; j < net.units; ++j)
        for (int64_t i = 0; i < net.n; ++i) to[i * columns + j] = from[j * net.n + i];
    else
      std::memcpy(to, from, size(tensor) * sizeof(real));
  }
  void write(int tensor, const real *from, int64_t trial, real *to) const {
    to += trial * size(tensor);
    if (tensor == WEIGHT)
      for (int64_t j = 0; j < net.units; ++j)
        for (int64_t i = 0; i < net.n; ++i) to[j * net.n + i] = from[i * columns + j];
    else
      std::memcpy(to, from, size(tensor) * sizeof(real));
  }

  // The columns that only fill up a vector stay 0, whatever an update makes of them: they are summed up with the others.
  void clear_padding(int tensor) {
    const int64_t rows = tensor == WEIGHT ? net.n : tensor == OUTPUT_BIAS ? 0 : 1;
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = net.units; j < columns; ++j) values[tensor].at[i * columns + j] = 0;
  }

  void load(int64_t trial, bool trains) {
    for (int tensor = 0; tensor < TENSORS; ++tensor) {
      const Parameter &parameter = net.parameters[tensor];
      // Of the trial before: one that diverged has left NaN in the columns that fill up a vector.
      values[tensor].clear(), first[tensor].clear(), second[tensor].clear();
      if (parameter.value) read(tensor, parameter.value, trial, values[tensor].at);
      else if (tensor == OUTPUT)
        for (int64_t j = 0; j < net.units; ++j) values[OUTPUT].at[j] = 1;
      if (trains && parameter.state[0]) read(tensor, parameter.state[0], trial, first[tensor].at);
      if (trains && parameter.state[1]) read(tensor, parameter.state[1], trial, second[tensor].at);
    }
  }
  void store(int64_t trial) const {
    for (int tensor = 0; tensor < TENSORS; ++tensor) {
      const Parameter &parameter = net.parameters[tensor];
      if (!parameter.value || !parameter.is_trainable) continue;
      write(tensor, values[tensor].at, trial, parameter.value);
      if (parameter.state[0]) write(tensor, first[tensor].at, trial, parameter.state[0]);
      if (parameter.state[1]) write(tensor, second[tensor].at, trial, parameter.state[1]);
    }
  }

  // The outputs of some examples; z, (count, columns), becomes the units, and slope their derivatives.
  void forward(const real *x, int64_t count, real *z, real *slope, real *f) const {
    for (int64_t b = 0; b < count; ++b) std::memcpy(z + b * columns, values[BIAS].at, columns * sizeof(real));
    multiply(x, net.n, 1, values[WEIGHT].at, columns, count, columns, net.n, z, columns);
    activate(net, z, slope, count * columns);
    for (int64_t b = 0; b < count; ++b) {
      if (net.is_product) {
        real product = z[b * columns];
        for (int64_t j = 1; j < net.units; ++j) product *= z[b * columns + j];
        f[b] = product;
      } else {
        f[b] = weighted_sum(values[OUTPUT].at, z + b * columns, columns) + values[OUTPUT_BIAS].at[0];
      }
    }
  }

  // Adds the gradients of some examples; out is the derivative by each output. Overwrites slope.
  void backward(const real *x, int64_t count, const real *h, real *slope, const real *out) {
    const real *u = values[OUTPUT].at;
    for (int64_t b = 0; b < count; ++b) {
      const real *units = h + b * columns;
      real *__restrict__ row = slope + b * columns, *__restrict__ du = gradients[OUTPUT].at;
      real *__restrict__ db = gradients[BIAS].at;
      if (net.is_product) {
        for (int64_t j = 0; j < net.units; ++j) {
          real others = out[b];
          for (int64_t i = 0; i < net.units; ++i)
            if (i != j) others *= units[i];
          row[j] *= others;
        }
        for (int64_t j = net.units; j < columns; ++j) row[j] = 0;
      } else {
        for (int64_t j = 0; j < columns; ++j) row[j] *= out[b] * u[j];
        for (int64_t j = 0; j < columns; ++j) du[j] += out[b] * units[j];
      }
      for (int64_t j = 0; j < columns; ++j) db[j] += row[j];
      gradients[OUTPUT_BIAS].at[0] += out[b];
    }
    multiply(x, 1, net.n, slope, columns, net.n, columns, count, gradients[WEIGHT].at, columns);
  }
};

// How many examples are computed at a time, so that their units stay in the cache.
static int64_t chunk_of(int64_t columns, int64_t batch) {
  int64_t chunk = (1 << 17) / static_cast<int64_t>(sizeof(real)) / columns / 8 * 8;
  chunk = chunk < 8 ? 8 : chunk;
  return chunk < batch ? chunk : batch;
}

// The sizes of what is handed over, for the caller to compare with its own.
extern "C" void structure_sizes(int64_t *sizes) {
  sizes[0] = sizeof(Parameter), sizes[1] = sizeof(Network), sizes[2] = sizeof(Stream), sizes[3] = sizeof(Update);
}

extern "C" int train(const Network *net, const Stream *stream, const Update *update, int64_t loss, int64_t trials,
                     int64_t steps, int64_t batch, const int64_t *index, const double *options, int64_t options_change,
                     double *steps_made, real *losses, int64_t *errors) try {
  Trial trial(*net, true);
  const int64_t columns = trial.columns, chunk = chunk_of(columns, batch);
  Scratch x(chunk * net->n), y(chunk), z(chunk * columns), slope(chunk * columns), f(chunk);
  for (int64_t t = 0; t < trials; ++t) {
    trial.load(t, true);
    for (int64_t step = 0; step < steps; ++step) {
      for (int tensor = 0; tensor < TENSORS; ++tensor)
        std::memset(trial.gradients[tensor].at, 0, trial.padded_size(tensor) * sizeof(real));
      real total = 0;
      int64_t wrong = 0;
      for (int64_t begin = 0; begin < batch; begin += chunk) {
        const int64_t count = batch - begin < chunk ? batch - begin : chunk;
        draw(*stream, t, net->n, index + (step * trials + t) * batch + begin, count, x.at, y.at);
        trial.forward(x.at, count, z.at, slope.at, f.at);
        for (int64_t b = 0; b < count; ++b) {
          const real margin = y.at[b] * f.at[b];
          wrong += !(margin > 0);
          real by_margin;
          total += loss_of(loss, margin, &by_margin);
          f.at[b] = by_margin * y.at[b] / batch;
        }
        trial.backward(x.at, count, z.at, slope.at, f.at);
      }
      steps_made[t] += 1;
      const double *own = options + ((options_change ? step * trials : 0) + t) * update->option_count;
      for (int tensor = 0; tensor < TENSORS; ++tensor) {
        const Parameter &parameter = net->parameters[tensor];
        if (!parameter.value || !parameter.is_trainable) continue;
        const Options read = read_options(*update, own + parameter.option, steps_made[t]);
        update_values(*update, read, trial.values[tensor].at, trial.gradients[tensor].at, trial.first[tensor].at,
                      trial.second[tensor].at, trial.padded_size(tensor));
        trial.clear_padding(tensor);
      }
      losses[step * trials + t] = total / batch;
      errors[step * trials + t] = wrong;
    }
    trial.store(t);
  }
  return 0;
} catch (const std::bad_alloc &) {
  return 1;
}

// How many of the examples first to end - 1 each of some trials predicts wrongly.
extern "C" int count_errors(const Network *net, const Stream *stream, int64_t count_trials, const int64_t *places,
                            int64_t first, int64_t end, int64_t *errors) try {
  Trial trial(*net, false);
  const int64_t columns = trial.columns, chunk = chunk_of(columns, end - first);
  Scratch x(chunk * net->n), y(chunk), z(chunk * columns), f(chunk);
  int64_t *index = static_cast<int64_t *>(std::malloc(chunk * sizeof(int64_t)));
  if (!index) return 1;
  for (int64_t place = 0; place < count_trials; ++place) {
    trial.load(places[place], false);
    int64_t wrong = 0;
    for (int64_t begin = first; begin < end; begin += chunk) {
      const int64_t count = end - begin < chunk ? end - begin : chunk;
      for (int64_t b = 0; b < count; ++b) index[b] = begin + b;
      draw(*stream, places[place], net->n, index, count, x.at, y.at);
      trial.forward(x.at, count, z.at, nullptr, f.at);
      for (int64_t b = 0; b < count; ++b) wrong += !(y.at[b] * f.at[b] > 0);
    }
    errors[place] = wrong;
  }
  std::free(index);
  return 0;
} catch (const std::bad_alloc &) {
  return 1;
}
