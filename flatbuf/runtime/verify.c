/* SPDX-License-Identifier: Apache-2.0 */
#include "flatbuf/runtime/verify.h"

#include <errno.h>

/* Positions have 32 bits; sums with a 32-bit length are computed in 64. */
struct verifier {
	const uint8_t *buf;
	uint32_t bytes;
	uint32_t depth;
	uint32_t visits_left;
};

static bool verify_table(struct verifier *v, uint32_t pos, const struct mr_fb_type *type);

static bool holds(const struct verifier *v, uint64_t pos, uint64_t bytes)
{
	return pos <= v->bytes && bytes <= v->bytes - pos;
}

static bool visit(struct verifier *v)
{
	if (v->visits_left == 0)
		return false;
	v->visits_left--;
	return true;
}

/* Follows the offset at `pos`, which is known to be inside. Refuses an offset of 0, which would
 * point at itself, and one that leaves the buffer. The caller checks the target's content. */
static bool follow(const struct verifier *v, uint32_t pos, uint32_t *target)
{
	uint32_t offset = mr_fb_load_u32(v->buf + pos);
	if (offset == 0 || offset >= v->bytes - pos)
		return false;
	*target = pos + offset;
	return true;
}

static bool verify_vector(
	const struct verifier *v, uint32_t pos, uint32_t element_bytes, uint32_t *count)
{
	if (!holds(v, pos, 4))
		return false;
	*count = mr_fb_load_u32(v->buf + pos);
	return holds(v, (uint64_t)pos + 4, (uint64_t)*count * element_bytes);
}

static bool verify_string(const struct verifier *v, uint32_t pos)
{
	uint32_t bytes;
	if (!verify_vector(v, pos, 1, &bytes))
		return false;
	uint64_t nul = (uint64_t)pos + 4 + bytes;
	return holds(v, nul, 1) && v->buf[nul] == '\0';
}

static bool verify_strings(struct verifier *v, uint32_t pos)
{
	uint32_t count;
	if (!verify_vector(v, pos, 4, &count))
		return false;
	for (uint32_t i = 0; i < count; i++) {
		uint32_t target;
		if (!visit(v) || !follow(v, pos + 4 + 4 * i, &target) || !verify_string(v, target))
			return false;
	}
	return true;
}

static bool verify_tables(struct verifier *v, uint32_t pos, const struct mr_fb_type *type)
{
	uint32_t count;
	if (!verify_vector(v, pos, 4, &count))
		return false;
	for (uint32_t i = 0; i < count; i++) {
		uint32_t target;
		if (!visit(v) || !follow(v, pos + 4 + 4 * i, &target) ||
			!verify_table(v, target, type))
			return false;
	}
	return true;
}

static const struct mr_fb_type *find_member(const struct mr_fb_choice *choice, uint32_t value)
{
	for (uint32_t i = 0; i < choice->members_count; i++) {
		if (choice->members[i].value == value)
			return choice->members[i].table;
	}
	return NULL;
}

/* A type that is none or not known here leaves the value unread, so it need not be verified. */
static bool verify_union(
	struct verifier *v, struct mrf_table t, const struct mr_fb_field *field, uint32_t at)
{
	const struct mr_fb_type *type =
		find_member(field->choice, mr_fb_get_u8(t, field->id - 1u, 0));
	uint32_t target;
	if (!type)
		return true;
	return at && follow(v, at, &target) && verify_table(v, target, type);
}

static bool verify_offset(struct verifier *v, const struct mr_fb_field *field, uint32_t at)
{
	uint32_t target, count;
	if (!follow(v, at, &target))
		return false;
	switch (field->kind) {
	case MR_FB_STRING: return verify_string(v, target);
	case MR_FB_VECTOR: return verify_vector(v, target, field->bytes, &count);
	case MR_FB_STRINGS: return verify_strings(v, target);
	case MR_FB_TABLE: return verify_table(v, target, field->table);
	case MR_FB_TABLES: return verify_tables(v, target, field->table);
	default: return false;
	}
}

/* `table_bytes` is the inline size from the vtable, known to be inside the buffer. */
static bool verify_field(struct verifier *v, struct mrf_table t, uint32_t table_bytes,
	const struct mr_fb_field *field)
{
	uint32_t at = mr_fb_slot(t, field->id);
	uint32_t bytes = field->kind == MR_FB_INLINE   ? field->bytes
			 : field->kind == MR_FB_STRUCT ? 1
						       : 4;
	if (!at && field->required)
		return false;
	if (at && (at - t.pos < 4 || at - t.pos + bytes > table_bytes))
		return false;
	if (field->kind == MR_FB_UNION)
		return verify_union(v, t, field, at);
	return !at || field->kind == MR_FB_INLINE || field->kind == MR_FB_STRUCT ||
	       verify_offset(v, field, at);
}

/* After this check mr_fb_slot() of the table stays inside the buffer. */
static bool verify_vtable(const struct verifier *v, uint32_t pos, uint32_t *table_bytes)
{
	if (!holds(v, pos, 4))
		return false;
	int32_t offset = (int32_t)mr_fb_load_u32(v->buf + pos);
	int64_t vtable = (int64_t)pos - offset;
	if (vtable < 0 || !holds(v, (uint64_t)vtable, 4))
		return false;
	uint16_t vtable_bytes = mr_fb_load_u16(v->buf + vtable);
	*table_bytes = mr_fb_load_u16(v->buf + vtable + 2);
	return vtable_bytes >= 4 && vtable_bytes % 2 == 0 &&
	       holds(v, (uint64_t)vtable, vtable_bytes) && *table_bytes >= 4 &&
	       holds(v, pos, *table_bytes);
}

static bool verify_fields(struct verifier *v, uint32_t pos, const struct mr_fb_type *type)
{
	struct mrf_table t = {v->buf, v->bytes, pos};
	uint32_t table_bytes;
	if (!visit(v) || !verify_vtable(v, pos, &table_bytes))
		return false;
	for (uint32_t i = 0; i < type->fields_count; i++) {
		if (!verify_field(v, t, table_bytes, &type->fields[i]))
			return false;
	}
	return true;
}

static bool verify_table(struct verifier *v, uint32_t pos, const struct mr_fb_type *type)
{
	if (v->depth == MR_FB_DEPTH_MAX)
		return false;
	v->depth++;
	bool ok = verify_fields(v, pos, type);
	v->depth--;
	return ok;
}

int mr_fb_verify(const void *buf, size_t bytes, const struct mr_fb_type *type, const char *ident,
	struct mrf_table *out)
{
	*out = (struct mrf_table){NULL, 0, 0};
	if (!buf || bytes < 8 || bytes > INT32_MAX)
		return -EBADMSG;
	struct verifier v = {.buf = buf, .bytes = (uint32_t)bytes, .visits_left = (uint32_t)bytes};
	uint32_t root;
	if (ident && memcmp(v.buf + 4, ident, 4) != 0)
		return -EBADMSG;
	if (!follow(&v, 0, &root) || !verify_table(&v, root, type))
		return -EBADMSG;
	*out = (struct mrf_table){v.buf, v.bytes, root};
	return 0;
}

struct mrf_table mr_fb_get_union(struct mrf_table t, uint32_t id, const struct mr_fb_choice *choice)
{
	if (!find_member(choice, mr_fb_get_u8(t, id - 1, 0)))
		return (struct mrf_table){NULL, 0, 0};
	return mr_fb_get_table(t, id);
}
