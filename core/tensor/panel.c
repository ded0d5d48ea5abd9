/*
 * The panel products. A tile of six rows by 64 columns stays in registers over a run of k: for each
 * k four registers of the panel are loaded (two times two with AVX2) and multiplied by six numbers
 * of a. The run is cut so that its piece of the panel stays in the second-level cache.
 */
#include "core/tensor/panel.h"

#include <string.h>

#include "core/base/memory.h"
#include "core/tensor/op.h"

#define TILE 6
#define RUN 1024 /* of k */

/* Each panel is a run of memory, read from end to end by the tiles. */
void ist_panel_pack(const ist_real *x, size_t rows, size_t cols, ist_real *ret)
{
	size_t n_panels = ist_panel_round(cols) / IST_PANEL;

#pragma omp parallel for schedule(static) if (rows * cols > IST_PARALLEL_MIN)
	for (size_t p = 0; p < n_panels; p++) {
		size_t width = IST_MIN((size_t)IST_PANEL, cols - p * IST_PANEL);

		for (size_t i = 0; i < rows; i++) {
			ist_real *to = ret + (p * rows + i) * IST_PANEL;

			memcpy(to, x + i * cols + p * IST_PANEL, width * sizeof(*to));
			memset(to + width, 0, (IST_PANEL - width) * sizeof(*to));
		}
	}
}

/* Squares of 16, so that both sides stay in the nearest cache. */
void ist_turn(const ist_real *x, size_t rows, size_t from_pitch, size_t pitch, size_t cols,
	      ist_real *ret)
{
	const size_t side = 16;
	size_t n_strips = (cols + side - 1) / side;

#pragma omp parallel for schedule(static) if (rows * cols > IST_PARALLEL_MIN)
	for (size_t strip = 0; strip < n_strips; strip++) {
		size_t to = IST_MIN((strip + 1) * side, cols);

		for (size_t i0 = 0; i0 < rows; i0 += side)
			for (size_t j = strip * side; j < to; j++)
				for (size_t i = i0; i < IST_MIN(i0 + side, rows); i++)
					ret[j * pitch + i] = x[i * from_pitch + j];
	}
}

/* The batch becomes the columns: sums over the features then need no adding across a register. */
void ist_panel_pack_turned(const ist_real *x, size_t rows, size_t cols, ist_real *ret)
{
	for (size_t i = 0; i < rows; i += IST_PANEL) {
		size_t n = IST_MIN((size_t)IST_PANEL, rows - i);
		ist_real *panel = ret + i * cols;

		if (n < IST_PANEL)
			memset(panel, 0, cols * IST_PANEL * sizeof(*panel));
		ist_turn(x + i * cols, n, cols, IST_PANEL, cols, panel);
	}
}

#if !defined(IST_REAL_DOUBLE) && defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

/* One tile of `rows` known at compile time, so that c stays in registers. */
#define TILE_512(rows)                                                                             \
	static __attribute__((target("avx512f"))) void tile_512_##rows(                            \
	    const float *a, size_t lda, const float *panel, size_t k, bool add, float *c,          \
	    size_t pitch)                                                                          \
	{                                                                                          \
		__m512 sum[rows][4];                                                               \
                                                                                                   \
		_Pragma("GCC unroll 6") for (int i = 0; i < rows; i++)                             \
		    _Pragma("GCC unroll 4") for (int j = 0; j < 4; j++) sum[i][j] =                \
			add ? _mm512_loadu_ps(c + (size_t)i * pitch + 16 * j)                      \
			    : _mm512_setzero_ps();                                                 \
		for (size_t l = 0; l < k; l++) {                                                   \
			__m512 b[4];                                                               \
                                                                                                   \
			_Pragma("GCC unroll 4") for (int j = 0; j < 4; j++) b[j] =                 \
			    _mm512_loadu_ps(panel + l * IST_PANEL + 16 * j);                       \
			_Pragma("GCC unroll 6") for (int i = 0; i < rows; i++)                     \
			{                                                                          \
				__m512 x = _mm512_set1_ps(a[(size_t)i * lda + l]);                 \
                                                                                                   \
				_Pragma("GCC unroll 4") for (int j = 0; j < 4; j++) sum[i][j] =    \
				    _mm512_fmadd_ps(x, b[j], sum[i][j]);                           \
			}                                                                          \
		}                                                                                  \
		_Pragma("GCC unroll 6") for (int i = 0; i < rows; i++)                             \
		    _Pragma("GCC unroll 4") for (int j = 0; j < 4; j++)                            \
			_mm512_storeu_ps(c + (size_t)i * pitch + 16 * j, sum[i][j]);               \
	}
TILE_512(1)
TILE_512(2)
TILE_512(3)
TILE_512(4)
TILE_512(5)
TILE_512(6)

