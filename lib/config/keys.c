/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/config/keys.h"

#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/suggest.h"
#include "lib/base/units.h"
#include "lib/config/address.h"
#include "lib/config/multicast.h"
#include "lib/config/ports.h"
#include "lib/config/templates.h"

#define CPUS_MAX 1024

static const char *const polls[] = {"auto", "adaptive", "busy", NULL};
static const char *const pins[] = {"auto", "always", "never", NULL};
static const char *const block_overs[] = {"gap", "expel", NULL};
static const char *const levels[] = {"error", "warn", "info", "debug", NULL};

_Static_assert(sizeof(enum mr_config_poll) == 4, "choices and entries are stored as 32 bits");
_Static_assert(sizeof(uid_t) == 4 && sizeof(gid_t) == 4 && sizeof(int) == 4, "the same");

#define AT(member)         .offset = offsetof(struct mr_config, member)
#define RANGE(least, most) .min = (least), .max = (most)
#define NUMBER(n, member, least, most)                                                             \
	{                                                                                          \
		.name = (n), .type = MR_CONFIG_TYPE_NUMBER, AT(member), RANGE(least, most)         \
	}
#define POWER(n, member, least, most)                                                              \
	{                                                                                          \
		.name = (n), .type = MR_CONFIG_TYPE_POWER_OF_TWO, AT(member), RANGE(least, most)   \
	}
#define RING(n, member)                                                                            \
	{                                                                                          \
		.name = (n), .type = MR_CONFIG_TYPE_SIZE, AT(member), RANGE(256u << 10, 1u << 30)  \
	}
#define SIZE(n, member, least, most)                                                               \
	{                                                                                          \
		.name = (n), .type = MR_CONFIG_TYPE_SIZE, AT(member), RANGE(least, most)           \
	}
#define BOOL(n, member)                                                                            \
	{                                                                                          \
		.name = (n), .type = MR_CONFIG_TYPE_BOOL, AT(member)                               \
	}
#define CHOICE(n, member, c)                                                                       \
	{                                                                                          \
		.name = (n), .type = MR_CONFIG_TYPE_CHOICE, AT(member), .choices = (c)             \
	}
#define LIST(n, t, member, count, most, entries)                                                   \
	{                                                                                          \
		.name = (n), .type = (t), AT(member),                                              \
		.count_offset = offsetof(struct mr_config, count), RANGE(0, most),                 \
		.entries_max = (entries)                                                           \
	}

