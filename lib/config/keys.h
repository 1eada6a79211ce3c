/* SPDX-License-Identifier: Apache-2.0 */
/* keys: the one table of all configuration keys, for files and --set alike.
 *
 * Units     The name of a number says its unit: _us, _ms or _mib at its end or before another _.
 *           A value may have a unit of its own ("2s", "1GiB"); a plain number counts the key's.
 * Owns      Nothing.
 * Errors    -EINVAL with a struct mr_config_fault: the found text, the expected one.
 */
#ifndef MILLRACE_CONFIG_KEYS_H
#define MILLRACE_CONFIG_KEYS_H

#include "lib/config/config.h"

enum mr_config_type {
	MR_CONFIG_TYPE_NUMBER,
	MR_CONFIG_TYPE_POWER_OF_TWO,
	MR_CONFIG_TYPE_SIZE, /* bytes, a power of two, may have a unit */
	MR_CONFIG_TYPE_BOOL,
	MR_CONFIG_TYPE_CHOICE,
	MR_CONFIG_TYPE_PATH,
	MR_CONFIG_TYPE_CPUS, /* lists from here on */
	MR_CONFIG_TYPE_USERS,
	MR_CONFIG_TYPE_GROUPS,
	MR_CONFIG_TYPE_PORTS,
	MR_CONFIG_TYPE_TEMPLATES,
	MR_CONFIG_TYPE_NETWORKS,
	MR_CONFIG_TYPE_MULTICAST,
};

struct mr_config_key {
	const char *name; /* "section.key", or "key" */
	enum mr_config_type type;
	size_t offset;       /* place of the value in struct mr_config */
	size_t count_offset; /* lists: offset of the number of entries */
	uint64_t min;        /* numbers and sizes; in lists: for each entry */
	uint64_t max;        /* also the bytes of a path, with its NUL */
	uint32_t entries_max;
	const char *const *choices; /* NULL-terminated, in the order of their enum */
};

struct mr_config_fault {
	char found[128];
	char expected[384];
	uint32_t entry; /* number in a list, from 1; 0: the fault is in no single entry */
};

#define MR_CONFIG_KEYS_COUNT 64
extern const struct mr_config_key mr_config_keys[MR_CONFIG_KEYS_COUNT];

/* Returns the key, or NULL if there is none of this name. */
const struct mr_config_key *mr_config_key_find(const char *name, size_t name_bytes);

/* Writes "an unknown key", with the key or section that `name` probably means, if there is one. */
void mr_config_key_unknown(char *to, size_t to_bytes, const char *name, size_t name_bytes);

bool mr_config_key_is_list(const struct mr_config_key *key);
/* Returns the separator of a list's items in a --set. */
const char *mr_config_key_separator(const struct mr_config_key *key);

/* Parses `items` (exactly one unless the key is a list) into *c. */
int mr_config_key_set(const struct mr_config_key *key, struct mr_config *c,
	const char *const *items, uint32_t count, struct mr_config_fault *fault);

/* Copies outside text for an error message: shortened, control bytes replaced. */
void mr_config_printable(char *to, size_t to_bytes, const char *text, size_t text_bytes);

#endif
