/* SPDX-License-Identifier: Apache-2.0 */
/* completion: scripts for the shells, made from the option tables that the parser and the help
 * use. */
#include <string.h>

#include "cli/names.h"
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

static void print_option_names(const struct mr_cli_option *options)
{
	for (const struct mr_cli_option *o = options; o && o->name; o++)
		printf(" --%s", o->name);
}

/* True for a common option of a verb that has none of its own with this name. */
static bool is_common(const struct mr_cli_verb *verb, const struct mr_cli_option *o)
{
	return !mr_cli_refuses_option(verb, o) && !mr_cli_option_find(verb->options, o->name);
}

static void print_common_names(const struct mr_cli_verb *verb)
{
	for (const struct mr_cli_option *o = mr_cli_common_options(verb); o->name; o++) {
		if (is_common(verb, o))
			printf(" --%s", o->name);
	}
}

/* Returns the words of the first operand, and their length, if the usage line lists them, as in
 * "show|purge NAME" or "[limit|allow] [PORT]". Otherwise 0. */
static size_t find_words(const struct mr_cli_verb *verb, const char **words)
{
	bool brackets = verb->operands[0] == '[';
	const char *at = verb->operands + brackets;
	size_t bytes = strspn(at, "abcdefghijklmnopqrstuvwxyz|");

	*words = at;
	if (brackets)
		return at[bytes] == ']' && memchr(at, '|', bytes) ? bytes : 0;
	return at[bytes] == ' ' || at[bytes] == '\0' ? bytes : 0;
}

static bool has_words(const struct mr_cli_verb *verb)
{
	const char *words;

	return find_words(verb, &words) > 0;
}

static void print_words(const struct mr_cli_verb *verb)
{
	const char *words;
	size_t bytes = find_words(verb, &words);

	for (size_t i = 0; i < bytes; i++)
		putchar(words[i] == '|' ? ' ' : words[i]);
}

/* Copies the word of the usage line for operand `index`. False: there is none. */
static bool operand_word(const struct mr_cli_verb *verb, unsigned index, char out[64])
{
	const char *at = verb->operands;

	for (; index > 0; index--) {
		at += strcspn(at, " ");
		at += strspn(at, " ");
	}
	snprintf(out, 64, "%.*s", (int)strcspn(at, " "), at);
	return *out != '\0';
}

/* Returns the kind of names of operand `index`, or NULL. "SUBJECT [PAYLOAD|-]" has one for 0. */
static const char *operand_kind(const struct mr_cli_verb *verb, unsigned index)
{
	char word[64];

	return operand_word(verb, index, word) ? mr_cli_names_kind(verb, word, NULL) : NULL;
}

/* Operands that may have names: words before them are actions. */
#define OPERANDS_MAX 3u

/* True for a kind of operands that only the action `edit` has. */
static bool is_of_edit(const char *kind)
{
	return strstr(kind, "-options") != NULL;
}

static void print_bash_kinds(const struct mr_cli_verb *verb)
{
	for (unsigned i = 0; i < OPERANDS_MAX; i++) {
		const char *kind = operand_kind(verb, i);

		if (kind && is_of_edit(kind))
			printf("\t%s/[%u-9]) [[ \" ${COMP_WORDS[*]} \" == *\" edit \"* ]] && "
			       "names=%s ;;\n",
				verb->name, i, kind);
		else if (kind)
			printf("\t%s/%u) names=%s ;;\n", verb->name, i, kind);
	}
}

static void print_bash_option_kinds(
	const struct mr_cli_verb *verb, const struct mr_cli_option *options)
{
	for (const struct mr_cli_option *o = options; o && o->name; o++) {
		const char *kind = mr_cli_names_kind(verb, o->value, o->name);

		if (kind)
			printf("\t%s/--%s) names=%s words= ;;\n", verb ? verb->name : "*", o->name,
				kind);
	}
}

/* Names are somebody else's texts. They are compared as they are, and never expanded by the shell,
 * as compgen -W would do. */
static void print_bash_names(void)
{
	puts("_millrace_names() {");
	puts("\tlocal name");
	puts("\twhile IFS= read -r name; do");
	puts("\t\t[[ $name == \"$word\"* ]] && COMPREPLY+=(\"$(printf %q \"$name\")\")");
	puts("\tdone < <(\"${COMP_WORDS[0]}\" completion names \"$1\" \"${bus[@]}\" "
	     "2>/dev/null)");
	puts("}");
}

