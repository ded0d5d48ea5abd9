/*
 * The world of shapes: scenes and edits drawn at random, painted and put into words. Everything is
 * a function of the random stream that the caller brings.
 */
#include "server/cli/shapes.h"

#include <string.h>

#include "core/base/memory.h"

static const char *const places[IST_N_CELLS] = {"top left",    "top centre",	"top right",
						"middle left", "centre",	"middle right",
						"bottom left", "bottom centre", "bottom right"};
static const char *const sizes[IST_N_SHAPE_SIZES] = {"small", "large"};
static const int half_side[IST_N_SHAPE_SIZES] = {4, 8};
static const char *const names[IST_N_SHAPES] = {"rectangle", "circle", "triangle"};
static const struct {
	const char *name;
	uint8_t rgb[3];
} colours[IST_N_SHAPE_COLOURS] = {
    {"gray", {87, 87, 87}},   {"red", {244, 35, 35}},	  {"blue", {42, 75, 215}},
    {"green", {29, 205, 20}}, {"brown", {129, 74, 25}},	  {"purple", {129, 38, 192}},
    {"cyan", {41, 208, 208}}, {"yellow", {255, 238, 51}},
};

const char *ist_shape_place(const struct ist_shape *o)
{
	return places[o->cell];
}

const char *ist_shape_size(const struct ist_shape *o)
{
	return sizes[o->size];
}

const char *ist_shape_colour(const struct ist_shape *o)
{
	return colours[o->colour].name;
}

const char *ist_shape_name(const struct ist_shape *o)
{
	return names[o->shape];
}

/* ---- scenes and edits ---- */

static int below(struct ist_rng *rng, int n)
{
	return (int)ist_rng_below(rng, (uint64_t)n);
}

/* Another one of n than `than`. */
static int other(struct ist_rng *rng, int n, int than)
{
	return (than + 1 + below(rng, n - 1)) % n;
}

static int find_cell(const struct ist_scene *s, int cell)
{
	for (int i = 0; i < s->n; i++)
		if (s->object[i].cell == cell)
			return i;
	return -1;
}

static void put(struct ist_scene *s, struct ist_shape o)
{
	int at = s->n++;

	for (; at > 0 && s->object[at - 1].cell > o.cell; at--)
		s->object[at] = s->object[at - 1];
	s->object[at] = o;
}

static void take(struct ist_scene *s, int at)
{
	memmove(&s->object[at], &s->object[at + 1], (size_t)(s->n - at - 1) * sizeof(s->object[0]));
	s->n--;
}

static struct ist_shape any_shape(struct ist_rng *rng, int cell)
{
	return (struct ist_shape){.cell = cell,
				  .shape = below(rng, IST_N_SHAPES),
				  .colour = below(rng, IST_N_SHAPE_COLOURS),
				  .size = below(rng, IST_N_SHAPE_SIZES)};
}

static int free_cell(struct ist_rng *rng, const struct ist_scene *s)
{
	int cell = below(rng, IST_N_CELLS);

	while (find_cell(s, cell) >= 0)
		cell = (cell + 1) % IST_N_CELLS;
	return cell;
}

/* An edit is what it makes of one cell; it can be done to any scene of the family. */
enum { SET_SHAPE, SET_COLOUR, SET_SIZE, ADD, REMOVE, N_EDITS };
struct edit {
	int kind, cell, value;
	struct ist_shape added;
};

static struct edit draw_edit(struct ist_rng *rng, const struct ist_scene *s)
{
	struct edit e = {.kind = below(rng, N_EDITS)};
	const struct ist_shape *o = &s->object[below(rng, s->n)];

	e.cell = e.kind == ADD ? free_cell(rng, s) : o->cell;
	if (e.kind == ADD)
		e.added = any_shape(rng, e.cell);
	else if (e.kind == SET_SHAPE)
		e.value = other(rng, IST_N_SHAPES, o->shape);
	else if (e.kind == SET_COLOUR)
		e.value = other(rng, IST_N_SHAPE_COLOURS, o->colour);
	else if (e.kind == SET_SIZE)
		e.value = !o->size;
	return e;
}

