// SGD steps and evaluations of two-layer networks and products of linear forms on a GPU: a block of threads for each
// trial, which keeps its weights on the chip for as many steps as a call takes.
//
// How a block computes a trial is in tiles.h, by tensor cores, or in units.h. Each trial is computed separately and in a fixed
// order. So its weights are the same bit for bit alone and in any stack, and however many steps a call takes.
//
// What is given at compile time: REAL; TILES, or else EACH; ACTIVATION, PRODUCT and OPTIMIZER, by the numbers of arithmetic.h;
// DEGREE, of a power; PARTS, whether a batch has more than 32 examples; which terms the update has, HAS_DECAY and so on;
// STATES, how many numbers the optimizer keeps for a weight.

#include "block.h"

// A step of a trial.
struct Step {
  const Update &update;
  const double *options;
  double number;  // of the step, from 1

  DEVICE Options options_of(const Parameter &parameter) const {
    return read_options(update, options + parameter.option, number);
  }
};

#ifdef TILES
#include "tiles.h"
#else
#include "units.h"
#endif

// The outputs of 32 examples: in thread b of each warp that of example b.
DEVICE real output_of(Trial &trial) {
  trial.linear();
  real sum = trial.output();
  const int warps = blockDim.x / WARP;
  if (warps > 1) {
    *number(trial.layout.sums + threadIdx.x) = sum;
    __syncthreads();
    sum = 0;
    for (int warp = 0; warp < warps; ++warp) sum += *number(trial.layout.sums + warp * WARP + lane());
  }
  return sum + *number(trial.constant());
}

extern "C" __global__ void __launch_bounds__(MOST_THREADS)
train(Network net, Stream stream, Update given, int64_t loss, int64_t trials, int64_t steps, int64_t batch,
      const int64_t *index, const double *options, int64_t options_change, double *steps_made, real *losses,
      int64_t *errors) {
  const Update update = compiled_for(given);
  const int64_t t = blockIdx.x;
  double made = steps_made[t];
  Trial trial(net, PARTS);
  trial.load_values(t);
  trial.load_states(t);
  for (int64_t number_of_step = 0; number_of_step < steps; ++number_of_step) {
    const int64_t *places = index + (number_of_step * trials + t) * batch;
    made += 1;
    const Step step{update, options + ((options_change ? number_of_step * trials : 0) + t) * update.option_count, made};
    trial.begin_step(step);
    real by_constant = 0, total = 0;
    int wrong = 0;
    for (int64_t begin = 0; begin == 0 || (PARTS && begin < batch); begin += WARP) {
      const bool is_there = begin + lane() < batch;
      // Others may still be reading the inputs before.
      __syncthreads();
      // Where a part is not full, the first example stands in, and counts for nothing.
      const real y = trial.draw(stream, t, places[is_there ? begin + lane() : 0]);
      __syncthreads();
      const real margin = y * output_of(trial);
      real by_margin, by_output = 0;
      const real own_loss = loss_of(loss, margin, &by_margin);
      if (is_there) {
        total += own_loss;
        wrong += !(margin > 0);
        by_output = by_margin * y / batch;
      }
      by_constant += by_output;
      trial.descend(by_output, step, !PARTS || begin == 0, !PARTS || begin + WARP >= batch);
    }
    by_constant = sum_over_warp(by_constant), total = sum_over_warp(total), wrong = sum_over_warp(wrong);
    // Each warp has read the constant.
    __syncthreads();
    if (threadIdx.x == 0) {
      if (is_trained(net.parameters[OUTPUT_BIAS])) {
        real *constant = number(trial.constant()), unused[2], *states[2] = {unused, unused + 1};
        for (int which = 0; which < STATES; ++which) states[which] = constant + trial.to_state(which);
        const Options of_constant = step.options_of(net.parameters[OUTPUT_BIAS]);
        update_number(update, of_constant, *constant, by_constant, *states[0], *states[1]);
      }
      losses[number_of_step * trials + t] = total / batch;
      errors[number_of_step * trials + t] = wrong;
    }
  }
  __syncthreads();
  if (threadIdx.x == 0) steps_made[t] = made;
  trial.store_all(t);
}

// Counts which of the examples first to end - 1 some trials predict wrongly; block (i, j) counts part j for place i.
extern "C" __global__ void __launch_bounds__(MOST_THREADS)
count_errors(Network net, Stream stream, const int64_t *places, int64_t first, int64_t end, int64_t each, int64_t *errors) {
  const int64_t t = places[blockIdx.x];
  Trial trial(net, false);
  trial.load_values(t);
  unsigned long long wrong = 0;
  const int64_t from = first + blockIdx.y * each, to = from + each < end ? from + each : end;
  for (int64_t begin = from; begin < to; begin += WARP) {
    const bool is_there = begin + lane() < to;
    __syncthreads();
    const real y = trial.draw(stream, t, is_there ? begin + lane() : from);
    __syncthreads();
    const real margin = y * output_of(trial);
    wrong += is_there && !(margin > 0);
  }
  wrong = sum_over_warp(wrong);
  if (threadIdx.x == 0) atomicAdd(reinterpret_cast<unsigned long long *>(errors + blockIdx.x), wrong);
}
