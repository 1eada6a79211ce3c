/* SPDX-License-Identifier: Apache-2.0 */
/* context: the user's named buses. Reads and writes the file of lib/base/contexts.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/options.h"
#include "cli/text.h"
#include "cli/verbs.h"
#include "cli/view.h"
#include "lib/base/contexts.h"
#include "lib/base/suggest.h"

struct settings {
	struct mr_cli_view view;
	const char *description;
	bool force;
};

struct context {
	const struct mr_cli *cli;
	const struct settings *set;
	const struct mr_cli_words *words;
	char path[MR_CONTEXTS_PATH_BYTES];
	struct mr_contexts *contexts;
};

/* Operands after the action. */
static const char *word(const struct context *k, unsigned index)
{
	return k->words->count > index + 1 ? k->words->at[index + 1] : NULL;
}

static int fail(const struct context *k, const char *what, const char *why, const char *hint)
{
	return mr_cli_fail(k->cli, MR_EXIT_FAILED, what, why, hint);
}

static int usage(const struct context *k, const char *expected)
{
	return mr_cli_fail(k->cli, MR_EXIT_USAGE, k->words->at[0], "wrong operands", expected);
}

static int unknown(const struct context *k, const char *name)
{
	struct mr_suggest s = mr_suggest_begin(name, strlen(name));
	char hint[128];

	for (unsigned i = 0; i < k->contexts->count; i++)
		mr_suggest_try(&s, k->contexts->at[i].name);
	if (s.best)
		snprintf(hint, sizeof(hint), "did you mean %s?", s.best);
	return fail(k, name, "no such context",
		s.best ? hint : "see `millrace context ls` for those that are there");
}

/* Makes the directories of a path, for this user alone. */
static int make_directories(const char *path)
{
	char dir[MR_CONTEXTS_PATH_BYTES];

	snprintf(dir, sizeof(dir), "%s", path);
	for (char *slash = strchr(dir + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(dir, 0700) != 0 && errno != EEXIST)
			return -errno;
		*slash = '/';
	}
	return 0;
}

/* Prints a value in double quotes. */
static void print_value(FILE *to, const char *key, const char *value)
{
	if (*value == '\0')
		return;
	fprintf(to, "    %s: \"", key);
	for (; *value; value++) {
		if (*value == '"' || *value == '\\')
			fputc('\\', to);
		fputc(*value, to);
	}
	fputs("\"\n", to);
}

static void print_file(FILE *to, const struct mr_contexts *c)
{
	fputs("# The buses of `millrace context`.\n", to);
	if (c->current[0] != '\0')
		fprintf(to, "current: %s\n", c->current);
	fputs("contexts:\n", to);
	for (unsigned i = 0; i < c->count; i++) {
		const struct mr_context *x = &c->at[i];

		fprintf(to, "  %s:\n", x->name);
		print_value(to, "server", x->server);
		print_value(to, "run_dir", x->run_dir);
		print_value(to, "description", x->description);
		if (x->rest)
			fputs(x->rest, to);
	}
}

/* Replaces the file as a whole, readable for this user alone. */
static int write_file(const struct context *k)
{
	char next[MR_CONTEXTS_PATH_BYTES + 8];
	int rc = make_directories(k->path);
	FILE *to;
	int fd;

	snprintf(next, sizeof(next), "%s.XXXXXX", k->path);
	fd = rc ? -1 : mkostemp(next, O_CLOEXEC);
	if (fd < 0)
		return rc ? rc : -errno;
	to = fchmod(fd, 0600) == 0 ? fdopen(fd, "w") : NULL;
	if (!to) {
		rc = -errno;
		close(fd);
	} else {
		print_file(to, k->contexts);
		rc = fflush(to) != 0 || fsync(fd) != 0 ? -errno : 0;
		fclose(to);
	}
	if (rc == 0 && rename(next, k->path) != 0)
		rc = -errno;
	if (rc)
		unlink(next);
	return rc;
}

static int save(const struct context *k)
{
	int rc = write_file(k);

	return rc ? fail(k, k->path, strerror(-rc), "make its directory writable for you") : 0;
}

