/*
 * What all ways to compute a chain of convolutions have in common: the shapes, and the passes that
 * wait for the next picture in a list that the lock guards. The rest of a loaded net never changes.
 */
#include "core/encode/convnet.h"

#include <omp.h>
#include <stdlib.h>

#include "core/base/memory.h"
#include "core/encode/convnet_private.h"

const struct ist_convnet_kind *const ist_convnet_kinds[] = {
    &ist_convnet_fused,
    &ist_convnet_onednn,
    NULL,
};

const char *ist_convnet_kind_name(const struct ist_convnet_kind *kind)
{
	return kind->name;
}

static uint32_t halve_up(uint32_t size, uint32_t stride)
{
	return (size + stride - 1) / stride;
}

struct ist_conv_pads ist_conv_pads(uint32_t size, const struct ist_conv *conv)
{
	uint32_t reach = (halve_up(size, conv->stride) - 1) * conv->stride + conv->kernel;
	uint32_t pad = reach > size ? reach - size : 0;

	return (struct ist_conv_pads){pad / 2, pad - pad / 2};
}

static void shape_layers(struct ist_convnet *net, const struct ist_conv *layers, uint32_t height,
			 uint32_t width)
{
	for (size_t i = 0; i < net->n; i++) {
		struct ist_conv_layer *l = &net->layers[i];

		l->conv = layers[i];
		l->from = (struct ist_shape3){layers[i].in, height, width};
		height = halve_up(height, layers[i].stride);
		width = halve_up(width, layers[i].stride);
		l->to = (struct ist_shape3){layers[i].out, height, width};
	}
}

static const struct ist_convnet_kind *first_kind(const struct ist_convnet *net)
{
	size_t i = 0;

	while (ist_convnet_kinds[i + 1] != NULL && !ist_convnet_kinds[i]->takes(net))
		i++;
	return ist_convnet_kinds[i];
}

enum ist_code ist_convnet_create(const struct ist_convnet_kind *kind, const struct ist_conv *layers,
				 size_t n, uint32_t height, uint32_t width,
				 struct ist_convnet **ret, struct ist_err *err)
{
	struct ist_convnet *net = ist_alloc(1, sizeof(*net));
	enum ist_code code = IST_OK;

	pthread_mutex_init(&net->lock, NULL);
	net->n = n;
	net->layers = ist_alloc(n, sizeof(*net->layers));
	shape_layers(net, layers, height, width);
	net->kind = kind != NULL ? kind : first_kind(net);
	if (!net->kind->takes(net))
		code = ist_fail(err, IST_INVALID, "the network cannot be computed by %s here",
				net->kind->name);
	if (code == IST_OK)
		code = net->kind->compile(net, err);
	if (code != IST_OK) {
		ist_convnet_destroy(net);
		return code;
	}
	*ret = net;
	return IST_OK;
}

enum ist_code ist_convnet_load(struct ist_convnet *net, size_t i, const float *weights,
			       const float *bias, struct ist_err *err)
{
	return net->kind->load(net, i, weights, bias, err);
}

size_t ist_convnet_n(const struct ist_convnet *net)
{
	return net->n;
}

struct ist_shape3 ist_convnet_shape(const struct ist_convnet *net, size_t i)
{
	return net->layers[i].to;
}

static void destroy_pass(struct ist_convnet_pass *pass)
{
	pass->net->kind->stop(pass);
	free(pass);
}

void ist_convnet_destroy(struct ist_convnet *net)
{
	if (net == NULL)
		return;
	while (net->idle != NULL) {
		struct ist_convnet_pass *pass = net->idle;

		net->idle = pass->next;
		destroy_pass(pass);
	}
	net->kind->finish(net);
	free(net->layers);
	pthread_mutex_destroy(&net->lock);
	free(net);
}

/* ---- passes ---- */

static struct ist_convnet_pass *take_idle(struct ist_convnet *net, int threads)
{
	struct ist_convnet_pass **at = &net->idle, *found;

	pthread_mutex_lock(&net->lock);
	while (*at != NULL && (*at)->threads != threads)
		at = &(*at)->next;
	found = *at;
	if (found != NULL)
		*at = found->next;
	pthread_mutex_unlock(&net->lock);
	return found;
}

enum ist_code ist_convnet_begin(struct ist_convnet *net, struct ist_convnet_pass **ret,
				struct ist_err *err)
{
	struct ist_convnet_pass *pass = take_idle(net, omp_get_max_threads());
	enum ist_code code = IST_OK;

	if (pass == NULL) {
		pass = ist_alloc(1, sizeof(*pass));
		pass->net = net;
		pass->threads = omp_get_max_threads();
		code = net->kind->start(pass, err);
	}
	if (code != IST_OK)
		destroy_pass(pass);
	else
		*ret = pass;
	return code;
}

void ist_convnet_end(struct ist_convnet_pass *pass)
{
	if (pass == NULL)
		return;
	pthread_mutex_lock(&pass->net->lock);
	pass->next = pass->net->idle;
	pass->net->idle = pass;
	pthread_mutex_unlock(&pass->net->lock);
}

void ist_convnet_put(struct ist_convnet_pass *pass, const float *chw)
{
	pass->net->kind->put(pass, chw);
}

void ist_convnet_put_bytes(struct ist_convnet_pass *pass, const uint8_t *hwc)
{
	pass->net->kind->put_bytes(pass, hwc);
}

enum ist_code ist_convnet_forward(struct ist_convnet_pass *pass, ist_convnet_see see, void *user,
				  struct ist_err *err)
{
	return pass->net->kind->forward(pass, see, user, err);
}

void ist_convnet_pooled(const struct ist_convnet_pass *pass, float *ret)
{
	pass->net->kind->pooled(pass, ret);
}

enum ist_code ist_convnet_map(const struct ist_convnet_pass *pass, float *ret, struct ist_err *err)
{
	return pass->net->kind->map(pass, ret, err);
}
