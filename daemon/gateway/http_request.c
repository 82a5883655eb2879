/*
 * See http_parts.h. From MHD's callbacks to a request: its head is judged, its body collected, its sender's password checked (a wrong one
 * costs time), and the route's handler called. Also what handlers ask a request for.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/base.h"
#include "http_parts.h"

/* Seconds before a wrong password is answered, and between two such answers, whoever asks. */
static const double refusal_delay = 1, refusal_gap = 0.1, refusal_max = 10;
static const double report_gap = 10;	/* seconds between two lines in the log about it */

/* ---- the request as handlers see it ---- */

const char *http_header(const struct request *r, const char *name)
{
	return MHD_lookup_connection_value(exchange_of(r)->connection->mhd, MHD_HEADER_KIND, name);
}

const char *http_query(const struct request *r, const char *name)
{
	return MHD_lookup_connection_value(exchange_of(r)->connection->mhd, MHD_GET_ARGUMENT_KIND, name);
}

void http_on_gone(struct request *r, void (*gone)(void *data), void *data)
{
	exchange_of(r)->gone = gone;
	exchange_of(r)->gone_data = data;
}

/* ---- a request comes ---- */

static void exchange_free(struct exchange *e)
{
	ev_timer_stop(connection_http(e->connection)->loop, &e->delay);
	if (e->gone)
		e->gone(e->gone_data);
	answer_free(e);
	free(e->body);
	free(e);
}

/* The length that the headers promise: 0 or more, -1: not a number, -2: more than one, or in chunks. */
struct promise {
	long length;
	bool seen;
};

static enum MHD_Result look_at_header(void *data, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct promise *p = data;

	(void)kind;
	if (strcasecmp(name, MHD_HTTP_HEADER_TRANSFER_ENCODING) == 0)
		p->length = -2;
	if (strcasecmp(name, MHD_HTTP_HEADER_CONTENT_LENGTH) != 0 || p->length < 0)
		return MHD_YES;
	if (p->seen)
		p->length = -2;
	else if (!value || !*value || strspn(value, "0123456789") != strlen(value))
		p->length = -1;
	else
		p->length = strlen(value) > 9 ? 999999999 : atol(value);
	p->seen = true;
	return MHD_YES;
}

/* What can be said without the body; 0: go on. */
static int early_refusal(struct exchange *e, bool known_other)
{
	struct promise p = { 0 };
	bool post = strcmp(e->request.method, "POST") == 0;

	(void)MHD_get_connection_values(e->connection->mhd, MHD_HEADER_KIND, look_at_header, &p);
	if (p.length == -1)
		return 400;
	if (p.length == -2 || (post && !p.seen))
		return 411;
	if (p.length > HTTP_BODY_MAX)
		return 413;
	if (e->verdict == AUTH_RIGHT && !e->route)
		return known_other ? 405 : 404;
	return 0;
}

static void check_password(struct exchange *e)
{
	const struct listener *l = e->connection->listener;

	e->verdict = AUTH_RIGHT;
	if (!l->password || (e->route && e->route->access == ROUTE_OPEN))
		return;
	e->verdict = auth_check(http_header(&e->request, MHD_HTTP_HEADER_AUTHORIZATION), l->username, l->password);
	e->request.authenticated = e->verdict == AUTH_RIGHT;
}

static struct exchange *exchange_new(struct connection *c, const char *path, const char *method)
{
	struct http *h = connection_http(c);
	struct exchange *e = calloc(1, sizeof *e);
	bool other;

	if (!e)
		return NULL;
	e->connection = c;
	e->head = strcmp(method, "HEAD") == 0;
	e->request = (struct request){ .gateway = h->gateway, .method = e->head ? "GET" : method, .path = path,
				       .rest = "", .body = "", .local = c->local };
	e->route = route_find(e->request.method, path, &other);
	if (e->route)
		e->request.rest = path + strlen(e->route->path);
	check_password(e);
	e->refusal = early_refusal(e, other);
	return e;
}

static int add_body(struct exchange *e, const char *data, size_t length)
{
	struct request *r = &e->request;
	char *grown;

	if (e->verdict != AUTH_RIGHT)
		return 0;		/* nothing is kept for strangers */
	if (r->body_length + length > HTTP_BODY_MAX)
		return -EMSGSIZE;
	grown = realloc(e->body, r->body_length + length + 1);
	if (!grown)
		return -ENOMEM;
	memcpy(grown + r->body_length, data, length);
	r->body_length += length;
	grown[r->body_length] = '\0';
	r->body = e->body = grown;
	return 0;
}

