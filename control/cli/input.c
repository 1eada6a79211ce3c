/* SPDX-License-Identifier: Apache-2.0 */
#include "control/cli/input.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/millrace.h"

static int read_all(int fd, char *memory, size_t capacity, size_t *bytes)
{
	*bytes = 0;
	while (*bytes < capacity) {
		ssize_t n = read(fd, memory + *bytes, capacity - *bytes);

		if (n == 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			*bytes += (size_t)n;
	}
	return -EMSGSIZE;
}

int mr_cli_input_take(struct mr_cli_input *in, const char *word)
{
	int rc;

	*in = (struct mr_cli_input){.data = word, .bytes = strlen(word)};
	if (strcmp(word, "-") != 0)
		return in->bytes > MR_BODY_BYTES ? -EMSGSIZE : 0;
	/* One byte more than fits tells whether there is more. */
	in->memory = malloc(MR_BODY_BYTES + 1);
	if (!in->memory)
		return -ENOMEM;
	in->data = in->memory;
	rc = read_all(STDIN_FILENO, in->memory, MR_BODY_BYTES + 1, &in->bytes);
	if (rc)
		mr_cli_input_free(in);
	return rc;
}

void mr_cli_input_free(struct mr_cli_input *in)
{
	free(in->memory);
	in->memory = NULL;
}
