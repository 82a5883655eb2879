/*
 * Whole configurations: one row a rule of the dialect, the value looked up in the dump. Diagnostics have their own files in
 * tests/conf (test_conf_files.c).
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "conf/dump.h"

static char folder[] = "/tmp/reeve-conf-XXXXXX";

static void write_file(const char *name, const char *text)
{
	char path[256];
	FILE *f;

	(void)snprintf(path, sizeof path, "%s/%s", folder, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static struct config *parse(const char *text)
{
	struct sources *sources;
	struct config *config = NULL;
	struct error err = { 0 };

	assert_int_equal(sources_from_text("/etc/app/main.ini", text, &sources, &err), 0);
	(void)config_parse(sources, NULL, 0, &config, &err);
	assert_non_null(config);
	return config;
}

/* "groups/0/name" in J, or NULL. */
static json_t *look_up(json_t *j, const char *path)
{
	char copy[200], *save = NULL;

	(void)snprintf(copy, sizeof copy, "%s", path);
	for (char *part = strtok_r(copy, "/", &save); part && j; part = strtok_r(NULL, "/", &save))
		j = json_is_array(j) ? json_array_get(j, strtoul(part, NULL, 10)) : json_object_get(j, part);
	return j;
}

static void expect(const char *text, const char *dumped, const char *path, const char *expected)
{
	json_t *j = json_loads(dumped, JSON_DECODE_ANY, NULL);
	json_t *want = json_loads(expected, JSON_DECODE_ANY, NULL), *got = look_up(j, path);

	if (!want || !json_equal(got, want)) {
		char *shown = json_dumps(got, JSON_ENCODE_ANY | JSON_SORT_KEYS);

		fail_msg("%s\n%s is %s, not %s", text, path, shown ? shown : "(nothing)", expected);
	}
	json_decref(want);
	json_decref(j);
}

static void check(const char *text, struct config *config, const char *path, const char *expected)
{
	json_t *j = config_dump(config);
	char *dumped = json_dumps(j, 0);

	for (size_t i = 0; i < config->diagnostics.n; i++)
		if (config->diagnostics.list[i].severity == DIAGNOSTIC_ERROR)
			fail_msg("%s\n%s", text, config->diagnostics.list[i].text);
	expect(text, dumped, path, expected);
	free(dumped);
	json_decref(j);
}

struct row {
	const char *text;		/* behind "[supervisord]\n" */
	const char *path, *expected;	/* JSON */
};

static void check_rows(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char text[2000];
		struct config *config;

		(void)snprintf(text, sizeof text, "[supervisord]\n%s", rows[i].text);
		config = parse(text);
		check(text, config, rows[i].path, rows[i].expected);
		config_free(config);
	}
}
#define CHECK(rows) check_rows(rows, ARRAY_LEN(rows))

#define A "[program:a]\ncommand=x\n"
#define P "groups/0/processes/0/"

static void test_daemon(void **state)
{
	static const struct row rows[] = {
		{ "logfile=/var/log/x/../d.log\n", "supervisord/logfile", "\"/var/log/d.log\"" },
		{ "logfile=syslog\n", "supervisord/logfile", "\"syslog\"" },
		{ "logfile=/dev/null\n", "supervisord/logfile", "\"/dev/null\"" },
		{ "pidfile=%(here)s/x.pid\n", "supervisord/pidfile", "\"/etc/app/x.pid\"" },
		{ "logfile_maxbytes=1MB\n", "supervisord/logfile_maxbytes", "1048576" },
		{ "loglevel=DEBUG\n", "supervisord/loglevel", "\"debug\"" },
		{ "umask=077\n", "supervisord/umask", "\"0077\"" },
		{ "nodaemon=yes\nsilent=1\nnocleanup=on\nstrip_ansi=TRUE\n", "supervisord/strip_ansi", "true" },
		{ "identifier=\n", "supervisord/identifier", "\"\"" },
		{ "environment=A=\"%(here)s\",B=\"b\"\n", "supervisord/environment", "{\"A\": \"/etc/app\", \"B\": \"b\"}" },
		{ "environment=A=\"50%%%%\"\n", "supervisord/environment", "{\"A\": \"50%\"}" },
		{ "environment=HOME=/x\nidentifier=%(ENV_HOME)s\n", "supervisord/identifier", "\"/root\"" },	/* not seen there */
		{ "environment=HOME=/x\n[program:a]\ncommand=%(ENV_HOME)s\n", P "command", "\"/x\"" },
		{ "environment=X=1\n" A "environment=Y=2\n", P "environment", "{\"X\": \"1\", \"Y\": \"2\"}" },
		{ "environment=X=1\n" A "environment=X=2\n", P "environment", "{\"X\": \"2\"}" },
		{ "http_port=9001\nsockchmod=9\nnosuch=%bad\n", "supervisord/identifier", "\"supervisor\"" },
		{ "[Supervisord]\nidentifier=no\n", "supervisord/identifier", "\"supervisor\"" },
	};

	(void)state;
	CHECK(rows);
}

