/* SPDX-License-Identifier: Apache-2.0 */
/* emit: writes the parts of a generated header.
 *
 * Each part covers only declarations of the schema file itself, not those of included files.
 */
#ifndef MILLRACE_FLATBUF_GEN_EMIT_H
#define MILLRACE_FLATBUF_GEN_EMIT_H

#include <stdio.h>

#include "flatbuf/gen/model.h"

/* emit_types.c: enums, structs. */
void gen_emit_enums(FILE *f, const struct gen_model *m);
void gen_emit_structs(FILE *f, struct gen_model *m);

/* emit_describe.c: descriptions for the verifier, and parse functions. */
void gen_emit_descriptions(FILE *f, const struct gen_model *m);
void gen_emit_parse(FILE *f, const struct gen_model *m, const struct gen_object *o);

/* emit_read.c: the accessors of a table. */
void gen_emit_readers(FILE *f, const struct gen_object *o);

/* emit_write.c: the arguments struct, its defaults and the write function of a table. */
void gen_emit_arguments(FILE *f, const struct gen_object *o);
void gen_emit_writer(FILE *f, const struct gen_model *m, const struct gen_object *o);

/* emit_text.c: helpers of the other files. */

/* Writes the schema's comment of `source` as a C comment, with `indent` before each line. */
void gen_emit_doc(FILE *f, struct mrf_table source, enum gen_doc doc, const char *indent);

/* Writes the schema's comment of `source` as a C string on one line. */
void gen_emit_doc_string(FILE *f, struct mrf_table source, enum gen_doc doc);

/* "uint32_t"; `in_memory` gives bools a type that any byte may be copied into. */
const char *gen_c_type(enum gen_base base, bool in_memory);

/* "u32", as in mr_fb_get_u32. */
const char *gen_suffix(enum gen_base base);

/* Writes an integer constant of the type. */
void gen_emit_integer(FILE *f, enum gen_base base, int64_t value);

/* Writes the default of a scalar field as a constant. */
void gen_emit_default(FILE *f, const struct gen_field *field);

bool gen_default_is_zero(const struct gen_field *field);

#endif
