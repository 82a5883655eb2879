/* The state file: its layout, as released, and who may read whose. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "state_file.h"

/*
 * Layout 1. From the first release on it never changes: what a later one adds takes its room from `reserve`, grows STATE_VERSION, and
 * gets rows here.
 */
#define LAYOUT_1(X)                                                                                                    \
	X(state_header, magic, 0, 8)                                                                                   \
	X(state_header, version, 8, 4)                                                                                 \
	X(state_header, compatible, 12, 4)                                                                             \
	X(state_header, record_size, 16, 4)                                                                            \
	X(state_header, records, 20, 4)                                                                                \
	X(state_header, high, 24, 4)                                                                                   \
	X(state_header, generation, 28, 4)                                                                             \
	X(state_header, last_generation, 32, 4)                                                                        \
	X(state_header, daemon_state, 36, 4)                                                                           \
	X(state_header, logger_pid, 40, 4)                                                                             \
	X(state_header, logger_failure, 44, 8)                                                                         \
	X(state_header, start_time, 56, 8)                                                                             \
	X(state_header, event_serial, 64, 8)                                                                           \
	X(state_header, listener_serial, 72, 8)                                                                        \
	X(state_header, logger_sequence, 80, 8)                                                                        \
	X(state_header, exit_status, 88, 4)                                                                            \
	X(state_header, supervisors, 92, 4)                                                                            \
	X(state_header, release, 96, 24)                                                                               \
	X(state_header, gateway_pid, 120, 4)                                                                           \
	X(state_header, gateway_failure, 124, 8)                                                                       \
	X(state_header, gateway_settings, 136, 8)                                                                      \
	X(state_header, phase, 144, 4)                                                                                 \
	X(state_header, reopen, 148, 4)                                                                                \
	X(state_header, stop_by, 152, 8)                                                                               \
	X(state_record, kind, 0, 4)                                                                                    \
	X(state_record, generation, 4, 4)                                                                              \
	X(state_record, name, 8, 256)                                                                                  \
	X(state_record, pid, 264, 4)                                                                                   \
	X(state_record, failure, 268, 8)                                                                               \
	X(state_record, sequence, 276, 4)                                                                              \
	X(state_record, slot, 280, 512)                                                                                \
	X(state_record, history, 792, 776)                                                                             \
	X(state_record, told, 1568, 4)                                                                                 \
	X(state_slot, life, 0, 128)                                                                                    \
	X(state_slot, start_time, 128, 8)                                                                              \
	X(state_slot, stop_time, 136, 8)                                                                               \
	X(state_slot, ticks, 144, 8)                                                                                   \
	X(state_slot, start_after_stop, 152, 1)                                                                        \
	X(state_slot, start_after_update, 153, 1)                                                                      \
	X(lifecycle, state, 0, 4)                                                                                      \
	X(lifecycle, epoch, 4, 4)                                                                                      \
	X(lifecycle, run, 8, 4)                                                                                        \
	X(lifecycle, backoff, 12, 4)                                                                                   \
	X(lifecycle, shortages, 16, 4)                                                                                 \
	X(lifecycle, restarts, 20, 4)                                                                                  \
	X(lifecycle, wanted, 24, 1)                                                                                    \
	X(lifecycle, killing, 25, 1)                                                                                   \
	X(lifecycle, spawned, 26, 1)                                                                                   \
	X(lifecycle, ended, 27, 1)                                                                                     \
	X(lifecycle, leftovers, 28, 1)                                                                                 \
	X(lifecycle, clearing, 29, 1)                                                                                  \
	X(lifecycle, since, 32, 8)                                                                                     \
	X(lifecycle, started, 40, 8)                                                                                   \
	X(lifecycle, deadline, 48, 8)                                                                                  \
	X(lifecycle, exit, 56, 32)                                                                                     \
	X(exit_status, code, 0, 4)                                                                                     \
	X(exit_status, signal, 4, 4)                                                                                   \
	X(exit_status, core, 8, 4)                                                                                     \
	X(exit_status, max_rss, 12, 4)                                                                                 \
	X(exit_status, user_time, 16, 8)                                                                               \
	X(exit_status, system_time, 24, 8)                                                                             \
	X(history, n, 0, 4)                                                                                            \
	X(history, ring, 8, 768)                                                                                       \
	X(transition, time, 0, 8)                                                                                      \
	X(transition, run, 8, 4)                                                                                       \
	X(transition, from, 12, 2)                                                                                     \
	X(transition, to, 14, 2)                                                                                       \
	X(transition, cause, 16, 64)                                                                                   \
	X(cause, kind, 0, 1)                                                                                           \
	X(cause, stage, 1, 1)                                                                                          \
	X(cause, error, 2, 2)                                                                                          \
	X(cause, generation, 4, 4)                                                                                     \
	X(cause, uid, 8, 4)                                                                                            \
	X(cause, pid, 12, 4)                                                                                           \
	X(cause, command, 16, 16)                                                                                      \
	X(cause, exit, 32, 32)                                                                                         \
	X(spawn_failure, stage, 0, 4)                                                                                  \
	X(spawn_failure, error, 4, 4)

