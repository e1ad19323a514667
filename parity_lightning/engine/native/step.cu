// SGD steps and evaluations of two-layer networks and products of linear forms on a GPU: a block of threads for each
// trial, which keeps its weights on the chip for as many steps as a call takes.
//
// A warp computes 32 examples at a time. Each of its threads has EACH units of the network, and the sums of these units for
// all 32 examples in registers; a network of more than 32 * EACH units takes several warps. For an input, a thread reads its
// units' weights and that input of 32 examples, and makes 32 * EACH multiplications of them.
//
// Each trial is computed separately and in a fixed order. So its weights are the same bit for bit alone and in any stack,
// and however many steps a call takes.
//
// What is given at compile time: REAL; EACH; ACTIVATION, PRODUCT and OPTIMIZER, by the numbers of arithmetic.h; STATES, how
// many numbers the optimizer keeps for a weight. No size of a network is.

#include "arithmetic.h"

constexpr int WARP = 32;
constexpr unsigned int ALL = 0xFFFFFFFFu;
constexpr int MOST_THREADS = 256;
// For how many inputs gradients are summed up at a time.
constexpr int TOGETHER = 8 / EACH;

// The memory of a block.
#ifndef BLOCK_MEMORY
extern __shared__ __align__(32) unsigned char memory[];
#define BLOCK_MEMORY memory
#endif
DEVICE real *number(int at) { return reinterpret_cast<real *>(BLOCK_MEMORY) + at; }

// The numbers of a thread's units.
struct alignas(sizeof(real) * EACH) Units {
  real at[EACH];
};
DEVICE Units read_units(int at) { return *reinterpret_cast<const Units *>(number(at)); }
DEVICE void write_units(int at, const Units &units) { *reinterpret_cast<Units *>(number(at)) = units; }

// An input of four examples.
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

// What a thread has of 32 sums over the threads of its warp: thread b gets sum b.
template <int HALF = WARP / 2>
DEVICE real sums_over_warp(real *value) {
  const bool is_upper = lane() & HALF;
#pragma unroll
  for (int b = 0; b < HALF; ++b) {
    const real own = is_upper ? value[b + HALF] : value[b], other = is_upper ? value[b] : value[b + HALF];
    value[b] = own + __shfl_xor_sync(ALL, other, HALF);
  }
  if constexpr (HALF > 1) return sums_over_warp<HALF / 2>(value);
  else return value[0];
}

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

DEVICE void load_network(const Layout &layout, const Network &net, int64_t trial) {
  for (int tensor = 0; tensor < TENSORS; ++tensor)
    load(layout, tensor, net.parameters[tensor].value, trial, layout.values, tensor == OUTPUT ? real(1) : real(0));
}

// Four random words for an example; see random_words in data/philox.py.
DEVICE void draw_words(int64_t index, int64_t block, int64_t purpose, uint32_t k0, uint32_t k1, uint32_t (&c)[4]) {
  c[0] = static_cast<uint32_t>(index), c[1] = static_cast<uint32_t>(index >> 32);
  c[2] = static_cast<uint32_t>(block), c[3] = static_cast<uint32_t>(purpose);
  philox(c, k0, k1);
}

// Draws an example for each thread of a warp and returns its label; the first warp writes the inputs.
DEVICE real draw(const Stream &stream, int64_t trial, int n, int64_t index) {
  const int words = (n + 31) / 32;
  const uint32_t k0 = static_cast<uint32_t>(stream.low[trial]), k1 = static_cast<uint32_t>(stream.high[trial]);
  const int64_t *relevant = stream.relevant + trial * words;
  uint32_t odd = 0, c[4];
  for (int first = 0; first < words; first += 4) {
    draw_words(index, first / 4, stream.purpose, k0, k1, c);
#pragma unroll
    for (int w = 0; w < 4; ++w) {
      const int word = first + w;
      if (word >= words) break;
      odd ^= c[w] & static_cast<uint32_t>(relevant[word]);
      if (threadIdx.x >= WARP) continue;
      const int bits = n - 32 * word;
#pragma unroll 8
      for (int j = 0; j < 32; ++j)
        if (j < bits) *number((32 * word + j) * WARP + lane()) = c[w] >> j & 1 ? real(-1) : real(1);
    }
  }
  real y = __popc(odd) & 1 ? real(-1) : real(1);
  if (stream.is_noisy) {
    draw_words(index, 0, stream.noise_purpose, k0, k1, c);
    if (static_cast<int64_t>(c[0]) < stream.flip_below[trial]) y = -y;
  }
  return y;
}

