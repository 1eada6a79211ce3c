/* SPDX-License-Identifier: Apache-2.0 */
/* queue_option: options of queues and services as people write them, KEY=VALUE, for the
 * configuration and the command line alike.
 *
 * Units     Values may have a unit: "64MiB", "2s". A plain number counts bytes, or milliseconds.
 * Owns      Nothing.
 * Threads   Any.
 * Errors    parse: false; `expect` says what was expected.
 */
#ifndef MILLRACE_CONFIG_QUEUE_OPTION_H
#define MILLRACE_CONFIG_QUEUE_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flatbuf/link.h"

enum mr_queue_option_unit {
	MR_QUEUE_OPTION_COUNT,
	MR_QUEUE_OPTION_BYTES,
	MR_QUEUE_OPTION_MS,
	MR_QUEUE_OPTION_CHOICE,
	MR_QUEUE_OPTION_KEY_FROM, /* the value is a pointer to the text, or to an empty one */
	MR_QUEUE_OPTION_FACTOR,   /* hundredths, written as "1.5" */
	MR_QUEUE_OPTION_PERCENT,  /* "20" or "20%" */
};

struct mr_queue_option {
	const char *name;
	uint32_t option; /* enum mrf_queue_option */
	enum mr_queue_option_unit unit;
	uint64_t min, max;
	const char *word; /* stands for word_value; NULL: none does */
	uint64_t word_value;
	const char *choices; /* the words for 1, 2, ..., separated by '|' */
	bool service_only;
	bool queue_only;
};

#define MR_QUEUE_OPTIONS_COUNT 19
extern const struct mr_queue_option mr_queue_options[MR_QUEUE_OPTIONS_COUNT];

/* Returns the option of that name, or NULL. Names of times may end in "_ms". */
const struct mr_queue_option *mr_queue_option_named(const char *name, size_t bytes);
/* Reads a number with up to two decimals, such as "1.5", in hundredths; false: it is none. */
bool mr_queue_option_factor(const char *text, uint64_t *hundredths);
bool mr_queue_option_parse(const struct mr_queue_option *o, const char *text, uint64_t *value);
/* Writes what the value must be: "expected 1 to 65535". `text` is the value that was not. */
void mr_queue_option_expect(
	const struct mr_queue_option *o, const char *text, char *out, size_t out_bytes);
void mr_queue_option_set(struct mrf_queue_options *to, uint32_t option, uint64_t value);

#endif
