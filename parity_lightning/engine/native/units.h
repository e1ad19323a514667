// A trial whose threads have units: any type of numbers, and products of linear forms.
//
// A warp computes 32 examples at a time. Each of its threads has EACH units of the network, and the sums of these units for
// all 32 examples in registers; a network of more than 32 * EACH units takes several warps. For an input, a thread reads its
// units' weights and that input of 32 examples, and makes 32 * EACH multiplications of them.

#pragma once

#include "block.h"

// For how many inputs gradients are summed up at a time.
constexpr int TOGETHER = 8 / EACH;

// The numbers of a thread's units.
struct alignas(sizeof(real) * EACH) Units {
  real at[EACH];
};
DEVICE Units read_units(int at) { return *reinterpret_cast<const Units *>(number(at)); }
DEVICE void write_units(int at, const Units &units) { *reinterpret_cast<Units *>(number(at)) = units; }

// Where things begin in the memory of a block: inputs of 32 examples, one input after another; a trial's weights as
// (n, units), biases and so on; the gradient by the weights, if a batch has several parts; the optimizer's states; sums of
// each warp.
struct Layout {
  int n, units, columns;  // columns: units, filled up to a multiple of EACH
  int values, gradients, states, size, sums;

  DEVICE Layout(const Network &net, bool has_parts)
      : n(static_cast<int>(net.n)), units(static_cast<int>(net.units)), columns((units + EACH - 1) / EACH * EACH) {
    size = (n + 2) * columns + 4;
    // Gradients are summed up for TOGETHER inputs, whether there are so many left or not.
    values = (n + TOGETHER - 1) / TOGETHER * TOGETHER * WARP;
    gradients = values + size;
    states = gradients + (has_parts ? n * columns : 0);
    sums = states + STATES * size;
  }
  // Where a tensor begins within values or a state.
  DEVICE int begin(int tensor) const {
    return tensor == WEIGHT ? 0 : (n + (tensor == BIAS ? 0 : tensor == OUTPUT ? 1 : 2)) * columns;
  }
};

// A trial's tensor goes to a place in the block's memory.
DEVICE void load(const Layout &layout, int tensor, const real *from, int64_t trial, int to, real otherwise) {
  to += layout.begin(tensor);
  if (tensor == OUTPUT_BIAS) {
    if (threadIdx.x == 0) *number(to) = from ? from[trial] : real(0);
    return;
  }
  const int depth = tensor == WEIGHT ? layout.n : 1;
  for (int i = threadIdx.x; i < depth * layout.columns; i += blockDim.x) {
    // Neighbours read neighbours.
    const int unit = i / depth, d = i % depth;
    const real value = from ? (unit < layout.units ? from[trial * layout.units * depth + i] : real(0)) : otherwise;
    *number(to + d * layout.columns + unit) = unit < layout.units ? value : real(0);
  }
}
DEVICE void store(const Layout &layout, int tensor, int from, int64_t trial, real *to) {
  from += layout.begin(tensor);
  if (tensor == OUTPUT_BIAS) {
    if (threadIdx.x == 0) to[trial] = *number(from);
    return;
  }
  const int depth = tensor == WEIGHT ? layout.n : 1;
  for (int i = threadIdx.x; i < depth * layout.units; i += blockDim.x)
    to[trial * layout.units * depth + i] = *number(from + i % depth * layout.columns + i / depth);
}

struct Trial {
  const Network &net;
  const Layout layout;
  const int first, count;  // the thread's first unit, and how many it has
  real z[WARP][EACH];      // of each example: the units before the activation, and then the derivatives by them
  Units by_bias, by_u;     // the gradients by biases and output weights
  Options of_weight;

  DEVICE Trial(const Network &network, bool has_parts)
      : net(network), layout(network, has_parts), first(threadIdx.x * EACH), count(layout.units - first) {}

  DEVICE void load_values(int64_t t) {
    for (int tensor = 0; tensor < TENSORS; ++tensor)
      load(layout, tensor, net.parameters[tensor].value, t, layout.values, tensor == OUTPUT ? real(1) : real(0));
  }
  DEVICE void load_states(int64_t t) {
    for (int tensor = 0; tensor < TENSORS; ++tensor)
      for (int which = 0; which < STATES; ++which)
        load(layout, tensor, net.parameters[tensor].state[which], t, layout.states + which * layout.size, 0);
  }
  DEVICE void store_all(int64_t t) {
    for (int tensor = 0; tensor < TENSORS; ++tensor) {
      const Parameter &parameter = net.parameters[tensor];
      if (!is_trained(parameter)) continue;
      store(layout, tensor, layout.values, t, parameter.value);
      for (int which = 0; which < STATES; ++which)
        store(layout, tensor, layout.states + which * layout.size, t, parameter.state[which]);
    }
  }

  // Where the output bias lies, and from there to its states.
  DEVICE int constant() const { return layout.values + layout.begin(OUTPUT_BIAS); }
  DEVICE int to_state(int which) const { return layout.states - layout.values + which * layout.size; }

  // Draws an example for each thread of a warp and returns its label; the first warp writes the inputs.
  DEVICE real draw(const Stream &stream, int64_t t, int64_t index) {
    return draw_example(stream, t, layout.n, index, [&](int word, uint32_t bits) {
      if (threadIdx.x >= WARP) return;
      const int there = layout.n - 32 * word;
#pragma unroll 8
      for (int j = 0; j < 32; ++j)
        if (j < there) *number((32 * word + j) * WARP + lane()) = bits >> j & 1 ? real(-1) : real(1);
    });
  }

