/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/contexts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct parse {
	struct mr_contexts *c;
	struct mr_context *context; /* the one whose keys follow; NULL: none yet */
	bool in_contexts;           /* below "contexts:" */
	bool in_rest;               /* below another key of the context */
	const char *path;
	unsigned line;
	char *error;
	size_t error_bytes;
};

int mr_contexts_path(char *out, size_t out_bytes)
{
	const char *config = getenv("XDG_CONFIG_HOME");
	const char *home = getenv("HOME");
	int n;

	if (config != NULL && config[0] == '/')
		n = snprintf(out, out_bytes, "%s/millrace/contexts.yaml", config);
	else if (home != NULL && home[0] == '/')
		n = snprintf(out, out_bytes, "%s/.config/millrace/contexts.yaml", home);
	else
		return -ENOENT;
	return n < (int)out_bytes ? 0 : -ENAMETOOLONG;
}

struct mr_contexts *mr_contexts_new(void)
{
	return calloc(1, sizeof(struct mr_contexts));
}

void mr_contexts_free(struct mr_contexts *c)
{
	for (unsigned i = 0; c != NULL && i < c->count; i++)
		free(c->at[i].rest);
	free(c);
}

struct mr_context *mr_contexts_find(struct mr_contexts *c, const char *name)
{
	for (unsigned i = 0; i < c->count; i++) {
		if (strcmp(c->at[i].name, name) == 0)
			return &c->at[i];
	}
	return NULL;
}

int mr_contexts_check_name(const char *name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789._-";
	size_t bytes = strlen(name);

	return bytes > 0 && bytes < MR_CONTEXTS_NAME_BYTES && name[0] != '-' &&
			       strspn(name, allowed) == bytes
		       ? 0
		       : -EINVAL;
}

static int refuse(const struct parse *p, const char *why)
{
	snprintf(p->error, p->error_bytes, "%s:%u: %s", p->path, p->line, why);
	return -EINVAL;
}

/* Copies a value, plain or in double quotes, without the quotes. False: too long, or malformed. */
static bool take_value(char *to, size_t to_bytes, const char *from)
{
	bool quoted = *from == '"';
	size_t n = 0;

	for (from += quoted; *from != '\0' && !(quoted && *from == '"'); from++) {
		if (quoted && *from == '\\' && (from[1] == '"' || from[1] == '\\'))
			from++;
		if (n + 1 >= to_bytes)
			return false;
		to[n++] = *from;
	}
	to[n] = '\0';
	return !quoted || (from[0] == '"' && from[1] == '\0');
}

/* Keeps a line that this version does not know. */
static int keep(const struct parse *p, const char *line)
{
	struct mr_context *x = p->context;
	size_t used = x->rest != NULL ? strlen(x->rest) : 0;
	char *rest = realloc(x->rest, used + strlen(line) + 2);

	if (rest == NULL)
		return -ENOMEM;
	x->rest = rest;
	sprintf(rest + used, "%s\n", line);
	return 0;
}

static int take_top(struct parse *p, const char *key, const char *value)
{
	p->context = NULL;
	p->in_rest = false;
	p->in_contexts = strcmp(key, "contexts") == 0 && *value == '\0';
	if (p->in_contexts)
		return 0;
	if (strcmp(key, "current") != 0)
		return refuse(p, "expected current or contexts");
	return take_value(p->c->current, sizeof(p->c->current), value)
		       ? 0
		       : refuse(p, "current: expected the name of a context");
}

static int take_context(struct parse *p, const char *name, const char *value)
{
	if (!p->in_contexts || *value != '\0' || mr_contexts_check_name(name) != 0)
		return refuse(p, "expected the name of a context, below contexts");
	if (mr_contexts_find(p->c, name) != NULL)
		return refuse(p, "the context is there already");
	if (p->c->count == MR_CONTEXTS_MAX)
		return refuse(p, "more than 64 contexts");
	p->context = &p->c->at[p->c->count++];
	strcpy(p->context->name, name);
	p->in_rest = false;
	return 0;
}

