/* SPDX-License-Identifier: Apache-2.0 */
/* Publishes numbers so that each comes exactly once, to itself.
 *
 *   promise [-n COUNT] SUBJECT [ADDRESS]
 *
 * The publisher has a name: started again under it with the same ids, nothing would come twice. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <millrace.h>

static void on_message(struct mr_client *c, const struct mr_message *m, void *arg)
{
	unsigned *next = arg;
	unsigned number;

	(void)c;
	if (m->payload_bytes == sizeof(number)) {
		memcpy(&number, m->payload, sizeof(number));
		*next += number == *next;
	}
}

static int publish(struct mr_client *c, struct mr_publisher *p, unsigned count)
{
	int error = 0;

	for (unsigned i = 0; i < count && error == 0; i++) {
		/* Nobody else makes room if we are the one who is to read. */
		while ((error = mr_publisher_send_with(p, NULL, 0, &i, sizeof(i))) == -EAGAIN)
			mr_wait(c, 10);
	}
	return error != 0 ? error : mr_settle(c, 5000);
}

int main(int argc, char **argv)
{
	struct mr_subscribe_options exactly = {.promise = MR_EXACTLY_ONCE};
	struct mr_publisher_options options = {
		.promise = MR_EXACTLY_ONCE, .publisher = "example-promise"};
	unsigned count = 1000, came = 0;
	struct mr_publisher *p;
	struct mr_client *c;
	int at = 1, error;

	if (argc > 2 && strcmp(argv[1], "-n") == 0) {
		count = (unsigned)strtoul(argv[2], NULL, 10);
		at = 3;
	}
	if (at >= argc) {
		fprintf(stderr, "usage: promise [-n COUNT] SUBJECT [ADDRESS]\n");
		return 2;
	}
	if (mr_connect(at + 1 < argc ? argv[at + 1] : NULL, NULL, &c) != 0) {
		fprintf(stderr, "promise: %s\n", mr_error(NULL));
		return 1;
	}
	error = mr_subscribe(c, argv[at], &exactly, on_message, &came, NULL);
	if (error == 0)
		error = mr_publisher_open_with(c, argv[at], &options, &p);
	if (error == 0)
		error = publish(c, p, count);
	while (error == 0 && came < count && mr_wait(c, 5000) > 0)
		continue;
	if (error != 0)
		fprintf(stderr, "promise: %s\n", mr_error(c));
	mr_close(c);
	printf("%u of %u came, in order\n", came, count);
	return error == 0 && came == count ? 0 : 1;
}