static const struct mr_cli_column columns[] = {
	{.title = "CURRENT", .key = "current"},
	{.title = "NAME", .key = "name"},
	{.title = "SERVER", .key = "server", .least = 16},
	{.title = "RUN-DIR", .key = "run_dir", .rank = 1},
	{.title = "DESCRIPTION", .key = "description", .rank = 2, .least = 12},
};

static void text_cell(struct mr_cli_table *t, const char *text)
{
	if (*text)
		mr_cli_table_text(t, text, strlen(text));
	else
		mr_cli_table_none(t);
}

static void row(struct mr_cli_table *t, const struct mr_contexts *c, const struct mr_context *x)
{
	mr_cli_table_bool(t, *x->name && strcmp(c->current, x->name) == 0);
	text_cell(t, x->name);
	text_cell(t, x->server);
	text_cell(t, x->run_dir);
	text_cell(t, x->description);
}

/* Prints a context as an object; without one its keys are null. */
static void print_object(const struct context *k, const struct mr_context *x)
{
	static const struct mr_context none;
	struct mr_cli_table t;
	json_t *rows;

	mr_cli_table_init(&t, columns, sizeof(columns) / sizeof(columns[0]));
	row(&t, k->contexts, x ? x : &none);
	rows = mr_cli_table_json(&t);
	mr_cli_text_json_line(json_incref(json_array_get(rows, 0)));
	json_decref(rows);
	mr_cli_table_fini(&t);
}

/* Writes the file. With --json prints the context that was changed, NULL: none. */
static int conclude(const struct context *k, const struct mr_context *x)
{
	int code = save(k);

	if (code == MR_EXIT_OK && k->set->view.json)
		print_object(k, x);
	return code;
}

/* Checks the addresses now, and not when the context is used. */
static int check_addresses(const struct context *k, const char *text)
{
	struct mr_bus_addresses list;
	char error[256];

	if (strlen(text) >= MR_CONTEXTS_SERVER_BYTES)
		return mr_cli_fail(
			k->cli, MR_EXIT_USAGE, "ADDRESS", "longer than 1023 bytes", NULL);
	if (mr_bus_addresses(text, &list, error, sizeof(error)) == 0) {
		for (unsigned i = 0; i < list.count; i++) {
			/* A context is used from any directory. */
			if (strncmp(list.at[i], "shm:", 4) == 0 && list.at[i][4] != '/')
				return mr_cli_fail(k->cli, MR_EXIT_USAGE, list.at[i],
					"not an absolute path", "begin it with /");
		}
		return MR_EXIT_OK;
	}
	return mr_cli_fail(k->cli, MR_EXIT_USAGE, "ADDRESS", error,
		"such as shm:/run/millrace or udp://host:7400");
}

/* Copies a value into a context. Control characters would break its line. */
static int set_value(
	const struct context *k, char *to, size_t bytes, const char *name, const char *from)
{
	if (strlen(from) >= bytes || !mr_cli_text_is_printable(from, strlen(from)))
		return mr_cli_fail(k->cli, MR_EXIT_USAGE, name,
			"too long, or with characters that are not printable", NULL);
	strcpy(to, from);
	return MR_EXIT_OK;
}

static int fill(const struct context *k, struct mr_context *x)
{
	int code = set_value(k, x->server, sizeof(x->server), "ADDRESS", word(k, 1));

	if (code == MR_EXIT_OK && k->cli->run_dir)
		code = set_value(k, x->run_dir, sizeof(x->run_dir), "--run-dir", k->cli->run_dir);
	if (code == MR_EXIT_OK && k->set->description)
		code = set_value(k, x->description, sizeof(x->description), "--description",
			k->set->description);
	return code;
}

static int add(struct context *k)
{
	const char *name = word(k, 0);
	struct mr_context *x;
	int code;

	if (!word(k, 1))
		return usage(k, "expected: add NAME ADDRESS");
	if (mr_contexts_check_name(name) != 0)
		return mr_cli_fail(k->cli, MR_EXIT_USAGE, name, "not a name for a context",
			"1 to 63 letters, digits, '.', '_' and '-' make one");
	code = check_addresses(k, word(k, 1));
	if (code)
		return code;
	x = mr_contexts_find(k->contexts, name);
	if (x && !k->set->force)
		return fail(k, name, "this context is there already",
			"change it with --force, or choose another name");
	if (!x && k->contexts->count == MR_CONTEXTS_MAX)
		return fail(k, name, "there are 64 contexts, the most",
			"remove one with `millrace context rm NAME`");
	if (!x) {
		x = &k->contexts->at[k->contexts->count++];
		strcpy(x->name, name);
	}
	code = fill(k, x);
	return code ? code : conclude(k, x);
}

