/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/config/document.h"
#include "lib/config/keys.h"
#include "lib/config/outline.h"
#include "lib/config/ports.h"
#include "lib/wire/underway.h"

#define FILE_BYTES_MAX (1u << 20)
#define SET_ITEMS_MAX  128

/* The destination of error texts, and the sources of values. */
struct place {
	char *error;
	size_t error_bytes;
	const char *file;
	const struct mr_config_outline *outline; /* NULL without a file */
	const char *const *sets;
	size_t sets_count;
};

void mr_config_default(struct mr_config *c)
{
	memset(c, 0, sizeof(*c));
	snprintf(c->run_dir, sizeof(c->run_dir), "/run/millrace");
	c->workers.count = 1;
	c->workers.pin = MR_CONFIG_PIN_AUTO;
	c->workers.poll = MR_CONFIG_POLL_ADAPTIVE;
	c->workers.spin_us = 20;
	c->channels.clients_max = 256;
	c->channels.up_ring_bytes = 1u << 20;
	c->channels.down_ring_bytes = 4u << 20;
	c->channels.handoff_ring_bytes = 1u << 20;
	c->tables.subscriptions_max = 1u << 20;
	c->tables.subscriptions_per_client_max = 131072;
	c->tables.identical_per_client_max = 16;
	c->tables.copies_per_client_max = 6;
	c->tables.shapes_per_client_max = 64;
	c->tables.prefix_lengths_per_client_max = 16;
	c->tables.aliases_max = 65536;
	c->tables.aliases_per_client_max = 4096;
	c->tables.route_cache_entries = 8192;
	c->mesh.ring_entries = 1024;
	c->mesh.blocks = 256;
	c->sessions.sessions_max = 16384;
	c->sessions.heartbeat_ms = 2500;
	c->sessions.missed_max = 3;
	c->sessions.hellos_per_second = 10000;
	c->sessions.log_bytes = 128u << 10;
	c->sessions.logs_mib = 1024;
	c->sessions.high_water = 50;
	c->sessions.held_bytes_max = 16u << 20;
	c->sessions.early_bytes_max = 64u << 20;
	c->peers.share_percent = 25;
	c->peers.ip6_prefix_bits = 64;
	c->sessions.block_ms_max = 30000;
	c->messages.bytes_max = 1u << 20;
	c->queues.memory_mib = 256;
	c->queues.queues_max = 16384;
	c->queues.per_client_max = 1024;
	c->queues.messages_max = UINT32_MAX;
	c->queues.window = 1024;
	c->queues.prefetch = 10;
	c->queues.ack_timeout_ms = 30000;
	c->queues.max_deliver = 5;
	c->queues.idle_ms = 600000;
	c->queues.publishers_max = 4096;
	c->services.heartbeat_ms = 2500;
	c->services.missed_max = 3;
	c->services.expiry_ms = 30000;
	c->services.retries = 2;
	c->services.breaker_failures = 5;
	c->services.breaker_reset_ms = 10000;
	c->services.breaker_probes = 1;
	c->log.level = 2; /* info */
}

static void report(const struct place *p, uint32_t line, const char *key, const char *found,
	const char *expected)
{
	snprintf(p->error, p->error_bytes, "%s:%u: %s%sfound %s; expected %s", p->file, line, key,
		key[0] != '\0' ? ": " : "", found, expected);
}

static void report_set(
	const struct place *p, const char *key, const char *found, const char *expected)
{
	snprintf(
		p->error, p->error_bytes, "--set: %s: found %s; expected %s", key, found, expected);
}

