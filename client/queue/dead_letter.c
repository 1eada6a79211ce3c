/* SPDX-License-Identifier: Apache-2.0 */
/* dead_letter: the queue that a program names for the dead letters of another one. */
#include <string.h>

#include "client/core/error.h"
#include "client/core/names.h"
#include "client/queue/queue.h"

int mr_queue_dead_letter_take(struct mr_client *c, char *to, const char *dead_letter)
{
	const char *fault;

	to[0] = '\0';
	if (dead_letter == NULL)
		return 0;
	fault = mr_name_subject_fault(dead_letter, strlen(dead_letter));
	if (fault != NULL)
		return mr_failf(c, -EINVAL, "dead_letter: %s", fault);
	memcpy(to, dead_letter, strlen(dead_letter) + 1);
	return 0;
}

struct mrf_string mr_queue_dead_letter_field(const char *dead_letter)
{
	return dead_letter[0] != '\0' ? mrf_str(dead_letter) : (struct mrf_string){0};
}

int mr_queue_dead_letter_known(struct mr_client *c, const char *dead_letter, uint32_t knows)
{
	if (dead_letter[0] == '\0' || knows != 0)
		return 0;
	return mr_fail(c, -EOPNOTSUPP, "dead_letter: the bus is older and does not know it");
}