static void test_programs(void **state)
{
	static const struct row rows[] = {
		{ A, "process_list", "[\"a\"]" },
		{ "[program: a ]\ncommand=x\n", "process_list", "[\"a\"]" },
		{ "[program:]\ncommand=x\n", "groups/0/name", "\"\"" },
		{ "[Program:a]\ncommand=x\n", "groups", "[]" },
		{ "[program]\ncommand=x\n", "groups", "[]" },
		{ "[program:a]\ncommand=\n", P "command", "\"\"" },
		{ A "[program:a]\ncommand=y\n", P "command", "\"y\"" },
		{ A "[DEFAULT]\nstartsecs=9\n", P "startsecs", "9" },
		{ A "startsecs=2\n[DEFAULT]\nstartsecs=9\n", P "startsecs", "2" },
		{ A "priority=-5\n", "groups/0/priority", "-5" },
		{ A "startsecs=-1\n", P "startsecs", "-1" },
		{ A "autorestart=UNEXPECTED\n", P "autorestart", "\"unexpected\"" },
		{ A "autorestart=1\n", P "autorestart", "\"true\"" },
		{ A "exitcodes=\n", P "exitcodes", "[]" },
		{ A "exitcodes=0, 2\n", P "exitcodes", "[0, 2]" },
		{ A "stopsignal=sigint\n", P "stopsignal", "\"INT\"" },
		{ A "stopsignal=9\n", P "stopsignal_number", "9" },
		{ A "stopasgroup=true\n", P "killasgroup", "true" },
		{ A "killasgroup=true\n", P "stopasgroup", "false" },
		{ A "umask=022\n", P "umask", "\"0022\"" },
		{ A "directory=~/x\n", P "directory", "\"~/x\"" },
		{ A "directory=%(here)s\n", P "directory", "\"/etc/app\"" },
		{ A "serverurl=auto\n", P "serverurl", "null" },
		{ A "serverurl=\n", P "serverurl", "\"\"" },
		{ A "serverurl=http://x\n", P "serverurl", "\"http://x\"" },
		{ A "user=0\n", P "user", "\"0\"" },
		{ A "environment=X=1\ndirectory=/%(ENV_X)s\n", P "directory", "\"/1\"" },
		{ "[program:a]\ncommand=%(ENV_X)s\nenvironment=X=1\n", P "command", "\"1\"" },
		{ A "environment=N=\"%(process_num)d\",G=\"%(group_name)s\"\n", P "environment", "{\"N\": \"0\", \"G\": \"a\"}" },
		{ "[program:a]\ncommand=%(program_name)s %(group_name)s %(numprocs)d %(here)s\n", P "command", "\"a a 1 /etc/app\"" },
		{ "[program:a]\ncommand=x # no\n  'y ; z' ; no\n", P "command", "\"x\\n'y ; z'\"" },
	};

	(void)state;
	CHECK(rows);
}

