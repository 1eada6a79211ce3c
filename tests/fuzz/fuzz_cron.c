/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_cron: a cron expression is refused with a reason, or has a next time, which is no earlier
 * than a minute's beginning after the time asked from, and after which there is another.
 *
 * Input: eight bytes of time, and the expression.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/cron.h"

#define YEARS_MS(n) ((uint64_t)(n)*366 * 86400 * 1000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define expect(condition)                                                                          \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t now_ms, next_ms;
	struct mr_cron c;
	char *text;

	if (size < sizeof(now_ms))
		return 0;
	memcpy(&now_ms, data, sizeof(now_ms));
	now_ms %= YEARS_MS(8000);
	size -= sizeof(now_ms);
	text = malloc(size + 1); /* a read past its end is seen */
	expect(text != NULL);
	memcpy(text, data + sizeof(now_ms), size);
	if (mr_cron_parse(text, size, &c) == NULL) {
		for (unsigned i = 0; i < 4; i++) {
			next_ms = mr_cron_next(&c, now_ms);
			expect(next_ms != MR_CRON_NEVER);
			expect(next_ms > now_ms && next_ms % 60000 == 0);
			expect(next_ms - now_ms < YEARS_MS(41));
			now_ms = next_ms;
		}
	}
	free(text);
	return 0;
}
