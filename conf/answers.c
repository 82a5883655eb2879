/*
 * What a configuration needs to know of the system beside its texts: who users and groups are, and whether a directory is there. Each
 * answer is asked for once and remembered with the sources (config.h says how an answer looks).
 */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>

#include "sources.h"
#include "strv.h"
#include "memory.h"

enum { GROUPS_MAX = 256 };		/* of one user; what goes beyond is dropped */

static void (*about_step)(const char *what);
static struct sources *parsed;		/* those that are being parsed, or NULL */

void sources_tell_steps(void (*about)(const char *what))
{
	about_step = about;
}

void tell_step(const char *what)
{
	if (about_step)
		about_step(what);
}

/* ---- the system ---- */

/* Has the look-up failed, rather than found nothing? */
static bool is_trouble(int error)
{
	return error == EAGAIN || error == EINTR || error == EIO || error == EMFILE || error == ENFILE || error == ENOMEM ||
	       error == ETIMEDOUT || error == ECONNREFUSED || error == ECONNRESET;
}

static bool is_number(const char *text)
{
	return *text && strspn(text, "0123456789") == strlen(text);
}

static char *describe_user(const struct passwd *pw)
{
	gid_t groups[GROUPS_MAX];
	int n = GROUPS_MAX;
	struct text t = { 0 };

	if (getgrouplist(pw->pw_name, pw->pw_gid, groups, &n) < 0)
		n = GROUPS_MAX;
	text_printf(&t, "%s:%u:%u:", pw->pw_name, (unsigned)pw->pw_uid, (unsigned)pw->pw_gid);
	for (int i = 0; i < n; i++)
		text_printf(&t, "%s%u", i ? "," : "", (unsigned)groups[i]);
	text_printf(&t, ":%s:%s", pw->pw_shell, pw->pw_dir);
	return text_take(&t);
}

static char *ask_user(const char *name)
{
	const struct passwd *pw;

	errno = 0;
	pw = is_number(name) ? getpwuid((uid_t)strtoul(name, NULL, 10)) : getpwnam(name);
	if (pw)
		return describe_user(pw);
	return is_trouble(errno) ? NULL : strdup("");
}

static char *ask_group(const char *name)
{
	const struct group *g;
	char *ret;

	errno = 0;
	g = getgrnam(name);
	if (!g && is_trouble(errno))
		return NULL;
	if (!g)
		return strdup(is_number(name) ? name : "");
	return asprintf(&ret, "%u", (unsigned)g->gr_gid) < 0 ? NULL : ret;
}

static char *ask_directory(const char *path)
{
	struct stat st;

	return strdup(stat(path, &st) == 0 && S_ISDIR(st.st_mode) ? "yes" : "");
}

char *answer_now(const char *question)
{
	static const struct {
		const char *prefix;
		char *(*ask)(const char *what);
	} kinds[] = { { "user ", ask_user }, { "group ", ask_group }, { "directory ", ask_directory } };

	tell_step(question);
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (strncmp(question, kinds[i].prefix, strlen(kinds[i].prefix)) == 0)
			return kinds[i].ask(question + strlen(kinds[i].prefix));
	return NULL;
}

/* ---- remembered ---- */

static const char *find(const struct sources *s, const char *question)
{
	for (size_t i = 0; s->questions && s->questions[i]; i++)
		if (strcmp(s->questions[i], question) == 0)
			return s->answers[i];
	return NULL;
}

static const char *remember(struct sources *s, const char *question, char *answer)
{
	if (strv_push(&s->answers, answer) < 0)
		return NULL;
	if (strv_push(&s->questions, strdup(question)) < 0) {
		size_t n = strv_length(s->answers);

		free(s->answers[n - 1]);
		s->answers[n - 1] = NULL;
		return NULL;
	}
	return answer;
}

const char *sources_answer(struct sources *s, const char *question)
{
	const char *known = find(s, question);
	char *answer = known || !s->may_ask ? NULL : answer_now(question);

	return answer ? remember(s, question, answer) : known;
}

const char *sources_question(const struct sources *s, size_t n, const char **ret_answer)
{
	if (n >= strv_length(s->questions))
		return NULL;
	*ret_answer = s->answers[n];
	return s->questions[n];
}

void sources_may_ask(struct sources *s)
{
	s->may_ask = true;
}

void answers_from(struct sources *sources)
{
	parsed = sources;
}

char *parsing_answer(const char *question)
{
	const char *answer;

	if (!parsed)
		return answer_now(question);
	answer = sources_answer(parsed, question);
	return answer ? strdup(answer) : NULL;
}

/* ---- all that a configuration names ---- */

static void ask_about(struct sources *s, const char *kind, const char *name)
{
	char *question;

	if (!name || !*name || asprintf(&question, "%s %s", kind, name) < 0)
		return;
	(void)sources_answer(s, question);
	free(question);
}

void config_ask_names(const struct config *c)
{
	ask_about(c->sources, "group", c->supervisord.control_group);
	if (c->n_servers)
		ask_about(c->sources, "user", GATEWAY_USER);
	for (size_t i = 0; i < c->n_groups; i++)
		for (size_t k = 0; k < c->groups[i]->n_processes; k++)
			ask_about(c->sources, "user", c->groups[i]->processes[k]->user);
}
