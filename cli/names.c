/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/names.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "cli/admin.h"
#include "cli/edit.h"
#include "cli/verbs.h"
#include "lib/base/compiler.h"
#include "lib/base/contexts.h"
#include "lib/config/keys.h"

struct names {
	char *at[MR_CLI_NAMES_MAX];
	unsigned count;
};

static bool is_plain(const char *text, size_t bytes)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789._-/@+,%*>=";

	for (size_t i = 0; i < bytes; i++) {
		if (text[i] == '\0' || strchr(allowed, text[i]) == NULL)
			return false;
	}
	return bytes > 0 && text[0] != '-';
}

static void add(struct names *n, const char *text, size_t bytes)
{
	char *copy;

	if (n->count == MR_CLI_NAMES_MAX || !is_plain(text, bytes))
		return;
	copy = strndup(text, bytes);
	if (copy)
		n->at[n->count++] = copy;
}

static void add_string(struct names *n, struct mrf_string text)
{
	add(n, text.data, text.bytes);
}

static int queues_of(struct mr_cli_admin *a, struct names *n, enum mrf_queue_kind kind)
{
	const struct mrf_queue_command command = {.kind = (uint8_t)kind};
	struct mrf_table queues;
	int rc = mr_cli_admin_ask_queue(
		a, MRF_ADMIN_VERB_QUEUES, &command, MRF_ADMIN_BODY_ADMIN_QUEUES, &queues);

	for (uint32_t i = 0; rc == 0 && i < mrf_admin_queues_rows_count(queues); i++)
		add_string(n, mrf_queue_row_name(mrf_admin_queues_rows_at(queues, i)));
	return rc;
}

static int queues(struct mr_cli_admin *a, struct names *n)
{
	return queues_of(a, n, MRF_QUEUE_KIND_QUEUE);
}

static int services(struct mr_cli_admin *a, struct names *n)
{
	return queues_of(a, n, MRF_QUEUE_KIND_SERVICE);
}

static int subjects(struct mr_cli_admin *a, struct names *n)
{
	struct mrf_table t;
	int rc = mr_cli_admin_ask(a, MRF_ADMIN_VERB_SUBJECTS, 0, MRF_ADMIN_BODY_ADMIN_SUBJECTS, &t);

	for (uint32_t i = 0; rc == 0 && i < mrf_admin_subjects_rows_count(t); i++)
		add_string(n, mrf_subscription_row_pattern(mrf_admin_subjects_rows_at(t, i)));
	return rc;
}

static int sessions(struct mr_cli_admin *a, struct names *n)
{
	struct mrf_table t;
	int rc = mr_cli_admin_ask(a, MRF_ADMIN_VERB_CLIENTS, 0, MRF_ADMIN_BODY_ADMIN_CLIENTS, &t);

	for (uint32_t i = 0; rc == 0 && i < mrf_admin_clients_rows_count(t); i++) {
		struct mrf_table row = mrf_admin_client_row(mrf_admin_clients_rows_at(t, i));
		char text[24];

		snprintf(text, sizeof(text), "0x%016llx",
			(unsigned long long)mrf_session_row_session(row));
		add(n, text, strlen(text));
	}
	return rc;
}

static int ports(struct mr_cli_admin *a, struct names *n)
{
	struct mrf_table t;
	int rc = mr_cli_admin_ask(a, MRF_ADMIN_VERB_PORTS, 0, MRF_ADMIN_BODY_ADMIN_PORTS, &t);

	for (uint32_t i = 0; rc == 0 && i < mrf_admin_ports_rows_count(t); i++)
		add_string(n, mrf_port_row_name(mrf_admin_port_row(mrf_admin_ports_rows_at(t, i))));
	return rc;
}

static void keys(struct names *n)
{
	for (size_t i = 0; i < MR_CONFIG_KEYS_COUNT; i++) {
		char text[80];

		snprintf(text, sizeof(text), "%s=", mr_config_keys[i].name);
		add(n, text, strlen(text));
	}
}

static void add_word(void *arg, const char *word)
{
	add(arg, word, strlen(word));
}

static void queue_options(struct names *n)
{
	mr_cli_edit_complete(MRF_QUEUE_KIND_QUEUE, add_word, n);
}

static void service_options(struct names *n)
{
	mr_cli_edit_complete(MRF_QUEUE_KIND_SERVICE, add_word, n);
}