static void test_layout(void **state)
{
	(void)state;
#define X(part, member, offset, size)                                                                                  \
	if (offsetof(struct part, member) != (offset) || sizeof(((struct part *)0)->member) != (size))                 \
		fail_msg(#part "." #member " is at %zu (%zu bytes)", offsetof(struct part, member),                    \
			 sizeof(((struct part *)0)->member));
	LAYOUT_1(X)
#undef X
}

/* Stored numbers: each keeps its own. */
static void test_numbers(void **state)
{
	static const char *const causes[] = { "", "autostart", "command", "config", "shutdown", "exit", "exec", "shortage", "timer", "timer",
					      "timer", "timer", "recovery", "autorestart", "signal", "tree", "tree" };
	static const char *const stages[] = { "", "setsid", "dup", "cgroup", "setrlimit", "setgroups", "setgid", "setuid", "chdir", "exec" };

	(void)state;
	for (unsigned i = 0; i < ARRAY_LEN(causes); i++)
		assert_string_equal(cause_kind_name(i), causes[i]);
	for (unsigned i = 0; i < ARRAY_LEN(stages); i++)
		assert_string_equal(spawn_stage_name(i), stages[i]);
	assert_int_equal(RECORD_PROCESS, 1);
	assert_int_equal(RECORD_GROUP, 2);
}

static void open_new(struct state_file *file, int *ret_fd)
{
	struct error err = { 0 };
	bool made = false;

	*file = (struct state_file){ 0 };
	*ret_fd = memfd_create("test-state", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_true(*ret_fd >= 0);
	assert_int_equal(state_file_map(file, *ret_fd, &made, &err), 0);
	assert_true(made);
	state_file_claim(file);
}

static void test_versions(void **state)
{
	struct state_file file, again = { 0 };
	struct error err;
	bool made;
	int fd;

	(void)state;
	open_new(&file, &fd);
	file.header->version = 900;		/* a later one that we can read */
	assert_int_equal(state_file_map(&again, fd, &made, &err), 0);
	assert_false(made);
	state_file_claim(&again);
	assert_int_equal(file.header->version, STATE_VERSION);
	assert_int_equal(file.header->compatible, STATE_COMPATIBLE);
	assert_string_equal(file.header->release, REEVE_VERSION);
	state_file_unmap(&again);

	file.header->version = file.header->compatible = 900;	/* and one that we cannot */
	assert_int_equal(state_file_map(&again, fd, &made, &err), -EINVAL);
	assert_non_null(strstr(err.text, "layout 900"));
	state_file_unmap(&again);
	file.header->compatible = STATE_COMPATIBLE;

	file.header->record_size = 1000;
	assert_int_equal(state_file_map(&again, fd, &made, &err), -EINVAL);
	state_file_unmap(&again);
	file.header->record_size = STATE_RECORD_SIZE;

	file.header->magic[0] = 'x';
	assert_int_equal(state_file_map(&again, fd, &made, &err), -EINVAL);
	state_file_unmap(&again);
	state_file_unmap(&file);
	(void)close(fd);
}

/* What a later version keeps in `reserve` survives our writes. */
static void test_unknown_is_kept(void **state)
{
	struct state_file file;
	struct state_record *r;
	struct state_slot slot;
	int fd;

	(void)state;
	open_new(&file, &fd);
	r = state_record_new(&file, RECORD_PROCESS, "web", 0);
	assert_non_null(r);
	slot = *state_record_read(r);
	slot.reserve[sizeof slot.reserve - 1] = 77;
	state_record_write(r, &slot);
	slot = *state_record_read(r);
	slot.start_time = 1;
	state_record_write(r, &slot);
	assert_int_equal(state_record_read(r)->reserve[sizeof slot.reserve - 1], 77);
	state_file_unmap(&file);
	(void)close(fd);
}

static void test_copy(void **state)
{
	struct state_file file, copy = { 0 };
	struct error err;
	struct state_record *r;
	char name[16];
	size_t n = 0;
	bool made;
	int fd, other;

	(void)state;
	open_new(&file, &fd);
	for (int i = 0; i < 300; i++) {
		(void)snprintf(name, sizeof name, "p%d", i);
		assert_non_null(state_record_new(&file, RECORD_PROCESS, name, 0));
	}
	other = state_file_copy(&file);
	assert_true(other >= 0);
	file.records[7].name[0] = 'x';
	assert_int_equal(state_file_map(&copy, other, &made, &err), 0);
	assert_false(made);
	for (size_t i = 0; (r = state_record_next(&copy, &i)); n++) {
		(void)snprintf(name, sizeof name, "p%zu", n);
		assert_string_equal(r->name, name);
	}
	assert_int_equal(n, 300);
	state_file_unmap(&copy);
	state_file_unmap(&file);
	(void)close(other);
	(void)close(fd);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layout), cmocka_unit_test(test_numbers), cmocka_unit_test(test_versions),
		cmocka_unit_test(test_unknown_is_kept), cmocka_unit_test(test_copy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
