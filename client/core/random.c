/* SPDX-License-Identifier: Apache-2.0 */
#include "client/core/random.h"

#include <sys/random.h>

#include "client/core/state.h"

uint32_t mr_random(struct mr_client *c)
{
	/* One system call serves many requests. getrandom does not fail or return less for this
	 * size once the system is up; until then it waits. */
	while (c->random_left == 0) {
		ssize_t n = getrandom(c->random, sizeof(c->random), 0);

		c->random_left = n > 0 ? (uint32_t)((size_t)n / sizeof(c->random[0])) : 0;
	}
	return c->random[--c->random_left];
}
