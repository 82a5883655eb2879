/* See task.h. */
#include "task.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

struct task *task_new(const char *words, size_t length, bool bare, const char *key)
{
	size_t key_size = key ? strlen(key) + 1 : 0;
	struct task *task;

	if (length > UINT32_MAX)
		return NULL;
	task = malloc(sizeof *task + length + key_size);
	if (!task)
		return NULL;
	memset(task, 0, sizeof *task);
	task->bare = bare;
	task->length = (uint32_t)length;
	if (length)
		memcpy(task->words, words, length);
	if (key)
		memcpy(task->words + length, key, key_size);
	task->unique = key != NULL;
	return task;
}

void task_free(struct task *task)
{
	if (!task)
		return;
	free(task->result);
	free(task);
}

struct result *result_copy(const struct result *from)
{
	size_t why = from->why ? strlen(from->why) + 1 : 0;
	struct result *copy = malloc(sizeof *copy + from->out_length + from->err_length + why);
	char *at;

	if (!copy)
		return NULL;
	*copy = *from;
	at = (char *)(copy + 1);
	if (from->out_length)
		memcpy(at, from->out, from->out_length);
	copy->out = at;
	at += from->out_length;
	if (from->err_length)
		memcpy(at, from->err, from->err_length);
	copy->err = at;
	at += from->err_length;
	if (why)
		copy->why = memcpy(at, from->why, why);
	return copy;
}

int task_keep_result(struct task *task, const struct result *result)
{
	struct result *copy = result_copy(result);

	free(task->result);
	task->result = copy;
	return copy ? 0 : -ENOMEM;
}

size_t task_words(const struct task *task)
{
	size_t n = 1;

	if (task->bare)
		return 0;
	for (size_t i = 0; i < task->length; i++)
		n += task->words[i] == '\0';
	return n;
}

char **task_split(const struct task *task, size_t *ret_n)
{
	size_t n = task_words(task);
	char **words = malloc((n + 1) * sizeof *words + task->length + 1);
	char *at;

	if (!words)
		return NULL;
	at = (char *)(words + n + 1);
	memcpy(at, task->words, task->length);
	at[task->length] = '\0';
	for (size_t i = 0; i < n; i++) {
		words[i] = at;
		at += strlen(at) + 1;
	}
	words[n] = NULL;
	*ret_n = n;
	return words;
}

/* ---- table ---- */

/* Ids are consecutive or time-like: mixing spreads both. */
static size_t slot_of(const struct task_table *table, uint64_t id)
{
	id ^= id >> 32;
	id *= 0x9e3779b97f4a7c15ULL;
	return (size_t)(id >> 24) & (table->size - 1);
}

static int table_grow(struct task_table *table)
{
	struct task_table wider = { .size = table->size ? table->size * 2 : 256, .n = table->n };

	wider.bucket = calloc(wider.size, sizeof(struct task *));
	if (!wider.bucket)
		return -ENOMEM;
	for (size_t i = 0; i < table->size; i++) {
		struct task *task, *next;

		for (task = table->bucket[i]; task; task = next) {
			struct task **head = &wider.bucket[slot_of(&wider, task->id)];

			next = task->hash_next;
			task->hash_next = *head;
			*head = task;
		}
	}
	free(table->bucket);
	*table = wider;
	return 0;
}

int task_table_add(struct task_table *table, struct task *task)
{
	struct task **head;

	/* A table that cannot grow is slower, not wrong. */
	if (table->n >= table->size && table_grow(table) < 0 && !table->size)
		return -ENOMEM;
	head = &table->bucket[slot_of(table, task->id)];
	task->hash_next = *head;
	*head = task;
	table->n++;
	return 0;
}

struct task *task_table_find(const struct task_table *table, uint64_t id)
{
	struct task *task = table->size ? table->bucket[slot_of(table, id)] : NULL;

	while (task && task->id != id)
		task = task->hash_next;
	return task;
}

void task_table_remove(struct task_table *table, struct task *task)
{
	struct task **at;

	if (!table->size)
		return;
	for (at = &table->bucket[slot_of(table, task->id)]; *at; at = &(*at)->hash_next)
		if (*at == task) {
			*at = task->hash_next;
			task->hash_next = NULL;
			table->n--;
			return;
		}
}

void task_table_free(struct task_table *table)
{
	free(table->bucket);
	*table = (struct task_table){ 0 };
}

/* ---- ready ---- */

static struct ready_level *level_of(struct ready *ready, int priority)
{
	size_t i = 0;
	struct ready_level *levels;

	while (i < ready->n_levels && ready->levels[i].priority > priority)
		i++;
	if (i < ready->n_levels && ready->levels[i].priority == priority)
		return &ready->levels[i];
	/* List heads are pointed to by their elements, so the array cannot simply be moved: rebuild each list. */
	levels = malloc((ready->n_levels + 1) * sizeof *levels);
	if (!levels)
		return NULL;
	for (size_t old = 0, new = 0; new <= ready->n_levels; new++) {
		TAILQ_INIT(&levels[new].tasks);
		levels[new].priority = new == i ? priority : ready->levels[old].priority;
		levels[new].n = new == i ? 0 : ready->levels[old].n;
		if (new != i) {
			TAILQ_CONCAT(&levels[new].tasks, &ready->levels[old].tasks, link);
			old++;
		}
	}
	free(ready->levels);
	ready->levels = levels;
	ready->n_levels++;
	return &ready->levels[i];
}

int ready_init(struct ready *ready)
{
	return level_of(ready, 0) ? 0 : -ENOMEM;
}

int ready_push(struct ready *ready, struct task *task)
{
	struct ready_level *level = level_of(ready, task->priority);

	if (!level)
		return -ENOMEM;
	TAILQ_INSERT_TAIL(&level->tasks, task, link);
	level->n++;
	ready->n++;
	return 0;
}

int ready_push_front(struct ready *ready, struct task *task)
{
	struct ready_level *level = level_of(ready, task->priority);

	if (!level)
		return -ENOMEM;
	TAILQ_INSERT_HEAD(&level->tasks, task, link);
	level->n++;
	ready->n++;
	return 0;
}

struct task *ready_first(const struct ready *ready)
{
	for (size_t i = 0; i < ready->n_levels; i++)
		if (!TAILQ_EMPTY(&ready->levels[i].tasks))
			return TAILQ_FIRST(&ready->levels[i].tasks);
	return NULL;
}

void ready_remove(struct ready *ready, struct task *task)
{
	struct ready_level *level = level_of(ready, task->priority);

	if (!level)
		return;
	TAILQ_REMOVE(&level->tasks, task, link);
	level->n--;
	ready->n--;
}

size_t ready_at_least(const struct ready *ready, int priority)
{
	size_t n = 0;

	for (size_t i = 0; i < ready->n_levels && ready->levels[i].priority >= priority; i++)
		n += ready->levels[i].n;
	return n;
}

void ready_free(struct ready *ready)
{
	free(ready->levels);
	*ready = (struct ready){ 0 };
}
