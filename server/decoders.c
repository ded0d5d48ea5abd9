/*
 * The pool of decoder processes. A slot belongs to the thread that took it; the lock guards who has
 * which and the list of refused pictures, never a conversation. SVG has a slot of its own, since
 * its children carry a large library.
 *
 * Nothing that a child says is believed: its answer is one copied struct, checked field by field
 * against what was asked and allowed, before a byte is copied out.
 */
#include "server/decoders.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/hash.h"
#include "core/base/memory.h"
#include "server/decoder_child.h"

#define N_REFUSED 1024 /* pictures remembered for having killed a decoder */
#define REFUSED_S 3600
#define SVG_HEAD 1024

struct slot {
	struct ist_decoder_child child; /* its taker's */
	bool taken;			/* guarded by lock */
	bool running;			/* guarded by lock: whether taking it costs a start */
};

struct refused {
	uint8_t sha256[IST_SHA256_SIZE];
	int64_t until; /* seconds of the monotonic clock; 0: free */
};

struct ist_decoders {
	struct ist_decoders_options options;
	char *program;
	pthread_mutex_t lock;
	pthread_cond_t freed;
	struct slot *slots; /* n for pictures, then one for SVG */
	size_t n_refused;   /* guarded by lock, as is the list */
	struct refused refused[N_REFUSED];
	bool told_start, told_svg; /* guarded by lock */
};

/* What the children may say that a picture is. */
static const char *const types[] = {"image/jpeg", "image/png", "image/webp",   "image/gif",
				    "image/tiff", "image/bmp", "image/svg+xml"};

/* The constant of that name, so that no string of the child's goes further; NULL for any other. */
static const char *known_type(const char *type)
{
	for (size_t i = 0; i < IST_COUNT(types); i++) {
		if (strncmp(types[i], type, 32) == 0)
			return types[i];
	}
	return NULL;
}

/* Never 0, which marks a free entry. */
static int64_t now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec + 1;
}

struct ist_decoders *ist_decoders_create(const struct ist_decoders_options *options)
{
	struct ist_decoders *d = ist_alloc(1, sizeof(*d));

	d->options = *options;
	d->options.n = IST_MAX(options->n, 1);
	d->program = ist_strdup(options->program);
	d->slots = ist_alloc(d->options.n + 1, sizeof(*d->slots));
	pthread_mutex_init(&d->lock, NULL);
	pthread_cond_init(&d->freed, NULL);
	return d;
}

/* Nobody may be decoding any more; idle children are killed, which harms nothing. */
void ist_decoders_destroy(struct ist_decoders *d)
{
	if (d == NULL)
		return;
	for (size_t i = 0; i <= d->options.n; i++)
		ist_decoder_child_stop(&d->slots[i].child);
	pthread_cond_destroy(&d->freed);
	pthread_mutex_destroy(&d->lock);
	free(d->slots);
	free(d->program);
	free(d);
}

static void tell(struct ist_decoders *d, int level, const char *event, const char *text)
{
	if (d->options.event != NULL)
		d->options.event(d->options.user, level, event, text);
}

/* A free slot of its kind, one with a process first. */
static struct slot *free_slot(struct ist_decoders *d, bool svg)
{
	struct slot *found = NULL;

	if (svg)
		return d->slots[d->options.n].taken ? NULL : &d->slots[d->options.n];
	for (size_t i = 0; i < d->options.n; i++) {
		if (!d->slots[i].taken && (found == NULL || d->slots[i].running))
			found = &d->slots[i];
		if (found != NULL && found->running)
			break;
	}
	return found;
}

/* Blocks until a slot of its kind is free. Nobody holds two, so nobody waits in a circle. */
static struct slot *take(struct ist_decoders *d, bool svg)
{
	struct slot *slot;

	pthread_mutex_lock(&d->lock);
	while ((slot = free_slot(d, svg)) == NULL)
		pthread_cond_wait(&d->freed, &d->lock);
	slot->taken = true;
	pthread_mutex_unlock(&d->lock);
	return slot;
}

/* What happened to the child meanwhile is seen by the next taker through the lock. */
static void give_back(struct ist_decoders *d, struct slot *slot)
{
	pthread_mutex_lock(&d->lock);
	slot->taken = false;
	slot->running = slot->child.pid > 0;
	pthread_cond_broadcast(&d->freed); /* waiters are of two kinds */
	pthread_mutex_unlock(&d->lock);
}

/* Once for the first of each kind: what holds the children. */
static void tell_start(struct ist_decoders *d, const struct ist_decode_hello *hello, bool svg)
{
	bool *told = svg ? &d->told_svg : &d->told_start, first;
	char text[256];

	pthread_mutex_lock(&d->lock);
	first = !*told;
	*told = true;
	pthread_mutex_unlock(&d->lock);
	if (!first)
		return;
	snprintf(text, sizeof(text), "%slandlock %u, seccomp %s, limits %s%s%s",
		 svg ? "for SVG, " : "", hello->landlock, hello->seccomp ? "on" : "off",
		 hello->limits ? "on" : "off", hello->lacks[0] != '\0' ? "; " : "", hello->lacks);
	tell(d, hello->lacks[0] != '\0' ? IST_DECODERS_WARNING : IST_DECODERS_INFO,
	     "decoder_started", text);
	if (svg && !hello->svg)
		tell(d, IST_DECODERS_WARNING, "decoder_without_svg",
		     "librsvg is not installed: SVG pictures are refused");
}

