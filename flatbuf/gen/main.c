/* SPDX-License-Identifier: Apache-2.0 */
/* mr-fbgen: reads flatc's binary reflection of a schema, writes a C header.
 *
 * usage: mr-fbgen SCHEMA.bfbs OUT.h INCLUDE-PREFIX
 * Headers of included schemas have the same prefix ("flatbuf/").
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "flatbuf/gen/emit.h"
#include "flatbuf/gen/names.h"

struct output {
	FILE *file;
	const char *prefix;
};

static void emit_include(const char *name, void *ctx)
{
	const struct output *out = ctx;
	fprintf(out->file, "#include \"%s%s.h\"\n", out->prefix, name);
}

static void guard_name(const struct gen_model *m, const char *prefix, char *out, size_t bytes)
{
	snprintf(out, bytes, "MRF_%s%s_H", prefix, m->name);
	gen_name_upper(out, out, bytes);
	for (char *c = out; *c; c++) {
		if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", *c))
			*c = '_';
	}
}

static void emit_tables(FILE *f, const struct gen_model *m)
{
	for (uint32_t i = 0; i < m->objects_count; i++) {
		const struct gen_object *o = &m->objects[i];
		if (!o->mine || o->is_struct)
			continue;
		gen_emit_arguments(f, o);
		gen_emit_writer(f, m, o);
		gen_emit_parse(f, m, o);
		gen_emit_readers(f, o);
	}
}

static void emit_header(struct output *out, struct gen_model *m)
{
	char guard[2 * GEN_NAME_BYTES];
	guard_name(m, out->prefix, guard, sizeof(guard));
	fprintf(out->file,
		"/* SPDX-License-Identifier: Apache-2.0 */\n"
		"/* %s: written by mr-fbgen from %s.fbs; not to be edited. */\n"
		"#ifndef %s\n#define %s\n\n#include \"flatbuf/runtime/mr_fb.h\"\n",
		m->name, m->name, guard, guard);
	gen_model_includes(m, emit_include, out);
	fprintf(out->file, "\n");
	gen_emit_enums(out->file, m);
	gen_emit_structs(out->file, m);
	gen_emit_descriptions(out->file, m);
	emit_tables(out->file, m);
	fprintf(out->file, "#endif\n");
}

int main(int argc, char **argv)
{
	struct gen_model m;
	if (argc != 4)
		gen_die("usage: mr-fbgen SCHEMA.bfbs OUT.h INCLUDE-PREFIX");
	gen_model_init(&m, argv[1]);
	struct output out = {fopen(argv[2], "w"), argv[3]};
	if (!out.file)
		gen_die("%s: %s", argv[2], strerror(errno));
	emit_header(&out, &m);
	bool failed = ferror(out.file) != 0;
	if (fclose(out.file) != 0 || failed)
		gen_die("%s: cannot be written", argv[2]);
	gen_model_fini(&m);
	return 0;
}
