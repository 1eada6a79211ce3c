/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/config/document.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <cyaml/cyaml.h>

#include "lib/config/config.h"

#define VALUE_BYTES_MAX 4096
/* More than any list's maximum, so that the check of the key reports the right maximum. */
#define ENTRIES_MAX 1024

struct list {
	char **items;
	unsigned items_count;
};

struct mr_config_document {
	char *run_dir;
	struct {
		char *count, *pin, *poll, *spin_us;
		struct list cpus;
	} workers;
	struct {
		char *clients_max, *up_ring_bytes, *down_ring_bytes, *handoff_ring_bytes;
	} channels;
	struct {
		char *subscriptions_max, *subscriptions_per_client_max;
		char *identical_per_client_max, *copies_per_client_max, *shapes_per_client_max;
		char *prefix_lengths_per_client_max;
		char *aliases_max, *aliases_per_client_max, *route_cache_entries;
	} tables;
	struct {
		char *ring_entries, *blocks;
	} mesh;
	struct {
		struct list open;
	} ports;
	struct {
		char *sessions_max, *per_address_max, *heartbeat_ms, *missed_max;
		char *hellos_per_second;
		char *log_bytes, *logs_mib;
		char *high_water;
		char *held_bytes_max;
		char *early_bytes_max;
		char *block_ms_max;
		char *block_over;
		char *show_sender;
	} sessions;
	struct {
		struct list ranges;
	} multicast;
	struct {
		char *share_percent, *ip6_prefix_bits;
	} peers;
	struct {
		char *bytes_max;
	} messages;
	struct {
		char *memory_mib;
		char *queues_max;
		char *per_client_max;
		char *messages_max;
		char *window;
		char *prefetch;
		char *ack_timeout_ms;
		char *max_deliver;
		char *idle_ms;
		char *publishers_max;
		struct list templates;
	} queues;
	struct {
		char *heartbeat_ms;
		char *missed_max;
		char *expiry_ms;
		char *retries;
		char *breaker_failures;
		char *breaker_reset_ms;
		char *breaker_probes;
	} services;
	struct {
		char *bind_mac, *anyone;
		struct list networks, users, groups;
	} access;
	struct {
		char *level, *json;
	} log;
};

#define DOC              struct mr_config_document
#define OPTIONAL         CYAML_FLAG_OPTIONAL
#define SECTION_AT(s)    ((uint32_t)offsetof(DOC, s))
#define IN_SECTION(s, m) ((uint32_t)(offsetof(DOC, s.m) - offsetof(DOC, s)))
#define VALUE(s, m)                                                                                \
	{                                                                                          \
		.key = #m, .data_offset = IN_SECTION(s, m),                                        \
		.value = {CYAML_VALUE_STRING(                                                      \
			CYAML_FLAG_POINTER | OPTIONAL, char, 0, VALUE_BYTES_MAX)},                 \
	}
#define LIST(s, m)                                                                                 \
	{                                                                                          \
		.key = #m, .data_offset = IN_SECTION(s, m.items), .count_size = sizeof(unsigned),  \
		.count_offset = IN_SECTION(s, m.items_count),                                      \
		.value = {CYAML_VALUE_SEQUENCE(                                                    \
			CYAML_FLAG_POINTER | OPTIONAL, char *, &item, 0, ENTRIES_MAX)},            \
	}
#define SECTION(s)                                                                                 \
	{                                                                                          \
		.key = #s, .data_offset = SECTION_AT(s),                                           \
		.value = {                                                                         \
			.type = CYAML_MAPPING,                                                     \
			.flags = OPTIONAL,                                                         \
			.data_size = (uint32_t)sizeof(((DOC *)0)->s),                              \
			.mapping = {.fields = s##_fields},                                         \
		},                                                                                 \
	}

static const cyaml_schema_value_t item = {
	CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 0, VALUE_BYTES_MAX),
};

/* clang-format off */
static const cyaml_schema_field_t workers_fields[] = {
	VALUE(workers, count), LIST(workers, cpus), VALUE(workers, pin), VALUE(workers, poll),
	VALUE(workers, spin_us),
	CYAML_FIELD_END,
};
static const cyaml_schema_field_t channels_fields[] = {
	VALUE(channels, clients_max), VALUE(channels, up_ring_bytes),
	VALUE(channels, down_ring_bytes), VALUE(channels, handoff_ring_bytes), CYAML_FIELD_END,
};
static const cyaml_schema_field_t tables_fields[] = {
	VALUE(tables, subscriptions_max), VALUE(tables, subscriptions_per_client_max),
	VALUE(tables, identical_per_client_max), VALUE(tables, copies_per_client_max),
	VALUE(tables, shapes_per_client_max),
	VALUE(tables, prefix_lengths_per_client_max), VALUE(tables, aliases_max),
	VALUE(tables, aliases_per_client_max),
	VALUE(tables, route_cache_entries), CYAML_FIELD_END,
};
static const cyaml_schema_field_t mesh_fields[] = {
	VALUE(mesh, ring_entries), VALUE(mesh, blocks), CYAML_FIELD_END,
};
static const cyaml_schema_field_t ports_fields[] = {
	LIST(ports, open), CYAML_FIELD_END,
};
static const cyaml_schema_field_t multicast_fields[] = {
	LIST(multicast, ranges), CYAML_FIELD_END,
};
static const cyaml_schema_field_t sessions_fields[] = {
	VALUE(sessions, sessions_max), VALUE(sessions, per_address_max),
	VALUE(sessions, heartbeat_ms), VALUE(sessions, missed_max),
	VALUE(sessions, hellos_per_second), VALUE(sessions, log_bytes),
	VALUE(sessions, logs_mib),
	VALUE(sessions, high_water), VALUE(sessions, held_bytes_max),
	VALUE(sessions, early_bytes_max), VALUE(sessions, block_ms_max),
	VALUE(sessions, block_over), VALUE(sessions, show_sender), CYAML_FIELD_END,
};
static const cyaml_schema_field_t peers_fields[] = {
	VALUE(peers, share_percent), VALUE(peers, ip6_prefix_bits), CYAML_FIELD_END,
};

