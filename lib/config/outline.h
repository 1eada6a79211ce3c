/* SPDX-License-Identifier: Apache-2.0 */
/* outline: where in a YAML text each key stands and what shape its value has.
 *
 * The loader below it reports neither the line of a value that is out of range nor that of an
 * unknown key exactly; people need both.
 *
 * Owns      Nothing; struct mr_config_outline is the caller's and holds copies.
 * Errors    -EINVAL with line, found and expected: not YAML, or YAML that a configuration has no use
 *           for (aliases, several documents, keys that are not plain text, deep nesting).
 */
#ifndef MILLRACE_CONFIG_OUTLINE_H
#define MILLRACE_CONFIG_OUTLINE_H

#include "lib/config/keys.h"

/* Enough for every key and then some; what comes later is not needed to refuse a text. */
#define MR_CONFIG_NODES_MAX 96

enum mr_config_shape { MR_CONFIG_SHAPE_VALUE, MR_CONFIG_SHAPE_LIST, MR_CONFIG_SHAPE_MAPPING };

struct mr_config_node {
	char path[64]; /* "section.key"; entries of lists have none */
	char text[48]; /* of a value, for messages */
	uint32_t line; /* from 1 */
	enum mr_config_shape shape;
};

struct mr_config_outline {
	struct mr_config_node nodes[MR_CONFIG_NODES_MAX];
	uint32_t count;
};

int mr_config_outline_read(struct mr_config_outline *o, const char *text, size_t bytes,
	uint32_t *line, struct mr_config_fault *fault);

/* Looks for what no configuration may have: unknown keys, keys said twice, lists where one value is
 * expected and the like. -EINVAL with the node that is wrong. */
int mr_config_outline_check(const struct mr_config_outline *o, const struct mr_config_node **node,
	struct mr_config_fault *fault);

const struct mr_config_node *mr_config_outline_find(
	const struct mr_config_outline *o, const char *path);

#endif
