// How a block computes a trial of floats by tensor cores: each warp keeps tiles of its weights.
//
// Inputs are 1 or -1, which are exact in any type. Tensor cores multiply bfloat16, of 8 bits: a float, of 24 bits, is the sum
// of three of them, exactly (above 2^-110). So a product of weights and inputs is three products of such parts, and so is one
// of derivatives and inputs; tensor cores add them up in single precision.
//
// A warp has TILES times 16 units and 32 examples. A tile is what the instruction multiplies: 16 units by 16 inputs in the
// first product, 16 units by 16 examples in the second. There, a thread's numbers are those of units g and g + 8 for g = lane
// / 4, and of columns 2 t and 2 t + 1 for t = lane % 4. Which inputs and examples these columns are may be chosen, if all
// agree: so that results of the first product are factors of the second, the gradient of a weight comes to the thread that
// has the weight, and a thread makes two inputs out of bits in two instructions. See input_of_column and example_of_column.
//
// The bias is the weight of an input that is always 1.

#pragma once

#include "block.h"

constexpr int ROWS = 16 * TILES;
// For how many tiles gradients are summed up at a time; a divisor of the 4 that a word has.
constexpr int TOGETHER = 4;

struct alignas(8) Two {
  real at[2];
};

// 16 rows of a factor, in three parts that add up to it: of each, two numbers in a word.
struct Parts {
  uint32_t at[3][4];
};

DEVICE uint32_t bits_of(real value) { return __float_as_uint(value); }
// What 8 bits hold of a number.
DEVICE real upper_part(real value) { return __uint_as_float(bits_of(value) & 0xFFFF0000u); }
DEVICE uint32_t two_parts(real low, real high) { return __byte_perm(bits_of(low), bits_of(high), 0x7632); }

DEVICE Parts split(const Four &first, const Four &second) {
  Parts parts;
#pragma unroll
  for (int pair = 0; pair < 4; ++pair) {
    const Four &four = pair < 2 ? first : second;
    real low = four.at[pair % 2 * 2], high = four.at[pair % 2 * 2 + 1];
#pragma unroll
    for (int part = 0; part < 3; ++part) {
      parts.at[part][pair] = two_parts(low, high);
      low -= upper_part(low), high -= upper_part(high);
    }
  }
  return parts;
}

// Two inputs, out of bits 15 and 31.
constexpr uint32_t ONES = 0x3F803F80u;
DEVICE uint32_t two_inputs(uint32_t bits, uint32_t ones = ONES) { return (bits & 0x80008000u) | ones; }

