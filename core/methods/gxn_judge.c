/*
 * GXN's sentences judged: references as vectors of n-grams, and the mean CIDEr-D of greedy
 * sentences on the validation part, whose references weigh by the training part's document
 * frequencies and without the end token, as the measure is reported.
 */
#include "core/methods/gxn_judge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"

#define PICTURES 256 /* at most, evenly spread over the validation part */
#define ROWS 64	     /* a pass */

/* ---- texts ---- */

void ist_gxn_texts_init(struct ist_gxn_texts *t, const struct ist_pairs *pairs,
			const uint32_t *rows, size_t n, const struct ist_dictionary *dictionary,
			size_t words)
{
	ist_auto(ist_arena_finish) struct ist_arena arena = {0};

	*t = (struct ist_gxn_texts){
	    .n = n,
	    .pitch = words + 1,
	    .row = ist_alloc(n + 1, sizeof(*t->row)),
	    .item = ist_alloc(n + 1, sizeof(*t->item)),
	    .token = ist_alloc(n + 1, (words + 1) * sizeof(*t->token)),
	    .length = ist_alloc(n + 1, sizeof(*t->length)),
	};
	for (size_t i = 0; i < n; i++) {
		t->row[i] = rows[i];
		t->item[i] = pairs->item[rows[i]];
		t->length[i] = ist_dictionary_tokens(dictionary, pairs->text[rows[i]], words,
						     &arena, t->token + i * t->pitch);
	}
}

void ist_gxn_texts_finish(struct ist_gxn_texts *t)
{
	free(t->row);
	free(t->item);
	free(t->token);
	free(t->length);
	*t = (struct ist_gxn_texts){0};
}

/* ---- references ---- */

struct place {
	int64_t item;
	size_t at;
};

static int by_item(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	if (x->item != y->item)
		return x->item < y->item ? -1 : 1;
	return x->at < y->at ? -1 : x->at > y->at;
}

/* Positions of texts that have a word, those of one item side by side. */
static struct place *order_of(const struct ist_gxn_texts *t, size_t *ret_n)
{
	struct place *order = ist_alloc(t->n + 1, sizeof(*order));
	size_t n = 0;

	for (size_t i = 0; i < t->n; i++)
		if (t->length[i] > 0)
			order[n++] = (struct place){t->item[i], i};
	qsort(order, n, sizeof(*order), by_item);
	*ret_n = n;
	return order;
}

struct ist_cider *ist_gxn_cider(const struct ist_gxn_texts *t, bool with_end)
{
	size_t n;
	ist_autofree struct place *order = order_of(t, &n);
	ist_autofree const int32_t **token = ist_alloc(n + 1, sizeof(*token));
	ist_autofree size_t *length = ist_alloc(n + 1, sizeof(*length));
	ist_autofree int64_t *document = ist_alloc(n + 1, sizeof(*document));

	for (size_t i = 0; i < n; i++) {
		token[i] = t->token + order[i].at * t->pitch;
		length[i] = t->length[order[i].at] + with_end;
		document[i] = order[i].item;
	}
	return ist_cider_create(token, length, document, n);
}

void ist_gxn_references_init(struct ist_gxn_references *r, const struct ist_cider *cider,
			     const struct ist_gxn_texts *t, bool with_end, struct ist_arena *arena)
{
	size_t n;
	ist_autofree struct place *order = order_of(t, &n);

	r->text = ist_arena_alloc(arena, n + 1, sizeof(*r->text));
	r->of = ist_arena_alloc(arena, t->n + 1, sizeof(*r->of));
	for (size_t first = 0, end; first < n; first = end) {
		for (end = first; end < n && order[end].item == order[first].item; end++) {
			size_t at = order[end].at;

			r->text[end] = ist_cider_text(cider, t->token + at * t->pitch,
						      t->length[at] + with_end, arena);
		}
		for (size_t i = first; i < end; i++)
			r->of[order[i].at] = (struct ist_gxn_range){first, end - first};
	}
}

double ist_gxn_reward(const struct ist_cider *cider, const struct ist_gxn_references *r,
		      size_t text, const int32_t *token, size_t n, struct ist_arena *scratch)
{
	struct ist_cider_text candidate = ist_cider_text(cider, token, n, scratch);

	return ist_cider_score(&candidate, r->text + r->of[text].first, r->of[text].n);
}

/* ---- validation ---- */

struct ist_gxn_judge {
	struct ist_arena arena, scratch;
	struct ist_cider *cider;
	struct ist_gxn_texts texts; /* of the validation part */
	struct ist_gxn_references references;
	size_t *picture; /* (n_pictures) texts whose pictures are looked at */
	size_t n_pictures, most_words;
	struct ist_graph *graph;
	struct ist_norms norms;
	ist_node *x, *seen;
	struct ist_gxn_decoder decoder;
	int32_t *said, *token; /* (ROWS), (ROWS, most_words + 1) */
	size_t *length;	       /* (ROWS) words */
};

/* One text of every picture that has texts with words; at most PICTURES of them. */
static void pick_pictures(struct ist_gxn_judge *judge)
{
	size_t n, pictures = 0;
	ist_autofree struct place *order = order_of(&judge->texts, &n);
	ist_autofree size_t *all = ist_alloc(n + 1, sizeof(*all));

	for (size_t i = 0; i < n; i++)
		if (i == 0 || order[i].item != order[i - 1].item)
			all[pictures++] = order[i].at;
	judge->n_pictures = IST_MIN(pictures, (size_t)PICTURES);
	judge->picture = ist_arena_alloc(&judge->arena, judge->n_pictures + 1, sizeof(*all));
	for (size_t i = 0; i < judge->n_pictures; i++)
		judge->picture[i] = all[i * pictures / judge->n_pictures];
}

