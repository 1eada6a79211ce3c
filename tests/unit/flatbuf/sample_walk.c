/* SPDX-License-Identifier: Apache-2.0 */
/* Reads every field of a sample. */
#include "tests/unit/flatbuf/sample_data.h"

static uint64_t sum_bytes(const void *data, size_t bytes)
{
	const uint8_t *p = data;
	uint64_t sum = bytes;
	for (size_t i = 0; i < bytes; i++)
		sum = sum * 31 + p[i];
	return sum;
}

/* A reader may read the NUL too. */
static uint64_t sum_string(struct mrf_string s)
{
	return sum_bytes(s.data, (size_t)s.bytes + 1);
}

#define SUM(value)                                                                                 \
	({                                                                                         \
		__typeof__(value) sum_value = (value);                                             \
		sum_bytes(&sum_value, sizeof(sum_value));                                          \
	})

static uint64_t walk_tag(struct mrf_table t)
{
	return sum_string(mrf_tag_name(t)) + SUM(mrf_tag_weight(t)) + mrf_tag_has_weight(t);
}

static uint64_t walk_scalars(struct mrf_table t)
{
	return SUM(mrf_sample_flag(t)) + SUM(mrf_sample_yes(t)) + SUM(mrf_sample_i8(t)) +
	       SUM(mrf_sample_u8(t)) + SUM(mrf_sample_i16(t)) + SUM(mrf_sample_u16(t)) +
	       SUM(mrf_sample_i32(t)) + SUM(mrf_sample_u32(t)) + SUM(mrf_sample_i64(t)) +
	       SUM(mrf_sample_u64(t)) + SUM(mrf_sample_f32(t)) + SUM(mrf_sample_f64(t)) +
	       SUM(mrf_sample_colour(t)) + SUM(mrf_sample_level(t)) + SUM(mrf_sample_flags(t)) +
	       SUM(mrf_sample_maybe(t)) + SUM(mrf_sample_maybe_real(t)) + mrf_sample_has_maybe(t);
}

/* Also reads one element past the end of each vector. */
#define SUM_VECTOR(field)                                                                          \
	for (uint32_t i = 0; i <= mrf_sample_##field##_count(t); i++)                              \
	sum += SUM(mrf_sample_##field##_at(t, i))

static uint64_t walk_vectors(struct mrf_table t)
{
	struct mrf_bytes blob = mrf_sample_blob(t);
	uint64_t sum = sum_bytes(blob.data, blob.bytes) + sum_string(mrf_sample_default(t));
	for (uint32_t i = 0; i <= mrf_sample_names_count(t); i++)
		sum += sum_string(mrf_sample_names_at(t, i));
	SUM_VECTOR(bools);
	SUM_VECTOR(i8s);
	SUM_VECTOR(u16s);
	SUM_VECTOR(i32s);
	SUM_VECTOR(u64s);
	SUM_VECTOR(f64s);
	SUM_VECTOR(levels);
	SUM_VECTOR(vecs);
	SUM_VECTOR(keys);
	return sum + SUM(mrf_sample_probe(t));
}

static uint64_t walk_payload(struct mrf_table t)
{
	uint64_t sum = mrf_sample_payload_type(t) + SUM(mrf_sample_payload(t).pos);
	sum += SUM(mrf_leaf_value(mrf_sample_payload_as_leaf(t)));
	sum += walk_tag(mrf_sample_payload_as_mark(t));
	sum += mrf_table_is_empty(mrf_sample_payload_as_nothing(t));
	if (mrf_sample_payload_type(t) == MRF_PAYLOAD_SAMPLE)
		sum += sample_walk(mrf_sample_payload(t));
	return sum;
}

static uint64_t walk_tables(struct mrf_table t)
{
	uint64_t sum = SUM(mrf_leaf_value(mrf_sample_leaf(t)));
	sum += SUM(mrf_http_route_port(mrf_sample_route(t)));
	for (uint32_t i = 0; i <= mrf_sample_tags_count(t); i++)
		sum += walk_tag(mrf_sample_tags_at(t, i));
	if (mrf_sample_has_parent(t))
		sum += sample_walk(mrf_sample_parent(t));
	for (uint32_t i = 0; i < mrf_sample_children_count(t); i++)
		sum += sample_walk(mrf_sample_children_at(t, i));
	return sum;
}

uint64_t sample_walk(struct mrf_table t)
{
	return walk_scalars(t) + walk_vectors(t) + walk_payload(t) + walk_tables(t);
}