/* A child that is there, not worn, and did not die since its last picture. */
static enum ist_code ready_child(struct ist_decoders *d, struct slot *slot, bool svg,
				 struct ist_err *err)
{
	struct ist_decoder_child *child = &slot->child;
	enum ist_code code;

	if (child->pid > 0 && !child->worn && ist_decoder_child_alive(child))
		return IST_OK;
	ist_decoder_child_stop(child);
	code = ist_decoder_child_start(child, d->program, d->options.max_pixels,
				       d->options.timeout_ms, svg, err);
	if (code == IST_OK)
		tell_start(d, &child->hello, svg);
	else if (err != NULL)
		tell(d, IST_DECODERS_WARNING, "decoder_missing", err->text);
	return code;
}

/* Whether these bytes brought down a child within the hour. */
static bool is_refused(struct ist_decoders *d, const void *data, size_t len)
{
	uint8_t sha256[IST_SHA256_SIZE];
	bool any, found = false;

	pthread_mutex_lock(&d->lock);
	any = d->n_refused > 0;
	pthread_mutex_unlock(&d->lock);
	if (!any) /* nearly always: no need to hash */
		return false;
	ist_sha256(data, len, sha256);
	pthread_mutex_lock(&d->lock);
	for (size_t i = 0; i < N_REFUSED && !found; i++)
		found = d->refused[i].until > now_s() &&
			memcmp(d->refused[i].sha256, sha256, sizeof(sha256)) == 0;
	pthread_mutex_unlock(&d->lock);
	return found;
}

/* The oldest makes room: a ring. */
static void refuse(struct ist_decoders *d, const void *data, size_t len)
{
	struct refused refused = {.until = now_s() + REFUSED_S};

	ist_sha256(data, len, refused.sha256);
	pthread_mutex_lock(&d->lock);
	d->refused[d->n_refused++ % N_REFUSED] = refused;
	pthread_mutex_unlock(&d->lock);
}

