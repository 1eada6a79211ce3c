/* SPDX-License-Identifier: Apache-2.0 */
/* Run directories: paths, and leftovers of a killed process. */
#include "tests/unit/cli/cmocka_all.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/up/rundir.h"

struct fixture {
	char base[64];
	char path[80];
};

static int set_up(void **state)
{
	static struct fixture f;

	strcpy(f.base, "/tmp/millrace-rundir-XXXXXX");
	if (!mkdtemp(f.base))
		return -1;
	snprintf(f.path, sizeof(f.path), "%s/run", f.base);
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	const struct fixture *f = *state;

	rmdir(f->path);
	return rmdir(f->base);
}

static void touch(const char *dir, const char *name)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
}

static void a_directory_that_was_made_is_removed(void **state)
{
	const struct fixture *f = *state;
	struct mr_cli_rundir d;

	assert_int_equal(mr_cli_rundir_open(&d, f->path), 0);
	assert_int_equal(access(f->path, F_OK), 0);
	/* Left behind by a killed process. */
	touch(f->path, "attach.sock");
	mr_cli_rundir_close(&d);
	assert_int_equal(access(f->path, F_OK), -1);
}

static void a_directory_that_was_there_stays(void **state)
{
	const struct fixture *f = *state;
	struct mr_cli_rundir d;

	assert_int_equal(mr_cli_rundir_open(&d, f->base), 0);
	mr_cli_rundir_close(&d);
	assert_int_equal(access(f->base, F_OK), 0);
}

static void a_second_bus_in_the_same_directory_is_refused(void **state)
{
	const struct fixture *f = *state;
	struct mr_cli_rundir first, second;

	assert_int_equal(mr_cli_rundir_open(&first, f->path), 0);
	assert_int_equal(mr_cli_rundir_open(&second, f->path), -EBUSY);
	mr_cli_rundir_close(&second);
	assert_int_equal(access(f->path, F_OK), 0);
	mr_cli_rundir_close(&first);
	assert_int_equal(mr_cli_rundir_open(&second, f->path), 0);
	mr_cli_rundir_close(&second);
}

static void a_path_too_long_for_sockets_is_refused(void **state)
{
	char path[128];
	struct mr_cli_rundir d;

	(void)state;
	memset(path, 'x', sizeof(path));
	path[0] = '/';
	path[MR_CLI_RUNDIR_BYTES_MAX + 1] = '\0';
	assert_int_equal(mr_cli_rundir_open(&d, path), -ENAMETOOLONG);
	mr_cli_rundir_close(&d);
}

static void a_missing_parent_is_reported(void **state)
{
	struct mr_cli_rundir d;

	(void)state;
	assert_int_equal(mr_cli_rundir_open(&d, "/nonexistent/run"), -ENOENT);
	mr_cli_rundir_close(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_directory_that_was_made_is_removed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_directory_that_was_there_stays, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_second_bus_in_the_same_directory_is_refused, set_up, tear_down),
		cmocka_unit_test(a_path_too_long_for_sockets_is_refused),
		cmocka_unit_test(a_missing_parent_is_reported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