static int read_all(int fd, char *text, size_t *bytes)
{
	*bytes = 0;
	while (*bytes <= FILE_BYTES_MAX) {
		ssize_t n = read(fd, text + *bytes, FILE_BYTES_MAX + 1 - *bytes);

		if (n == 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			*bytes += (size_t)n;
	}
	return -EFBIG;
}

static void report_file(const struct place *p, int error)
{
	if (error == -EFBIG)
		snprintf(p->error, p->error_bytes, "%s: more than %u MiB; leave comments out",
			p->file, FILE_BYTES_MAX >> 20);
	else
		snprintf(p->error, p->error_bytes,
			"%s: cannot read it: %s; name a file that this user can read with --config",
			p->file, strerrordesc_np(-error));
}

static int read_file(const struct place *p, char **text, size_t *bytes)
{
	int fd = open(p->file, O_RDONLY | O_CLOEXEC);
	int error = fd < 0 ? -errno : 0;

	*text = malloc(FILE_BYTES_MAX + 1);
	if (error == 0)
		error = *text != NULL ? read_all(fd, *text, bytes) : -ENOMEM;
	if (fd >= 0)
		close(fd);
	if (error != 0)
		report_file(p, error);
	return error;
}

static int apply_document(
	const struct place *p, struct mr_config *c, const struct mr_config_document *d)
{
	for (size_t i = 0; d != NULL && i < MR_CONFIG_KEYS_COUNT; i++) {
		const struct mr_config_key *key = &mr_config_keys[i];
		struct mr_config_fault f = {0};
		const char *const *items;
		uint32_t count;

		if (!mr_config_document_get(d, key->name, &items, &count) ||
			mr_config_key_set(key, c, items, count, &f) == 0)
			continue;
		report(p, mr_config_outline_line(p->outline, key->name, f.entry), key->name,
			f.found, f.expected);
		return -EINVAL;
	}
	return 0;
}

static int load_text(const struct place *p, struct mr_config *c, const char *text, size_t bytes)
{
	struct mr_config_document *d;
	char why[160];
	int error = mr_config_document_load(&d, text, bytes, why, sizeof(why));

	if (error != 0) {
		report(p, 1, "", why, "a configuration");
		return error;
	}
	error = apply_document(p, c, d);
	mr_config_document_free(d);
	return error;
}

static int parse_text(const struct place *p, struct mr_config *c, struct mr_config_outline *o,
	const char *text, size_t bytes)
{
	const struct mr_config_node *node = NULL;
	struct mr_config_fault f = {0};
	uint32_t line;
	int error = mr_config_outline_read(o, text, bytes, &line, &f);

	if (error != 0) {
		report(p, line, "", f.found, f.expected);
		return error;
	}
	/* A file of comments alone reads as an empty value at the top. */
	if (o->count == 1 && o->nodes[0].path[0] == '\0' &&
		strcmp(o->nodes[0].text, "nothing") == 0 &&
		o->nodes[0].shape == MR_CONFIG_SHAPE_VALUE)
		return 0;
	error = mr_config_outline_check(o, &node, &f);
	if (error != 0) {
		report(p, node->line, node->path, f.found, f.expected);
		return error;
	}
	return load_text(p, c, text, bytes);
}

static int load_file(struct place *p, struct mr_config *c, struct mr_config_outline *o)
{
	char *text = NULL;
	size_t bytes;
	int error = read_file(p, &text, &bytes);

	p->outline = o;
	if (error == 0)
		error = parse_text(p, c, o, text, bytes);
	free(text);
	if (error == 0)
		snprintf(c->file, sizeof(c->file), "%s", p->file);
	return error;
}

/* Splits "a, b" or "[a, b]" into its items, in place. The separator of ports and templates is ";",
 * because their texts contain commas. */
static uint32_t split(char *text, const char *separator, const char **items)
{
	size_t bytes = strlen(text);
	uint32_t count = 0;
	char *rest = text;

	if (bytes >= 2 && text[0] == '[' && text[bytes - 1] == ']') {
		text[bytes - 1] = '\0';
		rest = text + 1;
	}
	rest += strspn(rest, " ");
	while (*rest != '\0' && count < SET_ITEMS_MAX) {
		size_t n = strcspn(rest, separator);
		char *next = rest[n] != '\0' ? rest + n + 1 : rest + n;

		rest[n] = '\0';
		while (n > 0 && rest[n - 1] == ' ')
			rest[--n] = '\0';
		items[count++] = rest;
		rest = next + strspn(next, " ");
	}
	return count;
}

static int set_value(const struct mr_config_key *key, struct mr_config *c, const char *value,
	struct mr_config_fault *f)
{
	const char *items[SET_ITEMS_MAX];
	char *copy;
	int error;

	if (!mr_config_key_is_list(key))
		return mr_config_key_set(key, c, &value, 1, f);
	copy = strdup(value);
	if (copy == NULL)
		return -ENOMEM;
	error = mr_config_key_set(
		key, c, items, split(copy, mr_config_key_separator(key), items), f);
	free(copy);
	return error;
}

static int apply_set(const struct place *p, struct mr_config *c, const char *set)
{
	const char *equals = strchr(set, '=');
	size_t name_bytes = equals != NULL ? (size_t)(equals - set) : strlen(set);
	const struct mr_config_key *key = mr_config_key_find(set, name_bytes);
	struct mr_config_fault f = {0};
	char name[64];
	int error;

	mr_config_printable(name, sizeof(name), set, name_bytes);
	if (key == NULL)
		mr_config_key_unknown(f.found, sizeof(f.found), set, name_bytes);
	if (equals == NULL || key == NULL) {
		report_set(p, name, equals == NULL ? "no value" : f.found,
			equals == NULL ? "KEY=VALUE"
				       : "a key of the configuration file (man millrace.yaml)");
		return -EINVAL;
	}
	error = set_value(key, c, equals + 1, &f);
	if (error != 0)
		report_set(p, name, f.found, f.expected);
	return error;
}

/* Reports a key whose value is valid alone but not with others, at its last source. */
static void report_key(
	const struct place *p, const char *key, const char *found, const char *expected)
{
	const struct mr_config_node *node =
		p->outline != NULL ? mr_config_outline_find(p->outline, key) : NULL;

	for (size_t i = 0; i < p->sets_count; i++) {
		if (strncmp(p->sets[i], key, strlen(key)) == 0 && p->sets[i][strlen(key)] == '=')
			node = NULL;
	}
	if (node != NULL)
		report(p, node->line, key, found, expected);
	else
		report_set(p, key, found, expected);
}

static int check_cpus(const struct place *p, const struct mr_config *c)
{
	char found[64], expected[96];

	if (c->workers.cpus_count == 0 || c->workers.cpus_count == c->workers.count)
		return 0;
	snprintf(found, sizeof(found), "%u CPUs", c->workers.cpus_count);
	snprintf(expected, sizeof(expected), "none, or one for each of workers.count, which is %u",
		c->workers.count);
	report_key(p, "workers.cpus", found, expected);
	return -EINVAL;
}

/* Promised messages are never dropped only if held_bytes_max has room for all that may be under way
 * to one receiver. */
static int check_held(const struct place *p, const struct mr_config *c)
{
	uint64_t least = mr_underway_bytes(c->workers.count);
	char found[64], expected[160];

	if (c->sessions.held_bytes_max >= least)
		return 0;
	snprintf(found, sizeof(found), "%u KiB", c->sessions.held_bytes_max >> 10);
	snprintf(expected, sizeof(expected),
		"at least %u KiB: promised messages of %u worker%s on the way to one receiver",
		(unsigned)(least >> 10), c->workers.count, c->workers.count == 1 ? "" : "s");
	report_key(p, "sessions.held_bytes_max", found, expected);
	return -EINVAL;
}

static int check_whole(const struct place *p, const struct mr_config *c)
{
	struct mr_config_fault f;
	int error = check_cpus(p, c);

	if (error == 0)
		error = check_held(p, c);
	if (error != 0)
		return error;
	error = mr_config_ports_check(c->ports.open, c->ports.open_count, c->workers.count, &f);
	if (error != 0)
		report_key(p, "ports.open", f.found, f.expected);
	return error;
}

int mr_config_load(struct mr_config *c, const char *path, const char *const *sets,
	size_t sets_count, char *error, size_t error_bytes)
{
	struct place p = {error, error_bytes, path, NULL, sets, sets_count};
	struct mr_config_outline *o = calloc(1, sizeof(*o));
	int code = o != NULL ? 0 : -ENOMEM;

	mr_config_default(c);
	snprintf(error, error_bytes, "%s", code != 0 ? "no memory" : "");
	if (code == 0 && path != NULL && strlen(path) >= sizeof(c->file)) {
		snprintf(error, error_bytes, "the configuration file's path is too long");
		code = -ENAMETOOLONG;
	}
	if (code == 0 && path != NULL)
		code = load_file(&p, c, o);
	for (size_t i = 0; code == 0 && i < sets_count; i++)
		code = apply_set(&p, c, sets[i]);
	if (code == 0)
		code = check_whole(&p, c);
	free(o);
	return code;
}
