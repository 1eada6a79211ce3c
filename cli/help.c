/* SPDX-License-Identifier: Apache-2.0 */
/* Prints the help, from the tables that the parser uses. */
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
		fwrite(text, 1, bytes, out);
		column += bytes;
		text += bytes + strspn(text + bytes, " ");
		first = false;
	}
	fputc('\n', out);
}

/* Prints the options, without those that `own` overrides. */
static void print_options(
	FILE *out, const struct mr_cli_option *options, const struct mr_cli_option *own)
{
	for (const struct mr_cli_option *o = options; o && o->name; o++) {
		char shown[64];

		if (mr_cli_option_find(own, o->name))
			continue;
		snprintf(shown, sizeof(shown), "%c%c%c --%s%s%s", o->letter ? '-' : ' ',
			o->letter ? o->letter : ' ', o->letter ? ',' : ' ', o->name,
			o->value ? " " : "", o->value ? o->value : "");
		print_wrapped(out, o->help, (size_t)fprintf(out, "  %-26s ", shown));
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

/* Tells how the values of the options are written, if any has a unit. */
static void print_units(FILE *out, const struct mr_cli_option *options)
{
	bool seconds = has_type(options, MR_CLI_S);

	if (seconds || has_type(options, MR_CLI_MS))
		fprintf(out, "\nTIME: 500ms, 1.5s, 2m, 1h; without a unit %s.\n",
			seconds ? "seconds" : "milliseconds");
	if (has_type(options, MR_CLI_BYTES))
		fputs("SIZE: 512, 16KiB, 1MiB; k, M and G are thousands.\n", out);
}

void mr_cli_help_verb(FILE *out, const struct mr_cli_verb *verb)
{
	fprintf(out, "millrace %s: %s\n\n", verb->name, verb->summary);
	fprintf(out, "Usage: millrace %s%s%s%s\n\n", verb->name, verb->options ? " [OPTIONS]" : "",
		*verb->operands ? " " : "", verb->operands);
	if (verb->details)
		fprintf(out, "%s\n\n", verb->details);
	fputs("Options:\n", out);
	print_options(out, verb->options, NULL);
	print_options(out, mr_cli_common_options(verb), verb->options);
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
