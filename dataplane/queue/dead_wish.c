/* SPDX-License-Identifier: Apache-2.0 */
/* dead_wish: the place that a client or a template wishes for the dead letters of a queue. */
#include <errno.h>

#include "dataplane/queue/dead.h"

/* Returns the wish of the template, or of the client. */
static struct mrf_string wish_of(const struct mr_queues *q, enum mrf_queue_kind kind,
	struct mrf_string name, struct mrf_string wish)
{
	struct mrf_string fixed = mr_queue_template_dead_letter(q, kind, name);

	return fixed.bytes > 0 ? fixed : wish;
}

const char *mr_dead_wish_refused(struct mr_queues *q, enum mrf_queue_kind kind,
	struct mrf_string name, struct mrf_string wish)
{
	struct mrf_string fixed = mr_queue_template_dead_letter(q, kind, name);

	if (fixed.bytes > 0)
		return mr_queue_template_blame_dead(
			q, kind, name, mr_dead_name_refused(q, name, fixed));
	if (wish.bytes == 0)
		return NULL;
	if (kind != MRF_QUEUE_KIND_QUEUE)
		return "only queues have dead letters";
	return mr_dead_name_refused(q, name, wish);
}

int mr_dead_wish_grant(struct mr_queues *q, struct mr_queue *queue, struct mrf_string wish,
	struct mr_queue_client *client)
{
	const struct mrf_string name = mrf_str_n(queue->name, queue->name_bytes);
	bool was_set = queue->is_set;
	int rc;

	if (wish.bytes > 0)
		was_set = true;
	wish = wish_of(q, queue->kind, name, wish);
	if (wish.bytes == 0)
		return 0;
	rc = mr_dead_name(q, queue, wish, client);
	if (rc != 0)
		mr_queue_remove(q, queue);
	else
		queue->is_set = was_set; /* a template alone does not keep an idle queue */
	return rc;
}

bool mr_dead_wish_agrees(const struct mr_queue *queue, struct mrf_string wish)
{
	struct mrf_string has = mr_dead_name_of(queue);

	if (wish.bytes == 0 || (queue->edited & MRF_QUEUE_OPTION_DEAD_LETTER))
		return true;
	if (queue->kind != MRF_QUEUE_KIND_QUEUE || queue->is_dead)
		return false;
	if (has.bytes == 0)
		return mr_dead_is_word(wish, "default");
	return has.bytes == wish.bytes && memcmp(has.data, wish.data, has.bytes) == 0;
}
