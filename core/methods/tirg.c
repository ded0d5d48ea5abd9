/*
 * TIRG's composition, in the form of the authors' code: both branches normalise [x; t] for
 * themselves, a0 and a1 are learned and start at 1 and 10, so that the output is mostly residual at
 * first.
 */
#include "core/methods/tirg.h"

#include "core/tensor/ops.h"

static const size_t one = 1;

void ist_tirg_declare(struct ist_weights *theta, enum ist_composition composition, size_t d)
{
	if (composition == IST_COMPOSE_CONCAT) {
		ist_layer_add_batch_norm(theta, "concat.norm1", 2 * d);
		ist_weights_add_linear(theta, "concat.fc1", 2 * d, 2 * d);
		ist_layer_add_batch_norm(theta, "concat.norm2", 2 * d);
		ist_weights_add_linear(theta, "concat.fc2", 2 * d, d);
		return;
	}
	ist_layer_add_batch_norm(theta, "gate.norm", 2 * d);
	ist_weights_add_linear(theta, "gate.fc", 2 * d, d);
	ist_layer_add_batch_norm(theta, "residual.norm", 2 * d);
	ist_weights_add_linear(theta, "residual.fc1", 2 * d, 2 * d);
	ist_weights_add_linear(theta, "residual.fc2", 2 * d, d);
	ist_weights_add_normal(theta, "a0", 1, &one, 1, 0);
	ist_weights_add_normal(theta, "a1", 1, &one, 10, 0);
}

static ist_node *concatenation(struct ist_norms *norms, struct ist_graph *g,
			       struct ist_weights *theta, ist_node *xt)
{
	ist_node *h = ist_relu(ist_layer_batch_norm(norms, g, theta, "concat.norm1", xt));

	h = ist_layer_linear(g, theta, "concat.fc1", h);
	h = ist_relu(ist_layer_batch_norm(norms, g, theta, "concat.norm2", h));
	return ist_layer_linear(g, theta, "concat.fc2", h);
}

ist_node *ist_tirg_compose(struct ist_norms *norms, struct ist_graph *g, struct ist_weights *theta,
			   enum ist_composition composition, ist_node *x, ist_node *t)
{
	ist_node *xt = ist_concat(x, t), *gate, *res;

	if (composition == IST_COMPOSE_CONCAT)
		return concatenation(norms, g, theta, xt);

	/* gate = L(ReLU(BN([x; t]))) */
	gate = ist_relu(ist_layer_batch_norm(norms, g, theta, "gate.norm", xt));
	gate = ist_layer_linear(g, theta, "gate.fc", gate);

	/* res = L(ReLU(L(ReLU(BN([x; t]))))) */
	res = ist_relu(ist_layer_batch_norm(norms, g, theta, "residual.norm", xt));
	res = ist_relu(ist_layer_linear(g, theta, "residual.fc1", res));
	res = ist_layer_linear(g, theta, "residual.fc2", res);

	/* f = a0 sigmoid(gate) x + a1 res */
	return ist_add(ist_times(ist_mul(ist_sigmoid(gate), x), ist_weight(g, theta, "a0")),
		       ist_times(res, ist_weight(g, theta, "a1")));
}

/* ---- over maps ---- */

#define KERNEL 3

void ist_tirg_declare_map(struct ist_weights *theta, size_t c, size_t d)
{
	ist_layer_add_batch_norm(theta, "gate.norm", c + d);
	ist_layer_add_conv(theta, "gate.conv1", c + d, c + d, KERNEL);
	ist_layer_add_conv(theta, "gate.conv2", c + d, c, KERNEL);
	ist_layer_add_batch_norm(theta, "residual.norm", c + d);
	ist_layer_add_conv(theta, "residual.conv1", c + d, c + d, KERNEL);
	ist_layer_add_conv(theta, "residual.conv2", c + d, c, KERNEL);
	ist_weights_add_normal(theta, "a0", 1, &one, 1, 0);
	ist_weights_add_normal(theta, "a1", 1, &one, 10, 0);
}

/* conv(ReLU(conv(BN([x; t])))) */
static ist_node *stack(struct ist_norms *norms, struct ist_graph *g, struct ist_weights *theta,
		       const char *const names[3], ist_node *xt)
{
	ist_node *h = ist_layer_batch_norm(norms, g, theta, names[0], xt);

	h = ist_relu(ist_layer_conv(g, theta, names[1], h, 1, KERNEL / 2));
	return ist_layer_conv(g, theta, names[2], h, 1, KERNEL / 2);
}

ist_node *ist_tirg_compose_map(struct ist_norms *norms, struct ist_graph *g,
			       struct ist_weights *theta, ist_node *x, ist_node *t)
{
	static const char *const gates[] = {"gate.norm", "gate.conv1", "gate.conv2"};
	static const char *const residuals[] = {"residual.norm", "residual.conv1",
						"residual.conv2"};
	ist_node *xt = ist_spread(x, t);
	ist_node *gate = stack(norms, g, theta, gates, xt);
	ist_node *res = stack(norms, g, theta, residuals, xt);

	return ist_add(ist_times(ist_mul(ist_sigmoid(gate), x), ist_weight(g, theta, "a0")),
		       ist_times(res, ist_weight(g, theta, "a1")));
}
