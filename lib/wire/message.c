/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/wire/message.h"

void mr_message_extra_load(const uint8_t *at, uint8_t flags, struct mr_message_extra *out)
{
	*out = (struct mr_message_extra){.flags = flags & MR_MESSAGE_FLAGS_EXTRA};
	if (flags & MRF_MESSAGE_FLAG_ORIGIN) {
		memcpy(&out->origin, at, sizeof(out->origin));
		at += sizeof(out->origin);
	}
	if (flags & MRF_MESSAGE_FLAG_DELIVERY) {
		memcpy(&out->delivery, at, sizeof(out->delivery));
		at += sizeof(out->delivery);
	}
	if (flags & MRF_MESSAGE_FLAG_FRAGMENT)
		memcpy(&out->fragment, at, sizeof(out->fragment));
}

/* Copies word by word: the source was just written in words, and a wider load would wait for the
 * stores. */
static inline uint8_t *store_words(uint8_t *to, const void *from, size_t bytes)
{
	const uint8_t *at = from;

	for (size_t i = 0; i < bytes; i += sizeof(uint64_t)) {
		uint64_t word = mr_message_load_64(at + i);

		memcpy(to + i, &word, sizeof(word));
	}
	return to + bytes;
}

uint8_t *mr_message_extra_store(uint8_t *to, const struct mr_message_extra *extra)
{
	if (extra->flags & MRF_MESSAGE_FLAG_ORIGIN)
		to = store_words(to, &extra->origin, sizeof(extra->origin));
	if (extra->flags & MRF_MESSAGE_FLAG_DELIVERY)
		to = store_words(to, &extra->delivery, sizeof(extra->delivery));
	if (extra->flags & MRF_MESSAGE_FLAG_FRAGMENT)
		to = store_words(to, &extra->fragment, sizeof(extra->fragment));
	return to;
}

uint8_t mr_message_client_flags(uint8_t kind)
{
	const uint8_t body = MRF_MESSAGE_FLAG_SECTIONS;

	switch (kind) {
	case MRF_MESSAGE_KIND_PUBLISH:
		return body | MRF_MESSAGE_FLAG_TOKEN | MRF_MESSAGE_FLAG_ORIGIN |
		       MRF_MESSAGE_FLAG_FRAGMENT | MRF_MESSAGE_FLAG_HIGH;
	case MRF_MESSAGE_KIND_PUSH:
		return body | MRF_MESSAGE_FLAG_TOKEN | MRF_MESSAGE_FLAG_ORIGIN |
		       MRF_MESSAGE_FLAG_FRAGMENT | MRF_MESSAGE_FLAG_MORE | MRF_MESSAGE_FLAG_HIGH |
		       MRF_MESSAGE_FLAG_LOW;
	case MRF_MESSAGE_KIND_PUSH_OPTIONS:
		return body | MRF_MESSAGE_FLAG_ORIGIN | MRF_MESSAGE_FLAG_FRAGMENT |
		       MRF_MESSAGE_FLAG_HIGH | MRF_MESSAGE_FLAG_LOW;
	case MRF_MESSAGE_KIND_REPLY:
	case MRF_MESSAGE_KIND_PART:
		return body | MRF_MESSAGE_FLAG_TOKEN | MRF_MESSAGE_FLAG_FRAGMENT |
		       MRF_MESSAGE_FLAG_MORE;
	case MRF_MESSAGE_KIND_CREDIT: return MRF_MESSAGE_FLAG_TOKEN;
	default: return body | MRF_MESSAGE_FLAG_TOKEN;
	}
}

bool mr_message_plan_stamp(struct mr_message_plan *plan, const void *stamp, uint32_t stamp_bytes,
	struct mr_message_stamp_room *room)
{
	bool sections = plan->sections != 0;
	uint32_t bytes = plan->bytes + stamp_bytes +
			 (sections ? 0 : (uint32_t)sizeof(struct mrf_message_sections));

	assert(stamp_bytes >= sizeof(struct mrf_message_stamp));
	assert(stamp_bytes <= MR_STAMP_BYTES_MAX && mr_message_plan_stamp_bytes(plan) == 0);
	if (bytes > MR_MESSAGE_BYTES_MAX)
		return false;
	memcpy(room->bytes, stamp, stamp_bytes);
	if (plan->subject_bytes > 0)
		memcpy(room->bytes + stamp_bytes, plan->subject, plan->subject_bytes);
	plan->subject = room->bytes;
	plan->subject_bytes += stamp_bytes;
	plan->sections |= stamp_bytes << 8;
	plan->bytes = bytes;
	plan->stride = mr_message_stride(bytes);
	plan->header =
		(plan->header & ~0xffffull) | bytes | (uint64_t)MRF_MESSAGE_FLAG_SECTIONS << 24;
	return true;
}
