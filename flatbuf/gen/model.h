/* SPDX-License-Identifier: Apache-2.0 */
/* model: a schema as the generator sees it, read from flatc's binary reflection.
 *
 * Owns      The model owns everything in it until gen_model_fini. Names and comments point into the
 *           reflection file, which it keeps.
 * Errors    This is a build tool: a schema that it cannot generate code for ends the program with a
 *           message.
 */
#ifndef MILLRACE_FLATBUF_GEN_MODEL_H
#define MILLRACE_FLATBUF_GEN_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "flatbuf/runtime/mr_fb.h"

/* BaseType of reflection.fbs. */
enum gen_base {
	GEN_NONE,
	GEN_UTYPE,
	GEN_BOOL,
	GEN_I8,
	GEN_U8,
	GEN_I16,
	GEN_U16,
	GEN_I32,
	GEN_U32,
	GEN_I64,
	GEN_U64,
	GEN_F32,
	GEN_F64,
	GEN_STRING,
	GEN_VECTOR,
	GEN_OBJECT,
	GEN_UNION,
	GEN_ARRAY,
	GEN_BASE_COUNT,
};

#define GEN_NAME_BYTES 96

struct gen_object;
struct gen_enum;

struct gen_type {
	enum gen_base base;
	enum gen_base element; /* element type of a vector or array */
	uint32_t array_count;
	/* the table or struct; of a vector, that of the elements */
	const struct gen_object *object;
	const struct gen_enum *choice; /* the union */
};

struct gen_field {
	struct mrf_table source;
	const char *label;           /* the name in the schema */
	char name[GEN_NAME_BYTES];   /* snake_case */
	char member[GEN_NAME_BYTES]; /* name as a member of a C struct: never a keyword */
	struct gen_type type;
	uint32_t id;
	uint32_t offset; /* only in a struct */
	int64_t default_integer;
	double default_real;
	bool deprecated;
	bool required;
	bool optional; /* a scalar without default: absent is a value of its own */
};

struct gen_object {
	struct mrf_table source;
	char name[GEN_NAME_BYTES];
	const char *label;        /* the name in the schema */
	struct gen_field *fields; /* by id, without deprecated ones */
	uint32_t fields_count;
	uint32_t ids_count; /* highest id + 1, including deprecated ones */
	uint32_t align;
	uint32_t bytes;
	bool is_struct;
	bool mine; /* declared in this file, not in one that it includes */
	bool emitted;
};

struct gen_value {
	struct mrf_table source;
	char name[GEN_NAME_BYTES];
	const char *label;
	int64_t value;
	const struct gen_object *table; /* the member of a union */
};

struct gen_enum {
	struct mrf_table source;
	char name[GEN_NAME_BYTES];
	const char *label;
	struct gen_value *values;
	uint32_t values_count;
	enum gen_base base;
	bool is_union;
	bool mine;
};

struct gen_model {
	void *file; /* the reflection file; all strings point into it */
	const char *path;
	char name[GEN_NAME_BYTES]; /* "wire" of wire.bfbs */
	struct mrf_table schema;
	struct gen_object *objects;
	uint32_t objects_count;
	struct gen_enum *enums;
	uint32_t enums_count;
	const struct gen_object *root; /* NULL: none */
	const char *ident;             /* NULL: none */
};

void gen_model_init(struct gen_model *m, const char *path);
void gen_model_fini(struct gen_model *m);

/* Calls `visit` with the base name ("wire") of each schema that this one includes directly. */
void gen_model_includes(
	const struct gen_model *m, void (*visit)(const char *name, void *ctx), void *ctx);

/* Ids of the documentation field in each kind of source table. */
enum gen_doc { GEN_DOC_OBJECT = 6, GEN_DOC_ENUM = 5, GEN_DOC_VALUE = 4, GEN_DOC_FIELD = 10 };

static inline bool gen_is_scalar(enum gen_base base)
{
	return base >= GEN_UTYPE && base <= GEN_F64;
}

/* Size of a scalar. */
uint32_t gen_scalar_bytes(enum gen_base base);

/* Prints "mr-fbgen: ..." and ends the program. */
_Noreturn void gen_die(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
