/* SPDX-License-Identifier: Apache-2.0 */
/* Carries out control's requests: sessions, subscriptions, aliases, listings. */
#include "dataplane/writer/writer.h"

#include <errno.h>
#include <unistd.h>

#include "lib/base/log.h"

/* Rows in one packet of a listing; the largest row is below 1 KiB. */
#define ROWS_MAX      256u
#define ROW_BYTES_MAX 1024u

static const char *text_of(int error, const char *table_full)
{
	switch (error) {
	case 0: return "";
	case -EEXIST: return "this subscription id is in use for another pattern or group";
	case -ENOENT: return "no such subscription or alias in this session";
	case -EINVAL: return "malformed subject, pattern or group";
	case -EDQUOT:
	case -ENOSPC: return table_full;
	default: return mr_log_errno_text(error);
	}
}

/* True if a limit or a peer's share is used up. */
static bool is_full(int error)
{
	return error == -ENOSPC || error == -EDQUOT;
}

static void open_session(struct mr_writer *wr, uint64_t id, struct mrf_table t, int pidfd)
{
	struct mr_session *s;
	struct mrf_builder b;
	uint64_t memory[64];
	int peer_fd;
	int error = mr_writer_session_open(wr, t, pidfd, &s, &peer_fd);

	if (error != 0) {
		mr_count(wr->stats->refused_sessions, 1);
		mr_writer_link_result(wr, id, error,
			error == -EDQUOT
				? "this user has its share of the clients (peers.share_percent of "
				  "channels.clients_max)"
				: text_of(error,
					  "no room for another client (channels.clients_max)"));
		return;
	}
	const struct mrf_link_session_opened v = {.session = s->id, .worker = s->worker};
	const int fds[MR_CHANNEL_FDS] = {
		[MR_CHANNEL_FD_MEMORY] = s->channel.memory_fd,
		[MR_CHANNEL_FD_WORKER_PAGE] = wr->workers[s->worker]->page_fd,
		[MR_CHANNEL_FD_WORKER_BELL] = s->channel.worker_bell_fd,
		[MR_CHANNEL_FD_PEER_BELL] = s->channel.peer_bell_far_fd,
		[MR_CHANNEL_FD_LIVENESS] = peer_fd,
	};

	mrf_builder_init(&b, memory, sizeof(memory));
	mr_writer_link_send(wr, &b, id, MRF_LINK_BODY_LINK_SESSION_OPENED,
		mrf_link_session_opened_write(&b, &v), fds, MR_CHANNEL_FDS);
	/* If control did not get the packet, nobody has the other end, and the session closes by
	 * itself. */
	close(peer_fd);
}

static const char *remote_text_of(int error)
{
	switch (error) {
	case -EINVAL: return "malformed hello";
	case -EMSGSIZE: return "the port's MTU has no room for frames of 1,200 bytes";
	case -EDQUOT:
		return "too many sessions from this address (sessions.per_address_max, or "
		       "peers.share_percent of sessions.sessions_max)";
	default: return text_of(error, "no room for another session (sessions.sessions_max)");
	}
}

static void open_remote(struct mr_writer *wr, uint64_t id, struct mrf_table t)
{
	struct mr_session *s;
	struct mrf_builder b;
	uint64_t memory[64];
	int error = mr_writer_remote_open(wr, t, &s);

	if (error != 0) {
		mr_count(wr->stats->refused_sessions, 1);
		mr_writer_link_result(wr, id, error, remote_text_of(error));
		return;
	}
	const struct mrf_link_session_opened v = {
		.session = s->id,
		.worker = s->worker,
		.secret = s->remote->secret,
		.frame_bytes = __atomic_load_n(&s->remote->frame_bytes, __ATOMIC_RELAXED),
		.credit = mr_flow_credit_first(&s->remote->flow),
	};

	mrf_builder_init(&b, memory, sizeof(memory));
	mr_writer_link_send(wr, &b, id, MRF_LINK_BODY_LINK_SESSION_OPENED,
		mrf_link_session_opened_write(&b, &v), NULL, 0);
}

/* Sets the subscription's high-water mark (mr_table_high_water), also if it was subscribed before.
 * */
