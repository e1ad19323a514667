// SGD steps and evaluations of two-layer networks and products of linear forms, for any number of inputs, units,
// examples and trials: nothing in here depends on a shape, so it is compiled once for float and once for double.
//
// Each trial is computed separately and in a fixed order. So its weights are the same bit for bit alone and in any stack,
// and however many steps a call takes.

#include <cmath>
#include <vector>

#include "arithmetic.h"
#include "draw.h"
#include "errors.h"
#include "signs.h"
#include "trial.h"
#include "vectors.h"

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
  const int64_t words = (net->n + 31) / 32;
  std::vector<uint32_t> bits(chunk * words), turned(net->n * ((chunk + 31) / 32));
  std::vector<int64_t> places(chunk);
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
        if (count < FEW_EXAMPLES) expand(bits.data(), net->n, count, x.at);
        trial.forward(bits.data(), x.at, count, z.at, slope.at, f.at);
        // Examples with a derivative of 0, as the hinge loss has where the margin is large, add nothing to the gradients.
        int64_t kept = 0;
        for (int64_t b = 0; b < count; ++b) {
          const real output = f.at[b], margin = y.at[b] * output;
          wrong += !(margin > 0);
          real by_margin;
          total += loss_of(loss, margin, &by_margin);
          const real by_output = by_margin * y.at[b] / batch;
          trial.gradients[OUTPUT_BIAS].at[0] += by_output;
          if (by_output == 0 && std::isfinite(output) && !net->is_product) continue;
          for (int64_t word = 0; word < words; ++word) bits[kept * words + word] = bits[b * words + word];
          places[kept] = b, f.at[kept] = by_output, ++kept;
        }
        if (trial.looks_up_gradients(kept)) turn(bits.data(), net->n, kept, turned.data());
        else expand(bits.data(), net->n, kept, x.at);
        trial.backward(turned.data(), x.at, kept, places.data(), z.at, slope.at, f.at);
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
  ErrorCount count(*net, *stream);
  for (int64_t place = 0; place < count_trials; ++place) {
    count.begin(places[place]);
    errors[place] = count(first, end);
  }
  return 0;
} catch (const std::bad_alloc &) {
  return 1;
}

// The same of the first `screen` examples; where there is none wrong, on, block by block, up to the first one with an error
// or to all examples: see screen_then_confirm in engine/evaluation.py.
extern "C" int evaluate(const Network *net, const Stream *stream, int64_t count_trials, const int64_t *places,
                        int64_t screen, int64_t block, int64_t all, int64_t *errors, int64_t *examples) try {
  ErrorCount count(*net, *stream);
  for (int64_t place = 0; place < count_trials; ++place) {
    count.begin(places[place]);
    errors[place] = count(0, screen);
    int64_t seen = screen;
    for (; seen < all && !errors[place]; seen = seen + block < all ? seen + block : all)
      errors[place] = count(seen, seen + block < all ? seen + block : all);
    examples[place] = seen;
  }
  return 0;
} catch (const std::bad_alloc &) {
  return 1;
}
