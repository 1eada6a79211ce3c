/* SPDX-License-Identifier: Apache-2.0 */
#include "flatbuf/gen/model.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flatbuf/gen/names.h"

/* Field ids of reflection.fbs that are read here. */
enum { TYPE_BASE = 0, TYPE_ELEMENT = 1, TYPE_INDEX = 2, TYPE_FIXED_LENGTH = 3 };
enum { VALUE_NAME = 0, VALUE_VALUE = 1, VALUE_UNION_TYPE = 3 };
enum { ENUM_NAME = 0, ENUM_VALUES = 1, ENUM_IS_UNION = 2, ENUM_TYPE = 3, ENUM_FILE = 6 };
enum {
	FIELD_NAME = 0,
	FIELD_TYPE = 1,
	FIELD_ID = 2,
	FIELD_OFFSET = 3,
	FIELD_DEFAULT_INTEGER = 4,
	FIELD_DEFAULT_REAL = 5,
	FIELD_DEPRECATED = 6,
	FIELD_REQUIRED = 7,
	FIELD_OPTIONAL = 11,
};
enum {
	OBJECT_NAME = 0,
	OBJECT_FIELDS = 1,
	OBJECT_IS_STRUCT = 2,
	OBJECT_ALIGN = 3,
	OBJECT_BYTES = 4,
	OBJECT_FILE = 7,
};
enum { SCHEMA_OBJECTS = 0, SCHEMA_ENUMS = 1, SCHEMA_IDENT = 2, SCHEMA_ROOT = 4, SCHEMA_FILES = 7 };
enum { FILE_NAME = 0, FILE_INCLUDES = 1 };

static const struct mr_fb_field type_fields[] = {
	{TYPE_BASE, MR_FB_INLINE, false, 1, NULL, NULL},
	{TYPE_ELEMENT, MR_FB_INLINE, false, 1, NULL, NULL},
	{TYPE_INDEX, MR_FB_INLINE, false, 4, NULL, NULL},
	{TYPE_FIXED_LENGTH, MR_FB_INLINE, false, 2, NULL, NULL},
};
static const struct mr_fb_type type_type = {type_fields, 4};

static const struct mr_fb_field value_fields[] = {
	{VALUE_NAME, MR_FB_STRING, true, 0, NULL, NULL},
	{VALUE_VALUE, MR_FB_INLINE, false, 8, NULL, NULL},
	{VALUE_UNION_TYPE, MR_FB_TABLE, false, 0, &type_type, NULL},
	{GEN_DOC_VALUE, MR_FB_STRINGS, false, 0, NULL, NULL},
};
static const struct mr_fb_type value_type = {value_fields, 4};

static const struct mr_fb_field enum_fields[] = {
	{ENUM_NAME, MR_FB_STRING, true, 0, NULL, NULL},
	{ENUM_VALUES, MR_FB_TABLES, true, 0, &value_type, NULL},
	{ENUM_IS_UNION, MR_FB_INLINE, false, 1, NULL, NULL},
	{ENUM_TYPE, MR_FB_TABLE, true, 0, &type_type, NULL},
	{GEN_DOC_ENUM, MR_FB_STRINGS, false, 0, NULL, NULL},
	{ENUM_FILE, MR_FB_STRING, true, 0, NULL, NULL},
};
static const struct mr_fb_type enum_type = {enum_fields, 6};

static const struct mr_fb_field field_fields[] = {
	{FIELD_NAME, MR_FB_STRING, true, 0, NULL, NULL},
	{FIELD_TYPE, MR_FB_TABLE, true, 0, &type_type, NULL},
	{FIELD_ID, MR_FB_INLINE, false, 2, NULL, NULL},
	{FIELD_OFFSET, MR_FB_INLINE, false, 2, NULL, NULL},
	{FIELD_DEFAULT_INTEGER, MR_FB_INLINE, false, 8, NULL, NULL},
	{FIELD_DEFAULT_REAL, MR_FB_INLINE, false, 8, NULL, NULL},
	{FIELD_DEPRECATED, MR_FB_INLINE, false, 1, NULL, NULL},
	{FIELD_REQUIRED, MR_FB_INLINE, false, 1, NULL, NULL},
	{GEN_DOC_FIELD, MR_FB_STRINGS, false, 0, NULL, NULL},
	{FIELD_OPTIONAL, MR_FB_INLINE, false, 1, NULL, NULL},
};
static const struct mr_fb_type field_type = {field_fields, 10};