  // Where a row of the weights, or what comes after them, has the thread's units.
  DEVICE int at(int row) const { return row * layout.columns + first; }
  DEVICE Units units(int row) const { return count > 0 ? read_units(layout.values + at(row)) : Units{}; }

  DEVICE Four four(int i, int b) const { return *reinterpret_cast<const Four *>(number(i * WARP + b)); }

  DEVICE void linear() {
    const Units bias = units(layout.n);
#pragma unroll
    for (int b = 0; b < WARP; ++b)
      for (int e = 0; e < EACH; ++e) z[b][e] = bias.at[e];
    if (count <= 0) return;
#pragma unroll 2
    for (int i = 0; i < layout.n; ++i) {
      const Units w = read_units(layout.values + at(i));
#pragma unroll
      for (int b = 0; b < WARP; b += 4) {
        const Four x = four(i, b);
        for (int part = 0; part < 4; ++part)
          for (int e = 0; e < EACH; ++e) z[b + part][e] += w.at[e] * x.at[part];
      }
    }
  }

  // The product of the units of an example, one in each thread; or of the others than the thread's.
  DEVICE real product(real h, bool of_others) const {
    real value = 1;
    for (int j = 0; j < layout.units; ++j) {
      const real factor = __shfl_sync(ALL, h, j);
      if (!of_others || j != lane()) value *= factor;
    }
    return value;
  }

  // What example b's output has of the warp's units, in thread b.
  DEVICE real output() {
    real sums[WARP];
    if (PRODUCT) {
#pragma unroll
      for (int b = 0; b < WARP; ++b) {
        const real value = product(activation<false>(net, z[b][0]).value, false);
        if (b == lane()) sums[0] = value;
      }
      return sums[0];
    }
    const Units u = units(layout.n + 1);
#pragma unroll
    for (int b = 0; b < WARP; ++b) {
      sums[b] = 0;
      for (int e = 0; e < EACH; ++e)
        if (e < count) sums[b] += u.at[e] * activation<false>(net, z[b][e]).value;
    }
    return sums_over_warp<WARP>(sums);
  }

  // Reads the options of a step.
  DEVICE void begin_step(const Step &step) {
    by_bias = {}, by_u = {};
    of_weight = step.options_of(net.parameters[WEIGHT]);
  }

  // Gradients of a part of the batch, given the derivatives by the outputs, one in each thread; after the last the update.
  DEVICE void descend(real by_output, const Step &step, bool is_first, bool is_last) {
    backward(by_output);
    if (count <= 0) return;
    if (is_trained(net.parameters[WEIGHT])) {
      for (int i = 0; i < layout.n; i += TOGETHER) {
        Units gradients[TOGETHER] = {}, weights[TOGETHER];
#pragma unroll
        for (int row = 0; row < TOGETHER; ++row)
          if (i + row < layout.n) {
            if (!is_first) gradients[row] = read_units(layout.gradients + at(i + row));
            weights[row] = read_units(layout.values + at(i + row));
          }
        by_weights(i, gradients);
#pragma unroll
        for (int row = 0; row < TOGETHER; ++row)
          if (i + row < layout.n) {
            if (is_last) update_units(step.update, of_weight, at(i + row), weights[row], gradients[row]);
            else write_units(layout.gradients + at(i + row), gradients[row]);
          }
      }
    }
    if (!is_last) return;
    for (int tensor = BIAS; tensor <= OUTPUT; ++tensor) {
      const Parameter &parameter = net.parameters[tensor];
      if (!is_trained(parameter)) continue;
      const int row = layout.n + (tensor == OUTPUT);
      update_units(step.update, step.options_of(parameter), at(row), units(row), tensor == BIAS ? by_bias : by_u);
    }
  }

  // The derivatives by the units, given those by the outputs, one in each thread; adds those by bias and output weights.
  DEVICE void backward(real by_output) {
    const Units u = units(layout.n + 1);
#pragma unroll
    for (int b = 0; b < WARP; ++b) {
      const real out = __shfl_sync(ALL, by_output, b);
      for (int e = 0; e < EACH; ++e) {
        const Point h = activation<true>(net, z[b][e]);
        if (PRODUCT) {
          z[b][e] = out * product(h.value, true) * h.slope;
        } else {
          z[b][e] = h.slope * (out * u.at[e]);
          by_u.at[e] += out * h.value;
        }
        if (e >= count) z[b][e] = 0;
        by_bias.at[e] += z[b][e];
      }
    }
  }

  // The derivatives of a sum over the examples by the weights of some inputs; behind the last input they are anything.
  DEVICE void by_weights(int i, Units (&sum)[TOGETHER]) const {
#pragma unroll
    for (int b = 0; b < WARP; b += 4) {
#pragma unroll
      for (int row = 0; row < TOGETHER; ++row) {
        const Four x = four(i + row, b);
        for (int part = 0; part < 4; ++part)
          for (int e = 0; e < EACH; ++e) sum[row].at[e] += z[b + part][e] * x.at[part];
      }
    }
  }

  // Updates the thread's units in a row, and their states.
  DEVICE void update_units(const Update &update, const Options &o, int at, Units p, const Units &gradient) {
    Units first = {}, second = {};
    if (STATES > 0) first = read_units(layout.states + at);
    if (STATES > 1) second = read_units(layout.states + layout.size + at);
#pragma unroll
    for (int e = 0; e < EACH; ++e) {
      // What only fills up a row stays 0.
      if (e >= count) break;
      update_number(update, o, p.at[e], gradient.at[e], first.at[e], second.at[e]);
    }
    write_units(layout.values + at, p);
    if (STATES > 0) write_units(layout.states + at, first);
    if (STATES > 1) write_units(layout.states + layout.size + at, second);
  }
};