static void contexts(struct names *n)
{
	char path[MR_CONTEXTS_PATH_BYTES], error[256];
	struct mr_contexts *c = NULL;

	if (mr_contexts_path(path, sizeof(path)) != 0 ||
		mr_contexts_load(path, &c, error, sizeof(error)) != 0)
		return;
	for (unsigned i = 0; i < c->count; i++)
		add(n, c->at[i].name, strlen(c->at[i].name));
	mr_contexts_free(c);
}

static const struct {
	const char *kind;
	int (*ask)(struct mr_cli_admin *a, struct names *n); /* NULL: needs no bus */
	void (*list)(struct names *n);
} kinds[] = {
	{"queues", queues, NULL},
	{"services", services, NULL},
	{"subjects", subjects, NULL},
	{"sessions", sessions, NULL},
	{"ports", ports, NULL},
	{"keys", NULL, keys},
	{"contexts", NULL, contexts},
	{"queue-options", NULL, queue_options},
	{"service-options", NULL, service_options},
};

static void ask(const struct mr_cli *options, struct names *n,
	int (*function)(struct mr_cli_admin *a, struct names *n))
{
	const struct mr_cli_bus_options bus = {options->server, options->run_dir, options->context};
	struct mr_cli_admin admin = {.socket.fd = -1};
	struct mr_cli cli = *options;
	struct mr_cli_bus memory;
	char error[256];

	if (mr_cli_bus_choose(&cli, &bus, &memory, error, sizeof(error)) == 0 &&
		mr_cli_admin_open(&admin, &cli) == 0)
		(void)function(&admin, n);
	mr_cli_admin_close(&admin);
}

static void on_alarm(int number)
{
	(void)number;
	_exit(MR_EXIT_OK);
}

static void end_in_time(void)
{
	const struct itimerval after = {.it_value = {.tv_usec = MR_CLI_NAMES_MS * 1000}};

	signal(SIGALRM, on_alarm);
	setitimer(ITIMER_REAL, &after, NULL);
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void print(struct names *n)
{
	qsort(n->at, n->count, sizeof(n->at[0]), compare);
	for (unsigned i = 0; i < n->count; i++) {
		if (i == 0 || strcmp(n->at[i], n->at[i - 1]) != 0)
			puts(n->at[i]);
	}
	for (unsigned i = 0; i < n->count; i++)
		free(n->at[i]);
}

int mr_cli_names(const struct mr_cli *cli, const char *kind)
{
	static struct names n;

	end_in_time();
	for (size_t i = 0; i < MR_ARRAY_COUNT(kinds); i++) {
		if (strcmp(kinds[i].kind, kind) != 0)
			continue;
		if (kinds[i].ask)
			ask(cli, &n, kinds[i].ask);
		else
			kinds[i].list(&n);
		print(&n);
		return MR_EXIT_OK;
	}
	return mr_cli_fail(cli, MR_EXIT_USAGE, kind, "no such kind of names",
		"expected: queues, services, subjects, sessions, ports, keys or contexts");
}

const char *mr_cli_names_kind(const struct mr_cli_verb *verb, const char *value, const char *option)
{
	static const struct {
		const char *value;
		const char *kind;
	} values[] = {{"QUEUE", "queues"}, {"SERVICE", "services"}, {"SUBJECT", "subjects"},
		{"[SUBJECT]", "subjects"}, {"PATTERN...", "subjects"}, {"SESSION", "sessions"},
		{"[PORT]", "ports"}, {"[TO|KEY=VALUE...|SUBJECT...]", "queue-options"},
		{"[KEY=VALUE...]", "service-options"}};

	if (option && strcmp(option, "set") == 0)
		return "keys";
	if (option && strcmp(option, "context") == 0)
		return "contexts";
	for (size_t i = 0; value && i < MR_ARRAY_COUNT(values); i++) {
		if (strcmp(values[i].value, value) == 0)
			return values[i].kind;
	}
	if (option || !value || (strcmp(value, "NAME") != 0 && strcmp(value, "[NAME]") != 0))
		return NULL;
	return verb == &mr_cli_queue     ? "queues"
	       : verb == &mr_cli_service ? "services"
	       : verb == &mr_cli_context ? "contexts"
					 : NULL;
}
