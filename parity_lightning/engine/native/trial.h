// A trial of a network with a closed form: its outputs and its gradients.

#pragma once

#include "arithmetic.h"
#include "vectors.h"

// From how many examples on sums of weights are looked up in tables.
constexpr int64_t FEW_EXAMPLES = 24;
// From how many examples and inputs on sums of derivatives are. Measured for 1 to 1000 units, with AVX-512 and with AVX2:
// with 24 inputs it takes as long as to multiply, with 32 and 8 examples hardly ever longer, and with 50 and 32 a step takes
// a seventh less time.
constexpr int64_t FEW_DERIVATIVES = 8, FEW_INPUTS = 32;
// For at most how many vectors of units, so that the tables of a tile of examples stay in the cache.
constexpr int LOOKED_UP = 4;
// How many examples are computed at a time where their units are not kept.
constexpr int64_t TILE = 64;

// For how many vectors of units tables stay in the cache, 4 at least.
static inline int64_t widest_table(int64_t n) {
  const int64_t fits = 24 * 1024 / ((n + GROUP - 1) / GROUP * PATTERNS * static_cast<int64_t>(sizeof(vec)));
  return fits < 4 ? 4 : fits > WIDEST ? WIDEST : fits;
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

// The same for powers, of a number of units that fills vectors: compilers make no vector instructions of the loop in
// `power` for one number after another.
static void raise_all(int64_t degree, real *z, real *slope, int64_t count) {
  // From this degree on the compiler does not know it, and `power` stays a loop.
  constexpr int LARGE = 5;
  with_constant<LARGE>(degree, [&](auto known) {
    const int64_t own = known() < LARGE ? known() : degree;
    for (int64_t i = 0; i < count; i += LANES) {
      const vec unit = vec_at(z + i), below = power(unit, own - 1);
      if (slope) set_vec(slope + i, static_cast<real>(own) * below);
      set_vec(z + i, unit * below);
    }
  });
}

static void activate(const Network &net, real *z, real *slope, int64_t count) {
  switch (net.activation) {
    case IDENTITY: return activate_all<IDENTITY>(net, z, slope, count);
    case RELU: return activate_all<RELU>(net, z, slope, count);
    case POWER: return raise_all(net.degree, z, slope, count);
    case ZIGZAG: return activate_all<ZIGZAG>(net, z, slope, count);
    case INFINITE_ZIGZAG: return activate_all<INFINITE_ZIGZAG>(net, z, slope, count);
    case POLYNOMIAL: return activate_all<POLYNOMIAL>(net, z, slope, count);
    case SINUSOID: return activate_all<SINUSOID>(net, z, slope, count);
  }
}

// The rectified units, and their derivatives by what they rectify, as `activation_of` has them.
static inline vec rectified(vec z) { return z <= 0 ? vec{} : z; }
static inline vec slope_of_rectified(vec h) { return h <= 0 ? vec{} : splat(1); }

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
  const int64_t columns, widest, words;
  Scratch values[TENSORS], gradients[TENSORS], first[TENSORS], second[TENSORS], tables;

  Trial(const Network &network, bool trains)
      : net(network), columns(padded(network.units)), widest(widest_table(network.n)), words((network.n + 31) / 32),
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
    if (tensor == WEIGHT) transpose(from, net.n, net.units, net.n, to, columns);
    else
      std::memcpy(to, from, size(tensor) * sizeof(real));
  }
  void write(int tensor, const real *from, int64_t trial, real *to) const {
    to += trial * size(tensor);
    if (tensor == WEIGHT) transpose(from, columns, net.n, net.units, to, net.n);
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

  bool is_rectified() const { return net.activation == RELU && !net.is_product; }

  // Calls work(V, j) for V vectors of columns from j on, no more than have tables that stay in the cache.
  template <typename Work>
  void for_columns(Work work) const {
    in_parts<WIDEST>(columns / LANES, widest, [&](auto width, int64_t vectors) { work(width, vectors * LANES); });
  }

  // Makes tables for V vectors of columns from j on.
  template <int V>
  auto tables_of(int64_t j) {
    const auto table = reinterpret_cast<vec (*)[PATTERNS][V]>(tables.at);
    make_tables<V>(values[WEIGHT].at + j, columns, values[BIAS].at + j, net.n, table);
    return table;
  }
  template <int V>
  void read_output_weights(int64_t j, vec (&u)[V]) const {
    for (int v = 0; v < V; ++v) u[v] = vec_at(values[OUTPUT].at + j + v * LANES);
  }

  // Adds to the sums u_j h_j of some examples those over V vectors of rectified units.
  template <int V>
  void add_rectified(int64_t j, const uint32_t *bits, int64_t count, vec *sums) {
    vec u[V];
    read_output_weights<V>(j, u);
    look_up<V>(tables_of<V>(j), bits, words, net.n, count, [&](int64_t b, const vec (&z)[V]) {
      vec sum = sums[b];
      for (int v = 0; v < V; ++v) sum = plus_product(sum, rectified(z[v]), u[v]);
      sums[b] = sum;
    });
  }

  // Adds to the sums u_j h_j of some examples those over V vectors of units, or multiplies products by units.
  template <int V>
  void add_outputs(int64_t j, const uint32_t *bits, int64_t count, vec *sums) {
    const auto table = tables_of<V>(j);
    alignas(64) real units[TILE * V * LANES];
    vec u[V];
    read_output_weights<V>(j, u);
    for (int64_t first = 0; first < count; first += TILE) {
      const int64_t here = count - first < TILE ? count - first : TILE;
      look_up<V>(table, bits + first * words, words, net.n, here, [&](int64_t b, const vec (&z)[V]) {
        for (int v = 0; v < V; ++v) set_vec(units + (b * V + v) * LANES, z[v]);
      });
      activate(net, units, nullptr, here * V * LANES);
      for (int64_t b = 0; b < here; ++b) {
        const vec *h = reinterpret_cast<const vec *>(units + b * V * LANES);
        vec sum = sums[first + b];
        if (!net.is_product)
          for (int v = 0; v < V; ++v) sum = plus_product(sum, h[v], u[v]);
        else
          for (int l = 0; l < V * LANES && j + l < net.units; ++l) sum[0] *= h[l / LANES][l % LANES];
        sums[first + b] = sum;
      }
    }
  }

  // The outputs from the sums of u_j h_j.
  template <typename SumAt>
  void write_outputs(int64_t count, SumAt sum_at, real *f) const {
    const real constant = values[OUTPUT_BIAS].at[0];
    add_lanes(count, sum_at, [&](int64_t b, real total) { f[b] = total + constant; });
  }

  // The outputs of some examples, without their units.
  void outputs(const uint32_t *bits, int64_t count, vec *sums, real *f) {
    for (int64_t b = 0; b < count; ++b) sums[b] = net.is_product ? vec{1} : vec{};
    for_columns([&](auto width, int64_t j) {
      if (is_rectified()) add_rectified<width()>(j, bits, count, sums);
      else add_outputs<width()>(j, bits, count, sums);
    });
    if (net.is_product)
      for (int64_t b = 0; b < count; ++b) f[b] = sums[b][0];
    else write_outputs(count, [&](int64_t b) { return sums[b]; }, f);
  }

  // The units before the activation, z of shape (count, columns), or rectified ones. Which way they are computed depends on
  // the number of examples only.
  template <bool RECTIFIES>
  void linear(const uint32_t *bits, const real *x, int64_t count, real *z) {
    if (count < FEW_EXAMPLES) {
      for (int64_t b = 0; b < count; ++b) std::memcpy(z + b * columns, values[BIAS].at, columns * sizeof(real));
      multiply(x, net.n, 1, values[WEIGHT].at, columns, count, columns, net.n, z, columns);
      if (RECTIFIES)
        for (int64_t i = 0; i < count * columns; i += LANES) set_vec(z + i, rectified(vec_at(z + i)));
      return;
    }
    for_columns([&](auto width, int64_t j) {
      look_up<width()>(tables_of<width()>(j), bits, words, net.n, count, [&](int64_t b, const vec (&sum)[width()]) {
        for (int v = 0; v < width(); ++v) set_vec(z + b * columns + j + v * LANES, RECTIFIES ? rectified(sum[v]) : sum[v]);
      });
    });
  }

  // The outputs of some examples; z, (count, columns), becomes the units, and slope their derivatives, but those of
  // rectified units, which can be told from the units. Neither this nor `backward` is inlined in the steps: else what one of
  // them says decides how fast the other is, by 5 % of a small network's step.
  [[gnu::noinline]] void forward(const uint32_t *bits, const real *x, int64_t count, real *z, real *slope, real *f) {
    if (is_rectified()) linear<true>(bits, x, count, z);
    else linear<false>(bits, x, count, z), activate(net, z, slope, count * columns);
    if (net.is_product)
      for (int64_t b = 0; b < count; ++b) {
        real product = z[b * columns];
        for (int64_t j = 1; j < net.units; ++j) product *= z[b * columns + j];
        f[b] = product;
      }
    else
      write_outputs(count, [&](int64_t b) { return weighted_sum(values[OUTPUT].at, z + b * columns, columns); }, f);
  }

  // Whether the gradients of the weights over so many examples are looked up. An example's units are the sum of the inputs'
  // rows of weights, each with the sign that the input has there; the gradients of an input's weights are the sum of the
  // examples' rows of derivatives, each with the sign that the input has there. So both come from tables of such sums.
  bool looks_up_gradients(int64_t count) const {
    return !net.is_product && count >= FEW_DERIVATIVES && net.n >= FEW_INPUTS;
  }

  // Adds the gradients of some examples: places are where their units and slopes are, out the derivatives by their outputs.
  // Where gradients are looked up `turned` are the bits of each input, else x are the inputs. Overwrites slope.
  [[gnu::noinline]] void backward(const uint32_t *turned, const real *x, int64_t count, const int64_t *places,
                                  const real *h, real *slope, const real *out) {
    if (net.is_product) {
      by_factors(count, h, slope, out);
      multiply(x, 1, net.n, slope, columns, net.n, columns, count, gradients[WEIGHT].at, columns);
      return;
    }
    const bool looks_up = looks_up_gradients(count);
    in_parts<LOOKED_UP>(columns / LANES, looks_up ? LOOKED_UP : MULTIPLIED, [&](auto width, int64_t vectors) {
      constexpr int V = width();
      const int64_t j = vectors * LANES;
      real *to = gradients[WEIGHT].at + j;
      alignas(64) real rows[TILE * V * LANES];
      for (int64_t first = 0; first < count; first += TILE) {
        const int64_t here = count - first < TILE ? count - first : TILE;
        if (is_rectified()) make_rows<V, true>(j, here, places + first, h + j, nullptr, out + first, rows);
        else make_rows<V, false>(j, here, places + first, h + j, slope + j, out + first, rows);
        if (looks_up) add_looked_up<V>(rows, here, turned + first / 32, (count + 31) / 32, to);
        else multiply_columns<V>(x + first * net.n, 1, net.n, rows, V * LANES, net.n, here, to, columns);
      }
    });
  }

  // Makes the derivatives by V vectors of units from j on, one row for each example, and adds the gradients of the units'
  // biases and output weights.
  template <int V, bool IS_RECTIFIED>
  void make_rows(int64_t j, int64_t count, const int64_t *places, const real *h, const real *slope, const real *out,
                 real *rows) {
    real *du = gradients[OUTPUT].at + j, *db = gradients[BIAS].at + j;
    vec u[V], by_u[V], by_bias[V];
    read_output_weights<V>(j, u);
    for (int v = 0; v < V; ++v) by_u[v] = vec_at(du + v * LANES), by_bias[v] = vec_at(db + v * LANES);
    for (int64_t b = 0; b < count; ++b)
      for (int v = 0; v < V; ++v) {
        const int64_t at = places[b] * columns + v * LANES;
        const vec unit = vec_at(h + at), by_z = IS_RECTIFIED ? slope_of_rectified(unit) : vec_at(slope + at);
        const vec row = by_z * (out[b] * u[v]);
        set_vec(rows + (b * V + v) * LANES, row);
        by_u[v] = plus_product(by_u[v], splat(out[b]), unit), by_bias[v] += row;
      }
    for (int v = 0; v < V; ++v) set_vec(du + v * LANES, by_u[v]), set_vec(db + v * LANES, by_bias[v]);
  }

  // Adds the gradients of the weights of V vectors of units, from tables of the rows of derivatives.
  template <int V>
  void add_looked_up(const real *rows, int64_t count, const uint32_t *turned, int64_t turned_words, real *to) const {
    alignas(64) vec table[TILE / GROUP][PATTERNS][V];
    make_tables<V>(rows, V * LANES, nullptr, count, table);
    look_up<V>(table, turned, turned_words, count, net.n, [&](int64_t i, const vec (&sum)[V]) {
      real *row = to + i * columns;
      for (int v = 0; v < V; ++v) set_vec(row + v * LANES, vec_at(row + v * LANES) + sum[v]);
    });
  }

  // Makes the derivatives of a product of slopes, and adds the gradients by the biases.
  void by_factors(int64_t count, const real *h, real *slope, const real *out) {
    for (int64_t b = 0; b < count; ++b) {
      const real *units = h + b * columns;
      real *__restrict__ row = slope + b * columns, *__restrict__ db = gradients[BIAS].at;
      for (int64_t j = 0; j < net.units; ++j) {
        real others = out[b];
        for (int64_t i = 0; i < net.units; ++i)
          if (i != j) others *= units[i];
        row[j] *= others;
      }
      for (int64_t j = net.units; j < columns; ++j) row[j] = 0;
      for (int64_t j = 0; j < columns; ++j) db[j] += row[j];
    }
  }
};
