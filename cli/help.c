/* SPDX-License-Identifier: Apache-2.0 */
/* Prints the help, from the tables that the parser uses. */
#include <inttypes.h>
#include <string.h>

#include "cli/cli.h"

static const char exit_codes[] =
	"Exit codes:\n"
	"  0    done\n"
	"  1    failed\n"
	"  2    wrong usage\n"
	"  3    no bus reached\n"
	"  4    timed out\n"
	"  5    nobody answers on this subject, or no worker of this service\n"
	"  130  interrupted\n";

/* The column where explanations of options begin, and the width of the help. */
#define TEXT_COLUMN 29u
#define COLUMNS     80u

/* Stands for a space at which no line ends. */
#define TIGHT '\t'

static void print_word(FILE *out, const char *word, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		fputc(word[i] == TIGHT ? ' ' : word[i], out);
}

/* Prints a text from `column` on; further lines begin at TEXT_COLUMN. */
static void print_wrapped(FILE *out, const char *text, size_t column)
{
	bool first = true;

	while (*text) {
		size_t bytes = strcspn(text, " ");

		if (!first && column + 1 + bytes > COLUMNS) {
			fprintf(out, "\n%*s", (int)TEXT_COLUMN, "");
			column = TEXT_COLUMN;
		} else if (!first) {
			fputc(' ', out);
			column++;
		}
		print_word(out, text, bytes);
		column += bytes;
		text += bytes + strspn(text + bytes, " ");
		first = false;
	}
	fputc('\n', out);
}

/* Larger numbers are limits of the parser, and none that people meet. */
#define COUNT_SHOWN_MAX 1e8
#define MS_SHOWN_MAX    1e9

static void show_time(char out[32], double time_ms)
{
	static const struct {
		uint64_t ms;
		const char *unit;
	} units[] = {{3600000, "h"}, {60000, "m"}, {1000, "s"}, {1, "ms"}};
	uint64_t ms = (uint64_t)(time_ms + 0.5);
	size_t i = 0;

	while (i < 3 && ms % units[i].ms != 0)
		i++;
	snprintf(out, 32, "%" PRIu64 "%s", ms / units[i].ms, ms == 0 ? "" : units[i].unit);
}

/* Writes the range of an option's number as "; 1 to 32". Empty: there is none worth a word. */
static void show_range(const struct mr_cli_option *o, char *out, size_t out_bytes)
{
	double unit = o->type == MR_CLI_S ? 1000 : 1;
	char from[32], to[32];

	*out = '\0';
	if ((o->type == MR_CLI_MS || o->type == MR_CLI_S) && o->max * unit <= MS_SHOWN_MAX) {
		show_time(from, o->min * unit);
		show_time(to, o->max * unit);
	} else if ((o->type == MR_CLI_COUNT && o->max <= COUNT_SHOWN_MAX) ||
		   o->type == MR_CLI_BYTES || o->type == MR_CLI_REAL) {
		snprintf(from, sizeof(from), "%.16g", o->min);
		snprintf(to, sizeof(to), "%.16g", o->max);
	} else {
		return;
	}
	snprintf(out, out_bytes, "; %s%cto%c%s", from, TIGHT, TIGHT, to);
}

/* Prints the options, without those that `own` overrides. */
static void print_options(
	FILE *out, const struct mr_cli_option *options, const struct mr_cli_option *own)
{
	for (const struct mr_cli_option *o = options; o && o->name; o++) {
		char shown[64], text[512], range[80];

		if (mr_cli_option_find(own, o->name))
			continue;
		snprintf(shown, sizeof(shown), "%c%c%c --%s%s%s", o->letter ? '-' : ' ',
			o->letter ? o->letter : ' ', o->letter ? ',' : ' ', o->name,
			o->value ? " " : "", o->value ? o->value : "");
		show_range(o, range, sizeof(range));
		snprintf(text, sizeof(text), "%s%s", o->help, range);
		print_wrapped(out, text, (size_t)fprintf(out, "  %-26s ", shown));
	}
}

