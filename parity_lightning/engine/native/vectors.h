// Sums and products of many numbers on a CPU, in vectors, each in an order that depends on nothing but the shapes.

#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <type_traits>
#include <utility>

#include "arithmetic.h"

#ifdef __FMA__
#include <immintrin.h>
#endif

// GCC and Clang make vector instructions of these on any machine.
constexpr int LANES = 32 / sizeof(real);
typedef real vec __attribute__((vector_size(32)));

static inline vec vec_at(const real *at) { return *reinterpret_cast<const vec *>(at); }
static inline void set_vec(real *at, vec value) { *reinterpret_cast<vec *>(at) = value; }
// The same number in each lane. (What 0 is added to may lose a sign, and would really be added.)
static inline vec splat(real value) { return value - vec{}; }
static inline int64_t padded(int64_t count) { return (count + LANES - 1) / LANES * LANES; }

// How often a sum with a product is rounded decides the last bit of all numbers, and compilers choose from loop to loop. So
// it is said: once, where the machine can,
static inline vec plus_product(vec sum, vec a, vec b) {
#ifdef __FMA__
  if constexpr (sizeof(real) == 4)
    return reinterpret_cast<vec>(
        _mm256_fmadd_ps(reinterpret_cast<__m256>(a), reinterpret_cast<__m256>(b), reinterpret_cast<__m256>(sum)));
  else
    return reinterpret_cast<vec>(
        _mm256_fmadd_pd(reinterpret_cast<__m256d>(a), reinterpret_cast<__m256d>(b), reinterpret_cast<__m256d>(sum)));
#else
  return sum + a * b;
#endif
}
// or twice.
static inline vec plus_rounded_product(vec sum, vec a, vec b) {
  vec product = a * b;
#ifdef __FMA__
  asm("" : "+v"(product));
#endif
  return sum + product;
}

// Memory for the numbers of one trial, set to zero.
struct Scratch {
  real *at;
  size_t bytes;
  explicit Scratch(int64_t count) : bytes((static_cast<size_t>(count) * sizeof(real) + 63) / 64 * 64 + 64) {
    at = static_cast<real *>(std::aligned_alloc(64, bytes));
    if (!at) throw std::bad_alloc();
    clear();
  }
  void clear() { std::memset(at, 0, bytes); }
  ~Scratch() { std::free(at); }
  Scratch(const Scratch &) = delete;
  Scratch &operator=(const Scratch &) = delete;
};

// Calls work with a number from 1 to MOST that the compiler knows.
template <int MOST, typename Work>
static inline void with_constant(int64_t number, Work work) {
  if constexpr (MOST > 1)
    if (number < MOST) return with_constant<MOST - 1>(number, work);
  work(std::integral_constant<int, MOST>());
}

// Calls work(size, begin) for parts of about the same size, most at most, and MOST if that is less.
template <int MOST, typename Work>
static inline void in_parts(int64_t count, int64_t most, Work work) {
  const int64_t parts = (count + most - 1) / most;
  for (int64_t part = 0; part < parts; ++part) {
    const int64_t begin = part * count / parts, end = (part + 1) * count / parts;
    with_constant<MOST>(end - begin, [&](auto size) { work(size, begin); });
  }
}

// The lanes of two vectors that PLACES name, those of the second one after those of the first.
template <int... PLACES, typename Vector>
static inline Vector chosen(Vector one, Vector other) {
#ifdef __clang__
  return __builtin_shufflevector(one, other, PLACES...);
#else
  return __builtin_shuffle(one, other, decltype(one == other){PLACES...});
#endif
}
template <int D, int... L>
static inline void exchange(vec &one, vec &other, std::integer_sequence<int, L...>) {
  const vec before = one;
  one = chosen<(L & D ? LANES + L - D : L)...>(before, other);
  other = chosen<(L & D ? LANES + L : L + D)...>(before, other);
}

// Makes lane l of vector i lane i of vector l.
template <int D = LANES / 2>
static inline void transpose(vec (&square)[LANES]) {
  for (int i = 0; i < LANES; ++i)
    if (!(i & D)) exchange<D>(square[i], square[i | D], std::make_integer_sequence<int, LANES>());
  if constexpr (D > 1) transpose<D / 2>(square);
}

// to[j][i] = from[i][j] for so many rows and columns of `from`.
static inline void transpose(const real *from, int64_t from_stride, int64_t rows, int64_t columns, real *to,
                             int64_t to_stride) {
  if (rows < LANES || columns < LANES) {
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < columns; ++j) to[j * to_stride + i] = from[i * from_stride + j];
    return;
  }
  // The last squares overlap with those before.
  for (int64_t row = 0; row < rows; row += LANES)
    for (int64_t column = 0; column < columns; column += LANES) {
      const int64_t i = row + LANES < rows ? row : rows - LANES, j = column + LANES < columns ? column : columns - LANES;
      vec square[LANES];
      for (int k = 0; k < LANES; ++k) std::memcpy(&square[k], from + (i + k) * from_stride + j, sizeof(vec));
      transpose(square);
      for (int k = 0; k < LANES; ++k) std::memcpy(to + (j + k) * to_stride + i, &square[k], sizeof(vec));
    }
}

// Inputs are signs, so the weights of GROUP of them have only PATTERNS sums. For many examples it is faster to make a table
// of these and to look sums up than to multiply.
constexpr int GROUP = 4, PATTERNS = 1 << GROUP;

// For at most how many vectors of units there are tables.
constexpr int WIDEST = 7;