static void test_numprocs(void **state)
{
	static const struct row rows[] = {
		{ A "numprocs=3\nprocess_name=%(program_name)s_%(process_num)02d\n", "process_list", "[\"a:a_00\", \"a:a_01\", \"a:a_02\"]" },
		{ A "numprocs=2\nnumprocs_start=8\nprocess_name=p%(process_num)s\n", "process_list", "[\"a:p8\", \"a:p9\"]" },
		{ A "numprocs=2\nnumprocs_start=-1\nprocess_name=%(process_num)d\n", "process_list", "[\"a:-1\", \"a:0\"]" },
		{ A "numprocs=0\n", "groups/0/processes", "[]" },
		{ A "numprocs=-2\n", "groups/0/name", "\"a\"" },
		{ "[program:a]\nnumprocs=0\nstdout_logfile_maxbytes=x\n", "groups/0/name", "\"a\"" },	/* read once a process */
		{ A "numprocs=0\nprocess_name=p%(process_num)\n", "groups/0/name", "\"a\"" },
		{ A "numprocs=1\nprocess_name=other\n", "process_list", "[\"a:other\"]" },
		/* sorted by name within a program: 10 comes before 9 */
		{ A "numprocs=2\nnumprocs_start=9\nprocess_name=%(process_num)d\n", "process_list", "[\"a:10\", \"a:9\"]" },
		/* equal names: the last one stays */
		{ A "numprocs=2\nprocess_name=x%(process_num).0s\nstdout_logfile=/l%(process_num)d\n", P "stdout_logfile", "\"/l1\"" },
		{ "[program:a]\ncommand=x\nnumprocs=2\nprocess_name=%(ENV_N)s%(process_num)d\nenvironment=N=\"q r\"\n", "process_list",
		  "[\"a:q r0\", \"a:q r1\"]" },
	};

	(void)state;
	CHECK(rows);
}

static void test_logs(void **state)
{
	static const struct row rows[] = {
		{ A, P "stdout_logfile", "\"AUTO\"" },
		{ A "stdout_logfile=none\n", P "stdout_logfile", "null" },
		{ A "stdout_logfile=Off\n", P "stdout_logfile", "null" },
		{ A "stdout_logfile=\n", P "stdout_logfile", "null" },
		{ A "stdout_logfile=auto\n", P "stdout_logfile", "\"AUTO\"" },
		{ A "stdout_logfile=no\n", P "stdout_logfile", "\"no\"" },
		{ A "stdout_logfile=false\n", P "stdout_logfile", "\"false\"" },
		{ A "stdout_logfile=SYSLOG\n", P "stdout_logfile", "null" },
		{ A "stdout_logfile=SYSLOG\n", P "stdout_syslog", "true" },
		{ A "stdout_logfile=/l/%(program_name)s-%(process_num)d.log\n", P "stdout_logfile", "\"/l/a-0.log\"" },
		{ A "stdout_logfile=/l/100%%%%.log\n", P "stdout_logfile", "\"/l/100%.log\"" },	/* expanded twice */
		{ A "stdout_logfile=/l/%%(program_name)s.log\n", P "stdout_logfile", "\"/l/a.log\"" },
		{ A "stdout_logfile=/dev/fd/1\nstdout_logfile_maxbytes=0\n", P "stdout_logfile_maxbytes", "0" },
		{ A "stderr_logfile_backups=3\nstderr_capture_maxbytes=1KB\n", P "stderr_capture_maxbytes", "1024" },
		{ A "redirect_stderr=true\nstderr_logfile=/x\n", P "stderr_logfile", "null" },
		{ A "stdout_events_enabled=on\nstderr_syslog=%(process_num)d\n", P "stderr_syslog", "false" },
	};

	(void)state;
	CHECK(rows);
}

static void test_groups(void **state)
{
	static const struct row rows[] = {
		{ A "[program:b]\ncommand=y\n[group:g]\nprograms=b,a\n", "process_list", "[\"g:b\", \"g:a\"]" },
		{ A "[group:g]\nprograms= a \npriority=3\n", "groups/0/priority", "3" },
		{ A "[program:b]\ncommand=y\npriority=1\n", "process_list", "[\"b\", \"a\"]" },
		{ A "[program:B]\ncommand=y\n", "process_list", "[\"B\", \"a\"]" },
		{ A "[group:g]\nprograms=a\n[group:h]\nprograms=a\n", "process_list", "[\"g:a\", \"h:a\"]" },
		{ "[group:g]\n", "groups/0/processes", "[]" },
		{ "[group:g]\nprograms=\n", "groups/0/processes", "[]" },
		{ A "[group:a]\nprograms=a\n", "process_list", "[\"a\"]" },
		{ "[program:a]\ncommand=%(group_name)s\n[group:g]\nprograms=a\n", P "command", "\"g\"" },
		/* of two groups with one name the first in order is used */
		{ A "priority=5\n[program:b]\ncommand=y\n[group:a]\nprograms=b\npriority=7\n", "process_list", "[\"a\"]" },
		/* a [group:] keeps the order of programs=, priorities notwithstanding */
		{ A "priority=9\n[program:b]\ncommand=y\npriority=1\n[group:g]\nprograms=a,b\n", "process_list", "[\"g:a\", \"g:b\"]" },
	};

	(void)state;
	CHECK(rows);
}

