/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/lines.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

static void take(struct mr_cli_lines *l, char byte, mr_cli_line_fn *each, void *arg)
{
	if (byte != '\n') {
		if (l->bytes < MR_CLI_LINE_BYTES)
			l->text[l->bytes++] = byte;
		return;
	}
	l->text[l->bytes] = '\0';
	l->bytes = 0;
	if (l->text[0] != '\0')
		each(l->text, arg);
}

int mr_cli_lines_wait(
	struct mr_cli_lines *l, int fd, int timeout_ms, mr_cli_line_fn *each, void *arg)
{
	struct pollfd fds[] = {
		{.fd = STDIN_FILENO, .events = POLLIN},
		{.fd = fd, .events = POLLIN},
	};
	char bytes[4096];
	ssize_t n;

	if (poll(fds, 2, timeout_ms) <= 0 || fds[0].revents == 0)
		return 0;
	n = read(STDIN_FILENO, bytes, sizeof(bytes));
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	for (ssize_t i = 0; i < n; i++)
		take(l, bytes[i], each, arg);
	return n > 0 ? 0 : -EPIPE;
}