/* clang-format off */
const struct mr_config_key mr_config_keys[MR_CONFIG_KEYS_COUNT] = {
	{.name = "run_dir", .type = MR_CONFIG_TYPE_PATH, AT(run_dir),
		RANGE(1, sizeof(((struct mr_config *)0)->run_dir))},
	NUMBER("workers.count", workers.count, 1, MR_CONFIG_WORKERS_MAX),
	LIST("workers.cpus", MR_CONFIG_TYPE_CPUS, workers.cpus, workers.cpus_count,
		CPUS_MAX - 1, MR_CONFIG_WORKERS_MAX),
	CHOICE("workers.pin", workers.pin, pins),
	CHOICE("workers.poll", workers.poll, polls),
	NUMBER("workers.spin_us", workers.spin_us, 0, 1000000),
	NUMBER("channels.clients_max", channels.clients_max, 1, 65536),
	RING("channels.up_ring_bytes", channels.up_ring_bytes),
	RING("channels.down_ring_bytes", channels.down_ring_bytes),
	RING("channels.handoff_ring_bytes", channels.handoff_ring_bytes),
	NUMBER("tables.subscriptions_max", tables.subscriptions_max, 1, 16777216),
	NUMBER("tables.subscriptions_per_client_max", tables.subscriptions_per_client_max, 1,
		16777216),
	NUMBER("tables.identical_per_client_max", tables.identical_per_client_max, 1, 16777216),
	NUMBER("tables.copies_per_client_max", tables.copies_per_client_max, 1, 16777216),
	NUMBER("tables.shapes_per_client_max", tables.shapes_per_client_max, 1, 16777216),
	NUMBER("tables.prefix_lengths_per_client_max", tables.prefix_lengths_per_client_max, 1,
		256),
	NUMBER("tables.aliases_max", tables.aliases_max, 1, 1048576),
	NUMBER("tables.aliases_per_client_max", tables.aliases_per_client_max, 1, 1048576),
	POWER("tables.route_cache_entries", tables.route_cache_entries, 64, 1048576),
	POWER("mesh.ring_entries", mesh.ring_entries, 64, 65536),
	NUMBER("mesh.blocks", mesh.blocks, 16, 8192),
	LIST("ports.open", MR_CONFIG_TYPE_PORTS, ports.open, ports.open_count, 0,
		MR_CONFIG_PORTS_MAX),
	LIST("multicast.ranges", MR_CONFIG_TYPE_MULTICAST, multicast.ranges,
		multicast.ranges_count, 0, MR_CONFIG_MULTICAST_MAX),
	NUMBER("sessions.sessions_max", sessions.sessions_max, 1, 1048576),
	NUMBER("sessions.per_address_max", sessions.per_address_max, 0, 33554432),
	NUMBER("sessions.heartbeat_ms", sessions.heartbeat_ms, 100, 60000),
	NUMBER("sessions.missed_max", sessions.missed_max, 1, 100),
	NUMBER("sessions.hellos_per_second", sessions.hellos_per_second, 1, 1000000),
	SIZE("sessions.log_bytes", sessions.log_bytes, 16u << 10, 16u << 20),
	NUMBER("sessions.logs_mib", sessions.logs_mib, 1, 1048576),
	NUMBER("sessions.high_water", sessions.high_water, 1, 100),
	SIZE("sessions.held_bytes_max", sessions.held_bytes_max, 64u << 10, 1u << 30),
	SIZE("sessions.early_bytes_max", sessions.early_bytes_max, 4u << 20, 1u << 30),
	NUMBER("sessions.block_ms_max", sessions.block_ms_max, 0, 86400000),
	CHOICE("sessions.block_over", sessions.block_over, block_overs),
	BOOL("sessions.show_sender", sessions.show_sender),
	NUMBER("peers.share_percent", peers.share_percent, 1, 100),
	NUMBER("peers.ip6_prefix_bits", peers.ip6_prefix_bits, 16, 64),
	SIZE("messages.bytes_max", messages.bytes_max, 64u << 10, 64u << 20),
	NUMBER("queues.memory_mib", queues.memory_mib, 1, 1048576),
	NUMBER("queues.queues_max", queues.queues_max, 1, 1048576),
	NUMBER("queues.per_client_max", queues.per_client_max, 1, 1048576),
	NUMBER("queues.messages_max", queues.messages_max, 1, UINT32_MAX),
	NUMBER("queues.window", queues.window, 1, 65536),
	NUMBER("queues.prefetch", queues.prefetch, 1, 65535),
	NUMBER("queues.ack_timeout_ms", queues.ack_timeout_ms, 10, 86400000),
	NUMBER("queues.max_deliver", queues.max_deliver, 1, 65535),
	NUMBER("queues.idle_ms", queues.idle_ms, 1000, 86400000),
	NUMBER("queues.publishers_max", queues.publishers_max, 1, 1048576),
	LIST("queues.templates", MR_CONFIG_TYPE_TEMPLATES, queues.templates,
		queues.templates_count, 0, MR_CONFIG_TEMPLATES_MAX),
	NUMBER("services.heartbeat_ms", services.heartbeat_ms, 100, 60000),
	NUMBER("services.missed_max", services.missed_max, 1, 100),
	NUMBER("services.expiry_ms", services.expiry_ms, 10, 86400000),
	NUMBER("services.retries", services.retries, 0, 100),
	NUMBER("services.breaker_failures", services.breaker_failures, 0, 65534),
	NUMBER("services.breaker_reset_ms", services.breaker_reset_ms, 10, 86400000),
	NUMBER("services.breaker_probes", services.breaker_probes, 1, 65535),
	LIST("access.networks", MR_CONFIG_TYPE_NETWORKS, access.networks, access.networks_count,
		0, MR_CONFIG_NETWORKS_MAX),
	BOOL("access.bind_mac", access.bind_mac),
	BOOL("access.anyone", access.anyone),
	LIST("access.users", MR_CONFIG_TYPE_USERS, access.users, access.users_count,
		UINT32_MAX - 1, MR_CONFIG_IDS_MAX),
	LIST("access.groups", MR_CONFIG_TYPE_GROUPS, access.groups, access.groups_count,
		UINT32_MAX - 1, MR_CONFIG_IDS_MAX),
	CHOICE("log.level", log.level, levels),
	BOOL("log.json", log.json),
};
/* clang-format on */

const struct mr_config_key *mr_config_key_find(const char *name, size_t name_bytes)
{
	for (size_t i = 0; i < MR_CONFIG_KEYS_COUNT; i++) {
		const char *known = mr_config_keys[i].name;

		if (strlen(known) == name_bytes && memcmp(known, name, name_bytes) == 0)
			return &mr_config_keys[i];
	}
	return NULL;
}

