/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the content of sample.json. */
#include "tests/unit/flatbuf/sample_data.h"

static uint32_t write_child_with_leaf(struct mrf_builder *b)
{
	struct mrf_sample child = mrf_sample_defaults();
	child.payload_type = MRF_PAYLOAD_LEAF;
	child.payload = mrf_leaf_write(b, &(struct mrf_leaf){.value = 11});
	return mrf_sample_write(b, &child);
}

static uint32_t write_child_with_nothing(struct mrf_builder *b)
{
	struct mrf_sample child = mrf_sample_defaults();
	child.payload_type = MRF_PAYLOAD_NOTHING;
	child.payload = mrf_nothing_write(b, &(struct mrf_nothing){0});
	return mrf_sample_write(b, &child);
}

/* Present but empty differs from absent. */
static uint32_t write_child_with_empties(struct mrf_builder *b)
{
	struct mrf_string none;
	struct mrf_sample child = mrf_sample_defaults();
	child.names = &none;
	child.blob = mrf_bytes_n("", 0);
	child.default_ = mrf_str("");
	return mrf_sample_write(b, &child);
}

static void fill_scalars(struct mrf_sample *v)
{
	v->flag = true;
	v->yes = false;
	v->i8 = INT8_MIN;
	v->u8 = UINT8_MAX;
	v->i16 = INT16_MIN;
	v->u16 = 1;
	v->i32 = INT32_MAX;
	v->u32 = UINT32_MAX;
	v->i64 = INT64_MAX;
	v->u64 = UINT64_C(81985529216486895);
	v->f32 = 0.5f;
	v->f64 = 10000000000.5;
	v->colour = MRF_COLOUR_BLUE;
	v->level = MRF_LEVEL_LOW;
	v->flags = MRF_FLAGS_FAST | MRF_FLAGS_LAST;
	v->has_maybe = true;
	v->has_maybe_real = true;
	v->maybe_real = 0.25;
}

static void fill_vectors(struct mrf_sample *v)
{
	static const struct mrf_string names[] = {{"", 0}, {"a", 1}, {"abc", 3}, {"abcd", 4}};
	static const bool bools[] = {true, false, true};
	static const int8_t i8s[] = {-1, 2};
	static const uint16_t u16s[] = {1, 65535, 3};
	static const int32_t i32s[] = {INT32_MIN};
	static const uint64_t u64s[] = {1, UINT64_C(1311768467463790320)};
	static const double f64s[] = {0.5, -0.125};
	static const int8_t levels[] = {MRF_LEVEL_HIGH, MRF_LEVEL_MID};
	v->names = names, v->names_count = 4;
	v->bools = bools, v->bools_count = 3;
	v->i8s = i8s, v->i8s_count = 2;
	v->u16s = u16s, v->u16s_count = 3;
	v->i32s = i32s, v->i32s_count = 1;
	v->u64s = u64s, v->u64s_count = 2;
	v->f64s = f64s, v->f64s_count = 2;
	v->levels = levels, v->levels_count = 2;
	v->default_ = mrf_str("gr\xc3\xbcn \"quoted\"");
	v->blob = mrf_bytes_n("\x00\x01\xfe\xff\x07", 5);
}

static void fill_structs(struct mrf_sample *v)
{
	static const struct mrf_probe probe = {
		.kind = 9,
		.at = {1, 2, 3},
		.when = -5,
		.on = 1,
		.level = MRF_LEVEL_HIGH,
		.corners = {{.x = 1.5f}, {.z = -1.5f}},
		.counts = {10, 20, 30},
		.short_ = -7,
	};
	static const struct mrf_vec3 vecs[] = {{4, 5, 6}, {-4, -5, -6}};
	static const struct mrf_key keys[] = {
		{.id = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, .serial = 77}};
	v->probe = &probe;
	v->vecs = vecs, v->vecs_count = 2;
	v->keys = keys, v->keys_count = 1;
}

uint32_t sample_write(struct mrf_builder *b)
{
	struct mrf_sample empty = mrf_sample_defaults(), v = empty;
	uint32_t tags[] = {
		mrf_tag_write(b, &(struct mrf_tag){.name = mrf_str("one"), .weight = 5}),
		mrf_tag_write(b, &(struct mrf_tag){.name = mrf_str("two"), .weight = -1}),
	};
	uint32_t children[] = {
		write_child_with_leaf(b),
		write_child_with_nothing(b),
		write_child_with_empties(b),
	};
	fill_scalars(&v);
	fill_vectors(&v);
	fill_structs(&v);
	v.leaf = mrf_leaf_write(b, &(struct mrf_leaf){.value = -3});
	v.tags = tags, v.tags_count = 2;
	v.payload_type = MRF_PAYLOAD_MARK;
	v.payload = mrf_tag_write(b, &(struct mrf_tag){mrf_str("marked"), 6});
	v.parent = mrf_sample_write(b, &empty);
	v.children = children, v.children_count = 3;
	v.route = mrf_http_route_write(b, &(struct mrf_http_route){.port = 80});
	return mrf_sample_write(b, &v);
}