// The sums of the weights of BITS inputs, for V vectors of units; sums[0] has what they begin at.
template <int BITS, int V>
static inline void add_signed(const real *weights, int64_t columns, vec (*sums)[V]) {
  for (int bit = 0; bit < BITS; ++bit)
    for (int v = 0; v < V; ++v) {
      const vec w = vec_at(weights + bit * columns + v * LANES);
      for (int pattern = 0; pattern < 1 << bit; ++pattern) {
        sums[pattern | 1 << bit][v] = sums[pattern][v] - w;
        sums[pattern][v] += w;
      }
    }
}

// The sums of the weights of each group of inputs, for V vectors of units; the first group's begin at the bias, if any.
template <int V>
static void make_tables(const real *weights, int64_t columns, const real *bias, int64_t n, vec (*table)[PATTERNS][V]) {
  for (int64_t first = 0; first < n; first += GROUP, ++table) {
    vec (*sums)[V] = *table;
    for (int v = 0; v < V; ++v) sums[0][v] = first || !bias ? vec{} : vec_at(bias + v * LANES);
    // With a number of bits that the compiler knows it keeps sums in registers.
    with_constant<GROUP>(n - first, [&](auto bits) { add_signed<bits(), V>(weights + first * columns, columns, sums); });
  }
}

// Calls use(b, sum) with the sums of V vectors of units of each example. Its words of bits follow those of the one before
// after so many words; the bits from n on are 0.
template <int V, typename Use>
static inline void look_up(const vec (*table)[PATTERNS][V], const uint32_t *bits, int64_t words, int64_t n, int64_t count,
                           Use use) {
  const int64_t groups = (n + GROUP - 1) / GROUP;
  for (int64_t b = 0; b < count; ++b) {
    vec sum[V];
    uint32_t word = bits[b * words];
    for (int v = 0; v < V; ++v) sum[v] = table[0][word % PATTERNS][v];
    for (int64_t group = 1; group < groups; ++group) {
      // Said to be likely, or compilers now and then put the rare case in between: 5 % of a step of few units.
      word = __builtin_expect(group % (32 / GROUP) != 0, true) ? word >> GROUP : bits[b * words + group / (32 / GROUP)];
      for (int v = 0; v < V; ++v) sum[v] += table[group][word % PATTERNS][v];
    }
    use(b, sum);
  }
}

// How many rows of V vectors are summed up at a time, in registers.
#ifdef __AVX512VL__
constexpr int REGISTERS = 32;
#else
constexpr int REGISTERS = 16;
#endif
constexpr int rows_of(int vectors) {
  const int rows = (REGISTERS - 1 - vectors) / vectors;
  return rows > 8 ? 8 : rows;
}

// c[m][j] += sum over d of a(m, d) b[d][j], for M rows and V vectors of columns; a(m, d) = a[m * am + d * ad].
template <int M, int V>
static inline void multiply_block(const real *a, int64_t am, int64_t ad, const real *b, int64_t bd, int64_t depth, real *c,
                                  int64_t cm) {
  vec sum[M][V];
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m)
    for (int v = 0; v < V; ++v) sum[m][v] = vec_at(c + m * cm + v * LANES);
  for (int64_t d = 0; d < depth; ++d) {
    vec row[V];
    for (int v = 0; v < V; ++v) row[v] = vec_at(b + d * bd + v * LANES);
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m) {
      const vec factor = splat(a[m * am + d * ad]);
      for (int v = 0; v < V; ++v) sum[m][v] = plus_product(sum[m][v], factor, row[v]);
    }
  }
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m)
    for (int v = 0; v < V; ++v) set_vec(c + m * cm + v * LANES, sum[m][v]);
}

// The same for any number of rows.
template <int V>
static inline void multiply_columns(const real *a, int64_t am, int64_t ad, const real *b, int64_t bd, int64_t rows,
                                    int64_t depth, real *c, int64_t cm) {
  in_parts<rows_of(V)>(rows, rows_of(V), [&](auto size, int64_t m) {
    multiply_block<size(), V>(a + m * am, am, ad, b, bd, depth, c + m * cm, cm);
  });
}

// How many vectors of columns are multiplied at a time.
constexpr int MULTIPLIED = 3;

// c += a b, of c's shape (rows, columns); columns is a multiple of LANES.
static inline void multiply(const real *a, int64_t am, int64_t ad, const real *b, int64_t bd, int64_t rows, int64_t columns,
                            int64_t depth, real *c, int64_t cm) {
  in_parts<MULTIPLIED>(columns / LANES, MULTIPLIED, [&](auto width, int64_t vectors) {
    const int64_t j = vectors * LANES;
    multiply_columns<width()>(a, am, ad, b + j, bd, rows, depth, c + j, cm);
  });
}

static inline real sum_of(const vec &sum) {
  real total = 0;
  for (int l = 0; l < LANES; ++l) total += sum[l];
  return total;
}

// Calls use(b, total) with the sum over the lanes of each of some vectors, which sum_at(b) returns.
template <typename SumAt, typename Use>
static inline void add_lanes(int64_t count, SumAt sum_at, Use use) {
  int64_t b = 0;
  for (; b + LANES <= count; b += LANES) {
    vec square[LANES], total = {};
    for (int k = 0; k < LANES; ++k) square[k] = sum_at(b + k);
    transpose(square);
    for (int l = 0; l < LANES; ++l) total += square[l];
    for (int k = 0; k < LANES; ++k) use(b + k, total[k]);
  }
  for (; b < count; ++b) use(b, sum_of(sum_at(b)));
}

// The sums of u_j h_j over a row; their order depends on nothing but the number of units.
static inline vec weighted_sum(const real *u, const real *h, int64_t columns) {
  vec sum = {};
  for (int64_t j = 0; j < columns; j += LANES) sum = plus_rounded_product(sum, vec_at(u + j), vec_at(h + j));
  return sum;
}