static void refuse_stranger(struct exchange *e)
{
	if (e->verdict == AUTH_MALFORMED) {
		http_answer_error(&e->request, 400, "The Authorization header cannot be read.");
		return;
	}
	http_add_header(&e->request, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Basic realm=\"default\"");
	http_answer_error(&e->request, 401, NULL);
}

static void refusal_due(struct ev_loop *loop, ev_timer *w, int events)
{
	(void)loop;
	(void)events;
	refuse_stranger(w->data);
}

/* A line for those who watch the log, not one per guess. */
static void log_refusal(struct exchange *e, double now)
{
	struct http *h = connection_http(e->connection);
	char from[INET6_ADDRSTRLEN + 8] = "a unix socket";

	if (now < h->next_report) {
		h->unreported++;
		return;
	}
	connection_peer(e->connection, from, sizeof from);
	gateway_log(h->gateway, "warn", "[%s]: wrong user name or password from %s (%u before it were not reported)",
		    e->connection->listener->section, from, h->unreported);
	h->next_report = now + report_gap;
	h->unreported = 0;
}

/* A wrong guess costs time, and all guesses together come one by one. */
static void refuse_later(struct exchange *e)
{
	struct http *h = connection_http(e->connection);
	double now = clock_now(), delay;

	if (h->next_refusal < now + refusal_delay)
		h->next_refusal = now + refusal_delay;
	log_refusal(e, now);
	delay = h->next_refusal - now;
	h->next_refusal += refusal_gap;
	ev_timer_init(&e->delay, refusal_due, delay < refusal_max ? delay : refusal_max, 0);
	e->delay.data = e;
	ev_timer_start(h->loop, &e->delay);
}

static void dispatch(struct exchange *e)
{
	connection_enter(e->connection, PHASE_WORK);
	if (e->verdict == AUTH_WRONG)
		refuse_later(e);
	else if (e->verdict != AUTH_RIGHT)
		refuse_stranger(e);
	else if (e->refusal)
		http_answer_error(&e->request, e->refusal, NULL);
	else
		e->route->run(&e->request);
}

static enum MHD_Result hand_over(struct exchange *e)
{
	struct MHD_Response *response = TAKE(e->response);
	enum MHD_Result r;

	connection_enter(e->connection, PHASE_ANSWER);
	if (!response)
		return MHD_NO;
	(void)MHD_set_connection_option(e->connection->mhd, MHD_CONNECTION_OPTION_TIMEOUT, (unsigned)HTTP_STALL_SECONDS);
	r = MHD_queue_response(e->connection->mhd, (unsigned)e->status, response);
	MHD_destroy_response(response);
	return r;
}

enum MHD_Result request_came(void *data, struct MHD_Connection *mhd, const char *path, const char *method, const char *version,
			     const char *upload, size_t *upload_length, void **context)
{
	struct exchange *e = *context;
	struct connection *c = connection_of(mhd);

	(void)data;
	(void)version;
	if (!c || c->doomed)
		return MHD_NO;
	if (!e) {
		*context = c->exchange = e = exchange_new(c, path, method);
		if (!e)
			return MHD_NO;
		connection_enter(c, PHASE_BODY);
		if (e->refusal == 400 || e->refusal == 411 || e->refusal == 413) {
			http_answer_error(&e->request, e->refusal, NULL);
			return hand_over(e);
		}
		return MHD_YES;
	}
	if (*upload_length) {
		int r = add_body(e, upload, *upload_length);

		*upload_length = 0;
		return r < 0 ? MHD_NO : MHD_YES;
	}
	if (c->phase == PHASE_BODY)
		dispatch(e);
	if (e->answered)
		return hand_over(e);
	connection_suspend(c);
	return MHD_YES;
}

void request_completed(void *data, struct MHD_Connection *mhd, void **context, enum MHD_RequestTerminationCode code)
{
	struct exchange *e = *context;

	(void)data;
	(void)mhd;
	(void)code;
	if (!e)
		return;
	*context = NULL;
	e->connection->exchange = NULL;
	(void)MHD_set_connection_option(e->connection->mhd, MHD_CONNECTION_OPTION_TIMEOUT, 0U);
	connection_enter(e->connection, PHASE_IDLE);
	exchange_free(e);
}

void *request_line(void *data, const char *uri, struct MHD_Connection *mhd)
{
	struct connection *c = connection_of(mhd);

	(void)data;
	(void)uri;
	if (c)
		connection_enter(c, PHASE_HEADERS);
	return NULL;
}
