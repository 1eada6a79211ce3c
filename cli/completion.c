/* SPDX-License-Identifier: Apache-2.0 */
/* completion: scripts for the shells, made from the option tables that the parser and the help
 * use. */
#include <string.h>

#include "cli/verbs.h"

/* Prints a text inside single quotes, for any of the shells. */
static void print_quoted(const char *text)
{
	for (; *text; text++) {
		if (*text == '\'')
			fputs("'\\''", stdout);
		else
			putchar(*text);
	}
}

static void print_verb_names(void)
{
	for (const struct mr_cli_verb *const *v = mr_cli_verbs; *v; v++)
		printf("%s%s", v == mr_cli_verbs ? "" : " ", (*v)->name);
}

/* Prints the names of options, without those that `own` overrides. The same rule holds below. */
static void print_option_names(const struct mr_cli_option *options, const struct mr_cli_option *own)
{
	for (const struct mr_cli_option *o = options; o && o->name; o++) {
		if (!mr_cli_option_find(own, o->name))
			printf(" --%s", o->name);
	}
}

/* True if the usage line lists the words of the first operand, as in "show|purge NAME". */
static bool has_words(const struct mr_cli_verb *verb)
{
	size_t bytes = strcspn(verb->operands, " ");

	return bytes > 0 && strspn(verb->operands, "abcdefghijklmnopqrstuvwxyz|") == bytes;
}

static void print_words(const struct mr_cli_verb *verb)
{
	if (!has_words(verb))
		return;
	for (const char *at = verb->operands; *at && *at != ' '; at++)
		putchar(*at == '|' ? ' ' : *at);
}

static void print_bash_choices(const struct mr_cli_option *options, const char *verb)
{
	for (const struct mr_cli_option *o = options; o && o->name; o++) {
		if (!o->choices)
			continue;
		printf("\t%s/--%s) words='", verb, o->name);
		for (const char *at = o->choices; *at; at++)
			putchar(*at == '|' ? ' ' : *at);
		puts("' ;;");
	}
}

static void print_bash(void)
{
	puts("# bash completion for millrace");
	puts("_millrace() {");
	puts("\tlocal word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} verb= "
	     "words= i");
	puts("\tfor ((i = 1; i < COMP_CWORD; i++)); do");
	puts("\t\tcase ${COMP_WORDS[i]} in");
	puts("\t\t-s|--server|--run-dir|--context) ((i++)) ;;");
	puts("\t\t-*) ;;");
	puts("\t\t*) verb=${COMP_WORDS[i]}; break ;;");
	puts("\t\tesac");
	puts("\tdone");
	puts("\tcase $verb in");
	fputs("\t'') words='", stdout);
	print_verb_names();
	print_option_names(mr_cli_common_options, NULL);
	puts("' ;;");
	for (const struct mr_cli_verb *const *v = mr_cli_verbs; *v; v++) {
		printf("\t%s) words='", (*v)->name);
		print_words(*v);
		if (*v == &mr_cli_help_of)
			print_verb_names();
		print_option_names((*v)->options, NULL);
		print_option_names(mr_cli_common_options, (*v)->options);
		puts("' ;;");
	}
	puts("\tesac");
	puts("\tcase $verb/$before in");
	for (const struct mr_cli_verb *const *v = mr_cli_verbs; *v; v++)
		print_bash_choices((*v)->options, (*v)->name);
	puts("\t*/--config) COMPREPLY=($(compgen -f -- \"$word\")); return ;;");
	puts("\t*/--run-dir) COMPREPLY=($(compgen -d -- \"$word\")); return ;;");
	puts("\tesac");
	puts("\tCOMPREPLY=($(compgen -W \"$words\" -- \"$word\"))");
	puts("}");
	puts("complete -F _millrace millrace");
}

static void print_zsh_options(const struct mr_cli_option *options, const struct mr_cli_option *own)
{
	for (const struct mr_cli_option *o = options; o && o->name; o++) {
		if (mr_cli_option_find(own, o->name))
			continue;
		fputs(" '--", stdout);
		fputs(o->name, stdout);
		putchar('[');
		for (const char *at = o->help; *at; at++) {
			if (strchr("[]:\\", *at))
				putchar('\\');
			if (*at != '\'')
				putchar(*at);
		}
		printf("]%s%s", o->value ? ":" : "", o->value ? "value:" : "");
		if (o->choices) {
			putchar('(');
			for (const char *at = o->choices; *at; at++)
				putchar(*at == '|' ? ' ' : *at);
			putchar(')');
		} else if (strcmp(o->name, "config") == 0) {
			fputs("_files", stdout);
		}
		putchar('\'');
	}
}