static enum ist_code make_graph(struct ist_gxn_judge *judge, const struct ist_gxn_settings *s,
				struct ist_weights *theta, struct ist_err *err)
{
	judge->graph = ist_graph_create();
	judge->x = ist_input(judge->graph, "image", ROWS, s->n_in[IST_IMAGE]);
	judge->seen = ist_gxn_picture(&judge->norms, judge->graph, theta, s, judge->x, NULL);
	return ist_graph_compile(judge->graph, false, err);
}

enum ist_code ist_gxn_judge_create(const struct ist_gxn_settings *s, struct ist_weights *theta,
				   const struct ist_pairs *pairs,
				   const struct ist_dictionary *dictionary,
				   const struct ist_gxn_texts *trained, struct ist_gxn_judge **ret,
				   struct ist_err *err)
{
	struct ist_gxn_judge *judge = ist_alloc(1, sizeof(*judge));
	ist_autofree uint32_t *rows = ist_alloc(pairs->n + 1, sizeof(*rows));
	size_t n = 0;
	enum ist_code code;

	for (size_t i = 0; i < pairs->n; i++)
		if (pairs->part[i] == IST_VALIDATION)
			rows[n++] = (uint32_t)i;
	ist_gxn_texts_init(&judge->texts, pairs, rows, n, dictionary, s->caption_words);
	judge->cider = ist_gxn_cider(trained, false);
	ist_gxn_references_init(&judge->references, judge->cider, &judge->texts, false,
				&judge->arena);
	pick_pictures(judge);
	judge->most_words = s->caption_words;
	judge->said = ist_arena_alloc(&judge->arena, ROWS, sizeof(*judge->said));
	judge->length = ist_arena_alloc(&judge->arena, ROWS, sizeof(*judge->length));
	judge->token =
	    ist_arena_alloc(&judge->arena, ROWS * (s->caption_words + 1), sizeof(*judge->token));
	code = make_graph(judge, s, theta, err);
	if (code != IST_OK)
		ist_gxn_judge_destroy(judge);
	else
		*ret = judge;
	return code;
}

void ist_gxn_judge_start(struct ist_gxn_judge *judge, const struct ist_gxn_settings *s,
			 const struct ist_weights *theta)
{
	ist_gxn_decoder_init(&judge->decoder, theta, s, ROWS, &judge->arena);
}

void ist_gxn_judge_destroy(struct ist_gxn_judge *judge)
{
	if (judge == NULL)
		return;
	ist_graph_destroy(judge->graph);
	ist_cider_destroy(judge->cider);
	ist_gxn_texts_finish(&judge->texts);
	ist_arena_finish(&judge->arena);
	ist_arena_finish(&judge->scratch);
	free(judge);
}

/* The most probable word each time; rows that have ended read the end again. */
static void write_greedily(struct ist_gxn_judge *judge, size_t rows)
{
	size_t pitch = judge->most_words + 1, alive = rows;

	for (size_t i = 0; i < rows; i++) {
		judge->said[i] = -1;
		judge->length[i] = judge->most_words;
	}
	ist_gxn_decoder_start(&judge->decoder, rows);
	for (size_t t = 0; t < judge->most_words && alive > 0; t++) {
		ist_gxn_decoder_step(&judge->decoder, judge->said, rows);
		for (size_t i = 0; i < rows; i++) {
			if (judge->said[i] == IST_TOKEN_END)
				continue;
			judge->said[i] = ist_gxn_decoder_best(&judge->decoder, i, t == 0);
			judge->token[i * pitch + t] = judge->said[i];
			if (judge->said[i] == IST_TOKEN_END) {
				judge->length[i] = t;
				alive--;
			}
		}
	}
}

/* Rows that are fewer than the graph's are filled up with the first one. */
static double judge_pass(struct ist_gxn_judge *judge, const struct ist_network *network,
			 const struct ist_pairs *pairs, size_t first, size_t n, float *scratch)
{
	uint32_t rows[ROWS];
	double sum = 0;

	for (size_t i = 0; i < ROWS; i++)
		rows[i] = judge->texts.row[judge->picture[first + (i < n ? i : 0)]];
	ist_network_feed(network, pairs, IST_IMAGE, rows, judge->x, scratch);
	ist_graph_forward(judge->graph);
	memcpy(judge->decoder.picture, judge->seen->value,
	       judge->seen->size * sizeof(*judge->seen->value));
	write_greedily(judge, n);
	ist_arena_reset(&judge->scratch);
	for (size_t i = 0; i < n; i++)
		sum += ist_gxn_reward(judge->cider, &judge->references, judge->picture[first + i],
				      judge->token + i * (judge->most_words + 1), judge->length[i],
				      &judge->scratch);
	return sum;
}

double ist_gxn_judge_score(struct ist_gxn_judge *judge, const struct ist_network *network,
			   const struct ist_pairs *pairs)
{
	ist_autofree float *scratch = ist_alloc(pairs->dim[IST_IMAGE], sizeof(*scratch));
	double sum = 0;

	for (size_t first = 0; first < judge->n_pictures; first += ROWS)
		sum += judge_pass(judge, network, pairs, first,
				  IST_MIN((size_t)ROWS, judge->n_pictures - first), scratch);
	return judge->n_pictures > 0 ? sum / (double)judge->n_pictures : NAN;
}