static int take_key(struct parse *p, const char *key, const char *value, const char *line)
{
	struct mr_context *x = p->context;
	bool fits;

	if (x == NULL)
		return refuse(p, "expected the name of a context first");
	p->in_rest = false;
	if (strcmp(key, "server") == 0)
		fits = take_value(x->server, sizeof(x->server), value);
	else if (strcmp(key, "run_dir") == 0)
		fits = take_value(x->run_dir, sizeof(x->run_dir), value);
	else if (strcmp(key, "description") == 0)
		fits = take_value(x->description, sizeof(x->description), value);
	else
		return p->in_rest = true, keep(p, line);
	return fits ? 0 : refuse(p, "the value is too long, or its quotes do not end");
}

/* Splits "key: value" in place. Returns the value, or NULL. */
static char *split(char *text)
{
	char *colon = strchr(text, ':');
	size_t bytes;

	if (colon == NULL || (colon[1] != ' ' && colon[1] != '\0'))
		return NULL;
	*colon++ = '\0';
	colon += strspn(colon, " ");
	for (bytes = strlen(colon); bytes > 0 && strchr(" \t\r", colon[bytes - 1]); bytes--)
		colon[bytes - 1] = '\0';
	return colon;
}

static int take_line(struct parse *p, char *line)
{
	size_t indent = strspn(line, " ");
	char copy[2048];
	char *value;

	if (line[indent] == '\0' || line[indent] == '#' || strcmp(line, "---") == 0)
		return 0;
	if (p->in_rest && indent > 4)
		return keep(p, line);
	if (strlen(line) >= sizeof(copy))
		return refuse(p, "the line is too long");
	strcpy(copy, line);
	value = split(line + indent);
	if (value == NULL)
		return refuse(p, "expected KEY: VALUE");
	switch (indent) {
	case 0: return take_top(p, line, value);
	case 2: return take_context(p, line + 2, value);
	case 4: return take_key(p, line + 4, value, copy);
	default: return refuse(p, "expected an indent of two spaces for each level");
	}
}

static int parse(struct parse *p, char *text)
{
	int rc = 0;

	while (text != NULL && rc == 0) {
		char *line = strsep(&text, "\n");

		p->line++;
		rc = take_line(p, line);
	}
	return rc;
}

/* Reads the whole file, with a NUL behind it. */
static int read_file(const char *path, char **out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char *text = fd >= 0 ? malloc(MR_CONTEXTS_FILE_BYTES_MAX + 2) : NULL;
	size_t used = 0;
	ssize_t n = 1;
	int rc = fd < 0 ? -errno : text == NULL ? -ENOMEM : 0;

	while (rc == 0 && n > 0 && used <= MR_CONTEXTS_FILE_BYTES_MAX) {
		n = read(fd, text + used, MR_CONTEXTS_FILE_BYTES_MAX + 1 - used);
		rc = n < 0 ? -errno : 0;
		used += n > 0 ? (size_t)n : 0;
	}
	if (rc == 0 && used > MR_CONTEXTS_FILE_BYTES_MAX)
		rc = -EFBIG;
	if (fd >= 0)
		close(fd);
	if (rc != 0) {
		free(text);
		return rc;
	}
	text[used] = '\0';
	*out = text;
	return 0;
}

int mr_contexts_load(const char *path, struct mr_contexts **out, char *error, size_t error_bytes)
{
	struct parse p = {.path = path, .error = error, .error_bytes = error_bytes};
	char *text = NULL;
	int rc = read_file(path, &text);

	*out = NULL;
	if (rc != 0) {
		snprintf(error, error_bytes, "%s: %s", path, strerror(-rc));
		return rc;
	}
	p.c = mr_contexts_new();
	rc = p.c != NULL ? parse(&p, text) : -ENOMEM;
	free(text);
	if (rc != 0) {
		mr_contexts_free(p.c);
		return rc;
	}
	*out = p.c;
	return 0;
}
