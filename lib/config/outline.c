/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/config/outline.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <yaml.h>

#define DEPTH_MAX 6

struct walk {
	struct mr_config_outline *outline;
	struct mr_config_fault *fault;
	char path[64];
	struct {
		bool mapping;
		bool value_next;   /* mapping: the key has been read */
		size_t path_bytes; /* path of the mapping or list itself */
	} frames[DEPTH_MAX];
	unsigned depth;
	unsigned documents;
	uint32_t key_line;
};

static int refuse(struct walk *w, const char *found, const char *expected)
{
	snprintf(w->fault->found, sizeof(w->fault->found), "%s", found);
	snprintf(w->fault->expected, sizeof(w->fault->expected), "%s", expected);
	return -EINVAL;
}

static int refuse_syntax(struct walk *w, const char *problem)
{
	char found[128];

	snprintf(found, sizeof(found), "a fault (%.100s)", problem != NULL ? problem : "no text");
	return refuse(w, found, "YAML");
}

static void note(struct walk *w, enum mr_config_shape shape, const char *text, size_t bytes)
{
	struct mr_config_outline *o = w->outline;
	struct mr_config_node *n;

	if (o->count == MR_CONFIG_NODES_MAX)
		return;
	n = &o->nodes[o->count++];
	memcpy(n->path, w->path, sizeof(n->path));
	mr_config_printable(n->text, sizeof(n->text), text, bytes);
	n->line = w->key_line;
	n->shape = shape;
	n->entries = o->entries_count;
}

/* Notes the line of an entry. Lists hold only values, so the last node is its list. */
static void note_entry(struct walk *w, uint32_t line)
{
	struct mr_config_outline *o = w->outline;

	if (o->count == MR_CONFIG_NODES_MAX || o->entries_count == MR_CONFIG_ENTRIES_MAX)
		return;
	o->entry_lines[o->entries_count++] = line;
	o->nodes[o->count - 1].entries_count++;
}

/* Notes a value, list or mapping where a value is expected: below a key, in a list, or at the
 * top. */
static void value_begins(
	struct walk *w, enum mr_config_shape shape, uint32_t line, const char *text, size_t bytes)
{
	if (w->depth == 0) {
		w->key_line = line;
		w->path[0] = '\0';
		note(w, shape, text, bytes);
	} else if (w->frames[w->depth - 1].mapping) {
		note(w, shape, text, bytes);
		w->frames[w->depth - 1].value_next = false;
	} else {
		note_entry(w, line);
	}
}

static int key(struct walk *w, const yaml_event_t *e)
{
	size_t base = w->frames[w->depth - 1].path_bytes;
	char name[48];

	mr_config_printable(
		name, sizeof(name), (const char *)e->data.scalar.value, e->data.scalar.length);
	snprintf(w->path + base, sizeof(w->path) - base, "%s%s", base > 0 ? "." : "", name);
	w->key_line = (uint32_t)e->start_mark.line + 1;
	w->frames[w->depth - 1].value_next = true;
	return 0;
}

static bool key_expected(const struct walk *w)
{
	return w->depth > 0 && w->frames[w->depth - 1].mapping &&
	       !w->frames[w->depth - 1].value_next;
}

static int begin(struct walk *w, const yaml_event_t *e, bool mapping)
{
	if (key_expected(w))
		return refuse(w, "a key that is a list or a mapping", "plain text");
	if (w->depth > 0 && !w->frames[w->depth - 1].mapping)
		return refuse(w, "a list or a section in a list", "plain values");
	if (w->depth == DEPTH_MAX)
		return refuse(w, "deep nesting", "sections with keys");
	value_begins(w, mapping ? MR_CONFIG_SHAPE_MAPPING : MR_CONFIG_SHAPE_LIST,
		(uint32_t)e->start_mark.line + 1, "", 0);
	w->frames[w->depth].mapping = mapping;
	w->frames[w->depth].value_next = false;
	w->frames[w->depth].path_bytes = strlen(w->path);
	w->depth++;
	return 0;
}

static int scalar(struct walk *w, const yaml_event_t *e)
{
	if (key_expected(w))
		return key(w, e);
	value_begins(w, MR_CONFIG_SHAPE_VALUE, (uint32_t)e->start_mark.line + 1,
		(const char *)e->data.scalar.value, e->data.scalar.length);
	return 0;
}

static int event(struct walk *w, const yaml_event_t *e)
{
	switch (e->type) {
	case YAML_DOCUMENT_START_EVENT:
		return w->documents++ == 0 ? 0 : refuse(w, "a second document", "one");
	case YAML_ALIAS_EVENT: return refuse(w, "an alias", "the value itself");
	case YAML_SCALAR_EVENT: return scalar(w, e);
	case YAML_MAPPING_START_EVENT: return begin(w, e, true);
	case YAML_SEQUENCE_START_EVENT: return begin(w, e, false);
	case YAML_MAPPING_END_EVENT:
	case YAML_SEQUENCE_END_EVENT:
		w->depth--;
		w->path[w->frames[w->depth].path_bytes] = '\0';
		return 0;
	default: return 0;
	}
}

static int walk_events(struct walk *w, yaml_parser_t *parser, uint32_t *line)
{
	yaml_event_t e;
	bool more = true;
	int error = 0;

	while (more && error == 0) {
		if (!yaml_parser_parse(parser, &e)) {
			*line = (uint32_t)parser->problem_mark.line + 1;
			return refuse_syntax(w, parser->problem);
		}
		*line = (uint32_t)e.start_mark.line + 1;
		error = event(w, &e);
		more = e.type != YAML_STREAM_END_EVENT;
		yaml_event_delete(&e);
	}
	return error;
}

