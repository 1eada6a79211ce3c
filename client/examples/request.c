/* SPDX-License-Identifier: Apache-2.0 */
/* request: sends one request and prints the reply.
 *
 *   request SUBJECT PAYLOAD [ADDRESS]
 *   build/client/examples/example_request greet hello
 *
 * Shows mr_request(). Start the example reply first. Exits with 5 if nobody serves the subject,
 * with 4 if no reply comes in two seconds. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <millrace.h>

int main(int argc, char **argv)
{
	struct mr_message reply;
	struct mr_client *c;
	int error;

	if (argc < 3) {
		fprintf(stderr, "usage: request SUBJECT PAYLOAD [ADDRESS]\n");
		return 2;
	}
	if (mr_connect(argc > 3 ? argv[3] : NULL, NULL, &c) != 0) {
		fprintf(stderr, "request: %s\n", mr_error(NULL));
		return 1;
	}
	error = mr_request(c, argv[1], argv[2], strlen(argv[2]), 2000, &reply);
	if (error == 0)
		/* The reply stands in the ring; it is valid until the next call that processes. */
		printf("%.*s\n", (int)reply.payload_bytes, (const char *)reply.payload);
	else
		fprintf(stderr, "request: %s\n", mr_error(c));
	mr_close(c);
	switch (error) {
	case 0: return 0;
	case -EHOSTUNREACH: return 5;
	case -ETIMEDOUT: return 4;
	default: return 1;
	}
}
