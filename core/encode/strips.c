/* Strips of tokens: to and from rows, and the norm that goes down a strip. */
#include <math.h>
#include <string.h>

#include "core/encode/transformer_private.h"

#define SIDE 16 /* features turned at a time: both sides stay in the nearest cache */

IST_CLONES static void turn_in(const float *x, size_t rows, size_t width, float *strip)
{
	for (size_t at = 0; at < width; at += SIDE) {
		size_t end = IST_MIN(at + SIDE, width);

		for (size_t i = 0; i < rows; i++) {
			for (size_t j = at; j < end; j++)
				strip[j * IST_LANES + i] = x[i * width + j];
		}
	}
}

IST_CLONES static void turn_out(const float *strip, size_t rows, size_t width, float *x)
{
	for (size_t at = 0; at < width; at += SIDE) {
		size_t end = IST_MIN(at + SIDE, width);

		for (size_t i = 0; i < rows; i++) {
			for (size_t j = at; j < end; j++)
				x[i * width + j] = strip[j * IST_LANES + i];
		}
	}
}

void ist_strips_from_rows(struct ist_team *team, const float *x, size_t rows, size_t width,
			  float *ret)
{
	for (size_t s; ist_team_next(team, ist_strips(rows), &s);) {
		size_t n = IST_MIN((size_t)IST_LANES, rows - s * IST_LANES);
		float *strip = ret + s * width * IST_LANES;

		if (n < IST_LANES)
			memset(strip, 0, width * IST_LANES * sizeof(*strip));
		turn_in(x + s * IST_LANES * width, n, width, strip);
	}
}

void ist_strips_to_rows(struct ist_team *team, const float *x, size_t rows, size_t width,
			float *ret)
{
	for (size_t s; ist_team_next(team, ist_strips(rows), &s);) {
		size_t n = IST_MIN((size_t)IST_LANES, rows - s * IST_LANES);

		turn_out(x + s * width * IST_LANES, n, width, ret + s * IST_LANES * width);
	}
}

/* Four sums at a time, so that an addition need not wait for the one before it. */
#define CHAINS 4

static inline void add_up(ist_lanes sum[CHAINS])
{
	sum[0] = (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

IST_CLONES void ist_norm_strip(const struct ist_norm *norm, float eps, size_t width, float *x,
			       const float *part, float *ret)
{
	ist_lanes mean[CHAINS] = {{0}}, squares[CHAINS] = {{0}}, rate;

	for (size_t j = 0; j < width; j++) {
		ist_lanes v = *ist_lanes_at(x, j);

		if (part != NULL) {
			v += *ist_lanes_at(part, j);
			*ist_lanes_at(x, j) = v;
		}
		mean[j % CHAINS] += v;
	}
	add_up(mean);
	mean[0] /= (float)width;
	for (size_t j = 0; j < width; j++) {
		ist_lanes v = *ist_lanes_at(x, j) - mean[0];

		squares[j % CHAINS] += v * v;
	}
	add_up(squares);
	for (size_t i = 0; i < IST_LANES; i++)
		rate[i] = 1 / sqrtf(squares[0][i] / (float)width + eps);
	for (size_t j = 0; j < width; j++)
		*ist_lanes_at(ret, j) =
		    (*ist_lanes_at(x, j) - mean[0]) * rate * norm->weight[j] + norm->bias[j];
}
