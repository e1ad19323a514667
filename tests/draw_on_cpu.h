// The kernel of draw.cu for a CPU.

#include "cuda_on_cpu.h"
#include "draw.cu"

extern "C" void launch_draw_examples(unsigned int blocks_x, unsigned int blocks_y, unsigned int count, unsigned int bytes,
                                     void **arguments) {
  given = arguments;
  on_cpu::launch(blocks_x, blocks_y, count, bytes, [] {
    draw_examples(argument<Stream>(0), argument<int64_t>(1), argument<int64_t>(2), argument<int64_t>(3),
                  argument<const int64_t *>(4), argument<int64_t>(5), argument<real *>(6), argument<real *>(7));
  });
}
