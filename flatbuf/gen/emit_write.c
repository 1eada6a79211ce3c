/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the arguments struct, the defaults and the write function of a table. */
#include "flatbuf/gen/emit.h"

static bool is_bytes(const struct gen_type *type)
{
	return type->base == GEN_VECTOR && type->element == GEN_U8;
}

static bool is_table(const struct gen_object *object)
{
	return object && !object->is_struct;
}

static void emit_vector_argument(FILE *f, const struct gen_field *field)
{
	const struct gen_type *type = &field->type;
	if (type->element == GEN_STRING)
		fprintf(f, "\tconst struct mrf_string *%s;\n", field->member);
	else if (is_table(type->object))
		fprintf(f, "\tconst uint32_t *%s; /* references of mrf_%s */\n", field->member,
			type->object->name);
	else if (type->element == GEN_OBJECT)
		fprintf(f, "\tconst struct mrf_%s *%s;\n", type->object->name, field->member);
	else
		fprintf(f, "\tconst %s *%s;\n", gen_c_type(type->element, false), field->member);
	fprintf(f, "\tuint32_t %s_count;\n", field->name);
}

static void emit_argument(FILE *f, const struct gen_field *field)
{
	const struct gen_type *type = &field->type;
	if (field->optional)
		fprintf(f, "\tbool has_%s;\n", field->name);
	if (type->base == GEN_STRING)
		fprintf(f, "\tstruct mrf_string %s;\n", field->member);
	else if (is_bytes(type))
		fprintf(f, "\tstruct mrf_bytes %s;\n", field->member);
	else if (type->base == GEN_VECTOR)
		emit_vector_argument(f, field);
	else if (type->base == GEN_UNION)
		fprintf(f, "\tuint32_t %s; /* reference */\n", field->member);
	else if (is_table(type->object))
		fprintf(f, "\tuint32_t %s; /* reference of a mrf_%s */\n", field->member,
			type->object->name);
	else if (type->base == GEN_OBJECT)
		fprintf(f, "\tconst struct mrf_%s *%s;\n", type->object->name, field->member);
	else
		fprintf(f, "\t%s %s;\n", gen_c_type(type->base, false), field->member);
}

/* Some defaults are not zero; a caller who leaves a field out starts from these. */
static void emit_defaults(FILE *f, const struct gen_object *o)
{
	fprintf(f, "/* What to start from where a field's default is not 0. */\n");
	fprintf(f, "static inline struct mrf_%s mrf_%s_defaults(void)\n{\n", o->name, o->name);
	fprintf(f, "\tstruct mrf_%s v;\n\tmemset(&v, 0, sizeof(v));\n", o->name);
	for (uint32_t i = 0; i < o->fields_count; i++) {
		const struct gen_field *field = &o->fields[i];
		if (!gen_is_scalar(field->type.base) || gen_default_is_zero(field))
			continue;
		fprintf(f, "\tv.%s = ", field->member);
		gen_emit_default(f, field);
		fprintf(f, ";\n");
	}
	fprintf(f, "\treturn v;\n}\n\n");
}

void gen_emit_arguments(FILE *f, const struct gen_object *o)
{
	gen_emit_doc(f, o->source, GEN_DOC_OBJECT, "");
	fprintf(f, "struct mrf_%s {\n", o->name);
	for (uint32_t i = 0; i < o->fields_count; i++) {
		gen_emit_doc(f, o->fields[i].source, GEN_DOC_FIELD, "\t");
		emit_argument(f, &o->fields[i]);
	}
	if (o->fields_count == 0)
		fprintf(f, "\tuint8_t nothing_; /* the table has no fields */\n");
	fprintf(f, "};\n\n");
	emit_defaults(f, o);
}

/* Writes strings and vectors before the table that refers to them. */
static void emit_child(FILE *f, const struct gen_field *field)
{
	const struct gen_type *type = &field->type;
	if (type->base != GEN_STRING && type->base != GEN_VECTOR)
		return;
	fprintf(f, "\tuint32_t ref_%s = ", field->name);
	if (type->base == GEN_STRING)
		fprintf(f, "mr_fb_put_string(b, v->%s);\n", field->member);
	else if (is_bytes(type))
		fprintf(f, "mr_fb_put_vector(b, v->%s.data, v->%s.bytes, 1, 1);\n", field->member,
			field->member);
	else if (type->element == GEN_STRING)
		fprintf(f, "mr_fb_put_strings(b, v->%s, v->%s_count);\n", field->member,
			field->name);
	else if (is_table(type->object))
		fprintf(f, "mr_fb_put_tables(b, v->%s, v->%s_count);\n", field->member,
			field->name);
	else
		fprintf(f, "mr_fb_put_vector(b, v->%s, v->%s_count, %u, %u);\n", field->member,
			field->name,
			type->object ? type->object->bytes : gen_scalar_bytes(type->element),
			type->object ? type->object->align : gen_scalar_bytes(type->element));
}