// One trial of a network in a block.
struct Trial {
  const Network &net;
  const Layout &layout;
  const int first, count;  // the thread's first unit, and how many it has
  real z[WARP][EACH];      // of each example: the units before the activation, and then the derivatives by them

  DEVICE Trial(const Network &network, const Layout &memory)
      : net(network), layout(memory), first(threadIdx.x * EACH), count(memory.units - first) {}

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

  // The output for example b in thread b of each warp.
  DEVICE real output() {
    real sums[WARP], unused;
    if (PRODUCT) {
#pragma unroll
      for (int b = 0; b < WARP; ++b) {
        const real value = product(activation_of<ACTIVATION, false>(net, z[b][0], unused), false);
        if (b == lane()) sums[0] = value;
      }
      return sums[0];
    }
    const Units u = units(layout.n + 1);
#pragma unroll
    for (int b = 0; b < WARP; ++b) {
      sums[b] = 0;
      for (int e = 0; e < EACH; ++e)
        if (e < count) sums[b] += u.at[e] * activation_of<ACTIVATION, false>(net, z[b][e], unused);
    }
    real sum = sums_over_warp(sums);
    const int warps = blockDim.x / WARP;
    if (warps > 1) {
      *number(layout.sums + threadIdx.x) = sum;
      __syncthreads();
      sum = 0;
      for (int warp = 0; warp < warps; ++warp) sum += *number(layout.sums + warp * WARP + lane());
    }
    return sum + *number(layout.values + layout.begin(OUTPUT_BIAS));
  }

