/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_flatbuf: a buffer that the verifier accepts must be readable to the last field.
 *
 * The input is copied to memory of exactly its size, so that a read past it is seen. Seeds are
 * FlatBuffers of tests/unit/flatbuf/sample.fbs and evolution.fbs.
 */
#include <stdatomic.h>
#include <stdlib.h>

#include "tests/unit/flatbuf/evolution.h"
#include "tests/unit/flatbuf/sample_data.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* All values are written here, so that no read is optimised away. */
static _Atomic uint64_t sink;

static void keep(uint64_t value)
{
	atomic_store_explicit(&sink, value, memory_order_relaxed);
}

static uint64_t walk_record(struct mrf_table t)
{
	uint64_t sum = mrf_record_new_id(t) + mrf_record_new_limit(t);
	struct mrf_string name = mrf_record_new_name(t);
	sum += (uint8_t)name.data[name.bytes];
	for (uint32_t i = 0; i <= mrf_record_new_labels_count(t); i++) {
		struct mrf_string label = mrf_record_new_labels_at(t, i);
		sum += (uint8_t)label.data[label.bytes];
	}
	for (uint32_t i = 0; i <= mrf_record_new_firsts_count(t); i++)
		sum += (uint32_t)mrf_first_value(mrf_record_new_firsts_at(t, i));
	struct mrf_table second = mrf_record_new_choice_as_second_new(t);
	name = mrf_second_new_text(second);
	sum += mrf_second_new_extra(second) + (uint8_t)name.data[name.bytes];
	return sum + (uint64_t)mrf_third_value(mrf_record_new_choice_as_third(t));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct mrf_table t;
	uint8_t *copy = malloc(bytes ? bytes : 1);
	if (!copy)
		return 0;
	memcpy(copy, data, bytes);
	if (mrf_sample_parse(copy, bytes, &t) == 0)
		keep(sample_walk(t));
	if (mrf_record_new_parse(copy, bytes, &t) == 0)
		keep(walk_record(t));
	free(copy);
	return 0;
}