/* Writes the condition under which a scalar is stored: it differs from the value that absence
 * means. */
static void emit_condition(FILE *f, const struct gen_field *field)
{
	if (field->optional) {
		fprintf(f, "v->has_%s", field->name);
	} else if (field->type.base == GEN_F32 || field->type.base == GEN_F64) {
		fprintf(f, "!mr_fb_same_%s(v->%s, ", gen_suffix(field->type.base), field->member);
		gen_emit_default(f, field);
		fprintf(f, ")");
	} else {
		fprintf(f, "v->%s != ", field->member);
		gen_emit_default(f, field);
	}
}

static uint32_t align_of(const struct gen_field *field)
{
	if (gen_is_scalar(field->type.base))
		return gen_scalar_bytes(field->type.base);
	if (field->type.base == GEN_OBJECT && field->type.object->is_struct)
		return field->type.object->align;
	return 4;
}

static void emit_put(FILE *f, const struct gen_field *field)
{
	const struct gen_type *type = &field->type;
	if (type->base == GEN_STRING || type->base == GEN_VECTOR) {
		fprintf(f, "\tmr_fb_put_ref(b, &at[%u], ref_%s);\n", field->id, field->name);
	} else if (type->base == GEN_UNION || is_table(type->object)) {
		fprintf(f, "\tmr_fb_put_ref(b, &at[%u], v->%s);\n", field->id, field->member);
	} else if (type->base == GEN_OBJECT) {
		fprintf(f, "\tif (v->%s)\n\t\tmr_fb_put_inline(b, &at[%u], v->%s, %u, %u);\n",
			field->member, field->id, field->member, type->object->bytes,
			type->object->align);
	} else {
		fprintf(f, "\tif (");
		emit_condition(f, field);
		fprintf(f, ")\n\t\tmr_fb_put_inline(b, &at[%u], &v->%s, %u, %u);\n", field->id,
			field->member, align_of(field), align_of(field));
	}
}

/* Writes the widest fields first, so that no padding is needed between fields. */
static void emit_puts(FILE *f, const struct gen_object *o)
{
	for (uint32_t align = 8; align > 0; align /= 2) {
		for (uint32_t i = 0; i < o->fields_count; i++) {
			if (align_of(&o->fields[i]) == align)
				emit_put(f, &o->fields[i]);
		}
	}
}

/* Refuses here a table that a reader would refuse. */
static void emit_requirement(FILE *f, const struct gen_field *field)
{
	if (field->type.base == GEN_UNION)
		fprintf(f, "\tmr_fb_require(b, (v->%s != 0) == (v->%s_type != 0));\n",
			field->member, field->name);
	if (field->required)
		fprintf(f, "\tmr_fb_require(b, at[%u] != 0);\n", field->id);
}

void gen_emit_writer(FILE *f, const struct gen_model *m, const struct gen_object *o)
{
	bool identified = o == m->root && m->ident;
	fprintf(f, "/* Returns the table's reference; 0 when the builder failed. */\n");
	fprintf(f,
		"static inline uint32_t mrf_%s_write(struct mrf_builder *b, const struct mrf_%s "
		"*v)\n{\n",
		o->name, o->name);
	fprintf(f, "\tuint32_t at[%u] = {0};\n", o->ids_count ? o->ids_count : 1);
	if (o->fields_count == 0)
		fprintf(f, "\t(void)v;\n");
	for (uint32_t i = 0; i < o->fields_count; i++)
		emit_child(f, &o->fields[i]);
	fprintf(f, "\tuint32_t begin = mr_fb_table_begin(b);\n");
	emit_puts(f, o);
	for (uint32_t i = 0; i < o->fields_count; i++)
		emit_requirement(f, &o->fields[i]);
	fprintf(f, "\tuint32_t table = mr_fb_table_end(b, begin, at, %u);\n", o->ids_count);
	if (identified)
		fprintf(f, "\tmr_fb_identify(b, table, \"%s\");\n", m->ident);
	fprintf(f, "\treturn table;\n}\n\n");
}