/* Prints the options of all verbs that this one does not refuse. */
static void print_common(FILE *out, const struct mr_cli_verb *verb)
{
	for (const struct mr_cli_option *o = mr_cli_common_options(verb); o->name; o++) {
		struct mr_cli_option alone[] = {*o, {0}};

		if (!mr_cli_refuses_option(verb, o))
			print_options(out, alone, verb->options);
	}
}

static bool has_type(const struct mr_cli_option *options, enum mr_cli_type type)
{
	for (const struct mr_cli_option *o = options; o && o->name; o++) {
		if (o->type == type)
			return true;
	}
	return false;
}

/* Prints the names of the options whose time is in seconds if it has no unit. */
static void print_seconds(FILE *out, const struct mr_cli_option *options)
{
	const char *between = ", of ";

	for (const struct mr_cli_option *o = options; o && o->name; o++) {
		if (o->type != MR_CLI_S)
			continue;
		fprintf(out, "%s--%s", between, o->name);
		between = " and ";
	}
	fputs(" seconds", out);
}

/* Tells how the values of the options are written, if any has a unit. */
static void print_units(FILE *out, const struct mr_cli_option *options)
{
	bool seconds = has_type(options, MR_CLI_S), ms = has_type(options, MR_CLI_MS);

	if (seconds || ms) {
		fprintf(out, "\nTIME: 500ms, 1.5s, 2m, 1h; without a unit %s",
			ms ? "milliseconds" : "seconds");
		if (seconds && ms)
			print_seconds(out, options);
		fputs(".\n", out);
	}
	if (has_type(options, MR_CLI_BYTES))
		fputs("SIZE: 512, 16KiB, 1MiB; k, M and G are thousands.\n", out);
}

/* Words of the first operand, as in "show|purge NAME", give way to ACTION where the line would be
 * too long. The details list them. */
static void print_usage(FILE *out, const struct mr_cli_verb *verb)
{
	static const char options[] = " [OPTIONS]";
	size_t bytes = strlen("Usage: millrace ") + strlen(verb->name) + sizeof(options) +
		       strlen(verb->operands);
	size_t words = strcspn(verb->operands, " ");
	bool brief = bytes > COLUMNS && memchr(verb->operands, '|', words) != NULL;

	fprintf(out, "Usage: millrace %s%s%s%s%s\n\n", verb->name, verb->options ? options : "",
		*verb->operands ? " " : "", brief ? "ACTION" : "",
		verb->operands + (brief ? words : 0));
}

void mr_cli_help_verb(FILE *out, const struct mr_cli_verb *verb)
{
	fprintf(out, "millrace %s: %s\n\n", verb->name, verb->summary);
	print_usage(out, verb);
	if (verb->details)
		fprintf(out, "%s\n\n", verb->details);
	fputs("Options:\n", out);
	print_options(out, verb->options, NULL);
	print_common(out, verb);
	print_units(out, verb->options);
	if (verb->examples)
		fprintf(out, "\nExamples:\n%s\n", verb->examples);
	fprintf(out, "\n%s", exit_codes);
}

void mr_cli_help(FILE *out)
{
	fputs("millrace: the command line of the millrace message bus\n\n"
	      "Usage: millrace [--server ADDRESS|--context NAME] VERB [OPTIONS] [OPERANDS]\n\n"
	      "Verbs:\n",
		out);
	for (const struct mr_cli_verb *const *v = mr_cli_verbs; *v; v++)
		fprintf(out, "  %-11s %s\n", (*v)->name, (*v)->summary);
	fputs("\nOptions:\n", out);
	print_options(out, mr_cli_common_options(NULL), NULL);
	fprintf(out,
		"\nThe bus is that of --server, --run-dir or --context; or else that of\n"
		"MILLRACE_SERVER, of the current context (`millrace context`), the user's own,\n"
		"or the system's (/run/millrace), in this order.\n"
		"`millrace help VERB` explains a verb.\n\n%s",
		exit_codes);
}