/* The options with a value, for counting operands. */
static void print_bash_valued(void)
{
	fputs("\t\t-s|--server|--run-dir|--context)", stdout);
	puts(" bus+=(\"${COMP_WORDS[i]}\" \"${COMP_WORDS[i+1]}\"); ((i++)) ;;");
	for (const struct mr_cli_verb *const *v = mr_cli_verbs; *v; v++) {
		for (const struct mr_cli_option *o = (*v)->options; o && o->name; o++) {
			if (!o->value)
				continue;
			printf("\t\t%s/--%s", (*v)->name, o->name);
			if (o->letter)
				printf("|%s/-%c", (*v)->name, o->letter);
			puts(") ((i++)) ;;");
		}
	}
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
	print_bash_names();
	puts("_millrace() {");
	puts("\tlocal word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} verb= "
	     "words= names= operand=-1 i");
	puts("\tlocal -a bus=()");
	puts("\tCOMPREPLY=()");
	puts("\tfor ((i = 1; i < COMP_CWORD; i++)); do");
	puts("\t\tcase ${verb:+$verb/}${COMP_WORDS[i]} in");
	print_bash_valued();
	puts("\t\t*/-s|*/--server|*/--run-dir|*/--context) "
	     "bus+=(\"${COMP_WORDS[i]}\" \"${COMP_WORDS[i+1]}\"); ((i++)) ;;");
	puts("\t\t-*|*/-*) ;;");
	puts("\t\t*) ((operand++)); [[ $verb ]] || verb=${COMP_WORDS[i]} ;;");
	puts("\t\tesac");
	puts("\tdone");
	puts("\tcase $verb in");
	fputs("\t'') words='", stdout);
	print_verb_names();
	print_option_names(mr_cli_common_options(NULL));
	puts("' ;;");
	for (const struct mr_cli_verb *const *v = mr_cli_verbs; *v; v++) {
		printf("\t%s) words='", (*v)->name);
		print_words(*v);
		if (*v == &mr_cli_help_of)
			print_verb_names();
		print_option_names((*v)->options);
		print_common_names(*v);
		puts("' ;;");
	}
	puts("\tesac");
	puts("\tcase $verb/$operand in");
	for (const struct mr_cli_verb *const *v = mr_cli_verbs; *v; v++)
		print_bash_kinds(*v);
	puts("\tesac");
	puts("\tcase $verb/$before in");
	for (const struct mr_cli_verb *const *v = mr_cli_verbs; *v; v++) {
		print_bash_choices((*v)->options, (*v)->name);
		print_bash_option_kinds(*v, (*v)->options);
	}
	print_bash_option_kinds(NULL, mr_cli_common_options(NULL));
	puts("\t*/--config) COMPREPLY=($(compgen -f -- \"$word\")); return ;;");
	puts("\t*/--run-dir) COMPREPLY=($(compgen -d -- \"$word\")); return ;;");
	puts("\tesac");
	puts("\tCOMPREPLY=($(compgen -W \"$words\" -- \"$word\"))");
	puts("\t[[ $names && $word != -* ]] && _millrace_names \"$names\"");
	puts("\treturn 0");
	puts("}");
	puts("complete -F _millrace millrace");
}

static void print_zsh_options(
	const struct mr_cli_verb *verb, const struct mr_cli_option *options, bool common)
{
	for (const struct mr_cli_option *o = options; o && o->name; o++) {
		if (common && !is_common(verb, o))
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
		} else if (mr_cli_names_kind(verb, o->value, o->name)) {
			printf("_millrace_names %s", mr_cli_names_kind(verb, o->value, o->name));
		}
		putchar('\'');
	}
}

static void print_zsh_operands(const struct mr_cli_verb *verb)
{
	if (has_words(verb)) {
		fputs(" '1:operand:(", stdout);
		print_words(verb);
		fputs(")'", stdout);
	}
	for (unsigned i = 0; i < OPERANDS_MAX; i++) {
		const char *kind = operand_kind(verb, i);
		char word[64];

		if (!kind || !operand_word(verb, i, word))
			continue;
		if (strstr(word, "..."))
			printf(" '*:name:_millrace_names %s'", kind);
		else
			printf(" '%u:name:_millrace_names %s'", i + 1, kind);
	}
}

static void print_zsh(void)
{
	puts("#compdef millrace");
	puts("_millrace_names() {");
	puts("\tlocal -a names bus");
	puts("\tlocal i");
	puts("\t[[ $1 == *-options && -z ${millrace_line[(r)edit]} ]] && return");
	puts("\tfor ((i = 1; i < $#millrace_line; i++)); do");
	puts("\t\tcase ${millrace_line[i]} in");
	puts("\t\t-s|--server|--run-dir|--context) "
	     "bus+=(${millrace_line[i]} ${millrace_line[i+1]}) ;;");
	puts("\t\tesac");
	puts("\tdone");
	puts("\tnames=(${(f)\"$(${millrace_line[1]} completion names $1 $bus 2>/dev/null)\"})");
	puts("\tcompadd -a names");
	puts("}");
	puts("_millrace() {");
	puts("\tlocal -a millrace_line=(${words[@]})");
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
		print_zsh_options(*v, (*v)->options, false);
		print_zsh_options(*v, mr_cli_common_options(*v), true);
		print_zsh_operands(*v);
		puts(" ;;");
	}
	puts("\tesac");
	puts("}");
	puts("if [ \"$funcstack[1]\" = _millrace ]; then _millrace \"$@\"; "
	     "else compdef _millrace millrace; fi");
}

