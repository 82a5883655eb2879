/* See redis_text.h. */
#include "redis_text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEQUENCE_BITS = 20 /* of an entry's id ms-seq in a task's id */ };

/* ---- ids ---- */

uint64_t redis_task_id(const char *text)
{
	unsigned long long ms = 0, sequence = 0;

	if (sscanf(text, "%llu-%llu", &ms, &sequence) != 2)
		return 0;
	return ms << SEQUENCE_BITS | (sequence & ((1U << SEQUENCE_BITS) - 1));
}

char *redis_entry_id(uint64_t id, char *buffer)
{
	(void)snprintf(buffer, 48, "%llu-%llu", (unsigned long long)(id >> SEQUENCE_BITS),
		       (unsigned long long)(id & ((1U << SEQUENCE_BITS) - 1)));
	return buffer;
}

/* ---- who submitted a task: "FROM\nJOB\nKEY" ---- */

struct redis_origin redis_origin_read(const char *text)
{
	struct redis_origin o = { .key = "" };
	const char *line = text ? strchr(text, '\n') : NULL;

	if (!line)
		return o;
	(void)snprintf(o.from, sizeof o.from, "%.*s", (int)(line - text), text);
	o.job = line[1] == '1';
	line = strchr(line + 1, '\n');
	o.key = line ? line + 1 : "";
	return o;
}

/* ---- results as text: one line of numbers, then the bytes ---- */

char *redis_pack(const struct task *t, const struct result *r, size_t *ret_size)
{
	size_t why = r->why ? strlen(r->why) : 0, n;
	char *text = malloc(400 + r->out_length + r->err_length + why + t->length);

	if (!text)
		return NULL;
	n = (size_t)sprintf(text, "1 %d %d %u %u %d %.6f %.6f %.6f %.6f %u %d %zu %zu %zu %u %d %d %u %.6f\n", (int)r->state, r->exit,
			    r->attempts, r->slot, r->pid, r->started, r->ended, (double)r->user_time, (double)r->system_time,
			    r->max_rss, (r->truncated_out ? 1 : 0) | (r->truncated_err ? 2 : 0), r->out_length, r->err_length, why,
			    t->length, t->bare, t->priority, t->retries, t->submitted);
	memcpy(text + n, r->out_length ? r->out : "", r->out_length);
	n += r->out_length;
	memcpy(text + n, r->err_length ? r->err : "", r->err_length);
	n += r->err_length;
	memcpy(text + n, why ? r->why : "", why);
	n += why;
	memcpy(text + n, t->words, t->length);
	*ret_size = n + t->length;
	return text;
}

struct task *redis_unpack(const char *text, size_t size)
{
	const char *line = memchr(text, '\n', size);
	struct result r = { 0 };
	unsigned state, flags, length, retries, rss;
	int bare, priority;
	double user, system, submitted;
	size_t why, rest;
	char *sentence;
	struct task *t;

	if (!line || sscanf(text, "1 %u %d %u %u %d %lf %lf %lf %lf %u %u %zu %zu %zu %u %d %d %u %lf", &state, &r.exit, &r.attempts,
			    &r.slot, &r.pid, &r.started, &r.ended, &user, &system, &rss, &flags, &r.out_length, &r.err_length, &why,
			    &length, &bare, &priority, &retries, &submitted) != 19)
		return NULL;
	rest = size - (size_t)(line + 1 - text);
	if (state < TASK_DONE || state >= TASK_N_STATES || r.out_length > rest || r.err_length > rest - r.out_length ||
	    why > rest - r.out_length - r.err_length || length > rest - r.out_length - r.err_length - why)
		return NULL;
	r.state = (enum task_state)state;
	r.user_time = (float)user;
	r.system_time = (float)system;
	r.max_rss = rss;
	r.truncated_out = flags & 1;
	r.truncated_err = flags & 2;
	r.out = line + 1;
	r.err = r.out + r.out_length;
	sentence = why ? strndup(r.err + r.err_length, why) : NULL;
	r.why = sentence;
	t = task_new(r.err + r.err_length + why, length, bare != 0, NULL);
	if (t && task_keep_result(t, &r) == 0) {
		t->state = (uint8_t)state;
		t->priority = (int16_t)priority;
		t->retries = (uint16_t)retries;
		t->attempts = (uint16_t)r.attempts;
		t->submitted = submitted;
	}
	free(sentence);
	return t;
}

/* ---- places ---- */

/* VALUE of NAME= in the part behind "?", malloc'd; DEFAULT (may be NULL) where there is none. */
static char *url_option(const char *url, const char *name, const char *initial)
{
	const char *at = strchr(url, '?');
	size_t n = strlen(name);

	while (at && *++at) {
		size_t length = strcspn(at, "&");

		if (length > n && strncmp(at, name, n) == 0 && at[n] == '=')
			return strndup(at + n + 1, length - n - 1);
		at = at[length] ? at + length : NULL;
	}
	return initial ? strdup(initial) : NULL;
}

static int parse_network(struct redis_place *p, const char *rest, struct error *err)
{
	size_t length = strcspn(rest, "?/");
	_cleanup_(freep) char *authority = strndup(rest, length);
	char *at = authority ? strrchr(authority, '@') : NULL, *colon, *host = authority;

	if (!authority)
		return error_set(err, ENOMEM, "out of memory");
	if (at) {
		*at = '\0';
		host = at + 1;
		colon = strchr(authority, ':');
		p->password = strdup(colon ? colon + 1 : authority);
		p->user = colon ? strndup(authority, (size_t)(colon - authority)) : strdup("");
	}
	colon = strrchr(host, ':');
	p->port = colon ? atoi(colon + 1) : 6379;
	p->host = colon ? strndup(host, (size_t)(colon - host)) : strdup(host);
	if (rest[length] == '/')
		p->database = atoi(rest + length + 1);
	if (p->port < 1 || p->port > 65535 || !p->host || !*p->host)
		return error_set(err, EINVAL, "queue redis://%s: write redis://HOST:PORT/DB?stream=NAME", rest);
	return 0;
}

static int parse_url(struct redis_place *p, const char *url, const char *stream, struct error *err)
{
	_cleanup_(freep) char *takeover = url_option(url, "takeover", "15");
	_cleanup_(freep) char *poison = url_option(url, "poison", "5");
	_cleanup_(freep) char *database = url_option(url, "db", "0");

	p->stream = url_option(url, "stream", stream);
	if (!takeover || !poison || !database || !p->stream)
		return error_set(err, ENOMEM, "out of memory");
	p->takeover = atof(takeover);
	p->poison = atoll(poison);
	p->database = atoi(database);
	if (!(p->takeover >= 0.1 && p->takeover <= 86400) || p->poison < 1)
		return error_set(err, EINVAL, "queue %s: takeover must be seconds from 0.1 to 86400, poison at least 1", url);
	if (strncmp(url, "unix:", 5) == 0) {
		p->path = strndup(url + 5, strcspn(url + 5, "?"));
		return p->path ? 0 : error_set(err, ENOMEM, "out of memory");
	}
	return parse_network(p, url + strlen("redis://"), err);
}

int redis_place_read(const char *url, const char *stream, struct redis_place *ret, struct error *err)
{
	struct redis_place p = { 0 };
	int r = parse_url(&p, url, stream, err);

	if (r < 0) {
		redis_place_free(&p);
		return r;
	}
	*ret = p;
	return 0;
}

void redis_place_free(struct redis_place *p)
{
	free(p->host);
	free(p->path);
	free(p->user);
	free(p->password);
	free(p->stream);
	*p = (struct redis_place){ 0 };
}