#define L "[eventlistener:l]\ncommand=x\nevents=tick_5\n"
#define F "[fcgi-program:f]\ncommand=x\n"

static void test_listeners_and_fcgi(void **state)
{
	static const struct row rows[] = {
		{ L, "groups/0/kind", "\"eventlistener\"" },
		{ L, "groups/0/priority", "-1" },
		{ L, P "priority", "999" },
		{ L "priority=7\n", "groups/0/priority", "7" },
		{ L, "groups/0/events", "[\"TICK_5\"]" },
		{ L "events=tick, Process_State\n", "groups/0/events", "[\"PROCESS_STATE\", \"TICK\"]" },
		{ L, "groups/0/buffer_size", "10" },
		{ L, "groups/0/result_handler", "\"supervisor.dispatchers:default_handler\"" },
		{ L "redirect_stderr=false\n", P "redirect_stderr", "false" },
		{ F "socket=tcp://localhost:9000\n", "groups/0/socket/url", "\"tcp://localhost:9000\"" },
		{ F "socket=tcp://localhost:9000\n", "groups/0/socket/mode", "null" },
		{ F "socket=unix:///run/%(program_name)s.sock\n", "groups/0/socket/url", "\"unix:///run/f.sock\"" },
		{ F "socket=unix:///s\n", "groups/0/socket/mode", "\"0700\"" },
		{ F "socket=unix:///s\nsocket_mode=0770\nsocket_owner=root:root\n", "groups/0/socket/owner", "[\"root\", \"root\"]" },
		{ F "socket=unix:///s\nsocket_backlog=5\n", "groups/0/socket/backlog", "5" },
		{ F "socket=tcp://*:1\n", "groups/0/kind", "\"fcgi-program\"" },
	};

	(void)state;
	CHECK(rows);
}

#define U "[unix_http_server]\nfile=/s\n"

static void test_servers(void **state)
{
	static const struct row rows[] = {
		{ U, "servers/0/chmod", "\"0700\"" },
		{ U, "serverurl", "\"unix:///s\"" },
		{ U, "servers/0/chown", "[null, null]" },
		{ U "chown=a:b\nchmod=0o770\n", "servers/0/chown", "[\"a\", \"b\"]" },
		{ U "chmod=0o770\n", "servers/0/chmod", "\"0770\"" },
		{ "[unix_http_server]\nfile=%(here)s/../s\n", "servers/0/file", "\"/etc/s\"" },
		{ "[inet_http_server]\nport=9001\n", "servers/0/host", "\"\"" },
		{ "[inet_http_server]\nport=9001\n", "serverurl", "\"http://localhost:9001\"" },
		{ "[inet_http_server]\nport=*:9001\n", "servers/0/host", "\"\"" },
		{ "[inet_http_server]\nport=LocalHost:9001\n", "servers/0/host", "\"localhost\"" },
		{ "[inet_http_server]\nport=[::1]:9001\n", "servers/0/port", "9001" },
		{ "[inet_http_server]\nport= 1.2.3.4: 80 \n", "serverurl", "\"http://1.2.3.4:80\"" },
		{ "[inet_http_server]\nport=1\n" U, "serverurl", "\"unix:///s\"" },
		{ U "[inet_http_server]\nport=1\n", "servers/0/kind", "\"inet\"" },
		{ "[inet_http_server:a]\nport=1\n[inet_http_server:b]\nport=2\n", "serverurl", "\"http://localhost:2\"" },
		{ U "[unix_http_server:b]\nfile=/t\n", "serverurl", "\"unix:///s\"" },
		{ U "username=u\npassword=%(ENV_HOME)s\n", "servers/0/username", "\"u\"" },
		{ "[rpcinterface:supervisor]\nsupervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n",
		  "rpcinterfaces/0/name", "\"supervisor\"" },
		{ "[rpcinterface:x]\nsupervisor.rpcinterface_factory = a:b\nk = %(ENV_HOME)s\n", "rpcinterfaces/0/settings", "{\"k\": \"/root\"}" },
		{ "[ctlplugin:x]\nsupervisor.ctl_factory = a:b\n", "groups", "[]" },
		{ "[unknown:x]\na = %bad\n", "groups", "[]" },
	};

	(void)state;
	CHECK(rows);
}

