/* SPDX-License-Identifier: Apache-2.0 */
/* millrace: the command line for operators and developers. Finds the verb in a table and runs
 * it. */
#include <errno.h>
#include <signal.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/millrace.h"
#include "cli/text.h"
#include "cli/verbs.h"
#include "lib/base/suggest.h"

const struct mr_cli_verb *const mr_cli_verbs[] = {
	&mr_cli_up,
	&mr_cli_pub,
	&mr_cli_sub,
	&mr_cli_request,
	&mr_cli_reply,
	&mr_cli_push,
	&mr_cli_pull,
	&mr_cli_serve,
	&mr_cli_call,
	&mr_cli_status,
	&mr_cli_workers,
	&mr_cli_clients,
	&mr_cli_sessions,
	&mr_cli_subjects,
	&mr_cli_queues,
	&mr_cli_queue,
	&mr_cli_services,
	&mr_cli_service,
	&mr_cli_ports,
	&mr_cli_counters,
	&mr_cli_top,
	&mr_cli_who,
	&mr_cli_kick,
	&mr_cli_ping,
	&mr_cli_bench,
	&mr_cli_latency,
	&mr_cli_context,
	&mr_cli_cheat,
	&mr_cli_completion,
	&mr_cli_version,
	&mr_cli_help_of,
	NULL,
};

struct common {
	struct mr_cli_bus_options bus;
	bool json_safe;
	bool help;
};

/* The first one is only for verbs with --json. */
static const struct mr_cli_option common_options[] = {
	{.name = "json-safe",
		.type = MR_CLI_FLAG,
		.offset = offsetof(struct common, json_safe),
		.help = "--json, with integers above 2^53-1 as strings, for readers that have "
			"no larger ones"},
	{.name = "server",
		.letter = 's',
		.type = MR_CLI_TEXT,
		.value = "ADDRESS",
		.offset = offsetof(struct common, bus.server),
		.help = "the bus: shm:PATH of its attach.sock, its run directory, or "
			"udp://HOST:PORT; several with commas, the first that answers counts"},
	{.name = "run-dir",
		.type = MR_CLI_TEXT,
		.value = "DIR",
		.offset = offsetof(struct common, bus.run_dir),
		.help = "the bus with this run directory; with --server udp://...: where its "
			"admin.sock is"},
	{.name = "context",
		.type = MR_CLI_TEXT,
		.value = "NAME",
		.offset = offsetof(struct common, bus.context),
		.help = "the bus of this name (see `millrace context`)"},
	{.name = "help",
		.letter = 'h',
		.type = MR_CLI_FLAG,
		.offset = offsetof(struct common, help),
		.help = "print this help"},
	{0},
};

const struct mr_cli_option *mr_cli_common_options(const struct mr_cli_verb *verb)
{
	bool has_json = verb && mr_cli_option_find(verb->options, "json");

	return has_json ? common_options : common_options + 1;
}

static bool names_bus(const struct mr_cli_option *o)
{
	return o->offset < offsetof(struct common, bus) + sizeof(struct mr_cli_bus_options);
}

bool mr_cli_refuses_option(const struct mr_cli_verb *verb, const struct mr_cli_option *o)
{
	if (!verb || !names_bus(o))
		return false;
	return verb->bus == MR_CLI_BUS_NONE ||
	       (verb->bus == MR_CLI_BUS_MADE && strcmp(o->name, "run-dir") != 0);
}

const struct mr_cli_verb *mr_cli_verb_find(const char *name)
{
	for (const struct mr_cli_verb *const *v = mr_cli_verbs; *v; v++) {
		if (strcmp((*v)->name, name) == 0)
			return *v;
	}
	return NULL;
}

struct version_settings {
	bool json;
};

static const struct mr_cli_option version_options[] = {
	{.name = "json",
		.letter = 'j',
		.type = MR_CLI_FLAG,
		.offset = offsetof(struct version_settings, json),
		.help = "print one JSON object"},
	{0},
};