static const struct mr_fb_field object_fields[] = {
	{OBJECT_NAME, MR_FB_STRING, true, 0, NULL, NULL},
	{OBJECT_FIELDS, MR_FB_TABLES, true, 0, &field_type, NULL},
	{OBJECT_IS_STRUCT, MR_FB_INLINE, false, 1, NULL, NULL},
	{OBJECT_ALIGN, MR_FB_INLINE, false, 4, NULL, NULL},
	{OBJECT_BYTES, MR_FB_INLINE, false, 4, NULL, NULL},
	{GEN_DOC_OBJECT, MR_FB_STRINGS, false, 0, NULL, NULL},
	{OBJECT_FILE, MR_FB_STRING, true, 0, NULL, NULL},
};
static const struct mr_fb_type object_type = {object_fields, 7};

static const struct mr_fb_field file_fields[] = {
	{FILE_NAME, MR_FB_STRING, true, 0, NULL, NULL},
	{FILE_INCLUDES, MR_FB_STRINGS, false, 0, NULL, NULL},
};
static const struct mr_fb_type file_type = {file_fields, 2};

static const struct mr_fb_field schema_fields[] = {
	{SCHEMA_OBJECTS, MR_FB_TABLES, true, 0, &object_type, NULL},
	{SCHEMA_ENUMS, MR_FB_TABLES, true, 0, &enum_type, NULL},
	{SCHEMA_IDENT, MR_FB_STRING, false, 0, NULL, NULL},
	{SCHEMA_ROOT, MR_FB_TABLE, false, 0, &object_type, NULL},
	{SCHEMA_FILES, MR_FB_TABLES, true, 0, &file_type, NULL},
};
static const struct mr_fb_type schema_type = {schema_fields, 5};

