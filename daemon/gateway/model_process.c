/*
 * See model_parts.h. The processes by name, and what is remembered of each: its starts and exits, as marks for the curves and as counts.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "curves.h"
#include "model_parts.h"

size_t model_place(const struct model *m, const char *namespec, bool *ret_found)
{
	size_t from = 0, to = m->n;

	*ret_found = false;
	while (from < to) {
		size_t middle = from + (to - from) / 2;
		int r = strcmp(m->list[middle]->namespec, namespec);

		if (r == 0) {
			*ret_found = true;
			return middle;
		}
		if (r < 0)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

const struct model_process *model_process(const struct model *m, size_t i)
{
	return i < m->n ? m->list[i] : NULL;
}

const struct model_process *model_find(const struct model *m, const char *namespec)
{
	bool found;
	size_t i = model_place(m, namespec, &found);

	return found ? m->list[i] : NULL;
}

void model_process_free(struct model_process *p)
{
	if (p->asking_pool)
		backend_cancel(p->asking_pool);
	json_decref(p->pool);
	json_decref(p->about);
	json_decref(p->marks);
	json_decref(p->exits);
	json_decref(p->transitions);
	free(p->namespec);
	free(p);
}

struct model_process *model_process_add(struct model *m, const char *namespec, size_t place)
{
	struct model_process *p = calloc(1, sizeof *p);

	if (p && m->n == m->size) {
		size_t size = m->size ? 2 * m->size : 64;
		struct model_process **grown = realloc(m->list, size * sizeof *grown);

		if (grown) {
			m->list = grown;
			m->size = size;
		}
	}
	if (!p || m->n == m->size || !(p->namespec = strdup(namespec))) {
		free(p);
		return NULL;
	}
	p->model = m;
	p->samples = curves_find(m->curves, namespec);
	p->marks = json_array();
	p->exits = json_object();
	memmove(m->list + place + 1, m->list + place, (m->n - place) * sizeof *m->list);
	m->list[place] = p;
	m->n++;
	return p;
}

void model_process_remove(struct model *m, size_t place)
{
	struct model_process *p = m->list[place];
	json_t *j = json_pack("{s:s}", "namespec", p->namespec);

	memmove(m->list + place, m->list + place + 1, (m->n - place - 1) * sizeof *m->list);
	m->n--;
	curves_remove(m->curves, p->namespec);
	model_process_free(p);
	model_tell(m, "removed", j);
	json_decref(j);
}

/* ---- starts and exits ---- */

static void count_exit(struct model_process *p, int exitcode)
{
	char key[16];
	const char *name = exitcode < 0 ? sigabbrev_np(-exitcode) : NULL;
	json_t *before;

	if (name)
		(void)snprintf(key, sizeof key, "SIG%s", name);
	else
		(void)snprintf(key, sizeof key, "%d", exitcode);
	before = json_object_get(p->exits, key);
	(void)json_object_set_new(p->exits, key, json_integer(json_integer_value(before) + 1));
}

static void add_mark(struct model_process *p, json_t *mark)
{
	(void)json_array_append_new(p->marks, mark);
	if (json_array_size(p->marks) > MODEL_MARKS)
		(void)json_array_remove(p->marks, 0);
}

static void count(uint8_t *n)
{
	*n += *n < UINT8_MAX;
}

static void note_transition(const struct model *m, struct model_process *p, const json_t *t)
{
	const json_t *cause = json_object_get(t, "cause"), *exitcode = json_object_get(cause, "exitcode");
	const char *to = text_of(t, "to"), *kind = text_of(cause, "kind");
	double time = json_number_value(json_object_get(t, "time"));
	json_int_t run = json_integer_value(json_object_get(t, "run"));
	bool is_exit = strcmp(kind, "exit") == 0, asked = strcmp(text_of(t, "from"), "STOPPING") == 0;
	bool fine = asked || (strcmp(to, "EXITED") == 0 && json_integer_value(exitcode) == 0);
	bool counts = time >= json_number_value(json_object_get(m->daemon, "gateway_start")), lately = time > m->counted;

	if (is_exit || strcmp(kind, "exec") == 0) {
		add_mark(p, json_pack("{s:f, s:s, s:I, s:s, s:O?, s:s, s:b}", "t", time, "kind", "exit", "run", run, "text",
				      text_of(cause, "text"), "exitcode", exitcode, "to", to, "asked", (int)asked));
		if (is_exit && counts)
			count_exit(p, (int)json_integer_value(exitcode));
		if (lately)
			count(fine ? &p->stops : &p->crashes);
	} else if (strcmp(to, "STARTING") == 0) {
		add_mark(p, json_pack("{s:f, s:s, s:I, s:s}", "t", time, "kind", "start", "run", run, "text", text_of(cause, "text")));
		if (lately)
			count(&p->starts);
	}
}

/* NEW slides over the transitions that are known: its first ones are their last ones. Returns how many those are. */
static size_t overlap(const json_t *known, const json_t *new)
{
	size_t n = json_array_size(known), count = json_array_size(new);

	for (size_t common = n < count ? n : count; common > 0; common--) {
		size_t i = 0;

		while (i < common && json_equal(json_array_get(known, n - common + i), json_array_get(new, i)))
			i++;
		if (i == common)
			return common;
	}
	return 0;
}

void model_process_transitions(const struct model *m, struct model_process *p, json_t *transitions)
{
	for (size_t i = overlap(p->transitions, transitions); i < json_array_size(transitions); i++)
		note_transition(m, p, json_array_get(transitions, i));
	json_decref(p->transitions);
	p->transitions = json_incref(transitions);
}