/* The same in four strips of 16 columns: 12 of AVX2's 16 registers hold sums. */
#define TILE_256(rows)                                                                             \
	static __attribute__((target("avx2,fma"))) void tile_256_##rows(                           \
	    const float *a, size_t lda, const float *panel, size_t k, bool add, float *c,          \
	    size_t pitch)                                                                          \
	{                                                                                          \
		for (int s = 0; s < IST_PANEL; s += 16) {                                          \
			__m256 sum[rows][2];                                                       \
                                                                                                   \
			_Pragma("GCC unroll 6") for (int i = 0; i < rows; i++)                     \
			    _Pragma("GCC unroll 2") for (int j = 0; j < 2; j++) sum[i][j] =        \
				add ? _mm256_loadu_ps(c + (size_t)i * pitch + s + 8 * j)           \
				    : _mm256_setzero_ps();                                         \
			for (size_t l = 0; l < k; l++) {                                           \
				__m256 b0 = _mm256_loadu_ps(panel + l * IST_PANEL + s);            \
				__m256 b1 = _mm256_loadu_ps(panel + l * IST_PANEL + s + 8);        \
                                                                                                   \
				_Pragma("GCC unroll 6") for (int i = 0; i < rows; i++)             \
				{                                                                  \
					__m256 x = _mm256_set1_ps(a[(size_t)i * lda + l]);         \
                                                                                                   \
					sum[i][0] = _mm256_fmadd_ps(x, b0, sum[i][0]);             \
					sum[i][1] = _mm256_fmadd_ps(x, b1, sum[i][1]);             \
				}                                                                  \
			}                                                                          \
			_Pragma("GCC unroll 6") for (int i = 0; i < rows; i++)                     \
			    _Pragma("GCC unroll 2") for (int j = 0; j < 2; j++)                    \
				_mm256_storeu_ps(c + (size_t)i * pitch + s + 8 * j, sum[i][j]);    \
		}                                                                                  \
	}
TILE_256(1)
TILE_256(2)
TILE_256(3)
TILE_256(4)
TILE_256(5)
TILE_256(6)

typedef void (*tile_rows)(const float *a, size_t lda, const float *panel, size_t k, bool add,
			  float *c, size_t pitch);
/* By height, less one: the last tile of a block may be lower. */
static const tile_rows tiles_512[TILE] = {tile_512_1, tile_512_2, tile_512_3,
					  tile_512_4, tile_512_5, tile_512_6};
static const tile_rows tiles_256[TILE] = {tile_256_1, tile_256_2, tile_256_3,
					  tile_256_4, tile_256_5, tile_256_6};

/* Lowered by tests only. */
static int limit = 512;

static bool has_512(void)
{
	return __builtin_cpu_supports("avx512f");
}

static bool has_256(void)
{
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static const tile_rows *tiles(void)
{
	if (limit >= 512 && has_512())
		return tiles_512;
	if (limit >= 256 && has_256())
		return tiles_256;
	return NULL;
}

bool ist_panels_limit(int bits)
{
	limit = bits;
	return bits == 0 || (bits == 256 ? has_256() : has_512());
}

bool ist_panels_usable(void)
{
	return tiles() != NULL;
}

/* A narrow last panel goes through a whole tile of its own and is cut on the way out. */
static void multiply_narrow(tile_rows tile, const float *a, size_t lda, size_t rows,
			    const float *panel, size_t k, bool add, float *c, size_t pitch,
			    size_t cols)
{
	float whole[TILE * IST_PANEL];

	for (size_t i = 0; i < rows && add; i++)
		memcpy(whole + i * IST_PANEL, c + i * pitch, cols * sizeof(*c));
	tile(a, lda, panel, k, add, whole, IST_PANEL);
	for (size_t i = 0; i < rows; i++)
		memcpy(c + i * pitch, whole + i * IST_PANEL, cols * sizeof(*c));
}

void ist_panel_multiply(const float *a, size_t lda, size_t rows, const float *panel, size_t k,
			bool add, float *c, size_t pitch, size_t cols)
{
	const tile_rows *tile = tiles();

	for (size_t l = 0; l < k; l += RUN) {
		size_t run = IST_MIN((size_t)RUN, k - l);

		for (size_t i = 0; i < rows; i += TILE) {
			size_t n = IST_MIN((size_t)TILE, rows - i);
			const float *from = a + i * lda + l, *b = panel + l * IST_PANEL;

			if (cols == IST_PANEL)
				tile[n - 1](from, lda, b, run, add || l > 0, c + i * pitch, pitch);
			else
				multiply_narrow(tile[n - 1], from, lda, n, b, run, add || l > 0,
						c + i * pitch, pitch, cols);
		}
	}
}
#else
bool ist_panels_usable(void)
{
	return false;
}

bool ist_panels_limit(int bits)
{
	return bits == 0;
}

/* Never called where panels are not usable; right all the same. */
void ist_panel_multiply(const ist_real *a, size_t lda, size_t rows, const ist_real *panel, size_t k,
			bool add, ist_real *c, size_t pitch, size_t cols)
{
	for (size_t i = 0; i < rows; i++) {
		for (size_t j = 0; j < cols; j++) {
			ist_real sum = add ? c[i * pitch + j] : 0;

			for (size_t l = 0; l < k; l++)
				sum += a[i * lda + l] * panel[l * IST_PANEL + j];
			c[i * pitch + j] = sum;
		}
	}
}
#endif
