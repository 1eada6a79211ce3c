/* SPDX-License-Identifier: Apache-2.0 */
/* Writes comments, strings, type names and constants. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "flatbuf/gen/emit.h"

/* The text of a comment must not end the comment. */
static void emit_line(FILE *f, const char *text)
{
	while (*text == ' ')
		text++;
	for (; *text; text++) {
		fputc(*text, f);
		if (text[0] == '*' && text[1] == '/')
			fputc(' ', f);
	}
}

void gen_emit_doc(FILE *f, struct mrf_table source, enum gen_doc doc, const char *indent)
{
	uint32_t count = mr_fb_count(source, doc);
	if (count == 0)
		return;
	fprintf(f, "%s/* ", indent);
	for (uint32_t i = 0; i < count; i++) {
		if (i)
			fprintf(f, "\n%s * ", indent);
		emit_line(f, mr_fb_at_string(source, doc, i).data);
	}
	fprintf(f, count > 1 ? "\n%s */\n" : " */\n", indent);
}

/* Bytes that a string literal cannot hold are written in octal, which has a fixed length. */
static void emit_quoted(FILE *f, const char *text)
{
	while (*text == ' ')
		text++;
	for (; *text; text++) {
		if (*text == '"' || *text == '\\' || *text == '?')
			fprintf(f, "\\%c", *text);
		else if ((unsigned char)*text < 0x20 || (unsigned char)*text > 0x7e)
			fprintf(f, "\\%03o", (unsigned char)*text);
		else
			fputc(*text, f);
	}
}

void gen_emit_doc_string(FILE *f, struct mrf_table source, enum gen_doc doc)
{
	fputc('"', f);
	for (uint32_t i = 0; i < mr_fb_count(source, doc); i++) {
		if (i)
			fputc(' ', f);
		emit_quoted(f, mr_fb_at_string(source, doc, i).data);
	}
	fputc('"', f);
}

const char *gen_c_type(enum gen_base base, bool in_memory)
{
	static const char *const names[GEN_BASE_COUNT] = {[GEN_UTYPE] = "uint8_t",
		[GEN_BOOL] = "bool",
		[GEN_I8] = "int8_t",
		[GEN_U8] = "uint8_t",
		[GEN_I16] = "int16_t",
		[GEN_U16] = "uint16_t",
		[GEN_I32] = "int32_t",
		[GEN_U32] = "uint32_t",
		[GEN_I64] = "int64_t",
		[GEN_U64] = "uint64_t",
		[GEN_F32] = "float",
		[GEN_F64] = "double"};
	if (base == GEN_BOOL && in_memory)
		return "uint8_t";
	if (!names[base])
		gen_die("type %d is not a scalar", base);
	return names[base];
}

const char *gen_suffix(enum gen_base base)
{
	static const char *const names[GEN_BASE_COUNT] = {[GEN_UTYPE] = "u8",
		[GEN_BOOL] = "bool",
		[GEN_I8] = "i8",
		[GEN_U8] = "u8",
		[GEN_I16] = "i16",
		[GEN_U16] = "u16",
		[GEN_I32] = "i32",
		[GEN_U32] = "u32",
		[GEN_I64] = "i64",
		[GEN_U64] = "u64",
		[GEN_F32] = "f32",
		[GEN_F64] = "f64"};
	if (!names[base])
		gen_die("type %d is not a scalar", base);
	return names[base];
}

void gen_emit_integer(FILE *f, enum gen_base base, int64_t value)
{
	switch (base) {
	case GEN_BOOL: fputs(value ? "true" : "false", f); return;
	case GEN_U64: fprintf(f, "UINT64_C(%" PRIu64 ")", (uint64_t)value); return;
	case GEN_U32: fprintf(f, "%" PRIu64 "u", (uint64_t)value); return;
	default: break;
	}
	/* The lowest value of a signed type has no literal of its own. */
	if (value == INT64_MIN)
		fputs("INT64_MIN", f);
	else if (base == GEN_I64)
		fprintf(f, "INT64_C(%" PRId64 ")", value);
	else if (value == INT32_MIN)
		fputs("INT32_MIN", f);
	else
		fprintf(f, "%" PRId64, value);
}

static void emit_real(FILE *f, enum gen_base base, double value)
{
	const char *end = base == GEN_F32 ? "f" : "";
	char text[64];
	if (isnan(value)) {
		fprintf(f, "__builtin_nan%s(\"\")", end);
		return;
	}
	if (isinf(value)) {
		fprintf(f, "%s__builtin_inf%s()", value < 0 ? "-" : "", end);
		return;
	}
	snprintf(text, sizeof(text), base == GEN_F32 ? "%.9g" : "%.17g", value);
	fprintf(f, "%s%s%s", text, strpbrk(text, ".e") ? "" : ".0", end);
}

void gen_emit_default(FILE *f, const struct gen_field *field)
{
	if (field->type.base == GEN_F32 || field->type.base == GEN_F64)
		emit_real(f, field->type.base, field->default_real);
	else
		gen_emit_integer(f, field->type.base, field->default_integer);
}

bool gen_default_is_zero(const struct gen_field *field)
{
	if (field->type.base == GEN_F32 || field->type.base == GEN_F64)
		return field->default_real == 0.0;
	return field->default_integer == 0;
}
