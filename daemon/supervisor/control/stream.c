/* The methods about the daemon as a whole: Events, SendRemoteCommEvent, Shutdown, Reload. */
#include <stdio.h>
#include <string.h>

#include "handlers.h"

/* A client that follows events. */
struct follower {
	struct supervisor *s;
	struct varlink_call *call;
	struct event_subscription *subscription;
	uint64_t missed;		/* events that did not fit while it was slow */
};

enum { FOLLOWER_BACKLOG = 1 << 20 };	/* bytes that may wait for a slow reader before events are skipped */

static json_t *event_json(const struct event *e)
{
	json_t *payload = json_stringn(e->payload, e->length);

	return json_pack("{s:I, s:f, s:s, s:o}", "sequence", (json_int_t)e->sequence, "time", e->time, "type", e->type, "payload",
			 payload ? payload : json_string("(not valid UTF-8)"));
}

static void follower_free(void *data)
{
	struct follower *f = data;

	event_unsubscribe(f->s->events, f->subscription);
	free(f);
}

static json_t *gap_json(uint64_t missed)
{
	return json_pack("{s:{s:s, s:I}}", "event", "type", "GAP", "missed", (json_int_t)missed);
}

static void follow(const struct event *e, void *data)
{
	struct follower *f = data;

	if (varlink_call_backlog(f->call) > FOLLOWER_BACKLOG) {
		f->missed++;
		return;
	}
	if (f->missed) {
		uint64_t missed = f->missed;

		f->missed = 0;
		if (varlink_reply_more(f->call, gap_json(missed)) < 0)
			return;		/* F is gone */
	}
	(void)varlink_reply_more(f->call, json_pack("{s:o}", "event", event_json(e)));
}

void method_events(struct varlink_call *call, json_t *parameters, void *data)
{
	struct supervisor *s = data;
	json_t *since = json_object_get(parameters, "since");
	uint64_t after = json_is_integer(since) ? (uint64_t)json_integer_value(since) : 0;
	bool follows = json_is_true(json_object_get(parameters, "follow")) && varlink_call_more(call);
	json_t *events = json_array();
	const struct event *e;
	struct follower *f;

	for (uint64_t at = after; (e = event_after(s->events, at)); at = e->sequence) {
		if (json_is_integer(since) && at == after && e->sequence > after + 1)
			(void)json_array_append_new(events, json_pack("{s:s, s:I}", "type", "GAP", "missed",
								      (json_int_t)(e->sequence - after - 1)));
		(void)json_array_append_new(events, event_json(e));
	}
	if (!follows) {
		(void)varlink_reply(call, json_pack("{s:o}", "events", events));
		return;
	}
	f = calloc(1, sizeof *f);
	if (!f) {
		json_decref(events);
		reply_fault(call, FAULT_FAILED, "out of memory");
		return;
	}
	*f = (struct follower){ .s = s, .call = call };
	f->subscription = event_subscribe(s->events, follow, f);
	varlink_call_on_gone(call, follower_free, f);
	if (json_is_integer(since))
		(void)varlink_reply_more(call, json_pack("{s:o}", "events", events));
	else
		json_decref(events);
}

void method_send_remote_comm_event(struct varlink_call *call, json_t *parameters, void *data)
{
	struct supervisor *s = data;
	const char *type = json_string_value(json_object_get(parameters, "type"));
	const char *text = json_string_value(json_object_get(parameters, "data"));
	char *payload;
	int n;

	if (!type || !text) {
		(void)varlink_invalid_parameter(call, type ? "data" : "type");
		return;
	}
	n = asprintf(&payload, "type:%s\n%s", type, text);
	if (n >= 0) {
		event_publish(s->events, "REMOTE_COMMUNICATION", payload, (size_t)n);
		free(payload);
	}
	(void)varlink_reply(call, NULL);
}

void method_shutdown(struct varlink_call *call, json_t *parameters, void *data)
{
	struct supervisor *s = data;
	struct cause cause = cause_of(call);
	char text[200];

	(void)parameters;
	if (refused(s, call))
		return;
	supervisor_log(s, LOGLEVEL_WARN, "%s", cause_text(&cause, text, sizeof text));
	(void)varlink_reply(call, NULL);
	supervisor_shutdown(s, false);
}

void method_reload(struct varlink_call *call, json_t *parameters, void *data)
{
	struct supervisor *s = data;

	(void)parameters;
	if (refused(s, call))
		return;
	(void)varlink_reply(call, NULL);
	supervisor_shutdown(s, true);
}
