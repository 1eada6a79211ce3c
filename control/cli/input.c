/* SPDX-License-Identifier: Apache-2.0 */
#include "control/cli/input.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/millrace.h"

/* The largest that a bus may be configured to take. */
#define BYTES_MAX (64u << 20)

static int grow(struct mr_cli_input *in, size_t *capacity)
{
	size_t wanted = *capacity ? 2 * *capacity : 65536;
	char *grown;

	if (*capacity > BYTES_MAX)
		return -EMSGSIZE;
	grown = realloc(in->memory, wanted);
	if (!grown)
		return -ENOMEM;
	in->memory = grown;
	*capacity = wanted;
	return 0;
}

static int read_all(int fd, struct mr_cli_input *in)
{
	size_t capacity = 0;

	in->bytes = 0;
	for (;;) {
		int rc = in->bytes == capacity ? grow(in, &capacity) : 0;
		ssize_t n;

		if (rc)
			return rc;
		n = read(fd, in->memory + in->bytes, capacity - in->bytes);
		if (n == 0)
			return in->bytes > BYTES_MAX ? -EMSGSIZE : 0;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			in->bytes += (size_t)n;
	}
}

int mr_cli_input_take(struct mr_cli_input *in, const char *word)
{
	int rc;

	*in = (struct mr_cli_input){.data = word, .bytes = strlen(word)};
	if (strcmp(word, "-") != 0)
		return 0;
	rc = read_all(STDIN_FILENO, in);
	in->data = in->memory;
	if (rc)
		mr_cli_input_free(in);
	return rc;
}

void mr_cli_input_free(struct mr_cli_input *in)
{
	free(in->memory);
	in->memory = NULL;
}