static void print_fish_option(const struct mr_cli_option *o, const struct mr_cli_verb *owner)
{
	const char *kind = mr_cli_names_kind(owner, o->value, o->name);

	fputs("complete -c millrace", stdout);
	if (owner)
		printf(" -n '__fish_seen_subcommand_from %s'", owner->name);
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
	if (kind)
		printf(" -a '(__millrace_names %s)'", kind);
	/* Inside single quotes fish only knows \' and \\. */
	fputs(" -d '", stdout);
	for (const char *at = o->help; *at; at++)
		printf("%s%c", *at == '\'' ? "\\" : "", *at);
	puts("'");
}

static void print_fish_options(const struct mr_cli_option *options, const struct mr_cli_verb *owner)
{
	for (const struct mr_cli_option *o = options; o && o->name; o++)
		print_fish_option(o, owner);
}

static void print_fish_operands(const struct mr_cli_verb *verb)
{
	if (has_words(verb)) {
		printf("complete -c millrace -n '__fish_seen_subcommand_from %s' -a '", verb->name);
		print_words(verb);
		puts("'");
	}
	for (unsigned i = 0; i < OPERANDS_MAX; i++) {
		const char *kind = operand_kind(verb, i);

		if (kind)
			printf("complete -c millrace -n '__fish_seen_subcommand_from %s%s' "
			       "-a '(__millrace_names %s)'\n",
				verb->name,
				is_of_edit(kind) ? "; and __fish_seen_subcommand_from edit" : "",
				kind);
	}
}

static void print_fish_names(void)
{
	puts("function __millrace_names");
	puts("\tset -l line (commandline -opc)");
	puts("\tset -l bus");
	puts("\tfor i in (seq 2 (math (count $line) - 1))");
	puts("\t\tif contains -- $line[$i] -s --server --run-dir --context");
	puts("\t\t\tset bus $bus $line[$i] $line[(math $i + 1)]");
	puts("\t\tend");
	puts("\tend");
	puts("\tcommand $line[1] completion names $argv[1] $bus 2>/dev/null");
	puts("end");
}

static void print_fish(void)
{
	puts("# fish completion for millrace");
	print_fish_names();
	puts("complete -c millrace -f");
	for (const struct mr_cli_verb *const *v = mr_cli_verbs; *v; v++)
		printf("complete -c millrace -n __fish_use_subcommand -a %s -d '%s'\n", (*v)->name,
			(*v)->summary);
	print_fish_options(mr_cli_common_options(NULL), NULL);
	for (const struct mr_cli_verb *const *v = mr_cli_verbs; *v; v++) {
		print_fish_options((*v)->options, *v);
		/* Verbs with --json have one more common option, the first. */
		if (mr_cli_common_options(*v) != mr_cli_common_options(NULL))
			print_fish_option(mr_cli_common_options(*v), *v);
		print_fish_operands(*v);
	}
}

static int run_completion(
	const struct mr_cli *cli, const void *settings, const struct mr_cli_words *w)
{
	(void)settings;
	if ((cli->server || cli->run_dir || cli->context) && strcmp(w->at[0], "names") != 0)
		return mr_cli_fail(cli, MR_EXIT_USAGE, w->at[0],
			"the script is the same for every bus",
			"leave --server, --run-dir and --context out");
	if (strcmp(w->at[0], "bash") == 0)
		print_bash();
	else if (strcmp(w->at[0], "zsh") == 0)
		print_zsh();
	else if (strcmp(w->at[0], "fish") == 0)
		print_fish();
	else if (strcmp(w->at[0], "names") == 0 && w->count == 2)
		return mr_cli_names(cli, w->at[1]);
	else
		return mr_cli_fail(cli, MR_EXIT_USAGE, w->at[0], "no such shell",
			"expected: bash, zsh or fish, or names KIND");
	return MR_EXIT_OK;
}

const struct mr_cli_verb mr_cli_completion = {
	.name = "completion",
	.summary = "print a completion script for a shell",
	.operands = "bash|zsh|fish|names [KIND]",
	.details = "The scripts complete verbs, options, and names of what is on the bus at the\n"
		   "moment: queues, services, subjects, sessions; also keys of the configuration\n"
		   "and contexts. `names KIND` prints the names of such a kind, for the scripts:\n"
		   "within 200 ms or not at all, and without a message if there is no bus.",
	.examples = "  source <(millrace completion bash)\n"
		    "  millrace completion zsh > ~/.zfunc/_millrace\n"
		    "  millrace completion fish > ~/.config/fish/completions/millrace.fish",
	.operands_min = 1,
	.operands_max = 2,
	.bus = MR_CLI_BUS_OWN,
	.run = run_completion,
};