void mr_config_key_unknown(char *to, size_t to_bytes, const char *name, size_t name_bytes)
{
	struct mr_suggest s = mr_suggest_begin(name, name_bytes);

	for (size_t i = 0; i < MR_CONFIG_KEYS_COUNT; i++) {
		const char *known = mr_config_keys[i].name;
		const char *dot = strchr(known, '.');

		mr_suggest_try(&s, known);
		if (dot == NULL)
			continue;
		mr_suggest_try_as(&s, known, (size_t)(dot - known), known);
		/* A key without its section is meant if it is spelt rightly. */
		if (strlen(dot + 1) == name_bytes && memcmp(dot + 1, name, name_bytes) == 0)
			mr_suggest_try_as(&s, name, name_bytes, known);
	}
	/* A name without a dot that is near a section's name means the section. */
	if (s.best == NULL)
		snprintf(to, to_bytes, "an unknown key");
	else if (s.best_distance > 0 && memchr(name, '.', name_bytes) == NULL)
		snprintf(to, to_bytes, "an unknown key (did you mean %.*s?)",
			(int)strcspn(s.best, "."), s.best);
	else
		snprintf(to, to_bytes, "an unknown key (did you mean %s?)", s.best);
}

bool mr_config_key_is_list(const struct mr_config_key *key)
{
	return key->type >= MR_CONFIG_TYPE_CPUS;
}

const char *mr_config_key_separator(const struct mr_config_key *key)
{
	bool has_commas = key->type == MR_CONFIG_TYPE_PORTS ||
			  key->type == MR_CONFIG_TYPE_TEMPLATES ||
			  key->type == MR_CONFIG_TYPE_MULTICAST;

	return has_commas ? ";" : ",";
}

void mr_config_printable(char *to, size_t to_bytes, const char *text, size_t text_bytes)
{
	size_t n = 0;

	if (text_bytes == 0)
		text = "nothing", text_bytes = 7;
	for (; n < text_bytes && n + 4 < to_bytes; n++)
		to[n] = (unsigned char)text[n] < 0x20 || text[n] == 0x7f ? '?' : text[n];
	if (n < text_bytes) {
		memcpy(to + n, "...", 3);
		n += 3;
	}
	to[n] = '\0';
}

/* Parses decimal digits. -EINVAL for anything else, or for more than 15 digits. */
static int parse_digits(const char *text, size_t bytes, uint64_t *out)
{
	uint64_t value = 0;

	if (bytes == 0 || bytes > 15)
		return -EINVAL;
	for (size_t i = 0; i < bytes; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -EINVAL;
		value = value * 10 + (uint64_t)(text[i] - '0');
	}
	*out = value;
	return 0;
}

/* True if the name has `unit` as a word: "idle_ms" and "block_ms_max" have "ms". */
static bool has_unit(const char *name, const char *unit)
{
	size_t bytes = strlen(unit);

	for (const char *at = strchr(name, '_'); at != NULL; at = strchr(at + 1, '_')) {
		if (strncmp(at + 1, unit, bytes) == 0 &&
			(at[bytes + 1] == '_' || at[bytes + 1] == '\0'))
			return true;
	}
	return false;
}

static int parse_number(const struct mr_config_key *key, const char *text, uint64_t *out)
{
	if (parse_digits(text, strlen(text), out) == 0)
		return 0;
	if (key->type == MR_CONFIG_TYPE_SIZE)
		return mr_units_size(text, 1, out);
	if (has_unit(key->name, "ms"))
		return mr_units_duration(text, MR_UNITS_MS, out);
	if (has_unit(key->name, "us"))
		return mr_units_duration(text, MR_UNITS_US, out);
	if (has_unit(key->name, "mib"))
		return mr_units_size(text, 1u << 20, out);
	return -EINVAL;
}

static void format_size(char *to, size_t to_bytes, uint64_t value)
{
	if (value != 0 && value % (1u << 30) == 0)
		snprintf(to, to_bytes, "%" PRIu64 " GiB", value >> 30);
	else if (value != 0 && value % (1u << 20) == 0)
		snprintf(to, to_bytes, "%" PRIu64 " MiB", value >> 20);
	else
		snprintf(to, to_bytes, "%" PRIu64 " KiB", value >> 10);
}

