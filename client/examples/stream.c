/* SPDX-License-Identifier: Apache-2.0 */
/* stream: sends a streaming request word by word, and prints the partial replies.
 *
 *   stream [-s ADDRESS] SERVICE WORD...
 *   build/client/examples/example_stream capitals one two three
 *
 * Shows mr_stream_open(), mr_stream_send() and mr_stream_close(). Start the example serve first. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <millrace.h>

struct progress {
	bool done;
	int error;
};

static void on_reply(struct mr_client *c, uint64_t correlation, const struct mr_message *reply,
	bool more, int error, void *arg)
{
	struct progress *p = arg;

	(void)c;
	(void)correlation;
	p->done = !more;
	p->error = error;
	if (reply != NULL)
		printf("%.*s\n", (int)reply->payload_bytes, (const char *)reply->payload);
}

static int send_words(
	struct mr_client *c, struct mr_stream *s, char **words, const struct progress *p)
{
	int error = 0;

	while (!p->done && error == 0) {
		const char *word = *words != NULL ? *words : "";

		error = mr_stream_send(s, word, strlen(word), *words != NULL);
		if (error == 0 && *words++ == NULL)
			return 0;
		/* The worker grants credit for parts; mr_wait() returns when it does. */
		if (error == -EAGAIN) {
			mr_wait(c, 100);
			error = 0;
		}
	}
	return p->done ? 0 : error;
}

int main(int argc, char **argv)
{
	bool named = argc > 2 && strcmp(argv[1], "-s") == 0;
	char **words = argv + (named ? 3 : 1);
	struct progress p = {0};
	struct mr_stream *s;
	struct mr_client *c;
	int error;

	if (argc < (named ? 5 : 3)) {
		fprintf(stderr, "usage: stream [-s ADDRESS] SERVICE WORD...\n");
		return 2;
	}
	if (mr_connect(named ? argv[2] : NULL, NULL, &c) != 0) {
		fprintf(stderr, "stream: %s\n", mr_error(NULL));
		return 1;
	}
	error = mr_stream_open(c, words[0], NULL, 0, NULL, on_reply, &p, &s);
	if (error == 0) {
		error = send_words(c, s, words + 1, &p);
		while (error == 0 && !p.done)
			mr_wait(c, 100);
		mr_stream_close(s);
	}
	error = error != 0 ? error : p.error;
	if (error != 0)
		fprintf(stderr, "stream: %s\n", mr_error_text(error));
	mr_close(c);
	return error != 0;
}
