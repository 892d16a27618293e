/*
 * The look-up comparison's peer: the loops of kernels/Lookup in plain C, without checks, padding or choice of instruction
 * set. Built by the benchmark with "gcc -O3 -march=native"; the range of bags or rows is the caller's, so that it can hand
 * ranges to threads.
 *
 * target: 0 no prefetch, 1 prefetcht0, 2 prefetcht1; distance in rows.
 */
#include <stdint.h>

#if defined(__AVX512F__)
#define LANES 16
#elif defined(__AVX__)
#define LANES 8
#else
#define LANES 4
#endif

#define LINE 16 /* floats per cache line */
#define BLOCK 64 /* floats that are summed in registers at a time */
#define VECTORS (BLOCK / LANES)

/* Vectors by name: left to itself, gcc 12 gathers eight floats of several rows where it could load eight of one. */
typedef float vector __attribute__((vector_size(LANES * 4), aligned(4), may_alias));

#define PREFETCH_ROW(row, columns, locality) \
    for (int64_t c = 0; c < (columns); c += LINE) \
        __builtin_prefetch((row) + c, 0, locality)

static inline void prefetch(const float *row, int64_t columns, int target)
{
    if (target == 2)
        PREFETCH_ROW(row, columns, 2);
    else if (target == 1)
        PREFETCH_ROW(row, columns, 3);
}

/* The sums of a bag in columns column to column + LANES * n - 1, n a constant at the call, so they stay in registers. */
static inline __attribute__((always_inline)) void block(
    const float *table, int64_t columns, const int32_t *indices, int64_t first, int64_t end, int64_t last,
    float *out, int64_t column, int n, int64_t distance, int target)
{
    vector sum[VECTORS] = {0};
    for (int64_t i = first; i < end; i++)
    {
        const vector *row = (const vector *)(table + indices[i] * columns + column);
        if (target != 0 && column == 0)
        {
            int64_t ahead = i + distance < last ? i + distance : last;
            prefetch(table + indices[ahead] * columns, columns, target);
        }
#pragma GCC unroll 16
        for (int v = 0; v < n; v++)
            sum[v] += row[v];
    }
#pragma GCC unroll 16
    for (int v = 0; v < n; v++)
        ((vector *)(out + column))[v] = sum[v];
}

/* The same for the columns that are left over. */
static void rest(
    const float *table, int64_t columns, const int32_t *indices, int64_t first, int64_t end, int64_t last,
    float *out, int64_t column, int64_t distance, int target)
{
    for (int64_t c = column; c < columns; c++)
        out[c] = 0;
    for (int64_t i = first; i < end; i++)
    {
        const float *row = table + indices[i] * columns;
        if (target != 0 && column == 0)
        {
            int64_t ahead = i + distance < last ? i + distance : last;
            prefetch(table + indices[ahead] * columns, columns, target);
        }
        for (int64_t c = column; c < columns; c++)
            out[c] += row[c];
    }
}

static inline __attribute__((always_inline)) void bags(
    const float *table, int64_t columns, const int32_t *indices, const int32_t *offsets, int64_t start, int64_t stop,
    float *out, int64_t distance, int target)
{
    int64_t last = (int64_t)offsets[stop] - 1;
    if (target != 0)
        for (int64_t i = offsets[start]; i < offsets[start] + distance && i <= last; i++)
            prefetch(table + indices[i] * columns, columns, target);
    for (int64_t b = start; b < stop; b++)
    {
        float *to = out + b * columns;
        int64_t column = 0;
        for (; column + BLOCK <= columns; column += BLOCK)
            block(table, columns, indices, offsets[b], offsets[b + 1], last, to, column, VECTORS, distance, target);
        for (; column + LANES * 2 <= columns; column += LANES * 2)
            block(table, columns, indices, offsets[b], offsets[b + 1], last, to, column, 2, distance, target);
        if (column < columns)
            rest(table, columns, indices, offsets[b], offsets[b + 1], last, to, column, distance, target);
    }
}

/* Sums bags start to stop - 1; offsets holds the end of the last bag, too. */
void lookup_bag_sum(
    const float *table, int64_t columns, const int32_t *indices, const int32_t *offsets, int64_t start, int64_t stop,
    float *out, int64_t distance, int32_t target)
{
    if (target == 2)
        bags(table, columns, indices, offsets, start, stop, out, distance, 2);
    else if (target == 1)
        bags(table, columns, indices, offsets, start, stop, out, distance, 1);
    else
        bags(table, columns, indices, offsets, start, stop, out, 0, 0);
}

static inline __attribute__((always_inline)) void rows(
    const float *table, int64_t columns, const int32_t *indices, int64_t start, int64_t stop, float *out, int64_t distance, int target)
{
    if (target != 0)
        for (int64_t i = start; i < start + distance && i < stop; i++)
            prefetch(table + indices[i] * columns, columns, target);
    for (int64_t i = start; i < stop; i++)
    {
        const float *row = table + indices[i] * columns;
        float *to = out + i * columns;
        if (target != 0)
        {
            int64_t ahead = i + distance < stop ? i + distance : stop - 1;
            prefetch(table + indices[ahead] * columns, columns, target);
        }
        for (int64_t c = 0; c < columns; c++)
            to[c] = row[c];
    }
}

/* Copies rows start to stop - 1 of the result. */
void lookup_gather(
    const float *restrict table, int64_t columns, const int32_t *restrict indices, int64_t start, int64_t stop, float *restrict out,
    int64_t distance, int32_t target)
{
    if (target == 2)
        rows(table, columns, indices, start, stop, out, distance, 2);
    else if (target == 1)
        rows(table, columns, indices, start, stop, out, distance, 1);
    else
        rows(table, columns, indices, start, stop, out, 0, 0);
}
