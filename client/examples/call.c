/* SPDX-License-Identifier: Apache-2.0 */
/* call: calls a service and prints the reply.
 *
 *   call SERVICE PAYLOAD [ADDRESS]
 *   build/client/examples/example_call capitals hello
 *
 * Shows mr_call() with a retry: a call without a reply in two seconds is tried once more. Start the
 * example serve first. Exits with 5 if no worker serves the name, with 4 if no reply comes. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <millrace.h>

int main(int argc, char **argv)
{
	struct mr_call_options options = {.timeout_ms = 2000, .retries = 1};
	struct mr_message reply;
	struct mr_client *c;
	int error;

	if (argc < 3) {
		fprintf(stderr, "usage: call SERVICE PAYLOAD [ADDRESS]\n");
		return 2;
	}
	if (mr_connect(argc > 3 ? argv[3] : NULL, NULL, &c) != 0) {
		fprintf(stderr, "call: %s\n", mr_error(NULL));
		return 1;
	}
	error = mr_call(c, argv[1], argv[2], strlen(argv[2]), &options, &reply);
	if (error == 0)
		/* The reply is valid until the next call that processes. */
		printf("%.*s\n", (int)reply.payload_bytes, (const char *)reply.payload);
	else
		fprintf(stderr, "call: %s\n", mr_error(c));
	mr_close(c);
	switch (error) {
	case 0: return 0;
	case -EHOSTUNREACH: return 5;
	case -ETIMEDOUT: return 4;
	default: return 1;
	}
}
