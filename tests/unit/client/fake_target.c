/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/client/fake_target.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/client/fake_bus.h"

struct fake_target *fake_target_at(const struct fake_targets *all, size_t index)
{
	return (struct fake_target *)((char *)all->first + index * all->bytes);
}

struct fake_target *fake_target_by_name(const struct fake_targets *all, const char *name)
{
	for (size_t i = 0; i < all->count; i++) {
		struct fake_target *t = fake_target_at(all, i);

		if (t->name[0] != '\0' && strcmp(t->name, name) == 0)
			return t;
	}
	return NULL;
}

struct fake_target *fake_target_by_number(const struct fake_targets *all, uint32_t number)
{
	for (size_t i = 0; i < all->count; i++) {
		struct fake_target *t = fake_target_at(all, i);

		if (t->name[0] != '\0' && t->number == number)
			return t;
	}
	return NULL;
}

struct fake_target *fake_target_new(const struct fake_targets *all, const char *name)
{
	for (size_t i = 0; i < all->count; i++) {
		struct fake_target *t = fake_target_at(all, i);

		if (t->name[0] != '\0')
			continue;
		snprintf(t->name, sizeof(t->name), "%s", name);
		return t;
	}
	return NULL;
}

void fake_target_forget(struct fake_target *t)
{
	memset(t->consumers, 0, sizeof(t->consumers));
	t->name[0] = '\0';
}

struct fake_consumer *fake_consumer_find(
	struct fake_target *t, uint64_t session, uint32_t subscription)
{
	for (unsigned i = 0; i < FAKE_CONSUMERS_MAX; i++) {
		struct fake_consumer *c = &t->consumers[i];

		if (c->session == session && c->subscription == subscription)
			return c;
	}
	return NULL;
}

struct fake_target *fake_target_of(const struct fake_targets *all, uint64_t session,
	uint32_t subscription, struct fake_consumer **consumer)
{
	for (size_t i = 0; i < all->count; i++) {
		struct fake_target *t = fake_target_at(all, i);

		*consumer = fake_consumer_find(t, session, subscription);
		if (*consumer != NULL)
			return t;
	}
	return NULL;
}

void fake_consumer_add(
	struct fake_target *t, uint64_t session, uint32_t subscription, uint32_t prefetch)
{
	for (unsigned i = 0; i < FAKE_CONSUMERS_MAX; i++) {
		if (t->consumers[i].session != 0)
			continue;
		t->consumers[i] = (struct fake_consumer){
			.session = session, .subscription = subscription, .prefetch = prefetch};
		return;
	}
	abort();
}

struct fake_consumer *fake_consumer_with_room(struct fake_target *t)
{
	for (unsigned i = 0; i < FAKE_CONSUMERS_MAX; i++) {
		struct fake_consumer *c = &t->consumers[i];

		if (c->session != 0 && c->outstanding < c->prefetch)
			return c;
	}
	return NULL;
}

struct bus_session *fake_session_of(struct bus *b, uint64_t id)
{
	for (unsigned i = 0; i < BUS_SESSIONS_MAX; i++) {
		if (b->sessions[i].open && b->sessions[i].id == id)
			return &b->sessions[i];
	}
	return NULL;
}

void fake_disconnect(struct bus *b, uint64_t session, uint32_t subscription)
{
	struct mrf_disconnect d = {.subscription = subscription, .code = -ETIMEDOUT};
	struct mrf_client_message message = {.body_type = MRF_CLIENT_BODY_DISCONNECT};
	struct mr_message_plan plan;
	struct mrf_builder builder;
	uint8_t memory[256];
	const void *data;
	size_t bytes;

	mrf_builder_init(&builder, memory, sizeof(memory));
	message.body = mrf_disconnect_write(&builder, &d);
	if (mrf_builder_finish(
		    &builder, mrf_client_message_write(&builder, &message), &data, &bytes) != 0)
		abort();
	plan = mr_message_plan(MRF_MESSAGE_KIND_CONTROL, NULL, "", 0, data, 0, (uint32_t)bytes);
	bus_send_plan(fake_session_of(b, session), &plan, 0);
}