/* ---- [include] ---- */

static struct config *read_folder(const char *main_text)
{
	struct sources *sources;
	struct config *config = NULL;
	struct error err = { 0 };
	char path[256];

	write_file("main.ini", main_text);
	(void)snprintf(path, sizeof path, "%s/main.ini", folder);
	assert_int_equal(sources_read(path, &sources, &err), 0);
	(void)config_parse(sources, NULL, 0, &config, &err);
	assert_non_null(config);
	return config;
}

#define D "[supervisord]\n"
static const struct {
	const char *text, *path, *expected;	/* "@": the folder */
	int warnings;
} include_rows[] = {
	{ D "[include]\nfiles=d/*.conf\n", "process_list", "[\"b\", \"c\"]", 0 },
	{ D "[include]\nfiles=d/c.conf d/b.conf\n", "process_list", "[\"b\", \"c\"]", 0 },
	{ D "[include]\nfiles=d/c.conf\n  d/b.conf\n", "process_list", "[\"b\", \"c\"]", 0 },
	{ D "[include]\nfiles=%(here)s/d/b.conf\n", "process_list", "[\"b\"]", 0 },
	{ D "[include]\nfiles=d/[bx].conf\n", "process_list", "[\"b\"]", 0 },
	{ D "[include]\nfiles=d/?.conf\n", "process_list", "[\"b\", \"c\"]", 0 },
	{ D "[include]\nfiles=d/{b,c}.conf\n", "process_list", "[]", 1 },
	{ D "[include]\nfiles=d/* none/* d/nosuch.conf\n", "process_list", "[\"b\", \"c\"]", 2 },	/* the directory and .hidden are not read */
	{ D "[include]\nfiles=d/b.conf\n", P "command", "\"@/d/run\"", 0 },
	{ D "[program:a]\ncommand=%(here)s/run\n[include]\nfiles=d/b.conf\n", P "command", "\"@/run\"", 0 },
	{ D "[include]\nfiles=over.conf\n[program:a]\ncommand=x\n", "supervisord/identifier", "\"over\"", 1 },
	{ D "identifier=main\n[include]\nfiles=over.conf\n[program:a]\ncommand=x\n", P "command", "\"over\"", 2 },
	/* an [include] in an included file is not followed */
	{ D "[include]\nfiles=nested.conf\n", "process_list", "[\"n\"]", 1 },
	{ D "[include]\nfiles=%(ENV_PART)s/b.conf\n", "process_list", "[\"b\"]", 0 },
	{ D "[include]\nfiles=\n", "process_list", "[]", 0 },
};

static char *placed(const char *text)
{
	const char *at = strchr(text, '@');
	char *ret;

	assert_true(asprintf(&ret, "%.*s%s%s", at ? (int)(at - text) : (int)strlen(text), text, at ? folder : "", at ? at + 1 : "") >= 0);
	return ret;
}

static void test_includes(void **state)
{
	(void)state;
	write_file("d/b.conf", "[program:b]\ncommand=%(here)s/run\n");
	write_file("d/c.conf", "[program:c]\ncommand=y\n");
	write_file("d/.hidden", "[program:h]\ncommand=y\n");
	write_file("over.conf", "[supervisord]\nidentifier=over\n[program:a]\ncommand=over\n");
	write_file("nested.conf", "[include]\nfiles=d/*\n[program:n]\ncommand=x\n");
	(void)setenv("PART", "d", 1);
	for (size_t i = 0; i < ARRAY_LEN(include_rows); i++) {
		struct config *config = read_folder(include_rows[i].text);
		_cleanup_(freep) char *expected = placed(include_rows[i].expected);

		check(include_rows[i].text, config, include_rows[i].path, expected);
		if ((int)config->diagnostics.n != include_rows[i].warnings)
			for (size_t k = 0; k < config->diagnostics.n; k++)
				print_message("%s: %s\n", include_rows[i].text, config->diagnostics.list[k].text);
		assert_int_equal(config->diagnostics.n, include_rows[i].warnings);
		config_free(config);
	}
}

