/*
 * Dense layers over strips of tokens, with weights as files hold them. A tile of eight outputs by
 * one to three strips stays in registers over the whole of the inputs (six outputs by one strip,
 * two registers wide, with AVX2); for each input the strips' lanes are loaded once and multiplied
 * by the eight weights. With few tokens time goes into reading the weights, whose next eight rows
 * are asked for while these are worked on.
 *
 * Every number is summed over the inputs in order, from the bias on: how tiles and threads are laid
 * out changes no bit.
 */
#include "core/encode/transformer_private.h"

#define BLOCK 48 /* outputs that stay in the second-level cache while all strips go by */
#define STRIPS_MAX 3
#define RUN 16 /* inputs of one cache line of weights */

/* What a tile works on: `rows` of the weight, x and ret of its first strip. */
struct tile {
	const float *weight; /* (rows, in) */
	const float *bias;   /* (rows) or NULL */
	size_t in;
	const float *x;
	float *ret;
	size_t x_step, ret_step; /* floats from strip to strip */
	bool fetch;		 /* ask for the rows after these */
};
typedef void (*tile_run)(const struct tile *t);

struct kernel {
	size_t rows;		    /* of whole tiles */
	tile_run whole[STRIPS_MAX]; /* by strips, less one; NULL: not with so many */
	tile_run one;		    /* one row, one strip */
};

/* One output of one strip, on any CPU. */
static void one_plain(const struct tile *t)
{
	ist_lanes sum = {0};

	sum += t->bias != NULL ? t->bias[0] : 0;
	for (size_t l = 0; l < t->in; l++)
		sum += t->weight[l] * *ist_lanes_at(t->x, l);
	*ist_lanes_at(t->ret, 0) = sum;
}

static const struct kernel kernel_plain = {1, {one_plain}, one_plain};

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

#define UNROLL(n) _Pragma(#n)
#define EACH_ROW(rows) UNROLL(GCC unroll 8) for (int i = 0; i < rows; i++)
#define EACH_STRIP(strips) UNROLL(GCC unroll 3) for (int j = 0; j < strips; j++)

#define TILE_512(rows, strips)                                                                     \
	static __attribute__((target("avx512f"))) void tile_512_##rows##x##strips(                 \
	    const struct tile *t)                                                                  \
	{                                                                                          \
		__m512 sum[rows][strips];                                                          \
		size_t l = 0;                                                                      \
                                                                                                   \
		EACH_ROW(rows)                                                                     \
		EACH_STRIP(strips)                                                                 \
		sum[i][j] = _mm512_set1_ps(t->bias != NULL ? t->bias[i] : 0);                      \
		while (l < t->in) {                                                                \
			size_t end = IST_MIN(l + RUN, t->in);                                      \
                                                                                                   \
			if (t->fetch)                                                              \
				EACH_ROW(rows)                                                     \
			_mm_prefetch((const char *)(t->weight + (size_t)(i + rows) * t->in + l),   \
				     _MM_HINT_T0);                                                 \
			for (; l < end; l++) {                                                     \
				__m512 x[strips];                                                  \
                                                                                                   \
				EACH_STRIP(strips)                                                 \
				x[j] =                                                             \
				    _mm512_loadu_ps(t->x + (size_t)j * t->x_step + l * IST_LANES); \
				EACH_ROW(rows)                                                     \
				{                                                                  \
					__m512 w =                                                 \
					    _mm512_set1_ps(t->weight[(size_t)i * t->in + l]);      \
                                                                                                   \
					EACH_STRIP(strips)                                         \
					sum[i][j] = _mm512_fmadd_ps(w, x[j], sum[i][j]);           \
				}                                                                  \
			}                                                                          \
		}                                                                                  \
		EACH_ROW(rows)                                                                     \
		EACH_STRIP(strips)                                                                 \
		_mm512_storeu_ps(t->ret + (size_t)j * t->ret_step + (size_t)i * IST_LANES,         \
				 sum[i][j]);                                                       \
	}
TILE_512(1, 1)
TILE_512(8, 1)
TILE_512(8, 2)
TILE_512(8, 3)

/* A strip is two registers wide. */
#define TILE_256(rows)                                                                             \
	static __attribute__((target("avx2,fma"))) void tile_256_##rows(const struct tile *t)      \
	{                                                                                          \
		__m256 low[rows], high[rows];                                                      \
		size_t l = 0;                                                                      \
                                                                                                   \
		EACH_ROW(rows)                                                                     \
		low[i] = high[i] = _mm256_set1_ps(t->bias != NULL ? t->bias[i] : 0);               \
		while (l < t->in) {                                                                \
			size_t end = IST_MIN(l + RUN, t->in);                                      \
                                                                                                   \
			if (t->fetch)                                                              \
				EACH_ROW(rows)                                                     \
			_mm_prefetch((const char *)(t->weight + (size_t)(i + rows) * t->in + l),   \
				     _MM_HINT_T0);                                                 \
			for (; l < end; l++) {                                                     \
				__m256 a = _mm256_loadu_ps(t->x + l * IST_LANES);                  \
				__m256 b = _mm256_loadu_ps(t->x + l * IST_LANES + 8);              \
                                                                                                   \
				EACH_ROW(rows)                                                     \
				{                                                                  \
					__m256 w =                                                 \
					    _mm256_set1_ps(t->weight[(size_t)i * t->in + l]);      \
                                                                                                   \
					low[i] = _mm256_fmadd_ps(w, a, low[i]);                    \
					high[i] = _mm256_fmadd_ps(w, b, high[i]);                  \
				}                                                                  \
			}                                                                          \
		}                                                                                  \
		EACH_ROW(rows)                                                                     \
		{                                                                                  \
			_mm256_storeu_ps(t->ret + (size_t)i * IST_LANES, low[i]);                  \
			_mm256_storeu_ps(t->ret + (size_t)i * IST_LANES + 8, high[i]);             \
		}                                                                                  \
	}
