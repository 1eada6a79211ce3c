/* SPDX-License-Identifier: Apache-2.0 */
/* outline: the line of each key in a YAML text, and the shape of its value.
 *
 * The loader below reports no exact line for a value out of range or for an unknown key; people
 * need both.
 *
 * Owns      Nothing; the caller owns struct mr_config_outline, which holds copies.
 * Errors    -EINVAL with line, found and expected: text that is not YAML, or YAML that a
 *           configuration does not allow (aliases, several documents, keys that are not plain text,
 *           deep nesting).
 */
#ifndef MILLRACE_CONFIG_OUTLINE_H
#define MILLRACE_CONFIG_OUTLINE_H

#include "lib/config/keys.h"

/* More than all keys together; the nodes behind are not needed to refuse a text. */
#define MR_CONFIG_NODES_MAX 96
/* Entries of all lists. Faults in those behind are reported with the line of their list. */
#define MR_CONFIG_ENTRIES_MAX 512

enum mr_config_shape { MR_CONFIG_SHAPE_VALUE, MR_CONFIG_SHAPE_LIST, MR_CONFIG_SHAPE_MAPPING };

struct mr_config_node {
	char path[64]; /* "section.key"; list entries have none */
	char text[48]; /* the value, for messages */
	uint32_t line; /* counted from 1 */
	enum mr_config_shape shape;
	uint32_t entries; /* of a list: the first of its lines in entry_lines, and how many */
	uint32_t entries_count;
};

struct mr_config_outline {
	struct mr_config_node nodes[MR_CONFIG_NODES_MAX];
	uint32_t count;
	uint32_t entry_lines[MR_CONFIG_ENTRIES_MAX];
	uint32_t entries_count;
};

int mr_config_outline_read(struct mr_config_outline *o, const char *text, size_t bytes,
	uint32_t *line, struct mr_config_fault *fault);

/* Finds faults that no configuration may have, such as unknown or repeated keys, or lists in place
 * of a value. -EINVAL with the faulty node. */
int mr_config_outline_check(const struct mr_config_outline *o, const struct mr_config_node **node,
	struct mr_config_fault *fault);

const struct mr_config_node *mr_config_outline_find(
	const struct mr_config_outline *o, const char *path);
/* Returns the line of a key, or of an entry of its list, counted from 1; 0: of the key itself. */
uint32_t mr_config_outline_line(
	const struct mr_config_outline *o, const char *path, uint32_t entry);

#endif
