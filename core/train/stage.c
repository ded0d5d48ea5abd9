/* Hooks of a stage are the outer hooks behind a scale; see stage.h. */
#include "core/train/stage.h"

#include "core/base/memory.h"
#include "core/methods/linalg.h"

static void progress(void *user, double fraction, const char *name)
{
	const struct ist_stage *stage = user;

	if (stage->outer->progress != NULL)
		stage->outer->progress(stage->outer->user,
				       stage->from + (stage->to - stage->from) * fraction, name);
}

static void curve(void *user, const char *name, double step, double value)
{
	const struct ist_stage *stage = user;
	ist_autofree char *full = NULL;

	if (stage->outer->curve == NULL)
		return;
	if (stage->prefix != NULL)
		full = ist_format("%s%s", stage->prefix, name);
	stage->outer->curve(stage->outer->user, full != NULL ? full : name, step, value);
}

static bool stop(void *user)
{
	const struct ist_stage *stage = user;

	return ist_stopped(stage->outer);
}

struct ist_train_hooks ist_stage_hooks(struct ist_stage *stage, const struct ist_train_hooks *outer,
				       double from, double to)
{
	static const struct ist_train_hooks none;

	*stage = (struct ist_stage){outer != NULL ? outer : &none, from, to, NULL};
	return (struct ist_train_hooks){
	    .user = stage, .progress = progress, .curve = curve, .stop = stop};
}

struct ist_train_hooks ist_stage_begin(struct ist_stage *stage, const struct ist_train_hooks *outer,
				       double from, double to, const char *name)
{
	struct ist_train_hooks hooks = ist_stage_hooks(stage, outer, from, to);

	progress(stage, 0, name);
	return hooks;
}
