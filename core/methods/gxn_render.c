/*
 * Pictures and features of texts by a trained model: G(z, mu) with the kept (averaged) weights and
 * the running statistics of batch normalisation, so that a picture depends on its text and its own
 * noise and on nothing that is drawn beside it. Noise follows from the seed and the picture's
 * number. Any number of threads: each call has a graph of its own over the shared weights.
 */
#include <math.h>

#include "core/base/memory.h"
#include "core/methods/gxn.h"
#include "core/tensor/ops.h"

static const struct ist_gxn_settings *settings_of(const struct ist_model *model)
{
	return ((const struct ist_network *)model->state)->settings;
}

ist_node *ist_gxn_draw(struct ist_norms *norms, struct ist_graph *graph, struct ist_weights *theta,
		       const struct ist_gxn_settings *s, ist_node *text, ist_node *z)
{
	ist_node *t_l = ist_gxn_text_grounded(graph, theta, s, text);

	return ist_gxn_generate(norms, graph, theta, "render", s, z,
				ist_gxn_condition(graph, theta, "render", s, t_l).mu);
}

size_t ist_gxn_render_side(const struct ist_model *model)
{
	const struct ist_gxn_settings *s = settings_of(model);

	return s->generator == IST_GXN_PIXELS ? s->side : 0;
}

static void draw_noise(uint64_t seed, size_t number, ist_node *z)
{
	struct ist_rng rng;

	ist_rng_init(&rng, seed, "render");
	rng.stream ^= (number + 1) * 0x9E3779B97F4A7C15u;
	for (size_t i = 0; i < z->size; i++)
		z->value[i] = (ist_real)ist_rng_normal(&rng);
}

/* (1, 3, side, side) in -1 .. 1 -> (side, side, 3) in 0 .. 255 */
static void to_bytes(const ist_node *picture, uint8_t *ret)
{
	size_t places = picture->size / 3;

	for (size_t k = 0; k < places; k++)
		for (size_t c = 0; c < 3; c++) {
			double level = ((double)picture->value[c * places + k] + 1) * 127.5;

			ret[3 * k + c] = (uint8_t)lrint(fmin(fmax(level, 0), 255));
		}
}

/* A picture at a time, so that its bits do not depend on how many are asked for. */
enum ist_code ist_gxn_render(const struct ist_model *model, const float *x, uint64_t seed,
			     size_t count, uint8_t *ret, struct ist_err *err)
{
	const struct ist_network *network = model->state;
	const struct ist_gxn_settings *s = network->settings;
	size_t n_in = s->n_in[IST_TEXT];
	ist_autofree float *scaled = ist_alloc(n_in, sizeof(*scaled));
	struct ist_graph *graph = ist_graph_create();
	ist_node *text = ist_input(graph, "text", 1, n_in), *z = ist_input(graph, "z", 1, s->z);
	struct ist_norms norms = {.training = false};
	ist_node *picture = ist_gxn_draw(&norms, graph, network->theta, s, text, z);
	enum ist_code code = ist_graph_compile(graph, false, err);

	ist_scaling_apply(&network->scaling[IST_TEXT], x, 1, scaled);
	for (size_t j = 0; j < n_in && code == IST_OK; j++)
		text->value[j] = (ist_real)scaled[j];
	for (size_t i = 0; i < count && code == IST_OK; i++) {
		draw_noise(seed, i, z);
		ist_graph_forward(graph);
		to_bytes(picture, ret + i * picture->size);
	}
	ist_graph_destroy(graph);
	return code;
}

/* Without noise: what a text calls up in general. */
static ist_node *feature(struct ist_graph *graph, const struct ist_network *network,
			 const void *user, ist_node *x)
{
	const struct ist_gxn_settings *s = network->settings;
	ist_node *z = ist_input(graph, "z", x->dim[0], s->z);
	struct ist_norms norms = {.training = false};
	ist_node *y = ist_gxn_draw(&norms, graph, network->theta, s, x, z);

	(void)user;
	if (y == NULL || y->n_dims == 2)
		return y;
	return ist_reshape(y, 2, (size_t[]){x->dim[0], s->n_in[IST_IMAGE]});
}

enum ist_code ist_gxn_reconstruct(const struct ist_model *model, enum ist_modality from,
				  enum ist_modality to, const float *x, size_t n, float *ret,
				  struct ist_err *err)
{
	const struct ist_gxn_settings *s = settings_of(model);
	enum ist_code code;

	if (from != IST_TEXT || to != IST_IMAGE)
		return ist_fail(err, IST_INVALID,
				"gxn imagines pictures from texts, not the other way round");
	code = ist_network_reconstruct(model, feature, NULL, from, to, x, n, ret, err);
	if (code != IST_OK || s->generator != IST_GXN_PIXELS)
		return code;
	/* As the encoder has it: (level + 1) / 256 of levels 0 .. 255. */
	for (size_t i = 0; i < n * s->n_in[IST_IMAGE]; i++)
		ret[i] = ((ret[i] + 1) * 127.5F + 1) / 256;
	return IST_OK;
}
