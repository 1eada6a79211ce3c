/* SPDX-License-Identifier: Apache-2.0 */
#include "control/cli/input.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* More than any bus takes. */
#define INPUT_BYTES_MAX (64u << 20)
#define INPUT_BYTES     (64u << 10) /* at first */

static int grow(struct mr_cli_input *in, size_t *capacity)
{
	char *memory;

	if (in->bytes > INPUT_BYTES_MAX)
		return -EMSGSIZE;
	if (in->bytes < *capacity)
		return 0;
	*capacity = *capacity == 0 ? INPUT_BYTES : 2 * *capacity;
	memory = realloc(in->memory, *capacity);
	if (!memory)
		return -ENOMEM;
	in->memory = memory;
	return 0;
}

static int read_all(int fd, struct mr_cli_input *in)
{
	size_t capacity = 0;
	int rc;

	while ((rc = grow(in, &capacity)) == 0) {
		ssize_t n = read(fd, in->memory + in->bytes, capacity - in->bytes);

		if (n == 0)
			break;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			in->bytes += (size_t)n;
	}
	in->data = in->memory;
	return rc;
}

int mr_cli_input_take(struct mr_cli_input *in, const char *word)
{
	int rc;

	*in = (struct mr_cli_input){.data = word, .bytes = strlen(word)};
	if (strcmp(word, "-") != 0)
		return 0;
	in->bytes = 0;
	rc = read_all(STDIN_FILENO, in);
	if (rc)
		mr_cli_input_free(in);
	return rc;
}

void mr_cli_input_free(struct mr_cli_input *in)
{
	free(in->memory);
	in->memory = NULL;
}
