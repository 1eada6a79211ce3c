/* SPDX-License-Identifier: Apache-2.0 */
/* document: a configuration text loaded by libcyaml, each value still as it was written.
 *
 * Owns      The document owns its texts until free.
 * Errors    0 or -errno; -EINVAL with the loader's words.
 */
#ifndef MILLRACE_CONFIG_DOCUMENT_H
#define MILLRACE_CONFIG_DOCUMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mr_config_document;

/* *out is NULL for a text without content. */
int mr_config_document_load(struct mr_config_document **out, const char *text, size_t bytes,
	char *error, size_t error_bytes);
void mr_config_document_free(struct mr_config_document *d);

/* The items of a key (one unless it is a list). False: the text does not say it. */
bool mr_config_document_get(const struct mr_config_document *d, const char *key,
	const char *const **items, uint32_t *count);

#endif