static int run_version(const struct mr_cli *cli, const void *settings, const struct mr_cli_words *w)
{
	const struct version_settings *s = settings;

	(void)cli, (void)w;
	if (s->json)
		mr_cli_text_json_line(json_pack(
			"{s:s, s:s}", "millrace", MR_VERSION, "libmillrace", mr_version()));
	else
		printf("millrace %s (libmillrace %s)\n", MR_VERSION, mr_version());
	return MR_EXIT_OK;
}

const struct mr_cli_verb mr_cli_version = {
	.name = "version",
	.summary = "print the version of this program and its library",
	.operands = "",
	.options = version_options,
	.bus = MR_CLI_BUS_NONE,
	.run = run_version,
};

static int unknown_verb(const char *name)
{
	struct mr_suggest s = mr_suggest_begin(name, strlen(name));

	for (const struct mr_cli_verb *const *v = mr_cli_verbs; *v; v++)
		mr_suggest_try(&s, (*v)->name);
	if (s.best)
		fprintf(stderr, "millrace: %s: no such verb; did you mean `millrace %s`?\n", name,
			s.best);
	else
		fprintf(stderr, "millrace: %s: no such verb; see `millrace help`\n", name);
	return MR_EXIT_USAGE;
}

static int run_help(const struct mr_cli *cli, const void *settings, const struct mr_cli_words *w)
{
	const struct mr_cli_verb *verb;

	(void)cli, (void)settings;
	if (w->count == 0) {
		mr_cli_help(stdout);
		return MR_EXIT_OK;
	}
	verb = mr_cli_verb_find(w->at[0]);
	if (!verb)
		return unknown_verb(w->at[0]);
	mr_cli_help_verb(stdout, verb);
	return MR_EXIT_OK;
}

const struct mr_cli_verb mr_cli_help_of = {
	.name = "help",
	.summary = "print the help of all verbs or of one",
	.operands = "[VERB]",
	.operands_max = 1,
	.bus = MR_CLI_BUS_NONE,
	.run = run_help,
};

static bool wants_colour(void)
{
	const char *no_colour = getenv("NO_COLOR");
	const char *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(no_colour && *no_colour) && term &&
	       strcmp(term, "dumb") != 0;
}

/* Reports a wrong number of operands. A superfluous one may be an option without its dashes, as in
 * `millrace status json`. */
static int wrong_operands(const struct mr_cli_verb *verb, const struct mr_cli_words *operands)
{
	fprintf(stderr, "millrace %s: ", verb->name);
	for (unsigned i = verb->operands_max; i < operands->count; i++) {
		const char *word = operands->at[i];

		if (mr_cli_option_find(verb->options, word) ||
			mr_cli_option_find(mr_cli_common_options(verb), word)) {
			fprintf(stderr, "%s: one word too many; did you mean --%s?\n", word, word);
			return MR_EXIT_USAGE;
		}
	}
	fprintf(stderr, "expected: millrace %s%s%s; see `millrace help %s`\n", verb->name,
		*verb->operands ? " " : "", verb->operands, verb->name);
	return MR_EXIT_USAGE;
}

/* --json-safe implies the verb's --json. */
static void choose_safe_json(const struct mr_cli_verb *verb, uint8_t *settings)
{
	*(bool *)(settings + mr_cli_option_find(verb->options, "json")->offset) = true;
	mr_cli_text_json_safe();
}

/* Refuses an option that would name a bus in vain. */
static int check_bus_options(const struct mr_cli *cli, const struct mr_cli_verb *verb,
	const struct mr_cli_bus_options *given)
{
	const char *name = given->server ? "--server" : given->context ? "--context" : NULL;

	if (verb->bus == MR_CLI_BUS_NONE) {
		name = name ? name : given->run_dir ? "--run-dir" : NULL;
		return name ? mr_cli_fail(cli, MR_EXIT_USAGE, name, "this verb uses no bus",
				      "leave it out")
			    : MR_EXIT_OK;
	}
	if (verb->bus == MR_CLI_BUS_MADE && name)
		return mr_cli_fail(cli, MR_EXIT_USAGE, name, "names a bus that runs already",
			"say with --run-dir where the new bus is to be");
	return MR_EXIT_OK;
}