/* SVG is text; every other format begins with a magic number that is none. */
static bool may_be_svg(const uint8_t *data, size_t len)
{
	size_t at = len >= 3 && memcmp(data, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;

	while (at < len && at < SVG_HEAD && strchr(" \t\r\n", data[at]) != NULL && data[at] != 0)
		at++;
	return at < len && data[at] == '<';
}

/* A square is of the side that was asked for. */
static bool is_square(const struct ist_decode_request *request, const struct ist_decode_answer *a)
{
	uint32_t side = request->frame.side;

	return a->out_width == side && a->out_height == side && a->len == (uint64_t)side * side * 3;
}

/* A scaled picture is never larger than its original, nor than was asked; pixels fill exactly their
 * measures. The products are of 32-bit numbers in 64 bits. */
static bool sizes_fit(const struct ist_decoders *d, const struct ist_decode_request *request,
		      const struct ist_decode_answer *a)
{
	uint64_t limit = d->options.max_pixels;
	uint32_t side = request->frame.side > 0 ? request->frame.side : UINT32_MAX;

	if (a->width == 0 || a->height == 0 || (uint64_t)a->width * a->height > limit)
		return false;
	if (request->frame.geometry != IST_GEOMETRY_WHOLE)
		return is_square(request, a);
	if (a->out_width == 0 || a->out_height == 0 || a->out_width > a->width ||
	    a->out_height > a->height || a->out_width > side || a->out_height > side)
		return false;
	if (request->want == IST_DECODE_PIXELS)
		return a->len == (uint64_t)a->out_width * a->out_height * 3;
	return a->len > 0 && known_type(a->out_type) != NULL;
}

/* What a well-behaved child can answer, and nothing else. */
static bool is_plausible(const struct ist_decoders *d, const struct ist_decoder_child *child,
			 const struct ist_decode_request *request, struct ist_decode_answer *a)
{
	if (a->magic != IST_DECODE_MAGIC || a->status > IST_DECODE_TOO_LARGE)
		return false;
	a->text[sizeof(a->text) - 1] = '\0';
	for (char *c = a->text; *c != '\0'; c++)
		*c = *c < ' ' || *c > '~' ? '?' : *c;
	if (a->status != IST_DECODE_OK)
		return true;
	return known_type(a->type) != NULL && sizes_fit(d, request, a) &&
	       a->len <= child->memory_size - child->input_size;
}

/* The child is gone or must go; its picture is not tried again for a while. */
static enum ist_code blame(struct ist_decoders *d, struct slot *slot, const void *data, size_t len,
			   const char *why, struct ist_err *err)
{
	char hex[IST_SHA256_HEX], text[256];

	ist_sha256_hex(data, len, hex);
	snprintf(text, sizeof(text), "%s; %zu bytes, sha256 %s", why, len, hex);
	tell(d, IST_DECODERS_WARNING, "decoder_lost", text);
	refuse(d, data, len);
	ist_decoder_child_stop(&slot->child);
	return ist_fail(err, IST_IMAGE_UNDECODABLE, "the picture could not be decoded: %s", why);
}

/* One conversation. A failure of the child's is the picture's: it is the only input there is. */
static enum ist_code ask(struct ist_decoders *d, struct slot *slot,
			 const struct ist_decode_request *request, const void *data, bool svg,
			 struct ist_decode_answer *answer, struct ist_err *err)
{
	struct ist_err own = {0};
	enum ist_code code = ready_child(d, slot, svg, err != NULL ? err : &own);

	if (code != IST_OK)
		return code;
	code =
	    ist_decoder_child_ask(&slot->child, request, data, d->options.timeout_ms, answer, &own);
	if (code != IST_OK)
		return blame(d, slot, data, request->len, own.text, err);
	if (!is_plausible(d, &slot->child, request, answer))
		return blame(d, slot, data, request->len, "the decoder answered nonsense", err);
	if (answer->status == IST_DECODE_TOO_LARGE)
		return ist_fail(err, IST_IMAGE_TOO_LARGE, "%s", answer->text);
	if (answer->status != IST_DECODE_OK)
		return ist_fail(err, IST_IMAGE_UNDECODABLE, "%s", answer->text);
	return IST_OK;
}

/* What can be refused without a child. */
static enum ist_code check_input(struct ist_decoders *d, const void *data, size_t len,
				 struct ist_err *err)
{
	if (len == 0)
		return ist_fail(err, IST_IMAGE_UNDECODABLE, "the picture has no bytes");
	if (len > ist_decode_input_size(d->options.max_pixels))
		return ist_fail(err, IST_IMAGE_TOO_LARGE,
				"%zu bytes are more than a picture of %llu pixels can need", len,
				(unsigned long long)d->options.max_pixels);
	if (is_refused(d, data, len))
		return ist_fail(err, IST_IMAGE_UNDECODABLE,
				"the picture brought down a decoder lately and is not tried again "
				"within an hour");
	return IST_OK;
}

/* From the bytes to a copy of what the child made of them; *ret_out is the caller's to free. */
static enum ist_code run(struct ist_decoders *d, uint32_t want, const void *data, size_t len,
			 const struct ist_frame *frame, struct ist_decode_answer *answer,
			 uint8_t **ret_out, struct ist_err *err)
{
	struct ist_decode_request request = {
	    .magic = IST_DECODE_MAGIC, .want = want, .len = len, .frame = *frame};
	enum ist_code code = check_input(d, data, len, err);
	bool svg = code == IST_OK && may_be_svg(data, len);
	struct slot *slot;

	if (code != IST_OK)
		return code;
	slot = take(d, svg);
	code = ask(d, slot, &request, data, svg, answer, err);
	if (code == IST_OK) {
		*ret_out = ist_alloc_raw(answer->len, 1);
		memcpy(*ret_out, ist_decoder_child_output(&slot->child), answer->len);
	}
	if (slot->child.pid > 0)
		ist_decoder_child_tidy(&slot->child, len, code == IST_OK ? answer->len : 0);
	give_back(d, slot);
	return code;
}

enum ist_code ist_decoders_decode(struct ist_decoders *d, const void *data, size_t len,
				  const struct ist_frame *frame, struct ist_decoded *ret,
				  struct ist_err *err)
{
	struct ist_decode_answer answer;
	uint8_t *rgb = NULL;
	enum ist_code code = run(d, IST_DECODE_PIXELS, data, len, frame, &answer, &rgb, err);

	if (code != IST_OK)
		return code;
	*ret = (struct ist_decoded){
	    .width = answer.width,
	    .height = answer.height,
	    .pixels = {answer.out_width, answer.out_height, rgb,
		       .framed = frame->geometry != IST_GEOMETRY_WHOLE},
	    .owned = rgb,
	};
	snprintf(ret->type, sizeof(ret->type), "%s", known_type(answer.type));
	return IST_OK;
}

void ist_decoded_finish(struct ist_decoded *decoded)
{
	free(decoded->owned);
	*decoded = (struct ist_decoded){0};
}

enum ist_code ist_decoders_thumbnail(struct ist_decoders *d, const void *data, size_t len,
				     uint32_t side, struct ist_buf *ret, const char **ret_type,
				     struct ist_err *err)
{
	const struct ist_frame frame = {.geometry = IST_GEOMETRY_WHOLE, .side = side};
	struct ist_decode_answer answer;
	ist_autofree uint8_t *out = NULL;
	enum ist_code code = run(d, IST_DECODE_THUMBNAIL, data, len, &frame, &answer, &out, err);

	if (code != IST_OK)
		return code;
	ist_buf_put(ret, out, answer.len);
	*ret_type = known_type(answer.out_type);
	return IST_OK;
}