void gen_die(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	fputs("mr-fbgen: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(1);
}

uint32_t gen_scalar_bytes(enum gen_base base)
{
	static const uint8_t bytes[GEN_BASE_COUNT] = {[GEN_UTYPE] = 1,
		[GEN_BOOL] = 1,
		[GEN_I8] = 1,
		[GEN_U8] = 1,
		[GEN_I16] = 2,
		[GEN_U16] = 2,
		[GEN_I32] = 4,
		[GEN_U32] = 4,
		[GEN_I64] = 8,
		[GEN_U64] = 8,
		[GEN_F32] = 4,
		[GEN_F64] = 8};
	return bytes[base];
}

static void *alloc(uint32_t count, size_t bytes)
{
	void *p = calloc(count ? count : 1, bytes);
	if (!p)
		gen_die("out of memory");
	return p;
}

static void *read_file(const char *path, size_t *bytes)
{
	FILE *f = fopen(path, "rb");
	if (!f)
		gen_die("%s: %s", path, strerror(errno));
	if (fseek(f, 0, SEEK_END) != 0)
		gen_die("%s: %s", path, strerror(errno));
	long end = ftell(f);
	rewind(f);
	if (end < 0 || end > INT32_MAX)
		gen_die("%s: not a schema", path);
	void *data = alloc((uint32_t)end, 1);
	if (fread(data, 1, (size_t)end, f) != (size_t)end)
		gen_die("%s: cannot be read", path);
	fclose(f);
	*bytes = (size_t)end;
	return data;
}

/* "//schemas/wire.fbs" -> "wire" */
static void base_name(const char *path, char *out, size_t bytes)
{
	const char *slash = strrchr(path, '/');
	const char *base = slash ? slash + 1 : path;
	const char *dot = strrchr(base, '.');
	int length = dot ? (int)(dot - base) : (int)strlen(base);
	if (snprintf(out, bytes, "%.*s", length, base) >= (int)bytes)
		gen_die("%s: name too long", path);
}

static bool is_mine(const struct gen_model *m, const char *file)
{
	char name[GEN_NAME_BYTES];
	base_name(file, name, sizeof(name));
	return strcmp(name, m->name) == 0;
}

static void name_of(const struct mrf_table t, char *out)
{
	const char *label = mr_fb_get_string(t, 0).data;
	if (!gen_name_snake(label, out, GEN_NAME_BYTES - 1))
		gen_die("%s: not a name that C can have, or too long", label);
}

static const struct gen_object *object_at(const struct gen_model *m, int32_t index)
{
	if (index < 0 || (uint32_t)index >= m->objects_count)
		gen_die("%s: object %d out of range", m->path, index);
	return &m->objects[index];
}

static enum gen_base base_of(struct mrf_table type, uint32_t id)
{
	uint8_t base = mr_fb_get_u8(type, id, GEN_NONE);
	if (base >= GEN_BASE_COUNT)
		gen_die("type %u is not known", base);
	return (enum gen_base)base;
}

static struct gen_type load_type(const struct gen_model *m, struct mrf_table t)
{
	int32_t index = mr_fb_get_i32(t, TYPE_INDEX, -1);
	struct gen_type type = {
		.base = base_of(t, TYPE_BASE),
		.element = base_of(t, TYPE_ELEMENT),
		.array_count = mr_fb_get_u16(t, TYPE_FIXED_LENGTH, 0),
	};
	if (type.base == GEN_OBJECT || type.element == GEN_OBJECT)
		type.object = object_at(m, index);
	if (type.base == GEN_UNION) {
		if (index < 0 || (uint32_t)index >= m->enums_count)
			gen_die("%s: union %d out of range", m->path, index);
		type.choice = &m->enums[index];
	}
	return type;
}

static void load_field(const struct gen_model *m, const struct gen_object *o, struct gen_field *f,
	struct mrf_table t)
{
	*f = (struct gen_field){
		.source = t,
		.label = mr_fb_get_string(t, FIELD_NAME).data,
		.type = load_type(m, mr_fb_get_table(t, FIELD_TYPE)),
		.id = mr_fb_get_u16(t, FIELD_ID, 0),
		.offset = mr_fb_get_u16(t, FIELD_OFFSET, 0),
		.default_integer = mr_fb_get_i64(t, FIELD_DEFAULT_INTEGER, 0),
		.default_real = mr_fb_get_f64(t, FIELD_DEFAULT_REAL, 0),
		.deprecated = mr_fb_get_bool(t, FIELD_DEPRECATED, false),
		.required = mr_fb_get_bool(t, FIELD_REQUIRED, false),
		.optional = mr_fb_get_bool(t, FIELD_OPTIONAL, false),
	};
	name_of(t, f->name);
	memcpy(f->member, f->name, sizeof(f->member));
	if (gen_name_is_keyword(f->name))
		strcat(f->member, "_");
	if (f->type.element == GEN_UNION || f->type.element == GEN_UTYPE)
		gen_die("%s.%s: vectors of unions are not supported", o->label, f->name);
	f->optional = f->optional && gen_is_scalar(f->type.base);
}

static int by_id(const void *a, const void *b)
{
	const struct gen_field *fa = a, *fb = b;
	return fa->id < fb->id ? -1 : fa->id > fb->id;
}

static void load_fields(const struct gen_model *m, struct gen_object *o)
{
	uint32_t count = mr_fb_count(o->source, OBJECT_FIELDS);
	o->fields = alloc(count, sizeof(*o->fields));
	for (uint32_t i = 0; i < count; i++) {
		struct gen_field *f = &o->fields[o->fields_count];
		load_field(m, o, f, mr_fb_at_table(o->source, OBJECT_FIELDS, i));
		if (f->id >= o->ids_count)
			o->ids_count = f->id + 1;
		o->fields_count += !f->deprecated;
	}
	qsort(o->fields, o->fields_count, sizeof(*o->fields), by_id);
}

static void load_object(const struct gen_model *m, struct gen_object *o, struct mrf_table t)
{
	o->source = t;
	o->label = mr_fb_get_string(t, OBJECT_NAME).data;
	o->is_struct = mr_fb_get_bool(t, OBJECT_IS_STRUCT, false);
	o->align = mr_fb_get_u32(t, OBJECT_ALIGN, 1);
	o->bytes = mr_fb_get_u32(t, OBJECT_BYTES, 0);
	o->mine = is_mine(m, mr_fb_get_string(t, OBJECT_FILE).data);
	name_of(t, o->name);
	if (o->is_struct && o->align > 8)
		gen_die("%s: alignment above 8 is not supported", o->label);
}

static void load_value(const struct gen_model *m, struct gen_enum *e, uint32_t index)
{
	struct gen_value *v = &e->values[index];
	v->source = mr_fb_at_table(e->source, ENUM_VALUES, index);
	v->label = mr_fb_get_string(v->source, VALUE_NAME).data;
	v->value = mr_fb_get_i64(v->source, VALUE_VALUE, 0);
	name_of(v->source, v->name);
	struct gen_type type = load_type(m, mr_fb_get_table(v->source, VALUE_UNION_TYPE));
	if (!e->is_union || v->value == 0)
		return;
	if (type.base != GEN_OBJECT || type.object->is_struct)
		gen_die("%s.%s: only tables can be in unions", e->label, v->label);
	v->table = type.object;
}

static void load_enum(const struct gen_model *m, struct gen_enum *e, struct mrf_table t)
{
	e->source = t;
	e->label = mr_fb_get_string(t, ENUM_NAME).data;
	e->is_union = mr_fb_get_bool(t, ENUM_IS_UNION, false);
	e->base = base_of(mr_fb_get_table(t, ENUM_TYPE), TYPE_BASE);
	e->mine = is_mine(m, mr_fb_get_string(t, ENUM_FILE).data);
	e->values_count = mr_fb_count(t, ENUM_VALUES);
	e->values = alloc(e->values_count, sizeof(*e->values));
	name_of(t, e->name);
	for (uint32_t i = 0; i < e->values_count; i++)
		load_value(m, e, i);
}

/* True for names of the runtime's own types, which no schema may use. */
static bool is_reserved(const char *name)
{
	static const char *const names[] = {"string", "bytes", "table", "builder", "member"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(names[i], name) == 0)
			return true;
	}
	return false;
}

