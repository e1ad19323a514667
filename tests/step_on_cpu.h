// The kernels of step.cu for a CPU.

#include "cuda_on_cpu.h"
#include "step.cu"

extern "C" void launch_train(unsigned int blocks_x, unsigned int blocks_y, unsigned int count, unsigned int bytes,
                             void **arguments) {
  given = arguments;
  on_cpu::launch(blocks_x, blocks_y, count, bytes, [] {
    train(argument<Network>(0), argument<Stream>(1), argument<Update>(2), argument<int64_t>(3), argument<int64_t>(4),
          argument<int64_t>(5), argument<int64_t>(6), argument<const int64_t *>(7), argument<const double *>(8),
          argument<int64_t>(9), argument<double *>(10), argument<real *>(11), argument<int64_t *>(12));
  });
}
extern "C" void launch_count_errors(unsigned int blocks_x, unsigned int blocks_y, unsigned int count, unsigned int bytes,
                             void **arguments) {
  given = arguments;
  on_cpu::launch(blocks_x, blocks_y, count, bytes, [] {
    count_errors(argument<Network>(0), argument<Stream>(1), argument<const int64_t *>(2), argument<int64_t>(3),
                 argument<int64_t>(4), argument<int64_t>(5), argument<int64_t *>(6));
  });
}