static int set_water(struct mr_writer *wr, const struct mr_owner *owner, struct mrf_table t)
{
	uint32_t water = mrf_link_subscribe_high_water(t);

	if (mrf_link_subscribe_when_full(t) != MRF_WHEN_FULL_BLOCK)
		water = 0;
	else if (water == 0)
		water = wr->config->sessions.high_water;
	if (water > MR_HIGH_WATER_MAX)
		water = MR_HIGH_WATER_MAX;
	return mr_table_high_water(
		wr->table, owner, mrf_link_subscribe_subscription(t), (uint8_t)water);
}

/* Returns what the deliveries shall say of a message: a subset of MR_SINK_ASKS. */
static uint8_t asks_of(struct mrf_table t)
{
	return (uint8_t)((mrf_link_subscribe_time(t) ? MR_SINK_TIME : 0) |
			 (mrf_link_subscribe_sender(t) ? MR_SINK_SENDER : 0));
}

/* Returns the subscription that a LinkSubscribe describes. */
static struct mr_table_row row_of(struct mrf_table t, const struct mr_session *s)
{
	struct mrf_string pattern = mrf_link_subscribe_pattern(t);
	struct mrf_string group = mrf_link_subscribe_group(t);

	return (struct mr_table_row){
		.owner = mr_writer_owner(s),
		.sub_id = mrf_link_subscribe_subscription(t),
		.kind = mrf_link_subscribe_kind(t) == MRF_SUBSCRIPTION_KIND_PREFIX ? MR_SUB_PREFIX
										   : MR_SUB_PATTERN,
		.text = pattern.data,
		.text_bytes = pattern.bytes,
		.group = group.data,
		.group_bytes = group.bytes,
		.asks = asks_of(t),
	};
}

static void subscribe(struct mr_writer *wr, uint64_t id, struct mrf_table t)
{
	struct mr_session *s = mr_writer_session_find(wr, mrf_link_subscribe_session(t));
	const char *full = NULL;
	struct mr_table_stats before, after;
	struct mr_table_row row;
	struct mr_owner owner;
	int error;

	if (s == NULL) {
		mr_writer_link_result(wr, id, -ENOENT, "the session is closed");
		return;
	}
	if (mrf_link_subscribe_sender(t) && !wr->config->sessions.show_sender) {
		mr_writer_link_result(wr, id, -EPERM,
			"this bus does not tell senders (sessions.show_sender is false)");
		return;
	}
	row = row_of(t, s);
	owner = row.owner;
	if (mrf_link_subscribe_multicast(t) && mr_writer_multicast_join(wr, id, s, &row))
		return;
	(void)mr_writer_multicast_leave(wr, s, row.sub_id);
	mr_table_stats_get(wr->table, &before);
	error = mr_table_subscribe_row(wr->table, &row);
	if (error == 0)
		error = set_water(wr, &owner, t);
	mr_table_stats_get(wr->table, &after);
	/* Repeating a subscription succeeds and changes nothing, also for a client at its limit. */
	s->subscriptions += after.subscriptions - before.subscriptions;
	if (s->subscriptions > wr->config->tables.subscriptions_per_client_max) {
		(void)mr_table_unsubscribe(wr->table, &owner, mrf_link_subscribe_subscription(t));
		s->subscriptions--;
		error = -ENOSPC;
		full = "this client has too many (tables.subscriptions_per_client_max)";
	} else if (is_full(error)) {
		full = mr_table_refusal(wr->table);
	}
	if (is_full(error))
		mr_count(wr->stats->refused_subscriptions, 1);
	mr_writer_link_result(wr, id, error, text_of(error, full));
}

static void unsubscribe(struct mr_writer *wr, uint64_t id, struct mrf_table t)
{
	struct mr_session *s = mr_writer_session_find(wr, mrf_link_unsubscribe_session(t));
	int error = -ENOENT;

	if (s != NULL) {
		struct mr_owner owner = mr_writer_owner(s);

		bool member =
			mr_table_is_member(wr->table, &owner, mrf_link_unsubscribe_subscription(t));
		bool left = mr_writer_multicast_leave(wr, s, mrf_link_unsubscribe_subscription(t));

		error = mr_table_unsubscribe(
			wr->table, &owner, mrf_link_unsubscribe_subscription(t));
		if (error == 0)
			s->subscriptions--;
		else if (left)
			error = 0;
		if (error == 0 && member && mr_writer_answer_later(wr, id))
			return;
	}
	mr_writer_link_result(wr, id, error, text_of(error, ""));
}