int mr_config_outline_read(struct mr_config_outline *o, const char *text, size_t bytes,
	uint32_t *line, struct mr_config_fault *fault)
{
	struct walk w = {.outline = o, .fault = fault};
	yaml_parser_t parser;
	int error;

	memset(o, 0, sizeof(*o));
	*line = 1;
	if (!yaml_parser_initialize(&parser))
		return -ENOMEM;
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, bytes);
	error = walk_events(&w, &parser, line);
	yaml_parser_delete(&parser);
	return error;
}

/* Lists the keys of a section; for an empty `section` the names allowed at the top. */
static void list_keys(char *to, size_t to_bytes, const char *section)
{
	size_t used = (size_t)snprintf(to, to_bytes, "one of"), section_bytes = strlen(section);
	const char *last = "";
	size_t last_bytes = 0;

	for (size_t i = 0; i < MR_CONFIG_KEYS_COUNT && used < to_bytes; i++) {
		const char *name = mr_config_keys[i].name;
		size_t name_bytes;

		if (section_bytes > 0) {
			if (strncmp(name, section, section_bytes) != 0 ||
				name[section_bytes] != '.')
				continue;
			name += section_bytes + 1;
		}
		name_bytes = strcspn(name, ".");
		if (name_bytes == last_bytes && memcmp(name, last, name_bytes) == 0)
			continue;
		used += (size_t)snprintf(to + used, to_bytes - used, "%s %.*s",
			last_bytes > 0 ? "," : "", (int)name_bytes, name);
		last = name;
		last_bytes = name_bytes;
	}
}

static bool is_section(const char *path)
{
	size_t bytes = strlen(path);

	for (size_t i = 0; bytes > 0 && i < MR_CONFIG_KEYS_COUNT; i++) {
		const char *name = mr_config_keys[i].name;

		if (strncmp(name, path, bytes) == 0 && name[bytes] == '.')
			return true;
	}
	return bytes == 0;
}

static const char *found_shape(const struct mr_config_node *n)
{
	switch (n->shape) {
	case MR_CONFIG_SHAPE_LIST: return "a list";
	case MR_CONFIG_SHAPE_MAPPING: return "a section";
	default: return n->text;
	}
}

static int check_section(const struct mr_config_node *n, struct mr_config_fault *f)
{
	if (n->shape == MR_CONFIG_SHAPE_MAPPING)
		return 0;
	snprintf(f->found, sizeof(f->found), "%s", found_shape(n));
	snprintf(f->expected, sizeof(f->expected), "a section with keys");
	return -EINVAL;
}

static int check_key(
	const struct mr_config_node *n, const struct mr_config_key *key, struct mr_config_fault *f)
{
	enum mr_config_shape shape =
		mr_config_key_is_list(key) ? MR_CONFIG_SHAPE_LIST : MR_CONFIG_SHAPE_VALUE;

	if (n->shape == shape)
		return 0;
	snprintf(f->found, sizeof(f->found), "%s", found_shape(n));
	snprintf(f->expected, sizeof(f->expected), "%s",
		shape == MR_CONFIG_SHAPE_LIST ? "a list, such as [1, 2]" : "one value");
	return -EINVAL;
}

static int check_unknown(const struct mr_config_node *n, struct mr_config_fault *f)
{
	char section[64];
	char *dot;

	mr_config_key_unknown(f->found, sizeof(f->found), n->path, strlen(n->path));
	memcpy(section, n->path, sizeof(section));
	dot = strchr(section, '.');
	if (dot != NULL)
		*dot = '\0';
	list_keys(f->expected, sizeof(f->expected),
		dot != NULL && is_section(section) ? section : "");
	return -EINVAL;
}

static int check_node(const struct mr_config_outline *o, const struct mr_config_node *n,
	struct mr_config_fault *f)
{
	const struct mr_config_key *key = mr_config_key_find(n->path, strlen(n->path));
	const struct mr_config_node *first = mr_config_outline_find(o, n->path);

	if (key == NULL && !is_section(n->path))
		return check_unknown(n, f);
	if (first != n) {
		snprintf(
			f->found, sizeof(f->found), "the key again, first on line %u", first->line);
		snprintf(f->expected, sizeof(f->expected), "each key once");
		return -EINVAL;
	}
	return key != NULL ? check_key(n, key, f) : check_section(n, f);
}

int mr_config_outline_check(const struct mr_config_outline *o, const struct mr_config_node **node,
	struct mr_config_fault *fault)
{
	for (uint32_t i = 0; i < o->count; i++) {
		*node = &o->nodes[i];
		if (check_node(o, *node, fault) != 0)
			return -EINVAL;
	}
	return 0;
}

const struct mr_config_node *mr_config_outline_find(
	const struct mr_config_outline *o, const char *path)
{
	for (uint32_t i = 0; i < o->count; i++) {
		if (strcmp(o->nodes[i].path, path) == 0)
			return &o->nodes[i];
	}
	return NULL;
}

uint32_t mr_config_outline_line(const struct mr_config_outline *o, const char *path, uint32_t entry)
{
	const struct mr_config_node *n = mr_config_outline_find(o, path);

	if (n == NULL)
		return 1;
	return entry > 0 && entry <= n->entries_count ? o->entry_lines[n->entries + entry - 1]
						      : n->line;
}
