/* SPDX-License-Identifier: Apache-2.0 */
/* template: payloads with placeholders, for test traffic.
 *
 *   {{count}}     number of the message, from 1
 *   {{time}}      date and time in UTC, RFC 3339 with milliseconds
 *   {{random N}}  N random letters and digits, 1 to 65536
 *
 * Owns      The text of the last expansion, until the next one or free.
 * Errors    -EINVAL with `error` set: an unknown placeholder. -ENOMEM.
 */
#ifndef MILLRACE_CLI_TEMPLATE_H
#define MILLRACE_CLI_TEMPLATE_H

#include <stddef.h>
#include <stdint.h>

#define MR_CLI_TEMPLATE_RANDOM_MAX 65536

struct mr_cli_template {
	uint64_t random; /* state of the generator; not 0 */
	char *data;
	size_t bytes;
	size_t capacity;
	char error[96];
};

void mr_cli_template_init(struct mr_cli_template *t, uint64_t seed);
void mr_cli_template_free(struct mr_cli_template *t);

/* Expands `text` into t->data. `date_ns` is CLOCK_REALTIME. */
int mr_cli_template_expand(struct mr_cli_template *t, const char *text, size_t bytes,
	uint64_t count, uint64_t date_ns);

#endif