#ifndef __CUDACC_ON_CPU__
// sum += a b for a tile of 16 by 16 (or by 8) numbers and one of as many by 8.
DEVICE void multiply_tile(real (&sum)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
DEVICE void multiply_half_tile(real (&sum)[4], const uint32_t (&a)[4], uint32_t b0) {
  asm("mma.sync.aligned.m16n8k8.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
      : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
      : "r"(a[0]), "r"(a[1]), "r"(b0));
}
#endif

// Exchanges rows and columns of 32 words of 32 bits, one in each thread.
DEVICE uint32_t transposed(uint32_t bits) {
#pragma unroll
  for (int distance = 16; distance; distance /= 2) {
    const uint32_t lower = 0xFFFFFFFFu / ((1u << distance) + 1);
    const uint32_t other = __shfl_xor_sync(ALL, bits, distance);
    bits = lane() & distance ? (bits & ~lower) | (other >> distance & lower) : (bits & lower) | (other & lower) << distance;
  }
  return bits;
}

// Of a block's memory, each thread has its own part of weights, output weights, gradients and states, so no thread waits for
// another. The words of the examples, and the same bits as words of inputs, are there once.
struct Layout {
  int n, units;
  int columns;  // groups of 8 columns of the weights and the bias; two groups are 16 inputs
  int words;    // of an example, the bias's input with it
  int each;     // how many numbers a warp has of the weights and output weights
  int values, gradients, states, size, examples, inputs, sums;

  DEVICE Layout(const Network &net, bool has_parts)
      : n(static_cast<int>(net.n)), units(static_cast<int>(net.units)), words(n / 32 + 1) {
    const int rest = (n + 1) % 16;
    // The first group has inputs 0 to 3 and 8 to 11 of its 16.
    columns = (n + 1) / 16 * 2 + (rest > 4 ? 2 : rest > 0 ? 1 : 0);
    each = (4 * columns + 2) * TILES * WARP;
    const int all = each * (blockDim.x / WARP);
    size = all + 4;
    values = 0;
    gradients = values + size;
    states = gradients + (has_parts ? all : 0);
    examples = states + STATES * size;
    inputs = examples + words * WARP;
    sums = inputs + words * WARP;
  }

  // Where a thread has the weights of a tile, and the output weights of its rows.
  DEVICE int own() const { return threadIdx.x / WARP * each; }
  DEVICE int weights(int tile, int column) const { return own() + (column * TILES + tile) * 4 * WARP + 4 * lane(); }
  DEVICE int outputs(int tile) const { return own() + (4 * columns * TILES + 2 * tile) * WARP + 2 * lane(); }
};

DEVICE Four read_four(int at) { return *reinterpret_cast<const Four *>(number(at)); }
DEVICE void write_four(int at, const Four &four) { *reinterpret_cast<Four *>(number(at)) = four; }
DEVICE Two read_two(int at) { return *reinterpret_cast<const Two *>(number(at)); }
DEVICE void write_two(int at, const Two &two) { *reinterpret_cast<Two *>(number(at)) = two; }
DEVICE uint32_t *word(int at) { return reinterpret_cast<uint32_t *>(number(at)); }

DEVICE Four four_of(const real (&sum)[4]) { return Four{{sum[0], sum[1], sum[2], sum[3]}}; }

// The first of the inputs in a group of columns, for the thread's pair of columns; the second is 8 higher.
DEVICE int input_of_column(int group, int pair) { return group / 2 * 16 + group % 2 * 4 + pair; }
// Which of four groups' 32 columns an input is: the inverse of input_of_column.
DEVICE int column_of_input(int input) { return input / 16 * 16 + input / 4 % 2 * 8 + input % 4 * 2 + input / 8 % 2; }
// The first of the examples in a group of columns, for the thread's pair of columns; the second is 16 higher.
DEVICE int example_of_column(int group, int pair) { return group * 4 + pair; }

struct Trial {
  const Network &net;
  const Layout layout;
  const int g, t, first;  // first: the unit of the warp's first row
  real z[TILES][4][4];    // the units before the activation, and then the derivatives by them
  Options of_weight, of_bias, of_output;

  DEVICE Trial(const Network &network, bool has_parts)
      : net(network), layout(network, has_parts), g(lane() / 4), t(lane() % 4), first(threadIdx.x / WARP * ROWS) {}

  DEVICE int unit(int tile, int half) const { return first + 16 * tile + 8 * half + g; }

  // The places of a thread's numbers: visit is called with where one lies, its tensor, and which of the tensor's it is.
  template <typename Visit>
  DEVICE void visit_all(int64_t trial, const Visit &visit) {
    for (int tile = 0; tile < TILES; ++tile)
      for (int half = 0; half < 2; ++half) {
        const int own = unit(tile, half);
        const bool is_there = own < layout.units;
        const int64_t place = trial * layout.units + own;
        for (int column = 0; column < layout.columns; ++column)
          for (int second = 0; second < 2; ++second) {
            const int input = input_of_column(column, t) + 8 * second;
            const int at = layout.weights(tile, column) + 2 * half + second;
            if (input < layout.n) visit(at, WEIGHT, place * layout.n + input, is_there);
            else visit(at, BIAS, place, is_there && input == layout.n);
          }
        visit(layout.outputs(tile) + half, OUTPUT, place, is_there);
      }
    if (threadIdx.x == 0) visit(layout.size - 4, OUTPUT_BIAS, trial, true);
  }

  DEVICE void load_values(int64_t trial) {
    visit_all(trial, [&](int at, int tensor, int64_t place, bool is_there) {
      const real *from = net.parameters[tensor].value;
      *number(layout.values + at) = !is_there ? real(0) : from ? from[place] : tensor == OUTPUT ? real(1) : real(0);
    });
    // The word that has the bias's input alone stays 0, which is 1 for an input.
    if (threadIdx.x < WARP) {
      *word(layout.examples + (layout.words - 1) * WARP + lane()) = 0;
      *word(layout.inputs + (layout.words - 1) * WARP + lane()) = 0;
    }
  }
  DEVICE void load_states(int64_t trial) {
    for (int which = 0; which < STATES; ++which)
      visit_all(trial, [&](int at, int tensor, int64_t place, bool is_there) {
        const real *from = net.parameters[tensor].state[which];
        *number(layout.states + which * layout.size + at) = is_there && from ? from[place] : real(0);
      });
  }
  DEVICE void store_all(int64_t trial) {
    visit_all(trial, [&](int at, int tensor, int64_t place, bool is_there) {
      const Parameter &parameter = net.parameters[tensor];
      if (!is_there || !is_trained(parameter)) return;
      // Four threads have the same output weights.
      if (tensor == OUTPUT && t) return;
      parameter.value[place] = *number(layout.values + at);
      for (int which = 0; which < STATES; ++which)
        parameter.state[which][place] = *number(layout.states + which * layout.size + at);
    });
  }

  DEVICE int constant() const { return layout.values + layout.size - 4; }
  DEVICE int to_state(int which) const { return layout.states - layout.values + which * layout.size; }

  // Draws an example for each thread of a warp and returns its label; the first warp writes the words.
  DEVICE real draw(const Stream &stream, int64_t trial, int64_t index) {
    return draw_example(stream, trial, layout.n, index, [&](int place, uint32_t bits) {
      const int there = layout.n - 32 * place;
      if (there < 32) bits &= (1u << there) - 1;
      const uint32_t of_input = transposed(bits);
      if (threadIdx.x >= WARP) return;
      *word(layout.examples + place * WARP + lane()) = bits;
      *word(layout.inputs + place * WARP + column_of_input(lane())) = of_input;
    });
  }

  DEVICE void linear() {
#pragma unroll
    for (int tile = 0; tile < TILES; ++tile)
#pragma unroll
      for (int group = 0; group < 4; ++group)
        for (int i = 0; i < 4; ++i) z[tile][group][i] = 0;
    int column = 0;
#pragma unroll 1
    for (; column + 1 < layout.columns; column += 2) add_columns<true>(column);
    if (column < layout.columns) add_columns<false>(column);
  }

  // Adds the products of 16 inputs to the units, or of the first 8 columns of them.
  template <bool BOTH>
  DEVICE void add_columns(int column) {
    uint32_t x[4][2];
#pragma unroll
    for (int group = 0; group < 4; ++group) {
      const int example = example_of_column(group, g / 2) + 16 * (g % 2);
      const uint32_t bits = *word(layout.examples + column / 4 * WARP + example);
      // Two bytes of the word, 16 bits apart.
      const uint32_t apart = __byte_perm(bits, 0, column % 4 ? 0x4342 : 0x4140);
      x[group][0] = two_inputs(apart << (15 - t));
      x[group][1] = two_inputs(apart << (11 - t));
    }
#pragma unroll
    for (int tile = 0; tile < TILES; ++tile) {
      const Four low = read_four(layout.values + layout.weights(tile, column));
      const Four high = BOTH ? read_four(layout.values + layout.weights(tile, column + 1)) : Four{};
      const Parts weights = split(low, high);
#pragma unroll
      for (int part = 2; part >= 0; --part)
#pragma unroll
        for (int group = 0; group < 4; ++group) {
          if (BOTH) multiply_tile(z[tile][group], weights.at[part], x[group][0], x[group][1]);
          else multiply_half_tile(z[tile][group], weights.at[part], x[group][0]);
        }
    }
  }

  // What example b's output has of the warp's units, in thread b.
  DEVICE real output() {
    real sums[8] = {};
#pragma unroll
    for (int tile = 0; tile < TILES; ++tile) {
      const Two u = read_two(layout.values + layout.outputs(tile));
#pragma unroll
      for (int group = 0; group < 4; ++group)
#pragma unroll
        for (int i = 0; i < 4; ++i)
          sums[2 * group + i % 2] += u.at[i / 2] * activation<false>(net, z[tile][group][i]).value;
    }
    const real sum = sums_over_warp<8>(sums);
    // Sum i is in the threads of g = i; thread b wants that of example b.
    const int b = lane();
    return __shfl_sync(ALL, sum, (b / 4 % 4 * 2 + b / 16) * 4 + b % 4);
  }

  DEVICE void begin_step(const Step &step) {
    of_weight = options_of(step, WEIGHT), of_bias = options_of(step, BIAS), of_output = options_of(step, OUTPUT);
  }
  // The options for a tensor; those that change nothing if it is not trained.
  DEVICE Options options_of(const Step &step, int tensor) const {
    Options options = {};
    options.keep = options.eps = options.scale = 1;
    return is_trained(net.parameters[tensor]) ? step.options_of(net.parameters[tensor]) : options;
  }

  // Gradients of a part of the batch, given the derivatives by the outputs, one in each thread; after the last the update.
  DEVICE void descend(real by_output, const Step &step, bool is_first, bool is_last) {
    backward(by_output, step, is_first, is_last);
    if (!is_trained(net.parameters[WEIGHT]) && !is_trained(net.parameters[BIAS])) return;
#pragma unroll
    for (int tile = 0; tile < TILES; ++tile) by_weights(tile, step, is_first, is_last);
  }

  // The derivatives by the units; and by the output weights, which are updated after the last part.
  DEVICE void backward(real by_output, const Step &step, bool is_first, bool is_last) {
    real out[8];
#pragma unroll
    for (int i = 0; i < 8; ++i) out[i] = __shfl_sync(ALL, by_output, example_of_column(i / 2, t) + 16 * (i % 2));
#pragma unroll
    for (int tile = 0; tile < TILES; ++tile) {
      const int at = layout.outputs(tile);
      Two u = read_two(layout.values + at), gradient = {};
#pragma unroll
      for (int group = 0; group < 4; ++group)
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          const real by = out[2 * group + i % 2];
          const Point h = activation<true>(net, z[tile][group][i]);
          z[tile][group][i] = h.slope * (by * u.at[i / 2]);
          gradient.at[i / 2] += by * h.value;
        }
      if (!is_trained(net.parameters[OUTPUT])) continue;
      // Two threads add the same two numbers, so all four get the same sum.
#pragma unroll
      for (int half = 0; half < 2; ++half)
        for (int distance = 1; distance <= 2; distance *= 2)
          gradient.at[half] += __shfl_xor_sync(ALL, gradient.at[half], distance);
      if (!is_first) {
        const Two before = read_two(layout.gradients + at);
        gradient.at[0] += before.at[0], gradient.at[1] += before.at[1];
      }
      if (!is_last) {
        write_two(layout.gradients + at, gradient);
        continue;
      }
      Two states[2] = {};
      for (int which = 0; which < STATES; ++which) states[which] = read_two(layout.values + at + to_state(which));
#pragma unroll
      for (int half = 0; half < 2; ++half)
        if (unit(tile, half) < layout.units)
          update_number(step.update, of_output, u.at[half], gradient.at[half], states[0].at[half], states[1].at[half]);
      write_two(layout.values + at, u);
      for (int which = 0; which < STATES; ++which) write_two(layout.values + at + to_state(which), states[which]);
    }
  }

  // The gradients of a tile of 16 units by all inputs, and their update after the last part.
  DEVICE void by_weights(int tile, const Step &step, bool is_first, bool is_last) {
    const Parts low = split(four_of(z[tile][0]), four_of(z[tile][1])), high = split(four_of(z[tile][2]), four_of(z[tile][3]));
#pragma unroll 1
    for (int begin = 0; begin < layout.columns; begin += TOGETHER) {
      real sum[TOGETHER][4] = {};
      uint32_t x[TOGETHER][4];
#pragma unroll
      for (int i = 0; i < TOGETHER; ++i) {
        // Behind the last column are words that nothing is done with.
        const uint32_t bits = *word(layout.inputs + 8 * (begin + i) + g);
        const uint32_t ones = input_of_column(begin, g / 2) + input_of_column(i, 0) + 8 * (g % 2) <= layout.n ? ONES : 0;
#pragma unroll
        for (int group = 0; group < 4; ++group) x[i][group] = two_inputs(bits << (15 - example_of_column(group, t)), ones);
      }
#pragma unroll
      for (int part = 2; part >= 0; --part) {
#pragma unroll
        for (int i = 0; i < TOGETHER; ++i) multiply_tile(sum[i], low.at[part], x[i][0], x[i][1]);
#pragma unroll
        for (int i = 0; i < TOGETHER; ++i) multiply_tile(sum[i], high.at[part], x[i][2], x[i][3]);
      }
#pragma unroll
      for (int i = 0; i < TOGETHER; ++i)
        if (i == 0 || begin + i < layout.columns) descend_tile(tile, begin + i, four_of(sum[i]), step, is_first, is_last);
    }
  }

  DEVICE void descend_tile(int tile, int column, Four gradient, const Step &step, bool is_first, bool is_last) {
    const int at = layout.weights(tile, column);
    if (!is_first) {
      const Four before = read_four(layout.gradients + at);
      for (int i = 0; i < 4; ++i) gradient.at[i] += before.at[i];
    }
    if (!is_last) {
      write_four(layout.gradients + at, gradient);
      return;
    }
    Four value = read_four(layout.values + at), states[2] = {};
    for (int which = 0; which < STATES; ++which) states[which] = read_four(layout.values + at + to_state(which));
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int input = input_of_column(column, t) + 8 * (i % 2);
      // What only fills up a tile has a gradient of 0 and stays 0: but for 0 / 0, and in a trial that has diverged.
      if (OPTIMIZER != ADAM || (unit(tile, i / 2) < layout.units && input <= layout.n))
        update_number(step.update, input < layout.n ? of_weight : of_bias, value.at[i], gradient.at[i], states[0].at[i],
                      states[1].at[i]);
    }
    write_four(layout.values + at, value);
    for (int which = 0; which < STATES; ++which) write_four(layout.values + at + to_state(which), states[which]);
  }
};
