/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/input.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIRST_BYTES 65536u

static int grow(struct mr_cli_input *in, size_t *capacity)
{
	size_t more = *capacity ? 2 * *capacity : FIRST_BYTES;
	char *memory = realloc(in->memory, more);

	if (!memory)
		return -ENOMEM;
	in->memory = memory;
	*capacity = more;
	return 0;
}

static int read_all(int fd, struct mr_cli_input *in)
{
	size_t capacity = 0;
	int rc = 0;

	in->bytes = 0;
	while (rc == 0 && in->bytes <= MR_CLI_INPUT_BYTES_MAX) {
		ssize_t n;

		rc = in->bytes == capacity ? grow(in, &capacity) : 0;
		if (rc)
			return rc;
		n = read(fd, in->memory + in->bytes, capacity - in->bytes);
		if (n == 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
		in->bytes += n > 0 ? (size_t)n : 0;
	}
	return -EMSGSIZE;
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