/* Tells which unit a plain number has, and how another one is written. */
static const char *unit_hint(const char *name)
{
	return has_unit(name, "ms")    ? " (ms), or a time such as 500ms or 2s"
	       : has_unit(name, "us")  ? " (us), or a time such as 50us or 1ms"
	       : has_unit(name, "mib") ? " (MiB), or a size such as 64MiB or 1GiB"
				       : "";
}

static void expect_number(const struct mr_config_key *key, struct mr_config_fault *f)
{
	char least[32], most[32];

	if (key->type == MR_CONFIG_TYPE_SIZE) {
		format_size(least, sizeof(least), key->min);
		format_size(most, sizeof(most), key->max);
		snprintf(f->expected, sizeof(f->expected),
			"a power of two from %s to %s, such as 1 MiB", least, most);
	} else {
		snprintf(f->expected, sizeof(f->expected), "a %s from %" PRIu64 " to %" PRIu64 "%s",
			key->type == MR_CONFIG_TYPE_NUMBER ? "number" : "power of two", key->min,
			key->max, unit_hint(key->name));
	}
}

static int set_number(
	const struct mr_config_key *key, uint32_t *to, const char *text, struct mr_config_fault *f)
{
	uint64_t value;
	int error = parse_number(key, text, &value);

	if (error != 0 || value < key->min || value > key->max ||
		(key->type != MR_CONFIG_TYPE_NUMBER && (value & (value - 1)) != 0)) {
		expect_number(key, f);
		return -EINVAL;
	}
	*to = (uint32_t)value;
	return 0;
}

static int set_choice(
	const struct mr_config_key *key, uint32_t *to, const char *text, struct mr_config_fault *f)
{
	size_t used = 0;

	for (uint32_t i = 0; key->choices[i] != NULL; i++) {
		if (strcmp(text, key->choices[i]) == 0) {
			*to = i;
			return 0;
		}
	}
	for (uint32_t i = 0; key->choices[i] != NULL; i++)
		used += (size_t)snprintf(f->expected + used, sizeof(f->expected) - used, "%s%s",
			i == 0 ? "" : ", ", key->choices[i]);
	return -EINVAL;
}

static int set_bool(bool *to, const char *text, struct mr_config_fault *f)
{
	*to = strcmp(text, "true") == 0;
	if (*to || strcmp(text, "false") == 0)
		return 0;
	snprintf(f->expected, sizeof(f->expected), "true or false");
	return -EINVAL;
}

static int set_path(
	const struct mr_config_key *key, char *to, const char *text, struct mr_config_fault *f)
{
	size_t bytes = strlen(text);

	if (bytes < key->min || bytes >= key->max) {
		snprintf(f->expected, sizeof(f->expected), "a path of 1 to %" PRIu64 " bytes",
			key->max - 1);
		return -EINVAL;
	}
	memcpy(to, text, bytes + 1);
	return 0;
}

static int find_user(const char *name, uint32_t *out)
{
	const struct passwd *p = getpwnam(name);

	if (p != NULL)
		*out = p->pw_uid;
	return p != NULL ? 0 : -ENOENT;
}

static int find_group(const char *name, uint32_t *out)
{
	const struct group *g = getgrnam(name);

	if (g != NULL)
		*out = g->gr_gid;
	return g != NULL ? 0 : -ENOENT;
}

static int parse_entry(const struct mr_config_key *key, const char *text, uint32_t *out)
{
	uint64_t value;

	if (parse_digits(text, strlen(text), &value) == 0) {
		*out = (uint32_t)value;
		return value <= key->max ? 0 : -EINVAL;
	}
	if (key->type == MR_CONFIG_TYPE_CPUS || *text == '\0')
		return -EINVAL;
	return key->type == MR_CONFIG_TYPE_USERS ? find_user(text, out) : find_group(text, out);
}

static void expect_entry(const struct mr_config_key *key, struct mr_config_fault *f)
{
	static const char *const what[] = {
		[MR_CONFIG_TYPE_USERS] = "the name or number of a user of this host",
		[MR_CONFIG_TYPE_GROUPS] = "the name or number of a group of this host",
	};

	if (key->type == MR_CONFIG_TYPE_CPUS)
		snprintf(f->expected, sizeof(f->expected), "different numbers of CPUs from 0 to %d",
			CPUS_MAX - 1);
	else
		snprintf(f->expected, sizeof(f->expected), "%s", what[key->type]);
}

static bool among(const uint32_t *entries, uint32_t count, uint32_t value)
{
	for (uint32_t i = 0; i < count; i++) {
		if (entries[i] == value)
			return true;
	}
	return false;
}