static void alias_acquire(struct mr_writer *wr, uint64_t id, struct mrf_table t)
{
	struct mr_session *s = mr_writer_session_find(wr, mrf_link_alias_acquire_session(t));
	struct mrf_link_alias_acquired v = {0};
	struct mrf_builder b;
	uint64_t memory[64];
	bool at_limit = false;
	int error = -ENOENT;

	if (s != NULL)
		error = mr_writer_alias_give(
			wr, s, mrf_link_alias_acquire_subject(t), &v.alias, &at_limit);
	if (error != 0) {
		if (is_full(error))
			mr_count(wr->stats->refused_aliases, 1);
		mr_writer_link_result(wr, id, error,
			text_of(error,
				at_limit
					? "this client has too many (tables.aliases_per_client_max)"
					: mr_table_refusal(wr->table)));
		return;
	}
	mrf_builder_init(&b, memory, sizeof(memory));
	mr_writer_link_send(wr, &b, id, MRF_LINK_BODY_LINK_ALIAS_ACQUIRED,
		mrf_link_alias_acquired_write(&b, &v), NULL, 0);
}

static void alias_release(struct mr_writer *wr, uint64_t id, struct mrf_table t)
{
	struct mr_session *s = mr_writer_session_find(wr, mrf_link_alias_release_session(t));
	int error = -ENOENT;

	if (s != NULL)
		error = mr_writer_alias_take(wr, s, mrf_link_alias_release_alias(t));
	mr_writer_link_result(wr, id, error, text_of(error, ""));
}

static void close_session(struct mr_writer *wr, uint64_t id, struct mrf_table t)
{
	struct mr_session *s = mr_writer_session_find(wr, mrf_link_close_session_session(t));
	struct mrf_string reason = mrf_link_close_session_reason(t);

	if (s == NULL) {
		mr_writer_link_result(wr, id, -ENOENT, "no such session");
		return;
	}
	mr_writer_session_expel(wr, s, -ECONNABORTED, reason.data);
	mr_writer_link_result(wr, id, 0, "");
}

/* A listing that is being made. It is sent each time that a packet is full of rows. */
struct listing {
	struct mr_writer *wr;
	uint64_t id;
	struct mrf_builder b;
	uint32_t rows[ROWS_MAX];
	uint32_t count;
	uint64_t memory[(MR_WRITER_LINK_BYTES_MAX - 1024) / sizeof(uint64_t)];
};

static bool listing_full(const struct listing *l)
{
	/* Sized for the largest rows; typical ones are far smaller. */
	return l->count == ROWS_MAX || (l->count + 2) * ROW_BYTES_MAX > sizeof(l->memory);
}

static void listing_begin(struct listing *l)
{
	mrf_builder_init(&l->b, l->memory, sizeof(l->memory));
	l->count = 0;
}

static void send_sessions(struct listing *l, bool last)
{
	struct mrf_link_sessions v = {.rows = l->rows, .rows_count = l->count, .last = last};

	mr_writer_link_send(l->wr, &l->b, l->id, MRF_LINK_BODY_LINK_SESSIONS,
		mrf_link_sessions_write(&l->b, &v), NULL, 0);
	listing_begin(l);
}

static void list_session(struct listing *l, const struct mr_session *s)
{
	l->rows[l->count++] = mr_writer_session_row(&l->b, s, s->subscriptions);
	if (listing_full(l))
		send_sessions(l, false);
}

static void list_sessions(struct mr_writer *wr, uint64_t id)
{
	static struct listing l;

	l.wr = wr;
	l.id = id;
	listing_begin(&l);
	for (unsigned i = 0; i < wr->workers_count; i++) {
		const struct mr_directory *d = &wr->workers[i]->directory;

		for (uint32_t slot = 0; slot < d->slots_count; slot++) {
			struct mr_session *s =
				atomic_load_explicit(&d->slots[slot], memory_order_relaxed);

			if (s != NULL)
				list_session(&l, s);
		}
	}
	send_sessions(&l, true);
}

static void send_subscriptions(struct listing *l, bool last)
{
	struct mrf_link_subscriptions v = {.rows = l->rows, .rows_count = l->count, .last = last};

	mr_writer_link_send(l->wr, &l->b, l->id, MRF_LINK_BODY_LINK_SUBSCRIPTIONS,
		mrf_link_subscriptions_write(&l->b, &v), NULL, 0);
	listing_begin(l);
}

