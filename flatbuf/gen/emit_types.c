/* SPDX-License-Identifier: Apache-2.0 */
/* Writes enums and structs. */
#include <inttypes.h>

#include "flatbuf/gen/emit.h"
#include "flatbuf/gen/names.h"

static bool is_wide(enum gen_base base)
{
	return base == GEN_I64 || base == GEN_U64;
}

static bool is_signed(enum gen_base base)
{
	return base == GEN_I8 || base == GEN_I16 || base == GEN_I32 || base == GEN_I64;
}

/* Type of the parameter of a name function. */
static const char *parameter_type(enum gen_base base)
{
	if (is_wide(base))
		return gen_c_type(base, false);
	return is_signed(base) ? "int" : "unsigned";
}

static void emit_enum_name(FILE *f, const struct gen_enum *e, const char *upper)
{
	fprintf(f, "/* The name of the value in the schema; NULL when it has none. */\n");
	fprintf(f, "static inline const char *mrf_%s_name(%s value)\n{\n\tswitch (value) {\n",
		e->name, parameter_type(e->base));
	for (uint32_t i = 0; i < e->values_count; i++) {
		char value[GEN_NAME_BYTES];
		gen_name_upper(e->values[i].name, value, sizeof(value));
		fprintf(f, "\tcase MRF_%s_%s: return \"%s\";\n", upper, value, e->values[i].label);
	}
	fprintf(f, "\tdefault: return NULL;\n\t}\n}\n\n");
}

static void emit_enum(FILE *f, const struct gen_enum *e)
{
	char upper[GEN_NAME_BYTES];
	gen_name_upper(e->name, upper, sizeof(upper));
	gen_emit_doc(f, e->source, GEN_DOC_ENUM, "");
	fprintf(f, "enum mrf_%s {\n", e->name);
	for (uint32_t i = 0; i < e->values_count; i++) {
		char value[GEN_NAME_BYTES];
		gen_name_upper(e->values[i].name, value, sizeof(value));
		gen_emit_doc(f, e->values[i].source, GEN_DOC_VALUE, "\t");
		fprintf(f, "\tMRF_%s_%s = ", upper, value);
		gen_emit_integer(f, is_wide(e->base) ? e->base : GEN_I8, e->values[i].value);
		fprintf(f, ",\n");
	}
	fprintf(f, "};\n\n");
	emit_enum_name(f, e, upper);
}

void gen_emit_enums(FILE *f, const struct gen_model *m)
{
	for (uint32_t i = 0; i < m->enums_count; i++) {
		if (m->enums[i].mine)
			emit_enum(f, &m->enums[i]);
	}
}

static uint32_t element_bytes(enum gen_base base, const struct gen_object *object)
{
	return base == GEN_OBJECT ? object->bytes : gen_scalar_bytes(base);
}

static uint32_t field_bytes(const struct gen_field *field)
{
	if (field->type.base == GEN_ARRAY)
		return field->type.array_count *
		       element_bytes(field->type.element, field->type.object);
	return element_bytes(field->type.base, field->type.object);
}

static void emit_member(FILE *f, const struct gen_field *field)
{
	enum gen_base base = field->type.base == GEN_ARRAY ? field->type.element : field->type.base;
	gen_emit_doc(f, field->source, GEN_DOC_FIELD, "\t");
	if (base == GEN_OBJECT)
		fprintf(f, "\tstruct mrf_%s %s", field->type.object->name, field->member);
	else
		fprintf(f, "\t%s %s", gen_c_type(base, true), field->member);
	if (field->type.base == GEN_ARRAY)
		fprintf(f, "[%u]", field->type.array_count);
	fprintf(f, ";\n");
}

/* Padding has a name, so that an initialiser zeroes it and no old memory leaks. */
static void emit_members(FILE *f, const struct gen_object *o)
{
	uint32_t at = 0, pads = 0;
	for (uint32_t i = 0; i < o->fields_count; i++) {
		const struct gen_field *field = &o->fields[i];
		if (field->offset > at)
			fprintf(f, "\tuint8_t pad%u_[%u];\n", pads++, field->offset - at);
		emit_member(f, field);
		at = field->offset + field_bytes(field);
	}
	if (o->bytes > at)
		fprintf(f, "\tuint8_t pad%u_[%u];\n", pads, o->bytes - at);
}

static void emit_struct_checks(FILE *f, const struct gen_object *o)
{
	fprintf(f, "_Static_assert(sizeof(struct mrf_%s) == %u, \"layout\");\n", o->name, o->bytes);
	for (uint32_t i = 0; i < o->fields_count; i++)
		fprintf(f, "_Static_assert(offsetof(struct mrf_%s, %s) == %u, \"layout\");\n",
			o->name, o->fields[i].member, o->fields[i].offset);
	fprintf(f, "\n");
}

static void emit_struct_read(FILE *f, const struct gen_object *o)
{
	fprintf(f,
		"/* Copies one out of memory that need not be aligned. */\n"
		"static inline struct mrf_%s mrf_%s_read(const void *p)\n{\n"
		"\tstruct mrf_%s v;\n\tmemcpy(&v, p, sizeof(v));\n\treturn v;\n}\n\n",
		o->name, o->name, o->name);
}

static void emit_struct_members(FILE *f, const struct gen_object *o)
{
	char upper[GEN_NAME_BYTES];
	gen_name_upper(o->name, upper, sizeof(upper));
	fprintf(f, "#define MRF_%s_MEMBERS_COUNT %u\n", upper, o->fields_count);
	fprintf(f, "MR_FB_DESCRIPTION struct mrf_member mrf_%s_members[] = {\n", o->name);
	for (uint32_t i = 0; i < o->fields_count; i++) {
		const struct gen_field *field = &o->fields[i];
		fprintf(f, "\t{\"%s\", %u, %u,\n\t\t", field->label, field->offset,
			field_bytes(field));
		gen_emit_doc_string(f, field->source, GEN_DOC_FIELD);
		fprintf(f, "},\n");
	}
	fprintf(f, "};\n\n");
}

/* Writes the structs that this one contains first, as C demands. */
static void emit_struct(FILE *f, const struct gen_model *m, struct gen_object *o)
{
	if (!o->mine || !o->is_struct || o->emitted)
		return;
	o->emitted = true;
	for (uint32_t i = 0; i < o->fields_count; i++) {
		if (o->fields[i].type.object)
			emit_struct(f, m, &m->objects[o->fields[i].type.object - m->objects]);
	}
	gen_emit_doc(f, o->source, GEN_DOC_OBJECT, "");
	fprintf(f, "struct mrf_%s {\n", o->name);
	emit_members(f, o);
	fprintf(f, "};\n");
	emit_struct_checks(f, o);
	emit_struct_read(f, o);
	emit_struct_members(f, o);
}

void gen_emit_structs(FILE *f, struct gen_model *m)
{
	for (uint32_t i = 0; i < m->objects_count; i++)
		emit_struct(f, m, &m->objects[i]);
}
