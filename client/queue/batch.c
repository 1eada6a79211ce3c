/* SPDX-License-Identifier: Apache-2.0 */
/* batch: mr_pull_batch: several deliveries at once, as copies that stay until the next pull. */
#include <stdlib.h>

#include "client/core/error.h"
#include "client/core/sized.h"
#include "client/core/wait.h"
#include "client/queue/consumer.h"

void mr_consumer_drop_batch(struct mr_consumer *k)
{
	for (uint32_t i = 0; i < k->kept_count; i++)
		mr_message_free(k->kept[i]);
	free(k->kept);
	k->kept = NULL;
	k->kept_count = 0;
}

/* Copies the message of a delivery, so that it outlives the next pull. */
static bool keep(struct mr_consumer *k, struct mr_delivery *d)
{
	struct mr_message *copy = mr_message_dup_sized(&d->message, sizeof(d->message));

	if (copy == NULL)
		return false;
	k->kept[k->kept_count++] = copy;
	d->message = *copy;
	return true;
}

static int check(
	struct mr_consumer *k, const struct mr_delivery *out, unsigned max, size_t out_bytes)
{
	struct mr_client *c = k != NULL ? k->client : NULL;

	if (k == NULL || out == NULL)
		return mr_fail(c, -EINVAL, "mr_pull_batch: the consumer or the result is NULL");
	if (max == 0 || out_bytes == 0)
		return mr_fail(c, -EINVAL, "mr_pull_batch: at least one delivery");
	if (!mr_consumer_is_pulled(k))
		return mr_fail(c, -EINVAL, "the consumer has a callback");
	if (!k->manual)
		return mr_fail(c, -EINVAL, "mr_pull_batch: the consumer must be manual");
	return 0;
}

/* Returns the milliseconds until the wait is over; -1: it has no end. */
static int left_ms(uint64_t begun_ns, int wait_ms)
{
	uint64_t passed_ms = (mr_now_ns() - begun_ns) / MR_NS_PER_MS;

	if (wait_ms < 0)
		return -1;
	return passed_ms < (uint64_t)wait_ms ? wait_ms - (int)passed_ms : 0;
}

/* Pulls one more delivery into the batch. After -ENOENT there is no consumer any more. */
static int pull_one(struct mr_consumer *k, void *out, int timeout_ms, size_t out_bytes)
{
	struct mr_delivery own;
	int error = mr_pull_sized(k, &own, timeout_ms, sizeof(own));

	if (error != 0)
		return error;
	if (!keep(k, &own)) {
		(void)mr_give_back(k, own.tag);
		return mr_fail(k->client, -ENOMEM, NULL);
	}
	mr_sized_write(out, out_bytes, &own, sizeof(own));
	return 0;
}

int mr_pull_batch_sized(
	struct mr_consumer *k, struct mr_delivery *out, unsigned max, int wait_ms, size_t out_bytes)
{
	uint64_t begun_ns = mr_now_ns();
	unsigned count = 0, most;
	int error = check(k, out, max, out_bytes);

	if (error != 0)
		return error;
	most = k->prefetch != 0 ? k->prefetch : MR_CONSUMER_PREFETCH;
	max = max < most ? max : most;
	mr_consumer_drop_batch(k);
	k->kept = calloc(max, sizeof(struct mr_message *));
	if (k->kept == NULL)
		return mr_fail(k->client, -ENOMEM, NULL);
	for (; error == 0 && count < max; count += error == 0)
		error = pull_one(
			k, (char *)out + count * out_bytes, left_ms(begun_ns, wait_ms), out_bytes);
	/* A lost connection has taken the deliveries back. */
	return count > 0 && error != -ENOTCONN && error != -ENOENT ? (int)count : error;
}
