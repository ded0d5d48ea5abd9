/*
 * The operators, as formulas use them: nodes in, a node out, so that they nest like the equations
 * of a paper: ist_tanh(ist_linear(x, w, b)). Shapes: N rows (a batch), I and O widths.
 */
#ifndef IST_CORE_TENSOR_OPS_H
#define IST_CORE_TENSOR_OPS_H

#include "core/tensor/graph.h"

/* Products: x (N, I), w (O, I), b (O) -> x w' + b (N, O); a (N, I), b (I, O) -> a b (N, O). */
ist_node *ist_linear(ist_node *x, ist_node *w, ist_node *b);
ist_node *ist_matmul(ist_node *a, ist_node *b);

/* Activations, element by element. */
ist_node *ist_tanh(ist_node *x);
ist_node *ist_relu(ist_node *x);
ist_node *ist_lrelu(ist_node *x, double slope); /* slope below 0; > 0 */
ist_node *ist_sigmoid(ist_node *x);
ist_node *ist_abs(ist_node *x); /* gradient 0 at 0 */

/* Elementwise and rearranging. */
ist_node *ist_add(ist_node *a, ist_node *b);	 /* same shapes */
ist_node *ist_mul(ist_node *a, ist_node *b);	 /* same shapes, number by number */
ist_node *ist_times(ist_node *x, ist_node *s);	 /* by a learned number: s of size 1 */
ist_node *ist_scale(ist_node *x, double factor); /* factor 0: no gradient passes either */
ist_node *ist_transpose(ist_node *x);		 /* (N, M) -> (M, N) */

/* Rows. */
ist_node *ist_softmax(ist_node *x);
ist_node *ist_unit(ist_node *x); /* each row over its length; a row of zeros stays */

/* Each row to mean 0 and variance 1 (+ 1e-5), then times gamma (cols) plus beta (cols). */
ist_node *ist_layer_norm(ist_node *x, ist_node *gamma, ist_node *beta);

/* Batch normalisation of x (N, C) or (N, C, H, W), gamma and beta (C): each channel to mean 0 and
 * variance 1 (+ 1e-5) over the batch, then times gamma plus beta. */
ist_node *ist_batch_norm(ist_node *x, ist_node *gamma, ist_node *beta);
/* The same with statistics that are given, for a trained network. */
ist_node *ist_batch_norm_fixed(ist_node *x, ist_node *gamma, ist_node *beta, ist_node *mean,
			       ist_node *variance);
/* After a forward pass of an ist_batch_norm: running statistics, by momentum (such as .1), towards
 * the batch's. They belong to no optimiser: nothing gives them a gradient. */
void ist_batch_norm_track(const ist_node *y, struct ist_weight *mean, struct ist_weight *variance,
			  double momentum);

/* Columns side by side: (N, A), (N, B) -> (N, A + B). */
ist_node *ist_concat(ist_node *a, ist_node *b);
/* Convolution of maps x (N, C, H, W) with w (O, C, K, L) and b (O): (N, O, H', W'), H' = (H + 2 pad
 * - K) / stride + 1; and its transpose with w (C, O, K, L), H' = (H - 1) stride - 2 pad + K. */
ist_node *ist_conv2d(ist_node *x, ist_node *w, ist_node *b, size_t stride, size_t pad);
ist_node *ist_conv_transpose2d(ist_node *x, ist_node *w, ist_node *b, size_t stride, size_t pad);

/* A vector a picture, t (N, D), set at every place of x (N, C, H, W): (N, C + D, H, W). */
ist_node *ist_spread(ist_node *x, ist_node *t);
/* L places of each picture, ids (N L) in 0 .. H W - 1, as rows: (N L, C). */
ist_node *ist_places(ist_node *x, ist_node *ids);

/* Texts: codes (N, T), a positive one a word, end at the first that is not above 0. Words' vectors,
 * from a table (V + 1, E) by a vocabulary (V, ascending; the table's last row is for the words that
 * it does not hold): (T N, E), moment by moment. A long short-term memory over x (T N, 4 H), the
 * gates i, f, g, o but for u (4 H, H) times the state: the state after the last word, (N, H). */
ist_node *ist_words(ist_node *codes, ist_node *vocabulary, ist_node *table);
ist_node *ist_lstm(ist_node *x, ist_node *u, ist_node *codes);
/* Gated recurrent units over x (T N, 3 H), the gates r, z, n but for u (3 H, H) times the state:
 * all states (T N, H), 0 behind a text's end; in reverse from each text's last word to its first.
 */
ist_node *ist_gru(ist_node *x, ist_node *u, ist_node *codes, bool reverse);
/* Of such states: the one after the last word, and the sum of all of a text's, (N, H). */
ist_node *ist_last_state(ist_node *states, ist_node *codes);
ist_node *ist_sum_over_time(ist_node *states, ist_node *codes);

/* Rows of a table (V, E) by ids (M): (M, E), zeros for an id below 0. And x (N, E), `times` times
 * one below the other: (times N, E), what a sequence reads again at every moment. */
ist_node *ist_lookup(ist_node *table, ist_node *ids);
ist_node *ist_repeat(ist_node *x, size_t times);

/* Normal distributions by mean and logarithm of the variance, all (N, d): mu + e^(log_variance / 2)
 * eps; and the divergence from the standard one, mean over all numbers: -1/2 (1 + log_variance -
 * mu^2 - e^log_variance). */
