/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the accessors of a table. */
#include "flatbuf/gen/emit.h"
#include "flatbuf/gen/names.h"

/* Opens an accessor of `field`: "static inline TYPE mrf_TABLE_FIELDtail(PARAMETERS)". */
static void open_accessor(FILE *f, const struct gen_object *o, const struct gen_field *field,
	const char *type, const char *tail, bool indexed)
{
	fprintf(f, "static inline %s mrf_%s_%s%s(struct mrf_table t%s)\n{\n", type, o->name,
		field->name, tail, indexed ? ", uint32_t index" : "");
}

static void emit_has(FILE *f, const struct gen_object *o, const struct gen_field *field)
{
	fprintf(f, "static inline bool mrf_%s_has_%s(struct mrf_table t)\n{\n", o->name,
		field->name);
	fprintf(f, "\treturn mr_fb_has(t, %u);\n}\n\n", field->id);
}

static void emit_scalar(FILE *f, const struct gen_object *o, const struct gen_field *field)
{
	open_accessor(f, o, field, gen_c_type(field->type.base, false), "", false);
	fprintf(f, "\treturn mr_fb_get_%s(t, %u, ", gen_suffix(field->type.base), field->id);
	gen_emit_default(f, field);
	fprintf(f, ");\n}\n\n");
}

/* `at` is the expression for the position of a struct in a vector. */
static void emit_struct_body(FILE *f, const struct gen_object *type, const char *at)
{
	fprintf(f, "\tstruct mrf_%s v;\n\tmemset(&v, 0, sizeof(v));\n", type->name);
	fprintf(f, "\tmr_fb_copy(t, %s, &v, sizeof(v));\n\treturn v;\n}\n\n", at);
}

static void emit_object(FILE *f, const struct gen_object *o, const struct gen_field *field)
{
	char text[GEN_NAME_BYTES + 32];
	if (!field->type.object->is_struct) {
		open_accessor(f, o, field, "struct mrf_table", "", false);
		fprintf(f, "\treturn mr_fb_get_table(t, %u);\n}\n\n", field->id);
		return;
	}
	snprintf(text, sizeof(text), "struct mrf_%s", field->type.object->name);
	open_accessor(f, o, field, text, "", false);
	fprintf(f, "\tstruct mrf_%s v;\n\tmemset(&v, 0, sizeof(v));\n", field->type.object->name);
	fprintf(f, "\tmr_fb_get_struct(t, %u, &v, sizeof(v));\n\treturn v;\n}\n\n", field->id);
	fprintf(f, "/* The bytes of it that the sender has; members behind them read as 0. */\n");
	open_accessor(f, o, field, "uint32_t", "_bytes", false);
	fprintf(f, "\treturn mr_fb_struct_bytes(t, %u, sizeof(struct mrf_%s));\n}\n\n", field->id,
		field->type.object->name);
}

static void emit_element(FILE *f, const struct gen_object *o, const struct gen_field *field)
{
	const struct gen_type *type = &field->type;
	char text[GEN_NAME_BYTES + 64];
	if (type->element == GEN_STRING) {
		open_accessor(f, o, field, "struct mrf_string", "_at", true);
		fprintf(f, "\treturn mr_fb_at_string(t, %u, index);\n}\n\n", field->id);
	} else if (type->element != GEN_OBJECT) {
		open_accessor(f, o, field, gen_c_type(type->element, false), "_at", true);
		fprintf(f, "\treturn mr_fb_at_%s(t, %u, index);\n}\n\n", gen_suffix(type->element),
			field->id);
	} else if (!type->object->is_struct) {
		open_accessor(f, o, field, "struct mrf_table", "_at", true);
		fprintf(f, "\treturn mr_fb_at_table(t, %u, index);\n}\n\n", field->id);
	} else {
		snprintf(text, sizeof(text), "struct mrf_%s", type->object->name);
		open_accessor(f, o, field, text, "_at", true);
		snprintf(text, sizeof(text), "mr_fb_element(t, %u, index, sizeof(v))", field->id);
		emit_struct_body(f, type->object, text);
	}
}

static void emit_vector(FILE *f, const struct gen_object *o, const struct gen_field *field)
{
	if (field->type.element == GEN_U8) {
		open_accessor(f, o, field, "struct mrf_bytes", "", false);
		fprintf(f, "\treturn mr_fb_get_bytes(t, %u);\n}\n\n", field->id);
		return;
	}
	open_accessor(f, o, field, "uint32_t", "_count", false);
	fprintf(f, "\treturn mr_fb_count(t, %u);\n}\n\n", field->id);
	emit_element(f, o, field);
}

/* A union member of a type that is not known here was not verified and must not be reached. */
static void emit_union(FILE *f, const struct gen_object *o, const struct gen_field *field)
{
	const struct gen_enum *e = field->type.choice;
	fprintf(f, "/* The empty table when the type is none or not known here. */\n");
	open_accessor(f, o, field, "struct mrf_table", "", false);
	fprintf(f, "\treturn mr_fb_get_union(t, %u, &mr_fb_choice_%s);\n}\n\n", field->id, e->name);
	for (uint32_t i = 0; i < e->values_count; i++) {
		if (!e->values[i].table)
			continue;
		fprintf(f, "/* The empty table unless the type says %s. */\n", e->values[i].label);
		fprintf(f,
			"static inline struct mrf_table mrf_%s_%s_as_%s(struct mrf_table t)\n{\n",
			o->name, field->name, e->values[i].name);
		fprintf(f, "\treturn mr_fb_get_member(t, %u, %d);\n}\n\n", field->id,
			(int)e->values[i].value);
	}
}

void gen_emit_readers(FILE *f, const struct gen_object *o)
{
	for (uint32_t i = 0; i < o->fields_count; i++) {
		const struct gen_field *field = &o->fields[i];
		gen_emit_doc(f, field->source, GEN_DOC_FIELD, "");
		switch (field->type.base) {
		case GEN_STRING:
			open_accessor(f, o, field, "struct mrf_string", "", false);
			fprintf(f, "\treturn mr_fb_get_string(t, %u);\n}\n\n", field->id);
			break;
		case GEN_VECTOR: emit_vector(f, o, field); break;
		case GEN_OBJECT: emit_object(f, o, field); break;
		case GEN_UNION: emit_union(f, o, field); break;
		default: emit_scalar(f, o, field); break;
		}
		emit_has(f, o, field);
	}
}
