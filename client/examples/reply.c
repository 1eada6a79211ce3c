/* SPDX-License-Identifier: Apache-2.0 */
/* reply: answers requests with their payload in capitals.
 *
 *   reply [-n COUNT] SUBJECT [ADDRESS]
 *   build/client/examples/example_reply -n 1 greet
 *
 * Shows mr_reply() and a queue group: start several, and each request goes to one of them. Prints
 * "serving" when it is ready, and ends after COUNT requests, 10 by default. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <millrace.h>

static void serve(struct mr_client *c, const struct mr_message *m, void *arg)
{
	static char answer[MR_BODY_BYTES];
	size_t bytes = m->payload_bytes < sizeof(answer) ? m->payload_bytes : sizeof(answer);
	unsigned *count = arg;

	if (!m->wants_reply)
		return;
	for (size_t i = 0; i < bytes; i++)
		answer[i] = (char)toupper(((const unsigned char *)m->payload)[i]);
	if (mr_reply(c, m->reply_token, answer, bytes) != 0)
		fprintf(stderr, "reply: %s\n", mr_error(c));
	++*count;
}

int main(int argc, char **argv)
{
	struct mr_subscribe_options options = {.group = "capitals"};
	unsigned wanted = 10, count = 0;
	struct mr_client *c;
	int at = 1;

	if (argc > 2 && strcmp(argv[1], "-n") == 0) {
		wanted = (unsigned)strtoul(argv[2], NULL, 10);
		at = 3;
	}
	if (at >= argc) {
		fprintf(stderr, "usage: reply [-n COUNT] SUBJECT [ADDRESS]\n");
		return 2;
	}
	if (mr_connect(at + 1 < argc ? argv[at + 1] : NULL, NULL, &c) != 0) {
		fprintf(stderr, "reply: %s\n", mr_error(NULL));
		return 1;
	}
	if (mr_subscribe(c, argv[at], &options, serve, &count, NULL) != 0) {
		fprintf(stderr, "reply: %s\n", mr_error(c));
		mr_close(c);
		return 1;
	}
	printf("serving\n");
	fflush(stdout);
	while (count < wanted)
		mr_wait(c, -1);
	mr_close(c);
	printf("served %u\n", count);
	return 0;
}