  // The derivatives by the units, given those by the outputs, one in each thread; adds those by bias and output weights.
  DEVICE void backward(real by_output, Units &by_bias, Units &by_u) {
    const Units u = units(layout.n + 1);
#pragma unroll
    for (int b = 0; b < WARP; ++b) {
      const real out = __shfl_sync(ALL, by_output, b);
      for (int e = 0; e < EACH; ++e) {
        real slope;
        const real h = activation_of<ACTIVATION, true>(net, z[b][e], slope);
        if (PRODUCT) {
          z[b][e] = out * product(h, true) * slope;
        } else {
          z[b][e] = slope * (out * u.at[e]);
          by_u.at[e] += out * h;
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
};

// Updates the thread's units in a row, and their states.
DEVICE void update_units(const Layout &layout, const Update &update, const Options &o, int at, int count, Units p,
                         const Units &gradient) {
  Units first = {}, second = {};
  if (STATES > 0) first = read_units(layout.states + at);
  if (STATES > 1) second = read_units(layout.states + layout.size + at);
#pragma unroll
  for (int e = 0; e < EACH; ++e) {
    // What only fills up a row stays 0.
    if (e >= count) break;
    if (OPTIMIZER == ADAM) adam(update, o, p.at[e], gradient.at[e], first.at[e], second.at[e]);
    else if (OPTIMIZER == SIGN_SGD) sign_sgd(o, p.at[e], gradient.at[e]);
    else if (STATES == 0) plain_sgd(update, o, p.at[e], gradient.at[e]);
    else sgd_with_momentum(update, o, p.at[e], gradient.at[e], first.at[e]);
  }
  write_units(layout.values + at, p);
  if (STATES > 0) write_units(layout.states + at, first);
  if (STATES > 1) write_units(layout.states + layout.size + at, second);
}

DEVICE bool is_trained(const Parameter &parameter) { return parameter.value && parameter.is_trainable; }

extern "C" __global__ void __launch_bounds__(MOST_THREADS)
train(Network net, Stream stream, Update update, int64_t loss, int64_t trials, int64_t steps, int64_t batch,
      const int64_t *index, const double *options, int64_t options_change, double *steps_made, real *losses,
      int64_t *errors) {
  const int64_t t = blockIdx.x;
  const bool has_parts = batch > WARP;
  const Layout layout(net, has_parts);
  load_network(layout, net, t);
  for (int tensor = 0; tensor < TENSORS; ++tensor)
    for (int which = 0; which < STATES; ++which)
      load(layout, tensor, net.parameters[tensor].state[which], t, layout.states + which * layout.size, 0);
  double made = steps_made[t];
  const bool trains_weight = is_trained(net.parameters[WEIGHT]);
  Trial trial(net, layout);
  for (int64_t step = 0; step < steps; ++step) {
    const double *own = options + ((options_change ? step * trials : 0) + t) * update.option_count;
    const int64_t *places = index + (step * trials + t) * batch;
    Units by_bias = {}, by_u = {};
    real by_constant = 0, total = 0;
    int wrong = 0;
    made += 1;
    const Options of_weight = read_options(update, own + net.parameters[WEIGHT].option, made);
    for (int64_t begin = 0; begin < batch; begin += WARP) {
      const bool is_there = begin + lane() < batch;
      // Others may still be reading the inputs before.
      __syncthreads();
      // Where a part is not full, the first example stands in, and counts for nothing.
      const real y = draw(stream, t, layout.n, places[is_there ? begin + lane() : 0]);
      __syncthreads();
      trial.linear();
      const real margin = y * trial.output();
      real by_margin, by_output = 0;
      const real own_loss = loss_of(loss, margin, &by_margin);
      if (is_there) {
        total += own_loss;
        wrong += !(margin > 0);
        by_output = by_margin * y / batch;
      }
      by_constant += by_output;
      trial.backward(by_output, by_bias, by_u);
      if (!trains_weight || trial.count <= 0) continue;
      const bool is_last = begin + WARP >= batch;
      for (int i = 0; i < layout.n; i += TOGETHER) {
        Units gradients[TOGETHER] = {}, weights[TOGETHER];
#pragma unroll
        for (int row = 0; row < TOGETHER; ++row)
          if (i + row < layout.n) {
            if (begin > 0) gradients[row] = read_units(layout.gradients + trial.at(i + row));
            weights[row] = read_units(layout.values + trial.at(i + row));
          }
        trial.by_weights(i, gradients);
#pragma unroll
        for (int row = 0; row < TOGETHER; ++row)
          if (i + row < layout.n) {
            const int at = trial.at(i + row);
            if (is_last) update_units(layout, update, of_weight, at, trial.count, weights[row], gradients[row]);
            else write_units(layout.gradients + at, gradients[row]);
          }
      }
    }
    for (int tensor = BIAS; tensor <= OUTPUT && trial.count > 0; ++tensor) {
      const Parameter &parameter = net.parameters[tensor];
      if (!is_trained(parameter)) continue;
      const int row = layout.n + (tensor == OUTPUT);
      update_units(layout, update, read_options(update, own + parameter.option, made), trial.at(row), trial.count,
                   trial.units(row), tensor == BIAS ? by_bias : by_u);
    }
    by_constant = sum_over_warp(by_constant), total = sum_over_warp(total), wrong = sum_over_warp(wrong);
    // Each warp has read the constant.
    __syncthreads();
    if (threadIdx.x == 0) {
      if (is_trained(net.parameters[OUTPUT_BIAS])) {
        const int at = layout.begin(OUTPUT_BIAS);
        const Options read = read_options(update, own + net.parameters[OUTPUT_BIAS].option, made);
        // It has a place of its own, with room for as many numbers as a thread has units.
        update_units(layout, update, read, at, 1, read_units(layout.values + at), Units{by_constant});
      }
      losses[step * trials + t] = total / batch;
      errors[step * trials + t] = wrong;
    }
  }
  __syncthreads();
  if (threadIdx.x == 0) steps_made[t] = made;
  for (int tensor = 0; tensor < TENSORS; ++tensor) {
    const Parameter &parameter = net.parameters[tensor];
    if (!is_trained(parameter)) continue;
    store(layout, tensor, layout.values, t, parameter.value);
    for (int which = 0; which < STATES; ++which)
      store(layout, tensor, layout.states + which * layout.size, t, parameter.state[which]);
  }
}

// Counts which of the examples first to end - 1 some trials predict wrongly; block (i, j) counts part j for place i.
extern "C" __global__ void __launch_bounds__(MOST_THREADS)
count_errors(Network net, Stream stream, const int64_t *places, int64_t first, int64_t end, int64_t each, int64_t *errors) {
  const int64_t t = places[blockIdx.x];
  const Layout layout(net, false);
  load_network(layout, net, t);
  Trial trial(net, layout);
  unsigned long long wrong = 0;
  const int64_t from = first + blockIdx.y * each, to = from + each < end ? from + each : end;
  for (int64_t begin = from; begin < to; begin += WARP) {
    const bool is_there = begin + lane() < to;
    __syncthreads();
    const real y = draw(stream, t, layout.n, is_there ? begin + lane() : from);
    __syncthreads();
    trial.linear();
    const real margin = y * trial.output();
    wrong += is_there && !(margin > 0);
  }
  wrong = sum_over_warp(wrong);
  if (threadIdx.x == 0) atomicAdd(reinterpret_cast<unsigned long long *>(errors + blockIdx.x), wrong);
}
