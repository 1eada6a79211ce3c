/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the descriptions (constants for the verifier) and the parse function of each table. */
#include "flatbuf/gen/emit.h"

static bool is_mine(const struct gen_object *o)
{
	return o->mine && !o->is_struct;
}

/* Size of a value inside its table or vector: a struct or a scalar. */
static uint32_t inline_bytes(enum gen_base base, const struct gen_object *object)
{
	return base == GEN_OBJECT ? object->bytes : gen_scalar_bytes(base);
}

static const char *kind_of(const struct gen_type *type)
{
	bool is_table = type->object && !type->object->is_struct;
	switch (type->base) {
	case GEN_STRING: return "MR_FB_STRING";
	case GEN_UNION: return "MR_FB_UNION";
	case GEN_OBJECT: return is_table ? "MR_FB_TABLE" : "MR_FB_STRUCT";
	case GEN_VECTOR: break;
	default: return "MR_FB_INLINE";
	}
	if (type->element == GEN_STRING)
		return "MR_FB_STRINGS";
	return is_table ? "MR_FB_TABLES" : "MR_FB_VECTOR";
}

static void emit_field(FILE *f, const struct gen_field *field)
{
	const struct gen_type *type = &field->type;
	bool is_table = type->object && !type->object->is_struct;
	uint32_t bytes = 0;
	if (type->base == GEN_VECTOR && type->element != GEN_STRING && !is_table)
		bytes = inline_bytes(type->element, type->object);
	else if (gen_is_scalar(type->base) || (type->base == GEN_OBJECT && !is_table))
		bytes = inline_bytes(type->base, type->object);
	fprintf(f, "\t{.id = %u, .kind = %s", field->id, kind_of(type));
	if (field->required)
		fprintf(f, ", .required = true");
	if (bytes)
		fprintf(f, ", .bytes = %u", bytes);
	if (is_table)
		fprintf(f, ", .table = &mr_fb_type_%s", type->object->name);
	if (type->base == GEN_UNION)
		fprintf(f, ", .choice = &mr_fb_choice_%s", type->choice->name);
	fprintf(f, "},\n");
}

static void emit_type(FILE *f, const struct gen_object *o)
{
	if (o->fields_count == 0) {
		fprintf(f, "MR_FB_DESCRIPTION struct mr_fb_type mr_fb_type_%s = {NULL, 0};\n\n",
			o->name);
		return;
	}
	fprintf(f, "MR_FB_DESCRIPTION struct mr_fb_field mr_fb_fields_%s[] = {\n", o->name);
	for (uint32_t i = 0; i < o->fields_count; i++)
		emit_field(f, &o->fields[i]);
	fprintf(f, "};\n");
	fprintf(f, "MR_FB_DESCRIPTION struct mr_fb_type mr_fb_type_%s = {mr_fb_fields_%s, %u};\n\n",
		o->name, o->name, o->fields_count);
}

static void emit_choice(FILE *f, const struct gen_enum *e)
{
	uint32_t members = 0;
	fprintf(f, "MR_FB_DESCRIPTION struct mr_fb_member mr_fb_members_%s[] = {\n", e->name);
	for (uint32_t i = 0; i < e->values_count; i++) {
		if (!e->values[i].table)
			continue;
		fprintf(f, "\t{%d, &mr_fb_type_%s},\n", (int)e->values[i].value,
			e->values[i].table->name);
		members++;
	}
	fprintf(f, "};\n");
	fprintf(f,
		"MR_FB_DESCRIPTION struct mr_fb_choice mr_fb_choice_%s = {mr_fb_members_%s, "
		"%u};\n\n",
		e->name, e->name, members);
}

void gen_emit_descriptions(FILE *f, const struct gen_model *m)
{
	for (uint32_t i = 0; i < m->objects_count; i++) {
		if (is_mine(&m->objects[i]))
			fprintf(f, "MR_FB_DESCRIPTION struct mr_fb_type mr_fb_type_%s;\n",
				m->objects[i].name);
	}
	fprintf(f, "\n");
	for (uint32_t i = 0; i < m->enums_count; i++) {
		if (m->enums[i].mine && m->enums[i].is_union)
			emit_choice(f, &m->enums[i]);
	}
	for (uint32_t i = 0; i < m->objects_count; i++) {
		if (is_mine(&m->objects[i]))
			emit_type(f, &m->objects[i]);
	}
}

void gen_emit_parse(FILE *f, const struct gen_model *m, const struct gen_object *o)
{
	const char *ident = o == m->root ? m->ident : NULL;
	fprintf(f, "/* Verifies a buffer with this table as its root. 0 or -EBADMSG. */\n");
	fprintf(f,
		"static inline int mrf_%s_parse(const void *buf, size_t bytes, struct mrf_table "
		"*out)\n{\n",
		o->name);
	fprintf(f, "\treturn mr_fb_verify(buf, bytes, &mr_fb_type_%s, ", o->name);
	fprintf(f, ident ? "\"%s\"" : "NULL", ident);
	fprintf(f, ", out);\n}\n\n");
}