static int set_numbers(const struct mr_config_key *key, uint32_t *to, const char *const *items,
	uint32_t count, struct mr_config_fault *f)
{
	memset(to, 0, key->entries_max * sizeof(*to));
	for (uint32_t i = 0; i < count; i++) {
		uint32_t value;

		if (parse_entry(key, items[i], &value) != 0 ||
			(key->type == MR_CONFIG_TYPE_CPUS && among(to, i, value))) {
			mr_config_printable(f->found, sizeof(f->found), items[i], strlen(items[i]));
			expect_entry(key, f);
			f->entry = i + 1;
			return -EINVAL;
		}
		to[i] = value;
	}
	return 0;
}

static int set_ports(const struct mr_config_key *key, struct mr_config_port *to,
	const char *const *items, uint32_t count, struct mr_config_fault *f)
{
	int error = 0;

	memset(to, 0, key->entries_max * sizeof(*to));
	for (uint32_t i = 0; error == 0 && i < count; i++) {
		error = mr_config_port_parse(items[i], i, &to[i], f);
		f->entry = error != 0 ? i + 1 : 0;
	}
	return error;
}

static int set_templates(const struct mr_config_key *key, struct mr_config_template *to,
	const char *const *items, uint32_t count, struct mr_config_fault *f)
{
	int error = 0;

	memset(to, 0, key->entries_max * sizeof(*to));
	for (uint32_t i = 0; error == 0 && i < count; i++) {
		error = mr_config_template_parse(items[i], &to[i], f);
		f->entry = error != 0 ? i + 1 : 0;
	}
	return error;
}

static int set_networks(const struct mr_config_key *key, struct mr_config_network *to,
	const char *const *items, uint32_t count, struct mr_config_fault *f)
{
	memset(to, 0, key->entries_max * sizeof(*to));
	for (uint32_t i = 0; i < count; i++) {
		if (mr_config_network_parse(items[i], &to[i]) == 0)
			continue;
		mr_config_printable(f->found, sizeof(f->found), items[i], strlen(items[i]));
		snprintf(f->expected, sizeof(f->expected),
			"networks such as 10.0.0.0/8 or fd77::/64");
		f->entry = i + 1;
		return -EINVAL;
	}
	return 0;
}

static int set_multicast(const struct mr_config_key *key, struct mr_config_multicast *to,
	const char *const *items, uint32_t count, struct mr_config_fault *f)
{
	int error = 0;

	memset(to, 0, key->entries_max * sizeof(*to));
	for (uint32_t i = 0; error == 0 && i < count; i++)
		error = mr_config_multicast_parse(items[i], &to[i], f);
	return error;
}

static int set_list(const struct mr_config_key *key, struct mr_config *c, const char *const *items,
	uint32_t count, struct mr_config_fault *f)
{
	void *to = (char *)c + key->offset;
	uint32_t *to_count = (uint32_t *)((char *)c + key->count_offset);
	int error;

	if (count > key->entries_max) {
		snprintf(f->found, sizeof(f->found), "%u entries", count);
		snprintf(f->expected, sizeof(f->expected), "at most %u", key->entries_max);
		return -EINVAL;
	}
	if (key->type == MR_CONFIG_TYPE_PORTS)
		error = set_ports(key, to, items, count, f);
	else if (key->type == MR_CONFIG_TYPE_TEMPLATES)
		error = set_templates(key, to, items, count, f);
	else if (key->type == MR_CONFIG_TYPE_NETWORKS)
		error = set_networks(key, to, items, count, f);
	else if (key->type == MR_CONFIG_TYPE_MULTICAST)
		error = set_multicast(key, to, items, count, f);
	else
		error = set_numbers(key, to, items, count, f);
	*to_count = error == 0 ? count : 0;
	return error;
}

int mr_config_key_set(const struct mr_config_key *key, struct mr_config *c,
	const char *const *items, uint32_t count, struct mr_config_fault *f)
{
	void *to = (char *)c + key->offset;

	if (mr_config_key_is_list(key))
		return set_list(key, c, items, count, f);
	mr_config_printable(f->found, sizeof(f->found), items[0], strlen(items[0]));
	switch (key->type) {
	case MR_CONFIG_TYPE_BOOL: return set_bool(to, items[0], f);
	case MR_CONFIG_TYPE_CHOICE: return set_choice(key, to, items[0], f);
	case MR_CONFIG_TYPE_PATH: return set_path(key, to, items[0], f);
	default: return set_number(key, to, items[0], f);
	}
}
