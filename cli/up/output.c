/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/up/output.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/base/outlet.h"

#define FLUSH_MS 500

static struct mr_outlet out, err;

static size_t say_dropped(char *line, size_t bytes, uint64_t count)
{
	int n = snprintf(
		line, bytes, "millrace up: %" PRIu64 " lines dropped: nobody read them\n", count);

	return n > 0 && (size_t)n < bytes ? (size_t)n : 0;
}

static void replace(FILE **stream, struct mr_outlet *o, int fd)
{
	FILE *f;

	o->say_dropped = say_dropped;
	if (mr_outlet_open(o, fd) != 0)
		return;
	f = mr_outlet_stream(o);
	if (f != NULL)
		*stream = f;
}

void mr_cli_output_open(void)
{
	fflush(stdout);
	replace(&stdout, &out, STDOUT_FILENO);
	replace(&stderr, &err, STDERR_FILENO);
}

void mr_cli_output_close(void)
{
	fflush(stdout);
	fflush(stderr);
	mr_outlet_close(&out, FLUSH_MS);
	mr_outlet_close(&err, FLUSH_MS);
}