ist_node *ist_gaussian_sample(ist_node *mu, ist_node *log_variance, ist_node *eps);
ist_node *ist_kl_normal(ist_node *mu, ist_node *log_variance);

/* Rearranging: the same numbers under another shape of as many. */
ist_node *ist_reshape(ist_node *x, int n_dims, const size_t *dim);

/* Gradients' traffic: reversal forwards x and passes back -l times the gradient, l an input of one
 * number; detach passes none. */
ist_node *ist_grl(ist_node *x, ist_node *l);
ist_node *ist_detach(ist_node *x);

/* a (N, d), b (M, d) -> (N, M) of sqrt(|a_i - b_j|^2 + 1e-12), by direct differences. */
ist_node *ist_distance(ist_node *a, ist_node *b);
ist_node *ist_distance2(ist_node *a, ist_node *b); /* |a_i - b_j|^2 */
/* t (N, d), v (M, d) -> (N, M) of sum_k max(0, t_ik - v_jk)^2: how far v is from holding t. */
ist_node *ist_order(ist_node *t, ist_node *v);

/* Losses: one number. */
/* -log softmax(x)[id], mean over the rows; ids below 0 are left out. */
ist_node *ist_cross_entropy(ist_node *x, ist_node *ids);
/* The same summed with a weight for each row, w (N, 1), which gets no gradient: words of texts, or
 * of sampled ones times what they earned. */
ist_node *ist_weighted_cross_entropy(ist_node *x, ist_node *ids, ist_node *w);
/* Of distances d (N, N) between anchors (rows) and items (columns) of the same ids: mean over
 * anchors of (mean of d over positives + lambda * mean of max(0, mu - d) over negatives).
 * Positives: equal ids, or with `own_pair` the diagonal alone; negatives: other ids. */
ist_node *ist_contrastive(ist_node *d, ist_node *ids, double lambda, double mu, bool own_pair);
/* Mutual information by a critic's scores u (N, N L): row i is item i's global vector, column
 * j L + l item j's location l. jsd: mean over others of softplus(u) + mean over own of softplus(-u)
 * - 2 log 2, which is 0 at u = 0 and negative when something is learned. info_nce: mean over
 * (i, l) of -u_il + log(e^u_il + sum over others' e^u). */
ist_node *ist_jsd(ist_node *u);
ist_node *ist_info_nce(ist_node *u);
/* q, t (N, d) stacked to 2 N vectors, each other's counterparts; negatives: ids (2 N k), of the
 * stack, k for each vector, below 0 for none. Mean of log(1 + e^(d_ap - d_an)), d squared. */
ist_node *ist_soft_triplet(ist_node *q, ist_node *t, ist_node *negatives);
/* -log sigmoid(x) for target 1, -log(1 - sigmoid(x)) for 0, mean over all elements. */
ist_node *ist_bce(ist_node *x, double target);
/* Mean over rows of |a_i - b_i|^2. */
ist_node *ist_squared_error(ist_node *a, ist_node *b);
/* Of distances d (N, M) at listed columns, pos (N) and neg (N k, -1: none), mean over rows:
 * log(1 + sum_c e^((d_pos - d_neg,c) / tau)), or d_pos + lambda mean_c max(0, mu - d_neg,c). */
ist_node *ist_tuplet(ist_node *d, ist_node *pos, ist_node *neg, double tau);
ist_node *ist_tuplet_hinge(ist_node *d, ist_node *pos, ist_node *neg, double lambda, double mu);
/* Of scores s (N, N), greater is nearer, own pairs on the diagonal: sum over i and all j of other
 * ids of [margin - s_ii + s_ij]+ + [margin - s_ii + s_ji]+; with `hardest` the greatest term of
 * each row and of each column alone. */
ist_node *ist_ranking(ist_node *s, ist_node *ids, double margin, bool hardest);
/* |w|_F, the root of the sum of squares. */
ist_node *ist_frobenius(ist_node *w);

/* Every operator's row; ends with NULL. */
extern const struct ist_op *const ist_ops[];
/* The rows, each in its family's file. */
extern const struct ist_op ist_op_linear, ist_op_matmul, ist_op_tanh, ist_op_relu, ist_op_add,
    ist_op_scale, ist_op_transpose, ist_op_softmax, ist_op_unit, ist_op_grl, ist_op_detach,
    ist_op_words, ist_op_lstm, ist_op_spread, ist_op_places, ist_op_conv2d, ist_op_conv_transpose2d,
    ist_op_batch_norm, ist_op_batch_norm_fixed, ist_op_reshape, ist_op_sigmoid, ist_op_mul,
    ist_op_times, ist_op_layer_norm, ist_op_jsd, ist_op_info_nce, ist_op_soft_triplet,
    ist_op_distance, ist_op_cross_entropy, ist_op_contrastive, ist_op_frobenius, ist_op_lrelu,
    ist_op_concat, ist_op_distance2, ist_op_bce, ist_op_squared_error, ist_op_tuplet,
    ist_op_tuplet_hinge, ist_op_lookup, ist_op_repeat, ist_op_weighted_cross_entropy,
    ist_op_gaussian_sample, ist_op_kl_normal, ist_op_abs, ist_op_order, ist_op_ranking, ist_op_gru,
    ist_op_last_state, ist_op_sum_over_time;

#endif
