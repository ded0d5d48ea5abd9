/*
 * Scenes of coloured shapes: what is drawn, said and edited. After the two-dimensional data of Vo
 * et al. (Composing Text and Image for Image Retrieval, CVPR 2019): a white ground of 3 x 3 cells,
 * rectangles, circles and triangles in eight colours and two sizes.
 */
#ifndef IST_SERVER_CLI_SHAPES_H
#define IST_SERVER_CLI_SHAPES_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/base/rng.h"

#define IST_SCENE_OBJECTS 3
#define IST_SCENE_SIDE 64 /* of a drawing, in pixels */

enum { IST_SHAPE_RECTANGLE, IST_SHAPE_CIRCLE, IST_SHAPE_TRIANGLE, IST_N_SHAPES };
#define IST_N_SHAPE_COLOURS 8
#define IST_N_SHAPE_SIZES 2
#define IST_N_CELLS 9

struct ist_shape {
	int cell, shape, colour, size;
};
/* Objects in the order of their cells, one a cell. */
struct ist_scene {
	struct ist_shape object[IST_SCENE_OBJECTS];
	int n;
};

/* A family: a scene, one edit of it, another one, and both: every two that differ by one edit are
 * the ends of two triples, and each picture has its near misses beside it. */
struct ist_scene_family {
	struct ist_scene scene[4]; /* base, first edit, second edit, both */
};
/* At most `objects` objects in each. */
void ist_scene_family_draw(struct ist_rng *rng, int objects, struct ist_scene_family *ret);

/* ret (IST_SCENE_SIDE, IST_SCENE_SIDE, 3): each object up to 2 pixels off its cell's middle. */
void ist_scene_paint(const struct ist_scene *scene, struct ist_rng *rng, uint8_t *ret);

/* A caption; kinds 0 to 2 name places, which fix the picture, 3 and 4 how objects lie to each
 * other.
 */
#define IST_CAPTIONS 5
void ist_scene_caption(const struct ist_scene *scene, int kind, struct ist_rng *rng,
		       struct ist_buf *ret);
/* "make the small red circle blue": what turns one scene into another that differs by one edit. */
void ist_scene_edit(const struct ist_scene *from, const struct ist_scene *to, struct ist_rng *rng,
		    struct ist_buf *ret);

/* Words for one object. */
const char *ist_shape_place(const struct ist_shape *o); /* "top left" */
const char *ist_shape_size(const struct ist_shape *o);
const char *ist_shape_colour(const struct ist_shape *o);
const char *ist_shape_name(const struct ist_shape *o);

#endif