static bool list_subscription(void *listing, const struct mr_table_row *r)
{
	struct listing *l = listing;

	/* Its members are listed. */
	if (r->owner.slot != MR_OWNER_QUEUE &&
		mr_writer_multicast_is_group(
			l->wr, mr_session_id(r->owner.worker, r->owner.slot, r->owner.generation)))
		return true;
	struct mrf_subscription_row row = {
		.session = mr_session_id(r->owner.worker, r->owner.slot, r->owner.generation),
		.subscription = r->sub_id,
		.kind = r->kind == MR_SUB_PREFIX ? MRF_SUBSCRIPTION_KIND_PREFIX
						 : MRF_SUBSCRIPTION_KIND_PATTERN,
		.pattern = mrf_str_n(r->text, (uint32_t)r->text_bytes),
		.group = mrf_str_n(r->group, (uint32_t)r->group_bytes),
		.when_full = r->high_water != 0 ? MRF_WHEN_FULL_BLOCK : MRF_WHEN_FULL_DROP,
		.high_water = r->high_water,
	};

	if (r->owner.slot == MR_OWNER_QUEUE) {
		row.session = row.subscription = 0;
		row.queue = mr_writer_bound_name(l->wr, r->owner.generation);
		row.when_full = MRF_WHEN_FULL_BLOCK;
	}
	l->rows[l->count++] = mrf_subscription_row_write(&l->b, &row);
	if (listing_full(l))
		send_subscriptions(l, false);
	return l->wr->link_fd >= 0;
}

static void list_member(void *listing, const struct mrf_subscription_row *row)
{
	struct listing *l = listing;

	l->rows[l->count++] = mrf_subscription_row_write(&l->b, row);
	if (listing_full(l))
		send_subscriptions(l, false);
}

static void list_subscriptions(struct mr_writer *wr, uint64_t id)
{
	static struct listing l;

	l.wr = wr;
	l.id = id;
	listing_begin(&l);
	mr_table_each(wr->table, list_subscription, &l);
	mr_writer_multicast_each(wr, list_member, &l);
	send_subscriptions(&l, true);
}

void mr_writer_request(struct mr_writer *wr, struct mrf_table m, int fd)
{
	uint64_t id = mrf_link_message_id(m);
	struct mrf_table body = mrf_link_message_body(m);
	enum mrf_link_body type = mrf_link_message_body_type(m);

	if (fd >= 0 && type != MRF_LINK_BODY_LINK_OPEN_SESSION)
		close(fd);
	switch (type) {
	case MRF_LINK_BODY_LINK_OPEN_SESSION: open_session(wr, id, body, fd); break;
	case MRF_LINK_BODY_LINK_OPEN_REMOTE: open_remote(wr, id, body); break;
	case MRF_LINK_BODY_LINK_CLOSE_SESSION: close_session(wr, id, body); break;
	case MRF_LINK_BODY_LINK_SUBSCRIBE: subscribe(wr, id, body); break;
	case MRF_LINK_BODY_LINK_UNSUBSCRIBE: unsubscribe(wr, id, body); break;
	case MRF_LINK_BODY_LINK_ALIAS_ACQUIRE: alias_acquire(wr, id, body); break;
	case MRF_LINK_BODY_LINK_ALIAS_RELEASE: alias_release(wr, id, body); break;
	case MRF_LINK_BODY_LINK_LIST_SESSIONS: list_sessions(wr, id); break;
	case MRF_LINK_BODY_LINK_LIST_SUBSCRIPTIONS: list_subscriptions(wr, id); break;
	case MRF_LINK_BODY_LINK_BIND: mr_writer_bind(wr, id, body); break;
	case MRF_LINK_BODY_LINK_UNBIND: mr_writer_unbind(wr, id, body); break;
	case MRF_LINK_BODY_LINK_LIST_PORTS: mr_writer_ports_list(wr, id); break;
	case MRF_LINK_BODY_PORT_EDIT: mr_writer_port_edit(wr, id, body); break;
	case MRF_LINK_BODY_LINK_LIST_PORT_RULES: mr_writer_port_rules_list(wr, id, body); break;
	case MRF_LINK_BODY_LINK_OPEN_TAPS: mr_writer_taps_open(wr, id); break;
	default:
		mr_count(wr->stats->bad_link_messages, 1);
		mr_writer_link_result(
			wr, id, -ENOSYS, "this data plane does not know this request");
	}
}
