// SGD steps and evaluations of two-layer networks and products of linear forms, for any number of inputs, units,
// examples and trials: nothing in here depends on a shape, so it is compiled once for float and once for double.
//
// Each trial is computed separately and in a fixed order. So its weights are the same bit for bit alone and in any stack,
// and however many steps a call takes.

#include <cstdlib>
#include <cstring>
#include <new>
#include <type_traits>
#include <vector>

#include "arithmetic.h"
#include "draw.h"

// GCC and Clang make vector instructions of these on any machine.
constexpr int LANES = 32 / sizeof(real);
typedef real vec __attribute__((vector_size(32)));

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

// The inputs, (count, n), of bits.
static void expand(const uint32_t *bits, int64_t n, int64_t count, real *x) {
  const int64_t words = (n + 31) / 32;
  for (int64_t b = 0; b < count; ++b)
    for (int64_t word = 0; word < words; ++word) {
      const uint32_t drawn = bits[b * words + word];
      real *to = x + b * n + 32 * word;
      // With a number of bits that the compiler knows it makes vector instructions.
      if (n - 32 * word >= 32)
        for (int j = 0; j < 32; ++j) to[j] = input_of(drawn, j);
      else
        for (int64_t j = 0; j < n - 32 * word; ++j) to[j] = input_of(drawn, j);
    }
}

// The examples of all trials: inputs (trials, count, n) and labels (trials, count). The indices are (trials, count), or
// (count) and the same for all trials.
extern "C" int draw_examples(const Stream *stream, int64_t trials, int64_t n, int64_t count, const int64_t *index,
                             int64_t index_is_shared, real *x, real *y) try {
  std::vector<uint32_t> bits(count * ((n + 31) / 32));
  for (int64_t t = 0; t < trials; ++t) {
    draw(*stream, t, n, index + (index_is_shared ? 0 : t * count), count, bits.data(), y + t * count);
    expand(bits.data(), n, count, x + t * count * n);
  }
  return 0;
} catch (const std::bad_alloc &) {
  return 1;
}

// Inputs are signs, so the weights of GROUP of them have only PATTERNS sums. For many examples it is faster to make a table
// of these and to look sums up than to multiply.
constexpr int GROUP = 4, PATTERNS = 1 << GROUP;
constexpr int64_t FEW_EXAMPLES = 24;
// How many examples' units are held at a time where only outputs are wanted, and of how many examples.
constexpr int64_t TILE = 64, EVALUATED = 1024;

// For how many vectors of units tables stay in the cache, 4 at least and 7 at most.
static int64_t widest_table(int64_t n) {
  const int64_t fits = 24 * 1024 / ((n + GROUP - 1) / GROUP * PATTERNS * static_cast<int64_t>(sizeof(vec)));
  return fits < 4 ? 4 : fits > 7 ? 7 : fits;
}

// The sums of the weights of each group of inputs, for V vectors of units; the first group's begin at the bias.
template <int V>
static void make_tables(const real *weights, int64_t columns, const real *bias, int64_t n, vec (*table)[PATTERNS][V]) {
  for (int64_t first = 0; first < n; first += GROUP, ++table) {
    vec (*sums)[V] = *table;
    for (int v = 0; v < V; ++v) sums[0][v] = first ? vec{} : *reinterpret_cast<const vec *>(bias + v * LANES);
    for (int bit = 0; bit < GROUP; ++bit)
      for (int v = 0; v < V; ++v) {
        const vec w = first + bit < n ? *reinterpret_cast<const vec *>(weights + (first + bit) * columns + v * LANES) : vec{};
        for (int pattern = 0; pattern < 1 << bit; ++pattern) {
          sums[pattern | 1 << bit][v] = sums[pattern][v] - w;
          sums[pattern][v] += w;
        }
      }
  }
}

