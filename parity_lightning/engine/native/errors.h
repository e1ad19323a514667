// How many held-out examples a trial predicts wrongly.

#pragma once

#include <vector>

#include "draw.h"
#include "trial.h"

class ErrorCount {
 public:
  ErrorCount(const Network &net, const Stream &stream)
      : stream(stream), trial(net, false), words((net.n + 31) / 32), y(MOST), sums(MOST * LANES), f(MOST),
        bits(MOST * words), index(MOST) {}

  // Takes a trial as it is now.
  void begin(int64_t place) {
    this->place = place;
    trial.load(place, false);
    is_tabulated = false;
  }

  // How many of the examples first to end - 1 it predicts wrongly.
  int64_t operator()(int64_t first, int64_t end) {
    if (!is_tabulated && trial.net.n <= MOST_BITS && int64_t(1) << trial.net.n <= end - first) tabulate();
    if (is_tabulated && !any_wrong) return 0;
    int64_t wrong = 0;
    for (int64_t begin = first; begin < end; begin += MOST) {
      const int64_t count = end - begin < MOST ? end - begin : MOST;
      for (int64_t b = 0; b < count; ++b) index[b] = begin + b;
      draw(stream, place, trial.net.n, index.data(), count, bits.data(), y.at);
      if (is_tabulated)
        for (int64_t b = 0; b < count; ++b) wrong += is_wrong[bits[b]];
      else wrong += count_wrong(count);
    }
    return wrong;
  }

 private:
  // Of how many examples outputs are computed at a time.
  static constexpr int64_t MOST = 1024;
  // Up to so many bits all inputs are computed at a time.
  static constexpr int64_t MOST_BITS = 10;

  const Stream &stream;
  Trial trial;
  const int64_t words;
  Scratch y, sums, f;
  std::vector<uint32_t> bits;
  std::vector<int64_t> index;
  int64_t place = 0;
  std::vector<unsigned char> is_wrong;
  bool is_tabulated = false, any_wrong = false;

  int64_t count_wrong(int64_t count) {
    trial.outputs(bits.data(), count, reinterpret_cast<vec *>(sums.at), f.at);
    int64_t wrong = 0;
    for (int64_t b = 0; b < count; ++b) wrong += !(y.at[b] * f.at[b] > 0);
    return wrong;
  }

  // Which of all inputs are predicted wrongly, where there are no more of them than examples to come.
  void tabulate() {
    const uint32_t inputs = 1u << trial.net.n, relevant = static_cast<uint32_t>(stream.relevant[place]);
    for (uint32_t input = 0; input < inputs; ++input) {
      bits[input] = input;
      y.at[input] = __builtin_parity(input & relevant) ? real(-1) : real(1);
    }
    any_wrong = count_wrong(inputs) > 0;
    is_wrong.resize(inputs);
    for (uint32_t input = 0; input < inputs; ++input) is_wrong[input] = !(y.at[input] * f.at[input] > 0);
    is_tabulated = true;
  }
};
