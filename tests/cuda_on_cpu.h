// Runs kernels on a CPU: each thread of a block is a coroutine. Where the threads of a warp exchange numbers they take turns;
// a warp goes on alone until it comes to a barrier of the block, now the first warp before the others and now the last. So a
// barrier that is missing shows: a warp reads what another has not written yet, or writes over what it has still to read.

#pragma once

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include <vector>

#define __CUDACC_ON_CPU__
#define __device__
#define __global__
#define __shared__
#define __forceinline__ inline
#define __launch_bounds__(threads)
#define __align__(bytes) __attribute__((aligned(bytes)))

struct Place {
  unsigned int x, y;
};
static Place threadIdx, blockIdx, blockDim;

// A block's memory, before a page that nothing may touch.
static unsigned char *memory;
#define BLOCK_MEMORY memory

namespace on_cpu {
constexpr size_t STACK = 1 << 18;
static std::vector<ucontext_t> threads;
// What a thread does next: it goes on, waits for the other warps, or has ended.
enum State : char { RUNS, WAITS, ENDED };
static std::vector<char> states;
static ucontext_t scheduler;
static unsigned char exchanged[1024][32];

static void yield(State state = RUNS) {
  const unsigned int own = threadIdx.x;
  states[own] = state;
  swapcontext(&threads[own], &scheduler);
  threadIdx.x = own;
}

static void (*work)();
static void begin(int own) {
  threadIdx.x = own;
  work();
  yield(ENDED);
}

// Lets a warp go on to the next barrier of the block, or to its end, and returns which of both.
static char run_warp(unsigned int warp, unsigned int count) {
  const unsigned int first = 32 * warp, end = first + 32 < count ? first + 32 : count;
  do {
    for (unsigned int thread = first; thread < end; ++thread) {
      states[thread] = RUNS;
      swapcontext(&scheduler, &threads[thread]);
    }
    // All threads of a warp take part in what it does together.
    for (unsigned int thread = first; thread < end; ++thread)
      if (states[thread] != states[first]) abort();
  } while (states[first] == RUNS);
  return states[first];
}

// Runs a kernel for all blocks, one after another; each has so many bytes of memory.
static void launch(unsigned int blocks_x, unsigned int blocks_y, unsigned int count, unsigned int bytes, void (*kernel)()) {
  const size_t page = sysconf(_SC_PAGESIZE), pages = (bytes + page - 1) / page;
  void *mapped = mmap(nullptr, (pages + 1) * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  unsigned char *end = static_cast<unsigned char *>(mapped) + pages * page;
  mprotect(end, page, PROT_NONE);
  memory = end - (bytes + 31) / 32 * 32;
  std::vector<char> stacks(STACK * count);
  work = kernel;
  blockDim.x = count;
  const unsigned int warps = (count + 31) / 32;
  // Random numbers, of which the first bit tells in which order warps go on.
  uint32_t turn = 1;
  for (blockIdx.y = 0; blockIdx.y < blocks_y; ++blockIdx.y)
    for (blockIdx.x = 0; blockIdx.x < blocks_x; ++blockIdx.x) {
      // What a block finds in its memory is anything.
      for (unsigned char *byte = memory; byte < end; ++byte) *byte = 0xFF;
      threads.assign(count, {});
      states.assign(count, RUNS);
      for (unsigned int thread = 0; thread < count; ++thread) {
        getcontext(&threads[thread]);
        threads[thread].uc_stack.ss_sp = &stacks[thread * STACK];
        threads[thread].uc_stack.ss_size = STACK;
        threads[thread].uc_link = nullptr;
        makecontext(&threads[thread], reinterpret_cast<void (*)()>(begin), 1, static_cast<int>(thread));
      }
      for (bool has_ended = false; !has_ended; turn = turn * 1664525u + 1013904223u)
        for (unsigned int i = 0; i < warps; ++i) {
          const bool ends = run_warp(turn >> 31 ? warps - 1 - i : i, count) == ENDED;
          // A barrier that some warps have not reached would never open.
          if (i && ends != has_ended) abort();
          has_ended = ends;
        }
    }
  munmap(mapped, (pages + 1) * page);
}
}  // namespace on_cpu

static inline void __syncthreads() { on_cpu::yield(on_cpu::WAITS); }

template <typename Number>
static inline Number __shfl_sync(unsigned int, Number value, int from) {
  *reinterpret_cast<Number *>(on_cpu::exchanged[threadIdx.x]) = value;
  on_cpu::yield();
  const Number other = *reinterpret_cast<Number *>(on_cpu::exchanged[threadIdx.x / 32 * 32 + from]);
  on_cpu::yield();
  return other;
}
template <typename Number>
static inline Number __shfl_xor_sync(unsigned int all, Number value, int distance) {
  return __shfl_sync(all, value, static_cast<int>(threadIdx.x % 32) ^ distance);
}
static inline int __popc(unsigned int word) { return __builtin_popcount(word); }
static inline uint32_t __float_as_uint(float value) {
  uint32_t bits;
  memcpy(&bits, &value, 4);
  return bits;
}
static inline float __uint_as_float(uint32_t bits) {
  float value;
  memcpy(&value, &bits, 4);
  return value;
}
static inline uint32_t __byte_perm(uint32_t low, uint32_t high, uint32_t selector) {
  const uint64_t bytes = static_cast<uint64_t>(high) << 32 | low;
  uint32_t chosen = 0;
  for (int byte = 0; byte < 4; ++byte) chosen |= static_cast<uint32_t>(bytes >> 8 * (selector >> 4 * byte & 7) & 0xFF) << 8 * byte;
  return chosen;
}

// The products of tiles: thread 4 g + t has rows g and g + 8 of a, in columns 2 t, 2 t + 1 and, of 16, 2 t + 8 and 2 t + 9;
// these rows of b in column g; and rows g and g + 8 of the sum in columns 2 t and 2 t + 1.
static void multiply_on_cpu(float (&sum)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], int pairs) {
  const auto half = [](uint32_t word, int which) { return __uint_as_float(which ? word & 0xFFFF0000u : word << 16); };
  const auto at = [](int thread) { return reinterpret_cast<uint32_t *>(on_cpu::exchanged[thread]); };
  const int own = threadIdx.x, warp = own / 32 * 32, g = own % 32 / 4, t = own % 4;
  memcpy(at(own), a, 16);
  memcpy(at(own) + 4, b, 8);
  on_cpu::yield();
  for (int i = 0; i < 4; ++i)
    for (int pair = 0; pair < pairs; ++pair)
      for (int from = 0; from < 4; ++from)
        for (int which = 0; which < 2; ++which)
          sum[i] += half(at(warp + 4 * g + from)[2 * pair + i / 2], which) *
                    half(at(warp + 4 * (2 * t + i % 2) + from)[4 + pair], which);
  on_cpu::yield();
}
static inline void multiply_tile(float (&sum)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  multiply_on_cpu(sum, a, {b0, b1}, 2);
}
static inline void multiply_half_tile(float (&sum)[4], const uint32_t (&a)[4], uint32_t b0) {
  multiply_on_cpu(sum, a, {b0, 0}, 1);
}

static inline void atomicAdd(unsigned long long *to, unsigned long long value) { *to += value; }

// Calls a kernel with the addresses of its arguments, as cuLaunchKernel does.
static void **given;
template <typename Argument>
static Argument &argument(int place) {
  return *static_cast<Argument *>(given[place]);
}