template <int V>
static void look_up(const vec (*table)[PATTERNS][V], const uint32_t *bits, int64_t n, int64_t count, real *z,
                    int64_t columns) {
  const int64_t words = (n + 31) / 32, groups = (n + GROUP - 1) / GROUP;
  for (int64_t b = 0; b < count; ++b) {
    vec sum[V];
    uint32_t word = bits[b * words];
    for (int v = 0; v < V; ++v) sum[v] = table[0][word % PATTERNS][v];
    for (int64_t group = 1; group < groups; ++group) {
      word = group % (32 / GROUP) ? word >> GROUP : bits[b * words + group / (32 / GROUP)];
      for (int v = 0; v < V; ++v) sum[v] += table[group][word % PATTERNS][v];
    }
    for (int v = 0; v < V; ++v) *reinterpret_cast<vec *>(z + b * columns + v * LANES) = sum[v];
  }
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

// Replaces z by the activation, and by its derivative if there is a place for that.
template <int ACTIVATION>
static void activate_all(const Network &net, real *__restrict__ z, real *__restrict__ slope, int64_t count) {
  real unused;
  if (slope && ACTIVATION == SINUSOID) {
    // Of sine and cosine of the same number the compiler makes one call, and no vector instructions.
    for (int64_t i = 0; i < count; ++i) slope[i] = cosine(z[i]);
    slope = nullptr;
  }
  if (slope)
    for (int64_t i = 0; i < count; ++i) z[i] = activation_of<ACTIVATION, true>(net, z[i], slope[i]);
  else
    for (int64_t i = 0; i < count; ++i) z[i] = activation_of<ACTIVATION, false>(net, z[i], unused);
}

static void activate(const Network &net, real *z, real *slope, int64_t count) {
  switch (net.activation) {
    case IDENTITY: return activate_all<IDENTITY>(net, z, slope, count);
    case RELU: return activate_all<RELU>(net, z, slope, count);
    case POWER: return activate_all<POWER>(net, z, slope, count);
    case ZIGZAG: return activate_all<ZIGZAG>(net, z, slope, count);
    case INFINITE_ZIGZAG: return activate_all<INFINITE_ZIGZAG>(net, z, slope, count);
    case POLYNOMIAL: return activate_all<POLYNOMIAL>(net, z, slope, count);
    case SINUSOID: return activate_all<SINUSOID>(net, z, slope, count);
  }
}

static inline real sum_of(const vec &sum) {
  real total = 0;
  for (int l = 0; l < LANES; ++l) total += sum[l];
  return total;
}

// The sum of u_j h_j over a row; its order depends on nothing but the number of units.
static inline real weighted_sum(const real *u, const real *h, int64_t columns) {
  vec sum = {};
  for (int64_t j = 0; j < columns; j += LANES)
    sum += *reinterpret_cast<const vec *>(u + j) * *reinterpret_cast<const vec *>(h + j);
  return sum_of(sum);
}

// Updates a parameter and its state in place.
static void update_values(const Update &update, const Options &o, real *__restrict__ p, const real *__restrict__ gradient,
                          real *__restrict__ first, real *__restrict__ second, int64_t count) {
  if (update.rule == ADAM)
    for (int64_t i = 0; i < count; ++i) adam(update, o, p[i], gradient[i], first[i], second[i]);
  else if (update.rule == SIGN_SGD)
    for (int64_t i = 0; i < count; ++i) sign_sgd(o, p[i], gradient[i]);
  else if (!update.has_momentum)
    for (int64_t i = 0; i < count; ++i) plain_sgd(update, o, p[i], gradient[i]);
  else
    for (int64_t i = 0; i < count; ++i) sgd_with_momentum(update, o, p[i], gradient[i], first[i]);
}

// One trial's tensors, laid out for the loops: the weights as (n, units), units filled up to vectors with zeros.
struct Trial {
  const Network &net;
  const int64_t columns, widest;
  Scratch values[TENSORS], gradients[TENSORS], first[TENSORS], second[TENSORS], tables;

  Trial(const Network &network, bool trains)
      : net(network), columns(padded(network.units)), widest(widest_table(network.n)),
        values{Scratch(network.n * columns), Scratch(columns), Scratch(columns), Scratch(1)},
        gradients{Scratch(trains ? network.n * columns : 1), Scratch(columns), Scratch(columns), Scratch(1)},
        first{Scratch(has_state(trains, 0) ? network.n * columns : 1), Scratch(columns), Scratch(columns), Scratch(1)},
        second{Scratch(has_state(trains, 1) ? network.n * columns : 1), Scratch(columns), Scratch(columns), Scratch(1)},
        tables((network.n + GROUP - 1) / GROUP * PATTERNS * widest * LANES) {}

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

  // Calls work(V, j) for V vectors of columns from j on, about as many each time and no more than have tables that stay in
  // the cache.
  template <typename Work>
  void for_columns(Work work) const {
    const int64_t vectors = columns / LANES, parts = (vectors + widest - 1) / widest;
    for (int64_t part = 0; part < parts; ++part) {
      const int64_t begin = part * vectors / parts, end = (part + 1) * vectors / parts;
      switch (end - begin) {
        case 1: work(std::integral_constant<int, 1>(), begin * LANES); break;
        case 2: work(std::integral_constant<int, 2>(), begin * LANES); break;
        case 3: work(std::integral_constant<int, 3>(), begin * LANES); break;
        case 4: work(std::integral_constant<int, 4>(), begin * LANES); break;
        case 5: work(std::integral_constant<int, 5>(), begin * LANES); break;
        case 6: work(std::integral_constant<int, 6>(), begin * LANES); break;
        case 7: work(std::integral_constant<int, 7>(), begin * LANES); break;
      }
    }
  }

  // The units before the activation, z of shape (count, columns). Which way they are computed depends on the number of
  // examples only.
  void linear(const uint32_t *bits, const real *x, int64_t count, real *z) {
    if (count < FEW_EXAMPLES) {
      for (int64_t b = 0; b < count; ++b) std::memcpy(z + b * columns, values[BIAS].at, columns * sizeof(real));
      multiply(x, net.n, 1, values[WEIGHT].at, columns, count, columns, net.n, z, columns);
      return;
    }
    for_columns([&](auto width, int64_t j) {
      const auto table = reinterpret_cast<vec (*)[PATTERNS][width()]>(tables.at);
      make_tables<width()>(values[WEIGHT].at + j, columns, values[BIAS].at + j, net.n, table);
      look_up<width()>(table, bits, net.n, count, z + j, columns);
    });
  }

  // Adds to the sums u_j h_j of some examples those over V vectors of units, or multiplies products by units.
  template <int V>
  void add_outputs(int64_t j, const uint32_t *bits, int64_t count, vec *sums) {
    const auto table = reinterpret_cast<vec (*)[PATTERNS][V]>(tables.at);
    make_tables<V>(values[WEIGHT].at + j, columns, values[BIAS].at + j, net.n, table);
    const int64_t words = (net.n + 31) / 32;
    alignas(64) real units[TILE * V * LANES];
    vec u[V];
    for (int v = 0; v < V; ++v) u[v] = *reinterpret_cast<const vec *>(values[OUTPUT].at + j + v * LANES);
    for (int64_t first = 0; first < count; first += TILE) {
      const int64_t here = count - first < TILE ? count - first : TILE;
      look_up<V>(table, bits + first * words, net.n, here, units, V * LANES);
      activate(net, units, nullptr, here * V * LANES);
      for (int64_t b = 0; b < here; ++b) {
        const vec *h = reinterpret_cast<const vec *>(units + b * V * LANES);
        vec sum = sums[first + b];
        if (!net.is_product)
          for (int v = 0; v < V; ++v) sum += h[v] * u[v];
        else
          for (int l = 0; l < V * LANES && j + l < net.units; ++l) sum[0] *= h[l / LANES][l % LANES];
        sums[first + b] = sum;
      }
    }
  }

  // The outputs of some examples, without their units.
  void outputs(const uint32_t *bits, int64_t count, vec *sums, real *f) {
    for (int64_t b = 0; b < count; ++b) sums[b] = net.is_product ? vec{1} : vec{};
    for_columns([&](auto width, int64_t j) { add_outputs<width()>(j, bits, count, sums); });
    for (int64_t b = 0; b < count; ++b) f[b] = net.is_product ? sums[b][0] : sum_of(sums[b]) + values[OUTPUT_BIAS].at[0];
  }

  // The outputs of some examples; z, (count, columns), becomes the units, and slope their derivatives.
  void forward(const uint32_t *bits, const real *x, int64_t count, real *z, real *slope, real *f) {
    linear(bits, x, count, z);
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
  std::vector<uint32_t> bits(chunk * ((net->n + 31) / 32));
  for (int64_t t = 0; t < trials; ++t) {
    trial.load(t, true);
    for (int64_t step = 0; step < steps; ++step) {
      for (int tensor = 0; tensor < TENSORS; ++tensor)
        std::memset(trial.gradients[tensor].at, 0, trial.padded_size(tensor) * sizeof(real));
      real total = 0;
      int64_t wrong = 0;
      for (int64_t begin = 0; begin < batch; begin += chunk) {
        const int64_t count = batch - begin < chunk ? batch - begin : chunk;
        draw(*stream, t, net->n, index + (step * trials + t) * batch + begin, count, bits.data(), y.at);
        expand(bits.data(), net->n, count, x.at);
        trial.forward(bits.data(), x.at, count, z.at, slope.at, f.at);
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
  const int64_t most = end - first < EVALUATED ? end - first : EVALUATED;
  Scratch y(most), sums(most * LANES), f(most);
  std::vector<uint32_t> bits(most * ((net->n + 31) / 32));
  std::vector<int64_t> index(most);
  for (int64_t place = 0; place < count_trials; ++place) {
    trial.load(places[place], false);
    int64_t wrong = 0;
    for (int64_t begin = first; begin < end; begin += most) {
      const int64_t count = end - begin < most ? end - begin : most;
      for (int64_t b = 0; b < count; ++b) index[b] = begin + b;
      draw(*stream, places[place], net->n, index.data(), count, bits.data(), y.at);
      trial.outputs(bits.data(), count, reinterpret_cast<vec *>(sums.at), f.at);
      for (int64_t b = 0; b < count; ++b) wrong += !(y.at[b] * f.at[b] > 0);
    }
    errors[place] = wrong;
  }
  return 0;
} catch (const std::bad_alloc &) {
  return 1;
}
