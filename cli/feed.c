/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/feed.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

#define READ_BYTES 65536u
/* longest time until *stop is noticed */
#define WAIT_MS 200
#define SERVED  256u

static bool wanted(const struct mr_cli_feed *f)
{
	return !mr_cli_interrupted() && (f->stop == NULL || !*f->stop);
}

static int make_room(struct mr_cli_feed *f)
{
	char *more;

	if (f->begin > 0) {
		memmove(f->data, f->data + f->begin, f->end - f->begin);
		f->end -= f->begin;
		f->seen -= f->begin;
		f->begin = 0;
	}
	if (f->capacity - f->end >= READ_BYTES)
		return 0;
	more = realloc(f->data, 2 * f->capacity + READ_BYTES);
	if (more == NULL)
		return -ENOMEM;
	f->data = more;
	f->capacity = 2 * f->capacity + READ_BYTES;
	return 0;
}

static int read_some(struct mr_cli_feed *f)
{
	int error = make_room(f);
	ssize_t n;

	if (error != 0)
		return error;
	n = read(STDIN_FILENO, f->data + f->end, f->capacity - f->end);
	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? 0 : -errno;
	f->ended = n == 0;
	f->end += (size_t)n;
	return 0;
}

/* Waits for input, and serves the client. on_state reports the state of its connection. */
static int wait(struct mr_cli_feed *f)
{
	struct pollfd fds[] = {
		{.fd = STDIN_FILENO, .events = POLLIN},
		{.fd = mr_fd(f->client), .events = POLLIN},
	};

	if (poll(fds, 2, WAIT_MS) <= 0)
		return 0;
	while (fds[1].revents != 0 && wanted(f) && mr_process(f->client, SERVED) > 0)
		continue;
	return fds[0].revents != 0 ? read_some(f) : 0;
}

static bool take(struct mr_cli_feed *f, const char **line, size_t *bytes)
{
	const char *end =
		f->end > f->seen ? memchr(f->data + f->seen, '\n', f->end - f->seen) : NULL;

	f->seen = f->end;
	if (end == NULL && (!f->ended || f->begin == f->end))
		return false;
	*line = f->data + f->begin;
	*bytes = end != NULL ? (size_t)(end - *line) : f->end - f->begin;
	f->begin += *bytes + (end != NULL);
	f->seen = f->begin;
	return true;
}

int mr_cli_feed_line(struct mr_cli_feed *f, const char **line, size_t *bytes)
{
	int error = 0;

	while (error == 0 && wanted(f)) {
		if (take(f, line, bytes))
			return 1;
		if (f->ended)
			return 0;
		error = wait(f);
	}
	return error;
}

void mr_cli_feed_free(struct mr_cli_feed *f)
{
	free(f->data);
	f->data = NULL;
}
