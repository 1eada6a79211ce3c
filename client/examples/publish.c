/* SPDX-License-Identifier: Apache-2.0 */
/* publish: publishes one message.
 *
 *   publish SUBJECT PAYLOAD [ADDRESS]
 *   build/client/examples/example_publish orders.eu.created '{"id":1}'
 *
 * Shows mr_connect(), mr_publish(), mr_close() and the error texts. ADDRESS is as in mr_connect();
 * without it the library takes MILLRACE_SERVER from the environment. */
#include <stdio.h>
#include <string.h>

#include <millrace.h>

int main(int argc, char **argv)
{
	struct mr_client *c;
	int error;

	if (argc < 3) {
		fprintf(stderr, "usage: publish SUBJECT PAYLOAD [ADDRESS]\n");
		return 2;
	}
	error = mr_connect(argc > 3 ? argv[3] : NULL, NULL, &c);
	if (error != 0) {
		/* Without a client, mr_error(NULL) describes the last mr_connect(). */
		fprintf(stderr, "publish: %s\n", mr_error(NULL));
		return 1;
	}
	error = mr_publish(c, argv[1], argv[2], strlen(argv[2]));
	if (error != 0)
		fprintf(stderr, "publish: %s\n", mr_error(c));
	else
		printf("published %zu bytes to %s\n", strlen(argv[2]), argv[1]);
	/* Waits until the bus has taken the message. */
	mr_close(c);
	return error != 0;
}