/* False: there is nothing, or no room, for it. */
static bool apply(const struct edit *e, int objects, struct ist_scene *s)
{
	int at = find_cell(s, e->cell);

	if (e->kind == ADD) {
		if (at >= 0 || s->n == objects)
			return false;
		put(s, e->added);
		return true;
	}
	if (at < 0 || (e->kind == REMOVE && s->n == 1))
		return false;
	if (e->kind == REMOVE)
		take(s, at);
	else if (e->kind == SET_SHAPE)
		s->object[at].shape = e->value;
	else if (e->kind == SET_COLOUR)
		s->object[at].colour = e->value;
	else
		s->object[at].size = e->value;
	return true;
}

static bool looks_like(const struct ist_shape *a, const struct ist_shape *b)
{
	return a->shape == b->shape && a->colour == b->colour && a->size == b->size;
}

/* Objects are called by their looks, so no two may look alike. */
static bool is_clear(const struct ist_scene *s)
{
	for (int i = 0; i < s->n; i++)
		for (int k = 0; k < i; k++)
			if (looks_like(&s->object[i], &s->object[k]))
				return false;
	return true;
}

/* Whether the two edits leave four scenes that differ as they should. */
static bool complete(struct ist_scene_family *f, const struct edit *first,
		     const struct edit *second, int objects)
{
	bool same_part = first->cell == second->cell &&
			 (first->kind == second->kind || first->kind >= ADD || second->kind >= ADD);

	for (int i = 1; i < 4; i++)
		f->scene[i] = f->scene[0];
	if (same_part || !apply(first, objects, &f->scene[1]) ||
	    !apply(second, objects, &f->scene[2]) || !apply(first, objects, &f->scene[3]) ||
	    !apply(second, objects, &f->scene[3]))
		return false;
	for (int i = 0; i < 4; i++)
		if (!is_clear(&f->scene[i]))
			return false;
	return true;
}

void ist_scene_family_draw(struct ist_rng *rng, int objects, struct ist_scene_family *ret)
{
	struct edit first, second;

	do {
		struct ist_scene *base = &ret->scene[0];

		base->n = 0;
		for (int left = 1 + below(rng, objects); left > 0; left--)
			put(base, any_shape(rng, free_cell(rng, base)));
		first = draw_edit(rng, base);
		second = draw_edit(rng, base);
	} while (!complete(ret, &first, &second, objects));
}

/* ---- painting ---- */

/* Whether a pixel at (x, y) from the middle belongs to a shape; its middle lies half a pixel on. */
static bool covers(int shape, double x, double y, double r)
{
	switch (shape) {
	case IST_SHAPE_CIRCLE:
		return x * x + y * y <= r * r;
	case IST_SHAPE_TRIANGLE: /* a point above, a base below */
		return y >= -r && y <= r && 2 * (x < 0 ? -x : x) <= y + r;
	default:
		return x >= -r && x <= r && y >= -r && y <= r;
	}
}

static void paint_shape(const struct ist_shape *o, struct ist_rng *rng, uint8_t *ret)
{
	double middle = (double)IST_SCENE_SIDE / 3, r = half_side[o->size];
	double cx = (o->cell % 3 + .5) * middle + below(rng, 5) - 2;
	double cy = (int)(o->cell / 3) * middle + .5 * middle + below(rng, 5) - 2;

	for (int y = 0; y < IST_SCENE_SIDE; y++)
		for (int x = 0; x < IST_SCENE_SIDE; x++)
			if (covers(o->shape, x + .5 - cx, y + .5 - cy, r))
				memcpy(ret + 3 * (y * IST_SCENE_SIDE + x), colours[o->colour].rgb,
				       3);
}

