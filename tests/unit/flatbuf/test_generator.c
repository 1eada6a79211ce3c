/* SPDX-License-Identifier: Apache-2.0 */
/* The generator refuses schemas that flatc accepts but that have no C form here, and leaves no
 * header behind.
 *
 * Environment: FLATC the compiler, FBGEN the generator.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/flatbuf/cmocka_all.h"

struct dir {
	char path[64];
	char fbs[80], bfbs[80], header[80];
};

static int make_dir(void **state)
{
	struct dir *d = calloc(1, sizeof(*d));
	*state = d;
	snprintf(d->path, sizeof(d->path), "/tmp/mr-fbgen-XXXXXX");
	if (!mkdtemp(d->path))
		return -1;
	snprintf(d->fbs, sizeof(d->fbs), "%s/x.fbs", d->path);
	snprintf(d->bfbs, sizeof(d->bfbs), "%s/x.bfbs", d->path);
	snprintf(d->header, sizeof(d->header), "%s/x.h", d->path);
	return 0;
}

static int remove_dir(void **state)
{
	struct dir *d = *state;
	unlink(d->fbs);
	unlink(d->bfbs);
	unlink(d->header);
	int rc = rmdir(d->path);
	free(d);
	return rc;
}

static void write_text(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

/* Returns the exit code; discards stderr. */
static int run(const char *variable, const char *const *args)
{
	int status;
	assert_non_null(getenv(variable));
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (!freopen("/dev/null", "w", stderr))
			_exit(126);
		execv(getenv(variable), (char *const *)args);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int generate(const struct dir *d)
{
	return run("FBGEN", (const char *[]){"mr-fbgen", d->bfbs, d->header, "", NULL});
}

/* Returns the generator's exit code for a schema. */
static int compile(const struct dir *d, const char *schema)
{
	write_text(d->fbs, schema);
	assert_int_equal(
		run("FLATC", (const char *[]){"flatc", "--binary", "--schema", "--bfbs-comments",
				     "--bfbs-filenames", d->path, "-o", d->path, d->fbs, NULL}),
		0);
	return generate(d);
}

static void assert_refused(struct dir *d, const char *schema)
{
	assert_int_equal(compile(d, schema), 1);
	assert_int_equal(access(d->header, F_OK), -1);
}

static void plain_schema_is_taken(void **state)
{
	struct dir *d = *state;
	assert_int_equal(compile(d, "namespace a.b; table T { x:int; }"), 0);
	assert_int_equal(access(d->header, F_OK), 0);
}

static void types_of_one_c_name_are_refused(void **state)
{
	assert_refused(*state, "table FooBar { x:int; } table foo_bar { y:int; }");
	assert_refused(*state, "namespace a; table T { x:int; } namespace b; enum T:int { X }");
}

static void names_of_the_runtime_are_refused(void **state)
{
	assert_refused(*state, "table Table { x:int; }");
	assert_refused(*state, "struct Bytes { x:int; }");
}

static void unions_of_other_than_tables_are_refused(void **state)
{
	assert_refused(*state, "struct S { x:int; } union U { S } table T { u:U; }");
	assert_refused(*state, "union U { s:string } table T { u:U; }");
}

static void vectors_of_unions_are_refused(void **state)
{
	assert_refused(*state, "table A { x:int; } union U { A } table T { us:[U]; }");
}

static void wide_alignment_is_refused(void **state)
{
	assert_refused(*state, "struct S (force_align: 16) { x:int; } table T { s:S; }");
}

static void other_files_are_refused(void **state)
{
	struct dir *d = *state;
	write_text(d->bfbs, "not a schema at all, whatever its name says");
	assert_int_equal(generate(d), 1);
	unlink(d->bfbs);
	assert_int_equal(generate(d), 1);
}

#define in_dir(test) cmocka_unit_test_setup_teardown(test, make_dir, remove_dir)

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_dir(plain_schema_is_taken),
		in_dir(types_of_one_c_name_are_refused),
		in_dir(names_of_the_runtime_are_refused),
		in_dir(unions_of_other_than_tables_are_refused),
		in_dir(vectors_of_unions_are_refused),
		in_dir(wide_alignment_is_refused),
		in_dir(other_files_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
