/* Every method's row, for methods.c; the rows are defined each in its own file. */
#ifndef IST_CORE_METHODS_ROWS_H
#define IST_CORE_METHODS_ROWS_H

#include "core/methods/method.h"

extern const struct ist_method ist_method_identity; /* identity.c */
extern const struct ist_method ist_method_linear;   /* linear.c */
extern const struct ist_method ist_method_logistic; /* logistic.c */
extern const struct ist_method ist_method_acmr;	    /* acmr.c */
extern const struct ist_method ist_method_cmgan;    /* cmgan.c */
extern const struct ist_method ist_method_corrae;   /* corrae.c */
extern const struct ist_method ist_method_mnsgan;   /* mnsgan.c */
extern const struct ist_method ist_method_dmim;	    /* dmim.c */
extern const struct ist_method ist_method_gxn;	    /* gxn.c */

#endif
