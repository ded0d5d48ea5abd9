/* Layers by name. Names are the weights' in a model's file, so they are part of its format. */
#include "core/methods/layers.h"

#include <stdio.h>

#include "core/tensor/ops.h"

#define NAME 64
#define SLOPE .2 /* of the leaky relu */
#define GAMMA_SD .02
#define MOMENTUM .1 /* of running statistics */

ist_node *ist_layer_linear(struct ist_graph *graph, struct ist_weights *group, const char *name,
			   ist_node *x)
{
	char weight[NAME], bias[NAME];

	snprintf(weight, sizeof(weight), "%s.weight", name);
	snprintf(bias, sizeof(bias), "%s.bias", name);
	return ist_linear(x, ist_weight(graph, group, weight), ist_weight(graph, group, bias));
}

void ist_layer_add_block(struct ist_weights *group, const char *name, size_t n_in, size_t n_out)
{
	char part[NAME];

	snprintf(part, sizeof(part), "%s.lin", name);
	ist_weights_add_linear(group, part, n_in, n_out);
	snprintf(part, sizeof(part), "%s.gamma", name);
	ist_weights_add_normal(group, part, 1, &n_out, 1, GAMMA_SD);
	snprintf(part, sizeof(part), "%s.beta", name);
	ist_weights_add_normal(group, part, 1, &n_out, 0, 0);
}

void ist_layer_add_statistics(struct ist_weights *group, const char *name, const char *site,
			      size_t n_out)
{
	char part[NAME];

	snprintf(part, sizeof(part), "%s.mean%s", name, site);
	ist_weights_add_normal(group, part, 1, &n_out, 0, 0);
	snprintf(part, sizeof(part), "%s.var%s", name, site);
	ist_weights_add_normal(group, part, 1, &n_out, 1, 0);
}

/* <name>.<part><site> of the group, as a node of the graph. */
static ist_node *part_of(struct ist_graph *graph, struct ist_weights *group, const char *name,
			 const char *part, const char *site)
{
	char text[NAME];

	snprintf(text, sizeof(text), "%s.%s%s", name, part, site);
	return ist_weight(graph, group, text);
}

/* x W' + b, before the normalisation. */
static ist_node *block_linear(struct ist_graph *graph, struct ist_weights *group, const char *name,
			      ist_node *x)
{
	char lin[NAME];

	snprintf(lin, sizeof(lin), "%s.lin", name);
	return ist_layer_linear(graph, group, lin, x);
}

ist_node *ist_layer_block(struct ist_graph *graph, struct ist_weights *group, const char *name,
			  const char *site, ist_node *x, struct ist_norm *ret)
{
	char mean[NAME], variance[NAME];
	ist_node *y = ist_batch_norm(block_linear(graph, group, name, x),
				     part_of(graph, group, name, "gamma", ""),
				     part_of(graph, group, name, "beta", ""));

	snprintf(mean, sizeof(mean), "%s.mean%s", name, site);
	snprintf(variance, sizeof(variance), "%s.var%s", name, site);
	*ret = (struct ist_norm){.y = y,
				 .mean = ist_weights_find(group, mean),
				 .variance = ist_weights_find(group, variance)};
	return ist_lrelu(y, SLOPE);
}

ist_node *ist_layer_block_fixed(struct ist_graph *graph, struct ist_weights *group,
				const char *name, const char *site, ist_node *x)
{
	return ist_lrelu(ist_batch_norm_fixed(block_linear(graph, group, name, x),
					      part_of(graph, group, name, "gamma", ""),
					      part_of(graph, group, name, "beta", ""),
					      part_of(graph, group, name, "mean", site),
					      part_of(graph, group, name, "var", site)),
			 SLOPE);
}

void ist_norm_track(const struct ist_norm *norm)
{
	ist_batch_norm_track(norm->y, norm->mean, norm->variance, MOMENTUM);
}

ist_node *ist_layer_constant_ids(struct ist_graph *graph, const char *name, size_t n, int32_t id)
{
	ist_node *ids = ist_ids(graph, name, n);

	for (size_t i = 0; i < n; i++)
		ids->ids[i] = id;
	return ids;
}

void ist_layer_add_conv(struct ist_weights *group, const char *name, size_t n_in, size_t n_out,
			size_t side)
{
	char weight[NAME], bias[NAME];

	snprintf(weight, sizeof(weight), "%s.weight", name);
	snprintf(bias, sizeof(bias), "%s.bias", name);
	ist_weights_add(group, weight, 4, (size_t[]){n_out, n_in, side, side}, n_in * side * side);
	ist_weights_add(group, bias, 1, &n_out, n_in * side * side);
}

ist_node *ist_layer_conv(struct ist_graph *graph, struct ist_weights *group, const char *name,
			 ist_node *x, size_t stride, size_t pad)
{
	char weight[NAME], bias[NAME];

	snprintf(weight, sizeof(weight), "%s.weight", name);
	snprintf(bias, sizeof(bias), "%s.bias", name);
	return ist_conv2d(x, ist_weight(graph, group, weight), ist_weight(graph, group, bias),
			  stride, pad);
}

static const char *const norm_part[] = {"weight", "bias", "running_mean", "running_var"};

static void name_of(char ret[NAME], const char *name, const char *part)
{
	snprintf(ret, NAME, "%s.%s", name, part);
}

void ist_layer_add_batch_norm(struct ist_weights *group, const char *name, size_t n)
{
	for (int i = 0; i < 4; i++) {
		char part[NAME];

		name_of(part, name, norm_part[i]);
		ist_weights_add_normal(group, part, 1, &n, i == 0 || i == 3 ? 1 : 0, 0);
	}
}

ist_node *ist_layer_batch_norm(struct ist_norms *norms, struct ist_graph *graph,
			       struct ist_weights *group, const char *name, ist_node *x)
{
	char part[4][NAME];
	ist_node *gamma, *beta, *y;

	for (int i = 0; i < 4; i++)
		name_of(part[i], name, norm_part[i]);
	gamma = ist_weight(graph, group, part[0]);
	beta = ist_weight(graph, group, part[1]);
	if (!norms->training)
		return ist_batch_norm_fixed(x, gamma, beta, ist_weight(graph, group, part[2]),
					    ist_weight(graph, group, part[3]));
	y = ist_batch_norm(x, gamma, beta);
	if (y == NULL)
		return NULL;
	if (norms->n == IST_MAX_NORMS)
		return ist_graph_fail(graph, "more than %d batch normalisations", IST_MAX_NORMS);
	norms->use[norms->n].y = y;
	norms->use[norms->n].mean = ist_weights_find(group, part[2]);
	norms->use[norms->n++].variance = ist_weights_find(group, part[3]);
	return y;
}

void ist_norms_move(const struct ist_norms *norms, double momentum)
{
	for (size_t i = 0; i < norms->n; i++)
		ist_batch_norm_track(norms->use[i].y, norms->use[i].mean, norms->use[i].variance,
				     momentum);
}

void ist_norms_track(const struct ist_norms *norms)
{
	ist_norms_move(norms, .1);
}