static int run_verb(const struct mr_cli_verb *verb, int argc, char **argv, struct common *common)
{
	alignas(max_align_t) uint8_t settings[MR_CLI_SETTINGS_BYTES] = {0};
	struct mr_cli cli = {.verb = verb->name, .colour = wants_colour()};
	struct mr_cli_words operands;
	struct mr_cli_bus bus;
	char text[256];
	int code;

	if (verb->bus == MR_CLI_BUS_NONE) /* before the verb they may be those of a shell's alias */
		common->bus = (struct mr_cli_bus_options){0};
	if (verb->defaults)
		memcpy(settings, verb->defaults, verb->settings_bytes);
	if (mr_cli_args_parse(argc, argv, verb->options, settings, mr_cli_common_options(verb),
		    common, &operands, text, sizeof(text)) != 0) {
		fprintf(stderr, "millrace %s: %s; see `millrace help %s`\n", verb->name, text,
			verb->name);
		return MR_EXIT_USAGE;
	}
	if (common->help) {
		mr_cli_help_verb(stdout, verb);
		return MR_EXIT_OK;
	}
	if (operands.count < verb->operands_min || operands.count > verb->operands_max)
		return wrong_operands(verb, &operands);
	if (common->json_safe)
		choose_safe_json(verb, settings);
	cli.server = common->bus.server;
	cli.run_dir = common->bus.run_dir;
	cli.context = common->bus.context;
	code = check_bus_options(&cli, verb, &common->bus);
	if (code != MR_EXIT_OK)
		return code;
	if (verb->bus == MR_CLI_BUS_CHOSEN &&
		mr_cli_bus_choose(&cli, &common->bus, &bus, text, sizeof(text)) != 0)
		return mr_cli_fail(&cli, MR_EXIT_USAGE, "bus", text,
			strncmp(text, "context ", 8) == 0
				? "`millrace context ls` lists them, `millrace context add` makes "
				  "one"
				: "see `millrace help` for the ways to name one");
	return verb->run(&cli, settings, &operands);
}

/* Parses options before the verb. Returns the number of their words. */
static int parse_leading(int argc, char **argv, struct common *common)
{
	struct mr_cli_words none;
	char error[256];
	int words = 0;

	while (words < argc && argv[words][0] == '-' && argv[words][1] != '\0') {
		bool has_value = strcmp(argv[words], "--server") == 0 ||
				 strcmp(argv[words], "-s") == 0 ||
				 strcmp(argv[words], "--run-dir") == 0 ||
				 strcmp(argv[words], "--context") == 0;

		if (strcmp(argv[words], "--version") == 0) {
			argv[words] = "version";
			break;
		}
		words += 1 + (has_value && words + 1 < argc);
	}
	if (mr_cli_args_parse(words, argv, NULL, NULL, mr_cli_common_options(NULL), common, &none,
		    error, sizeof(error)) == 0)
		return words;
	fprintf(stderr, "millrace: %s; see `millrace help`\n", error);
	return -EINVAL;
}

static int dispatch(int argc, char **argv)
{
	struct common common = {0};
	const struct mr_cli_verb *verb;
	int words = parse_leading(argc, argv, &common);

	if (words < 0)
		return MR_EXIT_USAGE;
	if (words == argc) {
		mr_cli_help(common.help ? stdout : stderr);
		return common.help ? MR_EXIT_OK : MR_EXIT_USAGE;
	}
	verb = mr_cli_verb_find(argv[words]);
	if (!verb)
		return unknown_verb(argv[words]);
	return run_verb(verb, argc - words - 1, argv + words + 1, &common);
}

int main(int argc, char **argv)
{
	int code;

	/* If the reader closes the pipe, the write fails with EPIPE, which is no failure of
	 * ours. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* `ulimit -f`: likewise */
	code = dispatch(argc - 1, argv + 1);
	if (!mr_cli_flush() && errno != EPIPE && code == MR_EXIT_OK) {
		fprintf(stderr, "millrace: standard output: %s\n", strerror(errno));
		return MR_EXIT_FAILED;
	}
	return code;
}
