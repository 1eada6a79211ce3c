/* SPDX-License-Identifier: Apache-2.0 */
/* document: a configuration text loaded by libcyaml, its values still as texts.
 *
 * Owns      The document owns its texts until free.
 * Errors    0 or -errno; -EINVAL with the loader's message.
 */
#ifndef MILLRACE_CONFIG_DOCUMENT_H
#define MILLRACE_CONFIG_DOCUMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mr_config_document;

/* Loads a text. *out is NULL if the text is empty. */
int mr_config_document_load(struct mr_config_document **out, const char *text, size_t bytes,
	char *error, size_t error_bytes);
void mr_config_document_free(struct mr_config_document *d);

/* Returns the items of a key (one, unless it is a list). False if the text does not contain it. */
bool mr_config_document_get(const struct mr_config_document *d, const char *key,
	const char *const **items, uint32_t *count);

#endif