static void test_unmatched_include_is_told(void **state)
{
	struct config *config = read_folder("[supervisord]\n[include]\nfiles=none/*.conf\n");
	char text[256];

	(void)state;
	assert_int_equal(config->diagnostics.n, 1);
	(void)snprintf(text, sizeof text, "No file matches via include \"%s/none/*.conf\"", folder);
	assert_string_equal(config->diagnostics.list[0].text, text);
	assert_int_equal(config->diagnostics.list[0].line, 2);
	config_free(config);
}

static void test_kept_sources_give_the_same(void **state)
{
	struct config *config = read_folder("[supervisord]\nidentifier=caf\xc3\xa9 \xff\n[include]\nfiles=d/*\n"), *again = NULL;
	FILE *kept = tmpfile();
	struct sources *sources = NULL;
	json_t *a = config_dump(config), *b;

	(void)state;
	assert_non_null(kept);
	assert_int_equal(sources_save(config->sources, fileno(kept)), 0);
	write_file("d/c.conf", "[program:changed]\ncommand=y\n");
	assert_int_equal(sources_load(fileno(kept), &sources, NULL), 0);
	assert_int_equal(config_parse(sources, NULL, 0, &again, NULL), 0);
	b = config_dump(again);
	assert_true(json_equal(a, b));
	assert_string_equal(again->supervisord.identifier, "caf\xc3\xa9 \xff");
	json_decref(a);
	json_decref(b);
	config_free(config);
	config_free(again);
	(void)fclose(kept);
}

/* What the system said is kept; who is not known is not asked for by a kept copy. */
static void test_kept_sources_know_the_users(void **state)
{
	struct config *config = read_folder("[supervisord]\n[program:p]\ncommand=x\nuser=nobody\nstdout_logfile=~nobody/log\n"), *again = NULL;
	FILE *kept = tmpfile();
	struct sources *sources = NULL;
	const char *answer;

	(void)state;
	assert_non_null(kept);
	config_ask_names(config);
	answer = sources_answer(config->sources, "user nobody");
	assert_true(answer && strncmp(answer, "nobody:65534:65534:65534:", 25) == 0);
	assert_string_equal(sources_answer(config->sources, "user no-such-user"), "");
	assert_string_equal(sources_answer(config->sources, "group nogroup"), "65534");
	assert_string_equal(sources_answer(config->sources, "group 12345678"), "12345678");
	assert_int_equal(sources_save(config->sources, fileno(kept)), 0);
	assert_int_equal(sources_load(fileno(kept), &sources, NULL), 0);
	assert_int_equal(config_parse(sources, NULL, 0, &again, NULL), 0);
	assert_string_equal(again->groups[0]->processes[0]->channel[CHANNEL_STDOUT].logfile,
			    config->groups[0]->processes[0]->channel[CHANNEL_STDOUT].logfile);
	assert_string_equal(sources_answer(again->sources, "user nobody"), answer);
	assert_string_equal(sources_answer(again->sources, "user no-such-user"), "");
	assert_null(sources_answer(again->sources, "user daemon"));
	config_free(config);
	config_free(again);
	(void)fclose(kept);
}

static int make_folder(void **state)
{
	char path[256];

	(void)state;
	(void)setenv("HOME", "/root", 1);
	if (!mkdtemp(folder))
		return -1;
	(void)snprintf(path, sizeof path, "%s/d", folder);
	if (mkdir(path, 0700) < 0)
		return -1;
	(void)snprintf(path, sizeof path, "%s/d/directory.conf", folder);
	return mkdir(path, 0700);
}

static int remove_folder(void **state)
{
	static const char *const names[] = { "main.ini", "over.conf", "nested.conf", "d/b.conf", "d/c.conf", "d/.hidden", "d/directory.conf", "d", "" };
	char path[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		(void)snprintf(path, sizeof path, "%s/%s", folder, names[i]);
		if (remove(path) < 0)
			return -1;
	}
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_daemon), cmocka_unit_test(test_programs), cmocka_unit_test(test_numprocs), cmocka_unit_test(test_logs),
		cmocka_unit_test(test_groups), cmocka_unit_test(test_listeners_and_fcgi), cmocka_unit_test(test_servers),
		cmocka_unit_test(test_includes), cmocka_unit_test(test_unmatched_include_is_told), cmocka_unit_test(test_kept_sources_give_the_same),
		cmocka_unit_test(test_kept_sources_know_the_users),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