TILE_256(1)
TILE_256(6)

static const struct kernel kernel_512 = {
    8, {tile_512_8x1, tile_512_8x2, tile_512_8x3}, tile_512_1x1};
static const struct kernel kernel_256 = {6, {tile_256_6}, tile_256_1};

/* Lowered by tests only. */
static int limit = 512;

static bool has(int bits)
{
	if (bits >= 512)
		return __builtin_cpu_supports("avx512f");
	return bits < 256 || (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"));
}

static const struct kernel *kernel(void)
{
	if (limit >= 512 && has(512))
		return &kernel_512;
	return limit >= 256 && has(256) ? &kernel_256 : &kernel_plain;
}

bool ist_linear_limit(int bits)
{
	limit = bits;
	return has(bits);
}
#else
static const struct kernel *kernel(void)
{
	return &kernel_plain;
}

bool ist_linear_limit(int bits)
{
	return bits == 0;
}
#endif

/* Rows `t->weight` to `rows` after it, of `n` neighbouring strips. */
static void multiply(const struct kernel *k, struct tile t, size_t rows, size_t n)
{
	for (size_t i = 0, step; i < rows; i += step) {
		step = rows - i >= k->rows ? k->rows : 1;
		if (step == k->rows && k->whole[n - 1] != NULL) {
			k->whole[n - 1](&t);
		} else {
			struct tile single = t;

			for (size_t s = 0; s < n; s++) {
				(step == k->rows ? k->whole[0] : k->one)(&single);
				single.x += t.x_step;
				single.ret += t.ret_step;
				single.fetch = false;
			}
		}
		t.weight += step * t.in;
		t.bias = t.bias != NULL ? t.bias + step : NULL;
		t.ret += step * IST_LANES;
	}
}

/* Strips by twos, which keep both of the CPU's multipliers busy; three where one would be left. */
static size_t strips_at_once(size_t left)
{
	return left == 3 ? 3 : IST_MIN(left, (size_t)2);
}

/* Outputs `at` to `at + rows` of a layer, whose first output is feature `base` of `width`. */
static void block(const struct ist_linear *layer, size_t at, size_t rows, size_t in, size_t base,
		  size_t width, enum ist_activation act, const float *x, size_t n_strips,
		  float *ret)
{
	struct tile t = {.weight = layer->weight + at * in,
			 .bias = layer->bias != NULL ? layer->bias + at : NULL,
			 .in = in,
			 .x_step = in * IST_LANES,
			 .ret_step = width * IST_LANES,
			 .fetch = true};
	const struct kernel *k = kernel();

	for (size_t s = 0, n; s < n_strips; s += n, t.fetch = false) {
		n = strips_at_once(n_strips - s);
		t.x = x + s * t.x_step;
		t.ret = ret + s * t.ret_step + (base + at) * IST_LANES;
		multiply(k, t, rows, n);
		for (size_t i = 0; i < n && act != IST_ACT_NONE; i++)
			ist_activation_run(act, t.ret + i * t.ret_step, rows * IST_LANES);
	}
}

void ist_linear_strips(struct ist_team *team, const struct ist_linear *layers, size_t n, size_t in,
		       size_t out, enum ist_activation act, const float *x, size_t n_strips,
		       float *ret)
{
	size_t per = (out + BLOCK - 1) / BLOCK;

	for (size_t i; ist_team_next(team, n * per, &i);) {
		size_t layer = i / per, at = i % per * BLOCK;

		block(&layers[layer], at, IST_MIN((size_t)BLOCK, out - at), in, layer * out,
		      n * out, act, x, n_strips, ret);
	}
}

/* ---- rows ---- */

struct rows {
	const struct ist_linear *linear;
	size_t in, out, n;
	enum ist_activation act;
	const float *x;
	float *ret, *from, *to; /* rows, and strips */
};

static void run_team(void *user, struct ist_team *team)
{
	const struct rows *r = user;

	ist_strips_from_rows(team, r->x, r->n, r->in, r->from);
	ist_linear_strips(team, r->linear, 1, r->in, r->out, r->act, r->from, ist_strips(r->n),
			  r->to);
	ist_strips_to_rows(team, r->to, r->n, r->out, r->ret);
}

void ist_linear_run(const struct ist_linear *linear, size_t in, size_t out, enum ist_activation act,
		    const float *x, size_t rows, float *ret, struct ist_arena *arena)
{
	size_t n = ist_strips(rows) * IST_LANES;
	struct rows r = {linear, in, out, rows, act, x, ret};

	r.from = ist_arena_alloc(arena, n * in, sizeof(float));
	r.to = ist_arena_alloc(arena, n * out, sizeof(float));
	ist_team_run(ist_team_size((double)rows * (double)in * (double)out), 3, run_team, &r,
		     arena);
}
