/* SPDX-License-Identifier: Apache-2.0 */
/* hog: clients that subscribe to everything, many times, and read nothing.
 *
 *   hog CLIENTS SUBSCRIPTIONS
 *
 * Each client subscribes to ">" until it has SUBSCRIPTIONS or is refused. Prints the number of all
 * subscriptions, then stands still until its standard input ends.
 */
#include <stdio.h>
#include <stdlib.h>

#include "client/millrace.h"

static void ignore(struct mr_client *c, const struct mr_message *m, void *arg)
{
	(void)c;
	(void)m;
	(void)arg;
}

int main(int argc, char **argv)
{
	unsigned clients = argc > 1 ? (unsigned)atoi(argv[1]) : 1;
	unsigned each = argc > 2 ? (unsigned)atoi(argv[2]) : 1;
	unsigned subscriptions = 0;

	for (unsigned i = 0; i < clients; i++) {
		struct mr_client *c;
		struct mr_subscription *s;
		int error = mr_connect(NULL, &(struct mr_options){.name = "hog"}, &c);

		if (error != 0) {
			fprintf(stderr, "hog: %s\n", mr_error(NULL));
			return 1;
		}
		for (unsigned k = 0; k < each && error == 0; k++) {
			error = mr_subscribe(c, ">", NULL, ignore, NULL, &s);
			subscriptions += error == 0;
		}
		if (error != 0)
			fprintf(stderr, "hog: %s\n", mr_error(c));
	}
	printf("%u\n", subscriptions);
	fflush(stdout);
	while (getchar() != EOF)
		continue;
	return 0;
}