static int use(struct context *k)
{
	const char *name = word(k, 0);

	if (!name || word(k, 1))
		return usage(k, "expected: use NAME, or use - for none");
	if (strcmp(name, "-") == 0)
		k->contexts->current[0] = '\0';
	else if (mr_contexts_find(k->contexts, name))
		snprintf(k->contexts->current, sizeof(k->contexts->current), "%s", name);
	else
		return unknown(k, name);
	if (getenv("MILLRACE_SERVER"))
		mr_cli_note(k->cli, "MILLRACE_SERVER is set and goes before the context");
	return conclude(k, mr_contexts_find(k->contexts, name));
}

static int rm(struct context *k)
{
	struct mr_contexts *c = k->contexts;
	struct mr_context *x, gone;

	if (!word(k, 0) || word(k, 1))
		return usage(k, "expected: rm NAME");
	x = mr_contexts_find(c, word(k, 0));
	if (!x)
		return unknown(k, word(k, 0));
	free(x->rest);
	gone = *x;
	memmove(x, x + 1, (size_t)(c->at + c->count - (x + 1)) * sizeof(*x));
	c->count--;
	if (strcmp(c->current, word(k, 0)) == 0)
		c->current[0] = '\0';
	return conclude(k, &gone);
}

static int ls(struct context *k)
{
	struct mr_cli_table t;

	if (word(k, 0))
		return usage(k, "expected: ls");
	mr_cli_table_init(&t, columns, sizeof(columns) / sizeof(columns[0]));
	for (unsigned i = 0; i < k->contexts->count; i++)
		row(&t, k->contexts, &k->contexts->at[i]);
	return mr_cli_view_show(k->cli, &k->set->view, &t);
}

/* Shows the bus that the verbs use without options, and what names it. */
static int show_default(const struct context *k)
{
	const char *environment = getenv("MILLRACE_SERVER");
	struct mr_bus bus;
	char error[256];
	const char *from;
	json_t *o;

	if (mr_bus_default(&bus, error, sizeof(error)) != 0)
		return fail(k, "bus", error, NULL);
	from = environment && *environment ? "MILLRACE_SERVER"
	       : bus.context[0]            ? "context"
					   : "default";
	if (!k->set->view.json) {
		printf("server   %s\n", bus.server);
		if (bus.run_dir[0])
			printf("run dir  %s\n", bus.run_dir);
		printf("from     %s%s%s\n", from, bus.context[0] ? " " : "", bus.context);
		return MR_EXIT_OK;
	}
	o = json_object();
	mr_cli_text_json(o, "server", bus.server, strlen(bus.server));
	if (bus.run_dir[0])
		mr_cli_text_json(o, "run_dir", bus.run_dir, strlen(bus.run_dir));
	json_object_set_new(o, "from", json_string(from));
	if (bus.context[0])
		json_object_set_new(o, "name", json_string(bus.context));
	mr_cli_text_json_line(o);
	return MR_EXIT_OK;
}

static int show(struct context *k)
{
	const struct mr_context *x;
	struct mr_cli_table t;

	if (word(k, 1))
		return usage(k, "expected: show [NAME]");
	if (!word(k, 0))
		return show_default(k);
	x = mr_contexts_find(k->contexts, word(k, 0));
	if (!x)
		return unknown(k, word(k, 0));
	if (k->set->view.json) {
		print_object(k, x);
		return MR_EXIT_OK;
	}
	mr_cli_table_init(&t, columns, sizeof(columns) / sizeof(columns[0]));
	row(&t, k->contexts, x);
	mr_cli_table_print_lines(&t, stdout);
	mr_cli_table_fini(&t);
	return MR_EXIT_OK;
}

