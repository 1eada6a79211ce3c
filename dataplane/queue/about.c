/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/queue/about.h"

#include <errno.h>

#include "dataplane/queue/dead.h"
#include "lib/wire/queue_about.h"

struct mr_about mr_about_of(const struct mr_queue *queue)
{
	if (queue->about == NULL)
		return (struct mr_about){0};
	return (struct mr_about){
		.owner = mrf_str_n(queue->about, queue->owner_bytes),
		.description =
			mrf_str_n(queue->about + queue->owner_bytes, queue->description_bytes),
	};
}

static uint32_t bytes_of(const struct mr_about *about)
{
	return about->owner.bytes + about->description.bytes;
}

static void release(struct mr_queues *q, char *chunk, uint32_t bytes)
{
	if (chunk != NULL)
		mr_slab_release(q->store, chunk, bytes);
}

void mr_about_free(struct mr_queues *q, struct mr_queue *queue)
{
	const struct mr_about about = mr_about_of(queue);

	release(q, queue->about, bytes_of(&about));
	queue->about = NULL;
}

static void copy(char *to, struct mrf_string text)
{
	if (text.bytes > 0)
		memcpy(to, text.data, text.bytes);
}

/* Copies the texts into a chunk; NULL: both are empty. -ENOMEM. */
static int make_chunk(struct mr_queues *q, const struct mr_about *about, char **out)
{
	*out = NULL;
	if (bytes_of(about) == 0)
		return 0;
	*out = mr_slab_alloc(q->store, bytes_of(about));
	if (*out == NULL)
		return -ENOMEM;
	copy(*out, about->owner);
	copy(*out + about->owner.bytes, about->description);
	return 0;
}

/* Gives the queue a chunk with these texts. */
static void install(
	struct mr_queues *q, struct mr_queue *queue, const struct mr_about *about, char *chunk)
{
	mr_about_free(q, queue);
	queue->about = chunk;
	queue->owner_bytes = (uint8_t)about->owner.bytes;
	queue->description_bytes = (uint8_t)about->description.bytes;
}

int mr_about_template(struct mr_queues *q, struct mr_queue *queue)
{
	const struct mr_queue_template *t =
		mr_queue_template_of(q, queue->kind, mrf_str_n(queue->name, queue->name_bytes));
	struct mr_about about;
	char *chunk;
	int rc;

	if (t == NULL || (t->options & MR_ABOUT_OPTIONS) == 0)
		return 0;
	about = (struct mr_about){.owner = t->owner, .description = t->description};
	rc = make_chunk(q, &about, &chunk);
	if (rc == 0)
		install(q, queue, &about, chunk);
	return rc;
}

static const char *refused(
	const struct mr_queue *queue, uint32_t edits, const struct mr_about *about)
{
	if ((edits & MR_ABOUT_OPTIONS) != 0 && queue->is_dead)
		return "dead letters have no options: edit their queue";
	if ((edits & MRF_QUEUE_OPTION_OWNER) != 0 &&
		!mr_queue_about_is_valid(
			about->owner.data, about->owner.bytes, MR_QUEUE_OWNER_BYTES_MAX))
		return MR_QUEUE_OWNER_EXPECTED;
	if ((edits & MRF_QUEUE_OPTION_DESCRIPTION) != 0 &&
		!mr_queue_about_is_valid(about->description.data, about->description.bytes,
			MR_QUEUE_DESCRIPTION_BYTES_MAX))
		return MR_QUEUE_DESCRIPTION_EXPECTED;
	return NULL;
}

/* Edits the options that are no texts about the queue. */
static int edit_others(struct mr_queues *q, struct mr_queue *queue, struct mrf_table command,
	const struct mrf_queue_options *values)
{
	uint32_t edits = mrf_queue_command_edits(command);

	if (edits != 0 && (edits & ~(uint32_t)MR_ABOUT_OPTIONS) == 0)
		return 0;
	return mr_dead_edit(q, queue, edits & ~(uint32_t)MR_ABOUT_OPTIONS, values,
		mrf_queue_command_dead_letter(command));
}

int mr_about_edit(struct mr_queues *q, struct mr_queue *queue, struct mrf_table command,
	const struct mrf_queue_options *values)
{
	uint32_t edits = mrf_queue_command_edits(command);
	struct mr_about about = mr_about_of(queue);
	char *chunk;
	int rc;

	if (edits & MRF_QUEUE_OPTION_OWNER)
		about.owner = mrf_queue_command_owner(command);
	if (edits & MRF_QUEUE_OPTION_DESCRIPTION)
		about.description = mrf_queue_command_description(command);
	q->limits.why = refused(queue, edits, &about);
	if (q->limits.why != NULL)
		return -EINVAL;
	if ((edits & MR_ABOUT_OPTIONS) == 0)
		return edit_others(q, queue, command, values);
	rc = make_chunk(q, &about, &chunk);
	if (rc != 0)
		return rc;
	rc = edit_others(q, queue, command, values);
	if (rc != 0) {
		release(q, chunk, bytes_of(&about));
		return rc;
	}
	install(q, queue, &about, chunk);
	queue->edited |= edits & MR_ABOUT_OPTIONS;
	queue->is_set = queue->kept = true;
	queue->used_ms = q->now_ms;
	return 0;
}