static const cyaml_schema_field_t messages_fields[] = {
	VALUE(messages, bytes_max), CYAML_FIELD_END,
};

static const cyaml_schema_field_t queues_fields[] = {
	VALUE(queues, memory_mib), VALUE(queues, queues_max), VALUE(queues, per_client_max),
	VALUE(queues, messages_max), VALUE(queues, window), VALUE(queues, prefetch),
	VALUE(queues, ack_timeout_ms), VALUE(queues, max_deliver), VALUE(queues, idle_ms),
	VALUE(queues, publishers_max), LIST(queues, templates), CYAML_FIELD_END,
};

static const cyaml_schema_field_t services_fields[] = {
	VALUE(services, heartbeat_ms), VALUE(services, missed_max), VALUE(services, expiry_ms),
	VALUE(services, retries), VALUE(services, breaker_failures),
	VALUE(services, breaker_reset_ms), VALUE(services, breaker_probes), CYAML_FIELD_END,
};
static const cyaml_schema_field_t access_fields[] = {
	LIST(access, networks), VALUE(access, bind_mac), VALUE(access, anyone),
	LIST(access, users), LIST(access, groups),
	CYAML_FIELD_END,
};
static const cyaml_schema_field_t log_fields[] = {
	VALUE(log, level), VALUE(log, json), CYAML_FIELD_END,
};
static const cyaml_schema_field_t top_fields[] = {
	{
		.key = "run_dir", .data_offset = SECTION_AT(run_dir),
		.value = {CYAML_VALUE_STRING(CYAML_FLAG_POINTER | OPTIONAL, char, 0,
			VALUE_BYTES_MAX)},
	},
	SECTION(workers), SECTION(channels), SECTION(tables), SECTION(mesh), SECTION(ports),
	SECTION(multicast),
	SECTION(sessions), SECTION(peers), SECTION(messages), SECTION(queues), SECTION(services),
	SECTION(access),
	SECTION(log), CYAML_FIELD_END,
};
/* clang-format on */

static const cyaml_schema_value_t top = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, DOC, top_fields),
};

/* Keeps the loader's first message, which is the reason; later ones are its context. */
struct words {
	char *text;
	size_t bytes;
};

__attribute__((format(printf, 3, 0))) static void keep_words(
	cyaml_log_t level, void *context, const char *format, va_list args)
{
	struct words *w = context;

	(void)level;
	if (w->text[0] != '\0')
		return;
	vsnprintf(w->text, w->bytes, format, args);
	w->text[strcspn(w->text, "\n")] = '\0';
}

static cyaml_config_t loader(struct words *w)
{
	return (cyaml_config_t){
		.log_fn = keep_words,
		.log_ctx = w,
		.mem_fn = cyaml_mem,
		.log_level = CYAML_LOG_ERROR,
		.flags = CYAML_CFG_NO_ALIAS,
	};
}

int mr_config_document_load(struct mr_config_document **out, const char *text, size_t bytes,
	char *error, size_t error_bytes)
{
	struct words w = {.text = error, .bytes = error_bytes};
	cyaml_config_t config = loader(&w);
	cyaml_data_t *data = NULL;
	cyaml_err_t e;

	*out = NULL;
	error[0] = '\0';
	if (bytes == 0)
		return 0;
	e = cyaml_load_data((const uint8_t *)text, bytes, &config, &top, &data, NULL);
	if (e == CYAML_OK) {
		*out = data;
		return 0;
	}
	if (error[0] == '\0')
		snprintf(error, error_bytes, "%s", cyaml_strerror(e));
	return e == CYAML_ERR_OOM ? -ENOMEM : -EINVAL;
}

void mr_config_document_free(struct mr_config_document *d)
{
	char unused[8] = "";
	struct words w = {.text = unused, .bytes = sizeof(unused)};
	cyaml_config_t config = loader(&w);

	if (d != NULL)
		cyaml_free(&config, &top, d, 0);
}

static const cyaml_schema_field_t *find_field(
	const cyaml_schema_field_t *fields, const char *name, size_t bytes)
{
	for (; fields->key != NULL; fields++) {
		if (strlen(fields->key) == bytes && memcmp(fields->key, name, bytes) == 0)
			return fields;
	}
	return NULL;
}

bool mr_config_document_get(const struct mr_config_document *d, const char *key,
	const char *const **items, uint32_t *count)
{
	size_t section_bytes = strcspn(key, ".");
	const cyaml_schema_field_t *f = find_field(top_fields, key, section_bytes);
	const char *base = (const char *)d;

	if (f != NULL && f->value.type == CYAML_MAPPING) {
		const char *name = key + section_bytes + 1;

		base += f->data_offset;
		f = find_field(f->value.mapping.fields, name, strlen(name));
	}
	if (f == NULL)
		return false;
	base += f->data_offset;
	if (f->value.type == CYAML_SEQUENCE) {
		const struct list *l = (const struct list *)base;

		*items = (const char *const *)l->items;
		*count = l->items_count;
		return l->items != NULL;
	}
	*items = (const char *const *)base;
	*count = 1;
	return **items != NULL;
}
