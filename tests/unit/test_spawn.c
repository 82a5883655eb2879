/* spawn(): real children, their end, their failures, and a child that hangs on its way to the exec. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "process/exit_status.h"
#include "process/proc.h"
#include "process/spawn.h"

static char *const no_environment[] = { "PATH=/usr/bin:/bin", NULL };

struct child {
	volatile pid_t pid;
	volatile struct spawn_failure failure;
	int status;
};

static struct spawn_plan plan_for(char *const *argv, char **files, const int fds[3])
{
	return (struct spawn_plan){
		.files = (const char *const *)files,
		.argv = argv,
		.envp = no_environment,
		.fds = fds,
		.n_fds = 3,
		.umask = -1,
		.cgroup_fd = -1,
	};
}

static void run(struct child *c, char *const *argv, int out, void (*change)(struct spawn_plan *))
{
	const int fds[3] = { STDIN_FILENO, out, STDERR_FILENO };
	char **files = spawn_search(argv[0], "/nowhere:/usr/bin:/bin");
	struct spawn_plan plan = plan_for(argv, files, fds);

	assert_non_null(files);
	if (change)
		change(&plan);
	assert_int_equal(spawn(&plan, &c->pid, &c->failure), 0);
	free(files);
	assert_int_equal(waitpid(c->pid, &c->status, 0), c->pid);
	spawn_collect();
	assert_false(spawn_pending(c->pid));
}

static void test_exit(void **state)
{
	struct child c;

	(void)state;
	run(&c, (char *[]){ "sh", "-c", "exit 7", NULL }, STDOUT_FILENO, NULL);
	assert_int_equal(WEXITSTATUS(c.status), 7);
	assert_int_equal(c.failure.stage, SPAWN_NONE);
}

static void test_environment_and_signals(void **state)
{
	struct child c;
	int p[2];
	char text[512] = "";
	ssize_t n;
	sigset_t set, old;

	(void)state;
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	(void)signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, &old);
	run(&c, (char *[]){ "grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status", NULL }, p[1], NULL);
	sigprocmask(SIG_SETMASK, &old, NULL);
	(void)signal(SIGPIPE, SIG_DFL);
	n = read(p[0], text, sizeof text - 1);
	assert_true(n > 0);
	assert_string_equal(text, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
	run(&c, (char *[]){ "ls", "/proc/self/fd", NULL }, p[1], NULL);
	n = read(p[0], text, sizeof text - 1);
	assert_true(n > 0);
	text[n] = '\0';
	assert_string_equal(text, "0\n1\n2\n3\n");	/* 3 is ls's own */
	close(p[0]);
	close(p[1]);
}

static void in_nowhere(struct spawn_plan *p)
{
	p->directory = "/no/such/place";
}

static void test_failures(void **state)
{
	static const struct {
		const char *file;
		void (*change)(struct spawn_plan *);
		enum spawn_stage stage;
		int error;
	} rows[] = {
		{ "no-such-program", NULL, SPAWN_EXEC, ENOENT },
		{ "/etc/passwd", NULL, SPAWN_EXEC, EACCES },
		{ "/tmp", NULL, SPAWN_EXEC, EISDIR },
		{ "/etc/passwd/x", NULL, SPAWN_EXEC, ENOENT },
		{ "true", in_nowhere, SPAWN_DIRECTORY, ENOENT },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct child c;

		run(&c, (char *[]){ (char *)rows[i].file, NULL }, STDOUT_FILENO, rows[i].change);
		assert_int_equal(WEXITSTATUS(c.status), 127);
		assert_int_equal(c.failure.stage, rows[i].stage);
		assert_int_equal(c.failure.error, rows[i].error);
	}
}

/* A thousand at once, none waited for before all are under way. */
static void test_many(void **state)
{
	static volatile pid_t pids[1000];
	static volatile struct spawn_failure failures[1000];
	const int fds[3] = { 0, 1, 2 };
	char **files = spawn_search("true", "/bin");
	struct spawn_plan plan = plan_for((char *[]){ "true", NULL }, files, fds);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(pids); i++)
		assert_int_equal(spawn(&plan, &pids[i], &failures[i]), 0);
	for (size_t i = 0; i < ARRAY_LEN(pids); i++) {
		int status;

		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	free(files);
	spawn_collect();
}

/* A child that is stopped at once may never get to its exec: others start all the same. */
static void test_hanging_start_holds_up_nobody(void **state)
{
	const int fds[3] = { 0, 1, 2 };
	struct child hanging, other;
	char **files;
	struct spawn_plan plan;
	double began = clock_now();
	int status;

	(void)state;
	files = spawn_search("sleep", "/bin");
	plan = plan_for((char *[]){ "sleep", "100", NULL }, files, fds);
	assert_int_equal(spawn(&plan, &hanging.pid, &hanging.failure), 0);
	kill(hanging.pid, SIGSTOP);
	run(&other, (char *[]){ "true", NULL }, STDOUT_FILENO, NULL);
	assert_int_equal(other.status, 0);
	assert_true(clock_now() - began < 5);
	kill(hanging.pid, SIGKILL);
	assert_int_equal(waitpid(hanging.pid, &status, 0), hanging.pid);
	free(files);
	spawn_collect();
}

/* Last of the starts, and not collected: a leak checker must find what it still holds. */
static void test_start_under_way_at_our_end(void **state)
{
	const int fds[3] = { 0, 1, 2 };
	char **files = spawn_search("true", "/bin");
	struct spawn_plan plan = plan_for((char *[]){ "true", NULL }, files, fds);
	static struct child child;

	(void)state;
	assert_int_equal(spawn(&plan, &child.pid, &child.failure), 0);
	free(files);
	assert_int_equal(waitpid(child.pid, &child.status, 0), child.pid);
}

static void test_exit_status_words(void **state)
{
	char text[64];
	struct exit_status killed = exit_status_from(CLD_DUMPED, SIGSEGV), done = exit_status_from(CLD_EXITED, 3);

	(void)state;
	assert_string_equal(exit_status_text(&killed, text, sizeof text), "terminated by SIGSEGV (core dumped)");
	assert_int_equal(exit_status_number(&killed), -SIGSEGV);
	assert_string_equal(exit_status_text(&done, text, sizeof text), "exit status 3");
}

static void test_proc(void **state)
{
	struct proc_stat st;

	(void)state;
	assert_int_equal(proc_stat_read(getpid(), &st), 0);
	assert_int_equal(st.ppid, getppid());
	assert_int_equal(st.session, getsid(0));
	assert_true(proc_stat_read(0x7ffffff0, &st) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exit),
		cmocka_unit_test(test_environment_and_signals),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_hanging_start_holds_up_nobody),
		cmocka_unit_test(test_start_under_way_at_our_end),
		cmocka_unit_test(test_exit_status_words),
		cmocka_unit_test(test_proc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
