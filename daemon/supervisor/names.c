/* See names.h. */
#include "names.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "aside.h"

static const double fresh_for = 0.2;	/* seconds that an answer is as good as one of now: many starts at once ask once */
static const double nobody_for = 5;	/* seconds until a group that was not there is asked for again */

struct name {
	struct name *next;		/* supervisor::names */
	struct supervisor *s;
	char *question;			/* owned */
	char *answer;			/* owned; NULL: not known */
	double told;			/* when; 0: by a predecessor, or never */
	struct aside *asking;		/* or NULL */
	bool late;			/* and the log says so */
};

static struct name *find(const struct supervisor *s, const char *question)
{
	struct name *n = s->names;

	while (n && strcmp(n->question, question) != 0)
		n = n->next;
	return n;
}

/* NULL: out of memory. */
static struct name *name_of(struct supervisor *s, const char *kind, const char *what)
{
	_cleanup_(freep) char *question = NULL;
	struct name *n;

	if (asprintf(&question, "%s %s", kind, what) < 0) {
		question = NULL;
		return NULL;
	}
	n = find(s, question);
	if (n)
		return n;
	n = calloc(1, sizeof *n);
	if (!n)
		return NULL;
	*n = (struct name){ .next = s->names, .s = s, .question = TAKE(question) };
	s->names = n;
	return n;
}

static void learn(struct name *n, const char *answer, double when)
{
	char *copy = strdup(answer);

	if (!copy)
		return;
	free(n->answer);
	n->answer = copy;
	n->told = when;
}

/* ---- asking ---- */

static void work(void *data, int channel, int keep)
{
	const struct name *n = data;
	char *answer = answer_now(n->question);

	(void)keep;
	if (answer)
		aside_tell(channel, 0, answer, -1);
}

static void told(void *data, int number, const char *text, int fd)
{
	struct name *n = data;

	(void)number;
	closep(&fd);
	learn(n, text, clock_now());
	if (n->late)
		supervisor_log(n->s, LOGLEVEL_INFO, "the name service answers again (%s)", n->question);
	n->late = false;
}

static void ended(void *data, int error)
{
	(void)error;
	((struct name *)data)->asking = NULL;
}

/* WAIT: seconds that the answer is worth. */
static void ask(struct name *n, double wait)
{
	static const struct aside_job job = { .work = work, .told = told, .ended = ended,
					     .patience = 10 /* seconds for one answer */ };

	if (!n->asking)
		n->asking = aside_begin(n->s, &job, n, -1, NULL);
	if (!n->asking || wait <= 0 || aside_wait(n->asking, wait) || n->late)
		return;
	n->late = true;
	supervisor_log(n->s, LOGLEVEL_WARN, "the name service does not answer (%s); %s", n->question,
		       n->answer ? "going on with what it said before" : "nothing is known of it yet");
}

/* ---- answers ---- */

static bool parse_groups(const char *text, struct identity *ret)
{
	char *end;

	for (ret->n_groups = 0; *text && ret->n_groups < (int)ARRAY_LEN(ret->groups); text = end + (*end == ',')) {
		ret->groups[ret->n_groups++] = (gid_t)strtoul(text, &end, 10);
		if (end == text || (*end && *end != ','))
			return false;
	}
	return true;
}

/* "NAME:UID:GID:GID,GID,...:SHELL:HOME" */
static int parse_user(const char *answer, struct identity *ret)
{
	char groups[4096];
	unsigned uid, gid;

	groups[0] = ret->shell[0] = ret->home[0] = '\0';
	if (sscanf(answer, "%255[^:]:%u:%u:%4095[0-9,]:", ret->name, &uid, &gid, groups) < 3 || !parse_groups(groups, ret))
		return -EINVAL;
	for (int i = 0; answer && i < 4; i++) {
		answer = strchr(answer, ':');
		answer += answer != NULL;
	}
	if (!answer)
		return -EINVAL;
	(void)snprintf(ret->shell, sizeof ret->shell, "%.*s", (int)strcspn(answer, ":"), answer);
	answer = strchr(answer, ':');
	(void)snprintf(ret->home, sizeof ret->home, "%s", answer ? answer + 1 : "");
	ret->uid = uid;
	ret->gid = gid;
	return 0;
}

int names_user(struct supervisor *s, const char *user, struct identity *ret, struct error *err)
{
	struct name *n = name_of(s, "user", user);

	if (!n)
		return error_set(err, ENOMEM, "out of memory");
	if (!n->answer || n->told <= 0 || clock_now() - n->told > fresh_for)
		ask(n, ASIDE_MOMENT);
	if (!n->answer)
		return error_set(err, EAGAIN, "the name service does not say who %s is", user);
	if (parse_user(n->answer, ret) < 0)
		return error_set(err, ENOENT, "can't find user %s", user);
	return 0;
}

int names_known_user(const struct supervisor *s, const char *user, struct identity *ret)
{
	_cleanup_(freep) char *question = NULL;
	const struct name *n;

	if (asprintf(&question, "user %s", user) < 0) {
		question = NULL;
		return -ENOENT;
	}
	n = find(s, question);
	return n && n->answer && parse_user(n->answer, ret) == 0 ? 0 : -ENOENT;
}

gid_t names_group(struct supervisor *s, const char *group)
{
	struct name *n = name_of(s, "group", group);
	char *end;
	unsigned long number = strtoul(group, &end, 10);

	if (n && (!n->answer || !*n->answer) && (n->told <= 0 || clock_now() - n->told > nobody_for))
		ask(n, 0);
	if (n && n->answer && *n->answer)
		return (gid_t)strtoul(n->answer, NULL, 10);
	return *group && !*end ? (gid_t)number : (gid_t)-1;
}

void names_learn(struct supervisor *s, const struct sources *sources, bool fresh)
{
	const char *question, *answer;

	for (size_t i = 0; (question = sources_question(sources, i, &answer)); i++) {
		const char *blank = strchr(question, ' ');
		_cleanup_(freep) char *kind = blank ? strndup(question, (size_t)(blank - question)) : NULL;
		struct name *n = kind && strcmp(kind, "directory") != 0 ? name_of(s, kind, blank + 1) : NULL;

		if (n && (fresh || !n->answer))
			learn(n, answer, fresh ? clock_now() : 0);
	}
}

void names_free(struct supervisor *s)
{
	struct name *n;

	while ((n = s->names)) {
		s->names = n->next;
		free(n->question);
		free(n->answer);
		free(n);
	}
}