void ist_scene_paint(const struct ist_scene *scene, struct ist_rng *rng, uint8_t *ret)
{
	memset(ret, 255, (size_t)3 * IST_SCENE_SIDE * IST_SCENE_SIDE);
	for (int i = 0; i < scene->n; i++)
		paint_shape(&scene->object[i], rng, ret);
}

/* ---- words ---- */

static void say(struct ist_buf *to, const char *article, const struct ist_shape *o)
{
	ist_buf_printf(to, "%s %s %s %s", article, ist_shape_size(o), ist_shape_colour(o),
		       ist_shape_name(o));
}

static const char *lies(const struct ist_shape *a, const struct ist_shape *b)
{
	if (a->cell / 3 != b->cell / 3)
		return a->cell / 3 < b->cell / 3 ? "above" : "below";
	return a->cell % 3 < b->cell % 3 ? "left of" : "right of";
}

static void caption_places(const struct ist_shape *const *o, int n, int kind, struct ist_buf *ret)
{
	for (int i = 0; i < n; i++) {
		if (kind == 2) {
			ist_buf_printf(ret, "%sin the %s ", i > 0 ? ", " : "",
				       ist_shape_place(o[i]));
			say(ret, "a", o[i]);
			continue;
		}
		ist_buf_puts(ret, i > 0 ? " and " : kind == 1 ? "there is " : "");
		say(ret, "a", o[i]);
		ist_buf_printf(ret, " %s the %s", kind == 1 ? "at" : "in", ist_shape_place(o[i]));
	}
}

void ist_scene_caption(const struct ist_scene *scene, int kind, struct ist_rng *rng,
		       struct ist_buf *ret)
{
	const struct ist_shape *o[IST_SCENE_OBJECTS];
	uint32_t order[IST_SCENE_OBJECTS] = {0, 1, 2};

	if (kind != 0)
		ist_rng_permute(rng, order, (size_t)scene->n);
	for (int i = 0; i < scene->n; i++)
		o[i] = &scene->object[order[i]];
	if (kind < 3) {
		caption_places(o, scene->n, kind, ret);
		return;
	}
	ist_buf_puts(ret, kind == 4 ? "picture of " : "");
	for (int i = 0; i < scene->n; i++) {
		if (i > 0)
			ist_buf_printf(ret, " %s ", lies(o[i - 1], o[i]));
		say(ret, "a", o[i]);
	}
}

/* The object that only one of two scenes has in its cell; NULL: none. */
static const struct ist_shape *only_in(const struct ist_scene *a, const struct ist_scene *b)
{
	for (int i = 0; i < a->n; i++)
		if (find_cell(b, a->object[i].cell) < 0)
			return &a->object[i];
	return NULL;
}

static void say_change(const struct ist_shape *from, const struct ist_shape *to,
		       struct ist_rng *rng, struct ist_buf *ret)
{
	const char *value = from->size != to->size ? ist_shape_size(to) : ist_shape_colour(to);
	bool change = below(rng, 2) == 0;

	if (from->shape != to->shape) {
		say(ret, "turn the", from);
		ist_buf_printf(ret, " into a %s", ist_shape_name(to));
		return;
	}
	say(ret, change ? "change the" : "make the", from);
	ist_buf_printf(ret, change ? " to %s" : " %s", value);
}

void ist_scene_edit(const struct ist_scene *from, const struct ist_scene *to, struct ist_rng *rng,
		    struct ist_buf *ret)
{
	const struct ist_shape *gone = only_in(from, to), *come = only_in(to, from);
	bool first = below(rng, 2) == 0;

	if (gone != NULL) {
		say(ret, first ? "remove the" : "take away the", gone);
		return;
	}
	if (come != NULL) {
		say(ret, first ? "add a" : "put a", come);
		ist_buf_printf(ret, first ? " to the %s" : " in the %s", ist_shape_place(come));
		return;
	}
	for (int i = 0; i < from->n; i++)
		if (!looks_like(&from->object[i], &to->object[i]))
			say_change(&from->object[i], &to->object[i], rng, ret);
}