static void print_zsh(void)
{
	puts("#compdef millrace");
	puts("_millrace() {");
	puts("\tlocal -a verbs");
	puts("\tverbs=(");
	for (const struct mr_cli_verb *const *v = mr_cli_verbs; *v; v++) {
		printf("\t\t'%s:", (*v)->name);
		print_quoted((*v)->summary);
		puts("'");
	}
	puts("\t)");
	puts("\tif ((CURRENT == 2)); then");
	puts("\t\t_describe verb verbs");
	puts("\t\treturn");
	puts("\tfi");
	puts("\tlocal verb=${words[2]}");
	puts("\tshift words; ((CURRENT--))");
	puts("\tcase $verb in");
	for (const struct mr_cli_verb *const *v = mr_cli_verbs; *v; v++) {
		printf("\t%s) _arguments", (*v)->name);
		print_zsh_options((*v)->options, NULL);
		print_zsh_options(mr_cli_common_options, (*v)->options);
		if (has_words(*v)) {
			fputs(" '1:operand:(", stdout);
			print_words(*v);
			fputs(")'", stdout);
		}
		puts(" ;;");
	}
	puts("\tesac");
	puts("}");
	puts("if [ \"$funcstack[1]\" = _millrace ]; then _millrace \"$@\"; "
	     "else compdef _millrace millrace; fi");
}

static void print_fish_options(const struct mr_cli_option *options, const char *verb)
{
	for (const struct mr_cli_option *o = options; o && o->name; o++) {
		fputs("complete -c millrace", stdout);
		if (verb)
			printf(" -n '__fish_seen_subcommand_from %s'", verb);
		printf(" -l %s", o->name);
		if (o->letter)
			printf(" -s %c", o->letter);
		if (o->value)
			fputs(strcmp(o->name, "config") == 0 ? " -rF" : " -x", stdout);
		if (o->choices) {
			fputs(" -a '", stdout);
			for (const char *at = o->choices; *at; at++)
				putchar(*at == '|' ? ' ' : *at);
			putchar('\'');
		}
		/* Inside single quotes fish only knows \' and \\. */
		fputs(" -d '", stdout);
		for (const char *at = o->help; *at; at++)
			printf("%s%c", *at == '\'' ? "\\" : "", *at);
		puts("'");
	}
}

static void print_fish(void)
{
	puts("# fish completion for millrace");
	puts("complete -c millrace -f");
	for (const struct mr_cli_verb *const *v = mr_cli_verbs; *v; v++)
		printf("complete -c millrace -n __fish_use_subcommand -a %s -d '%s'\n", (*v)->name,
			(*v)->summary);
	print_fish_options(mr_cli_common_options, NULL);
	for (const struct mr_cli_verb *const *v = mr_cli_verbs; *v; v++) {
		print_fish_options((*v)->options, (*v)->name);
		if (!has_words(*v))
			continue;
		printf("complete -c millrace -n '__fish_seen_subcommand_from %s' -a '", (*v)->name);
		print_words(*v);
		puts("'");
	}
}

static int run_completion(
	const struct mr_cli *cli, const void *settings, const struct mr_cli_words *w)
{
	(void)settings;
	if (strcmp(w->at[0], "bash") == 0)
		print_bash();
	else if (strcmp(w->at[0], "zsh") == 0)
		print_zsh();
	else if (strcmp(w->at[0], "fish") == 0)
		print_fish();
	else
		return mr_cli_fail(cli, MR_EXIT_USAGE, w->at[0], "no such shell",
			"expected: bash, zsh or fish");
	return MR_EXIT_OK;
}

const struct mr_cli_verb mr_cli_completion = {
	.name = "completion",
	.summary = "print a completion script for a shell",
	.operands = "bash|zsh|fish",
	.examples = "  source <(millrace completion bash)\n"
		    "  millrace completion zsh > ~/.zfunc/_millrace\n"
		    "  millrace completion fish > ~/.config/fish/completions/millrace.fish",
	.operands_min = 1,
	.operands_max = 1,
	.no_bus = true,
	.run = run_completion,
};