static const char *type_name(const struct gen_model *m, uint32_t i)
{
	return i < m->objects_count ? m->objects[i].name : m->enums[i - m->objects_count].name;
}

/* C names have neither namespaces nor capitals: refuses types whose C names are equal. */
static void check_names(const struct gen_model *m)
{
	uint32_t count = m->objects_count + m->enums_count;
	for (uint32_t i = 0; i < count; i++) {
		if (is_reserved(type_name(m, i)))
			gen_die("%s: mrf_%s is the runtime's", m->path, type_name(m, i));
		for (uint32_t j = 0; j < i; j++) {
			if (strcmp(type_name(m, i), type_name(m, j)) == 0)
				gen_die("%s: two types would be mrf_%s", m->path, type_name(m, i));
		}
	}
}

static void load_root(struct gen_model *m)
{
	struct mrf_table root = mr_fb_get_table(m->schema, SCHEMA_ROOT);
	struct mrf_string ident = mr_fb_get_string(m->schema, SCHEMA_IDENT);
	m->ident = ident.bytes == 4 ? ident.data : NULL;
	for (uint32_t i = 0; i < m->objects_count && !mrf_table_is_empty(root); i++) {
		if (strcmp(m->objects[i].label, mr_fb_get_string(root, OBJECT_NAME).data) == 0)
			m->root = &m->objects[i];
	}
}

void gen_model_init(struct gen_model *m, const char *path)
{
	size_t bytes;
	*m = (struct gen_model){.path = path};
	m->file = read_file(path, &bytes);
	if (mr_fb_verify(m->file, bytes, &schema_type, "BFBS", &m->schema) != 0)
		gen_die("%s: not what flatc 2.0.8 or newer writes with --bfbs-filenames", path);
	base_name(path, m->name, sizeof(m->name));
	m->objects_count = mr_fb_count(m->schema, SCHEMA_OBJECTS);
	m->objects = alloc(m->objects_count, sizeof(*m->objects));
	m->enums_count = mr_fb_count(m->schema, SCHEMA_ENUMS);
	m->enums = alloc(m->enums_count, sizeof(*m->enums));
	for (uint32_t i = 0; i < m->objects_count; i++)
		load_object(m, &m->objects[i], mr_fb_at_table(m->schema, SCHEMA_OBJECTS, i));
	for (uint32_t i = 0; i < m->enums_count; i++)
		load_enum(m, &m->enums[i], mr_fb_at_table(m->schema, SCHEMA_ENUMS, i));
	for (uint32_t i = 0; i < m->objects_count; i++)
		load_fields(m, &m->objects[i]);
	check_names(m);
	load_root(m);
}

void gen_model_fini(struct gen_model *m)
{
	for (uint32_t i = 0; i < m->objects_count; i++)
		free(m->objects[i].fields);
	for (uint32_t i = 0; i < m->enums_count; i++)
		free(m->enums[i].values);
	free(m->objects);
	free(m->enums);
	free(m->file);
}

void gen_model_includes(
	const struct gen_model *m, void (*visit)(const char *name, void *ctx), void *ctx)
{
	for (uint32_t i = 0; i < mr_fb_count(m->schema, SCHEMA_FILES); i++) {
		struct mrf_table file = mr_fb_at_table(m->schema, SCHEMA_FILES, i);
		if (!is_mine(m, mr_fb_get_string(file, FILE_NAME).data))
			continue;
		for (uint32_t j = 0; j < mr_fb_count(file, FILE_INCLUDES); j++) {
			char name[GEN_NAME_BYTES];
			base_name(mr_fb_at_string(file, FILE_INCLUDES, j).data, name, sizeof(name));
			visit(name, ctx);
		}
	}
}
