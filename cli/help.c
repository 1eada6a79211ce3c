/* SPDX-License-Identifier: Apache-2.0 */
/* The help, made from the tables that the parser uses. */
#include <string.h>

#include "cli/cli.h"

static const char exit_codes[] = "Exit codes:\n"
				 "  0    done\n"
				 "  1    failed\n"
				 "  2    the command line makes no sense\n"
				 "  3    no bus can be reached\n"
				 "  4    timed out\n"
				 "  5    nobody answers on that subject\n"
				 "  130  interrupted\n";

/* `own` says a thing itself of what it has by the same name. */
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
		fprintf(out, "  %-26s %s\n", shown, o->help);
	}
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
	print_options(out, mr_cli_common_options, verb->options);
	if (verb->examples)
		fprintf(out, "\nExamples:\n%s\n", verb->examples);
	fprintf(out, "\n%s", exit_codes);
}

void mr_cli_help(FILE *out)
{
	fputs("millrace: the command line of the millrace message bus\n\n"
	      "Usage: millrace [--server ADDRESS] VERB [OPTIONS] [OPERANDS]\n\nVerbs:\n",
		out);
	for (const struct mr_cli_verb *const *v = mr_cli_verbs; *v; v++)
		fprintf(out, "  %-11s %s\n", (*v)->name, (*v)->summary);
	fputs("\nOptions:\n", out);
	print_options(out, mr_cli_common_options, NULL);
	fprintf(out,
		"\nThe bus is the one named by --server, else by MILLRACE_SERVER, else this user's own,\n"
		"else the system's (shm:/run/millrace/attach.sock).\n"
		"`millrace help VERB` tells all about a verb.\n\n%s",
		exit_codes);
}