static int load(struct context *k)
{
	char error[256];
	int rc = mr_contexts_path(k->path, sizeof(k->path));

	if (rc)
		return fail(k, "contexts", "no place for the file",
			"set XDG_CONFIG_HOME or HOME to a directory");
	rc = mr_contexts_load(k->path, &k->contexts, error, sizeof(error));
	if (rc == -ENOENT)
		k->contexts = mr_contexts_new();
	else if (rc)
		return fail(k, "contexts", error, "correct the file, or remove it");
	return k->contexts ? MR_EXIT_OK : fail(k, "contexts", strerror(ENOMEM), NULL);
}

/* Refuses options that name a bus, but --run-dir of `add`. */
static int refuse_bus(const struct context *k)
{
	const struct mr_cli *cli = k->cli;
	bool adds = strcmp(k->words->at[0], "add") == 0;
	const char *name = cli->server             ? "--server"
			   : cli->context          ? "--context"
			   : cli->run_dir && !adds ? "--run-dir"
						   : NULL;

	return name ? mr_cli_fail(cli, MR_EXIT_USAGE, name, "names no context here",
			      adds ? "give the address behind the name: add NAME ADDRESS"
				   : "give the name of a context: see `millrace help context`")
		    : MR_EXIT_OK;
}

static int run_context(const struct mr_cli *cli, const void *settings, const struct mr_cli_words *w)
{
	static const struct {
		const char *name;
		int (*run)(struct context *k);
	} actions[] = {{"add", add}, {"use", use}, {"ls", ls}, {"rm", rm}, {"show", show}};
	struct context k = {.cli = cli, .set = settings, .words = w};
	struct mr_suggest s = mr_suggest_begin(w->at[0], strlen(w->at[0]));
	char hint[64] = "expected: add, use, ls, rm or show";
	int code;

	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
		if (strcmp(w->at[0], actions[i].name) != 0)
			continue;
		code = refuse_bus(&k);
		code = code ? code : load(&k);
		code = code ? code : actions[i].run(&k);
		mr_contexts_free(k.contexts);
		return code;
	}
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
		mr_suggest_try(&s, actions[i].name);
	if (s.best)
		snprintf(hint, sizeof(hint), "did you mean `millrace context %s`?", s.best);
	return mr_cli_fail(cli, MR_EXIT_USAGE, w->at[0], "no such action", hint);
}

static const struct mr_cli_option options[] = {
	{.name = "description",
		.type = MR_CLI_TEXT,
		.value = "TEXT",
		.offset = offsetof(struct settings, description),
		.help = "add: a line for people"},
	{.name = "force",
		.letter = 'f',
		.type = MR_CLI_FLAG,
		.offset = offsetof(struct settings, force),
		.help = "add: change the context if it is there already"},
	MR_CLI_VIEW_OPTIONS_JSON("print a JSON object; ls: an array"),
	{0},
};

const struct mr_cli_verb mr_cli_context = {
	.name = "context",
	.summary = "name buses, and choose the one that is used by default",
	.operands = "add|use|ls|rm|show [NAME] [ADDRESS]",
	.details = "add NAME ADDRESS  remember a bus; with --run-dir, where its admin.sock is\n"
		   "use NAME          make it the bus of all verbs and programs; use - for none\n"
		   "ls                print all contexts, with the options of lists\n"
		   "rm NAME           forget one\n"
		   "show [NAME]       print one; without NAME the bus that is used now, and why\n"
		   "\n"
		   "Programs with libmillrace that name no address use the current context too.\n"
		   "--server, --run-dir, --context and MILLRACE_SERVER go before it. Contexts are\n"
		   "in $XDG_CONFIG_HOME/millrace/contexts.yaml (~/.config/millrace without that\n"
		   "variable), which only you can read; other keys in that file are kept.",
	.examples = "  millrace context add lab udp://lab1,udp://lab2 --description 'two hosts'\n"
		    "  millrace context use lab\n"
		    "  millrace --context lab pub orders.eu hello",
	.options = options,
	.settings_bytes = sizeof(struct settings),
	.operands_min = 1,
	.operands_max = 3,
	.bus = MR_CLI_BUS_OWN,
	.run = run_context,
};
