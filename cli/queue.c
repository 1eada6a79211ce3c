/* SPDX-License-Identifier: Apache-2.0 */
/* queue, service: shows one queue or service, or changes a queue. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/admin.h"
#include "cli/bind.h"
#include "cli/consumers.h"
#include "cli/dead.h"
#include "cli/edit.h"
#include "cli/headers.h"
#include "cli/keys.h"
#include "cli/options.h"
#include "cli/peek.h"
#include "cli/priority.h"
#include "cli/queues.h"
#include "cli/schedules.h"
#include "cli/text.h"
#include "cli/transfer.h"
#include "cli/verbs.h"
#include "cli/view.h"
#include "lib/base/compiler.h"
#include "lib/base/suggest.h"
#include "lib/wire/priority.h"
#include "lib/wire/queue_name.h"

struct settings {
	struct mr_cli_view view;
	uint64_t count;
	bool force;
	bool all;
	const char *consumer;
	const char *owner;
	const char *description;
	struct mr_cli_filter filter;
};

struct asked {
	const struct mr_cli *cli;
	const struct settings *set;
	enum mrf_queue_kind kind;
	const char *name;
	const char *to;                   /* move: the other queue; cancel: the ticket */
	const struct mr_cli_words *words; /* edit: options are the third and later ones */
};

/* Prints the subjects that a queue is bound to, one a line. */
static void print_subjects(json_t *subjects)
{
	size_t i;
	json_t *subject;

	if (json_array_size(subjects) > 0)
		puts("\nBound to:");
	json_array_foreach(subjects, i, subject) printf("  %s\n", json_string_value(subject));
}

/* Returns the subjects that the queue is bound to; NULL: not asked for, or this was reported. */
static json_t *subjects_of(const struct asked *q, struct mrf_table row)
{
	if (q->kind != MRF_QUEUE_KIND_QUEUE)
		return NULL;
	return mrf_queue_row_bindings(row) > 0 ? mr_cli_bind_subjects(q->cli, q->name)
					       : json_array();
}

/* Prints one JSON object that contains the consumers, or lines and a table of consumers. */
static int print_queue(const struct asked *q, struct mrf_table queues)
{
	int code = MR_EXIT_OK;
	struct mr_cli_column columns[MR_CLI_QUEUE_COLUMNS];
	json_t *subjects = subjects_of(q, mrf_admin_queues_rows_at(queues, 0));
	struct mr_cli_table queue, consumers;

	if (!subjects && q->kind == MRF_QUEUE_KIND_QUEUE)
		return MR_EXIT_FAILED;

	mr_cli_queues_table(&queue, columns, q->kind, queues, NULL);
	mr_cli_consumers_table(&consumers, mrf_admin_queues_rows_at(queues, 0));
	if (q->set->view.json) {
		json_t *rows = mr_cli_table_json(&queue);
		json_t *row = json_incref(json_array_get(rows, 0));

		json_decref(rows);
		json_object_set_new(row, "consumer_rows", mr_cli_table_json(&consumers));
		if (subjects)
			json_object_set(row, "subjects", subjects);
		if (q->kind == MRF_QUEUE_KIND_QUEUE)
			json_object_set_new(row, "ready_by_priority",
				mr_cli_priority_counts_json(mrf_admin_queues_rows_at(queues, 0)));
		mr_cli_text_json_line(row);
	} else {
		mr_cli_table_print_lines(&queue, stdout);
		print_subjects(subjects);
		mr_cli_priority_counts_print(mrf_admin_queues_rows_at(queues, 0));
		putchar('\n');
		code = mr_cli_view_select(q->cli, &q->set->view, &consumers)
			       ?: mr_cli_view_print(q->cli, &q->set->view, &consumers, 0,
					  mr_cli_table_rows(&consumers));
	}
	json_decref(subjects);
	mr_cli_table_fini(&queue);
	mr_cli_table_fini(&consumers);
	return code;
}

static int ask(const struct asked *q, struct mr_cli_admin *a, enum mrf_queue_verb verb,
	const char *name, enum mrf_admin_body body, struct mrf_table *out)
{
	const struct mrf_queue_command command = {
		.verb = (uint8_t)verb,
		.kind = (uint8_t)q->kind,
		.name = mrf_str(name),
		.count = (uint32_t)q->set->count,
	};

	return mr_cli_admin_query_queue(q->cli, a, MRF_ADMIN_VERB_QUEUE, &command, body, out);
}

static int show(const struct asked *q)
{
	struct mr_cli_admin admin;
	struct mrf_table queues;
	int code =
		ask(q, &admin, MRF_QUEUE_VERB_SHOW, q->name, MRF_ADMIN_BODY_ADMIN_QUEUES, &queues);

	if (code == MR_EXIT_OK && mrf_admin_queues_rows_count(queues) == 0)
		code = mr_cli_fail(q->cli, MR_EXIT_FAILED, q->name, "malformed answer", NULL);
	else if (code == MR_EXIT_OK)
		code = print_queue(q, queues);
	mr_cli_admin_close(&admin);
	return code;
}

static int command(const struct asked *q, enum mrf_queue_verb verb, const char *done)
{
	struct mr_cli_admin admin;
	struct mrf_table result;
	int code = ask(q, &admin, verb, q->name, MRF_ADMIN_BODY_ADMIN_RESULT, &result);

	if (code == MR_EXIT_OK) {
		uint64_t count = strtoull(mrf_admin_result_text(result).data, NULL, 10);

		if (q->set->view.json)
			mr_cli_text_json_count("count", count);
		else if (done)
			printf("%" PRIu64 " %s\n", count, done);
	}
	mr_cli_admin_close(&admin);
	return code;
}

/* The messages that purge or delete would discard. */
struct loss {
	uint64_t messages;
	uint64_t dead; /* dead letters */
};

static int ask_loss(const struct asked *q, struct loss *loss)
{
	struct mr_cli_admin admin;
	struct mrf_table queues, row;
	int code =
		ask(q, &admin, MRF_QUEUE_VERB_SHOW, q->name, MRF_ADMIN_BODY_ADMIN_QUEUES, &queues);

	if (code == MR_EXIT_OK) {
		row = mrf_admin_queues_rows_at(queues, 0);
		loss->messages = mrf_queue_row_ready(row) + mrf_queue_row_delayed(row);
		loss->dead = mrf_queue_row_dead_letter(row).bytes == 0
				     ? mrf_queue_row_dead_ready(row)
				     : mr_cli_dead_own(q->cli, q->name);
	}
	mr_cli_admin_close(&admin);
	return code;
}

/* Asks the person at the terminal. True without one, or with --force. */
static bool agreed(const struct asked *q, const char *question)
{
	char answer[16];

	if (q->set->force || !isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
		return true;
	fprintf(stderr, "%s [y/N] ", question);
	return fgets(answer, sizeof(answer), stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

static const char *plural(uint64_t count)
{
	return count == 1 ? "" : "s";
}

static int refuse(const struct asked *q)
{
	return mr_cli_fail(
		q->cli, MR_EXIT_FAILED, q->name, "nothing was changed", "answer y, or add --force");
}

/* Adds what one request discarded; *cursor: where to go on, 0: there are no more. */
static int purge_some(const struct asked *q, uint64_t older_ms, uint64_t *count, uint32_t *cursor)
{
	const struct mrf_queue_command command = {.verb = MRF_QUEUE_VERB_PURGE_OLDER,
		.name = mrf_str(q->name),
		.match_older_ms = older_ms,
		.cursor = *cursor};
	struct mr_cli_admin admin;
	struct mrf_table result;
	int code = mr_cli_admin_query_queue(q->cli, &admin, MRF_ADMIN_VERB_QUEUE, &command,
		MRF_ADMIN_BODY_ADMIN_RESULT, &result);

	if (code == MR_EXIT_OK) {
		char *end;

		*count += strtoull(mrf_admin_result_text(result).data, &end, 10);
		*cursor = (uint32_t)strtoul(end, NULL, 10);
	}
	mr_cli_admin_close(&admin);
	return code;
}

/* Discards old messages, some with each request. Those that become old meanwhile stay. */
static int purge_older(const struct asked *q)
{
	uint64_t count = 0, begin_ns = mr_cli_now_ns();
	uint32_t cursor = 0;
	int code;

	do {
		uint64_t passed_ms = (mr_cli_now_ns() - begin_ns) / 1000000u;

		code = purge_some(q, q->set->filter.older_ms + passed_ms, &count, &cursor);
	} while (code == MR_EXIT_OK && cursor != 0);
	if (code == MR_EXIT_OK && q->set->view.json)
		mr_cli_text_json_count("count", count);
	else if (code == MR_EXIT_OK || count > 0)
		printf("%" PRIu64 " messages purged\n", count);
	return code;
}

static int purge(const struct asked *q)
{
	struct loss loss;
	char question[512];
	int code = ask_loss(q, &loss);

	if (code != MR_EXIT_OK)
		return code;
	if (q->set->filter.older_ms != 0) {
		snprintf(question, sizeof(question),
			"Discard the old ones of %" PRIu64 " message%s of %s?", loss.messages,
			plural(loss.messages), q->name);
		return agreed(q, question) ? purge_older(q) : refuse(q);
	}
	snprintf(question, sizeof(question), "Discard %" PRIu64 " message%s of %s?", loss.messages,
		plural(loss.messages), q->name);
	return agreed(q, question) ? command(q, MRF_QUEUE_VERB_PURGE, "messages purged")
				   : refuse(q);
}

static struct mr_cli_consumers consumers_of(const struct asked *q)
{
	return (struct mr_cli_consumers){.cli = q->cli,
		.view = &q->set->view,
		.queue = q->name,
		.consumer = q->set->consumer};
}

static int consumers(const struct asked *q)
{
	const struct mr_cli_consumers c = consumers_of(q);

	return mr_cli_consumers_list(&c);
}

static int pause_queue(const struct asked *q)
{
	const struct mr_cli_consumers c = consumers_of(q);

	return c.consumer ? mr_cli_consumers_pause(&c, true)
			  : command(q, MRF_QUEUE_VERB_PAUSE, NULL);
}

static int resume_queue(const struct asked *q)
{
	const struct mr_cli_consumers c = consumers_of(q);

	return c.consumer ? mr_cli_consumers_pause(&c, false)
			  : command(q, MRF_QUEUE_VERB_RESUME, NULL);
}

static int redrive(const struct asked *q)
{
	return command(q, MRF_QUEUE_VERB_REDRIVE, "messages pushed back");
}

/* Deletes, and says what went with the queue. */
static int delete_with(const struct asked *q, const struct loss *loss)
{
	struct mr_cli_admin admin;
	struct mrf_table result;
	int code = ask(
		q, &admin, MRF_QUEUE_VERB_DELETE, q->name, MRF_ADMIN_BODY_ADMIN_RESULT, &result);

	mr_cli_admin_close(&admin);
	if (code == MR_EXIT_OK && q->set->view.json)
		mr_cli_text_json_line(json_pack("{s:I, s:I}", "count", (json_int_t)loss->messages,
			"dead", (json_int_t)loss->dead));
	else if (code == MR_EXIT_OK)
		printf("deleted, with %" PRIu64 " message%s and %" PRIu64 " dead letter%s\n",
			loss->messages, plural(loss->messages), loss->dead, plural(loss->dead));
	return code;
}

static int delete (const struct asked *q)
{
	struct loss loss;
	char question[512];
	int code = ask_loss(q, &loss);

	if (code != MR_EXIT_OK)
		return code;
	snprintf(question, sizeof(question),
		"Delete %s with %" PRIu64 " message%s and %" PRIu64 " dead letter%s?", q->name,
		loss.messages, plural(loss.messages), loss.dead, plural(loss.dead));
	return agreed(q, question) ? delete_with(q, &loss) : refuse(q);
}

static int peek(const struct asked *q)
{
	return mr_cli_peek(&(struct mr_cli_peek){.cli = q->cli,
		.queue = q->name,
		.count = q->set->count,
		.view = &q->set->view,
		.filter = &q->set->filter});
}

static int keys(const struct asked *q)
{
	return mr_cli_keys(q->cli, &q->set->view, q->name, q->set->count);
}

static int dead(const struct asked *q)
{
	return mr_cli_dead(q->cli, &q->set->view, q->name, (uint32_t)q->set->count);
}

static struct mr_cli_transfer transfer_of(const struct asked *q, const char *from, const char *to)
{
	return (struct mr_cli_transfer){.cli = q->cli,
		.from = from,
		.to = to,
		.count = q->set->count,
		.json = q->set->view.json,
		.filter = &q->set->filter};
}

static int move(const struct asked *q)
{
	const struct mr_cli_transfer t = transfer_of(q, q->name, q->to);

	return mr_cli_transfer_move(&t);
}

static int copy(const struct asked *q)
{
	const struct mr_cli_transfer t = transfer_of(q, q->name, q->to);

	return mr_cli_transfer_copy(&t);
}

static int export(const struct asked *q)
{
	const struct mr_cli_transfer t = transfer_of(q, q->name, NULL);

	return mr_cli_transfer_export(&t);
}

static int import(const struct asked *q)
{
	const struct mr_cli_transfer t = transfer_of(q, NULL, q->name);

	return mr_cli_transfer_import(&t);
}

static void print_text(const char *name, struct mrf_string now, struct mrf_string was)
{
	printf("%s=", name);
	mr_cli_text_print(stdout, now.bytes ? now.data : "none", now.bytes ? now.bytes : 4);
	fputs(", was ", stdout);
	mr_cli_text_print(stdout, was.bytes ? was.data : "none", was.bytes ? was.bytes : 4);
	putchar('\n');
}

/* Prints the edited options that are texts. */
static void print_texts(
	const struct mr_cli_edit *e, struct mrf_table before, struct mrf_table after)
{
	if (e->dead_letter)
		printf("dead_letter=%s, was %s\n", mr_cli_queues_dead_letter(after),
			mr_cli_queues_dead_letter(before));
	if (e->owner)
		print_text("owner", mrf_queue_row_owner(after), mrf_queue_row_owner(before));
	if (e->description)
		print_text("description", mrf_queue_row_description(after),
			mrf_queue_row_description(before));
}

/* Prints what became of the options that were edited. */
static int print_edit(const struct asked *q, const struct mr_cli_edit *e, struct mrf_table before,
	struct mrf_table after)
{
	if (mrf_admin_queues_rows_count(after) == 0)
		return mr_cli_fail(q->cli, MR_EXIT_FAILED, q->name, "malformed answer", NULL);
	if (q->set->view.json)
		return print_queue(q, after);
	mr_cli_edit_print(e, mrf_queue_row_options(mrf_admin_queues_rows_at(before, 0)),
		mrf_queue_row_options(mrf_admin_queues_rows_at(after, 0)));
	print_texts(e, mrf_admin_queues_rows_at(before, 0), mrf_admin_queues_rows_at(after, 0));
	return MR_EXIT_OK;
}

static int apply_edit(const struct asked *q, const struct mr_cli_edit *e, struct mrf_table before)
{
	const struct mrf_queue_command command = {
		.verb = MRF_QUEUE_VERB_EDIT,
		.kind = (uint8_t)q->kind,
		.name = mrf_str(q->name),
		.edits = e->edits,
		.dead_letter = mrf_str(e->dead_letter),
		.owner = mrf_str(e->owner),
		.description = mrf_str(e->description),
	};
	struct mr_cli_admin admin;
	struct mrf_table after;
	int rc = mr_cli_admin_open(&admin, q->cli);

	rc = rc ? rc : mr_cli_admin_ask_edit(&admin, &command, &e->values, &after);
	if (rc)
		rc = mr_cli_admin_fail(q->cli, &admin, rc);
	else
		rc = print_edit(q, e, before, after);
	mr_cli_admin_close(&admin);
	return rc;
}

/* Changes options. The row before belongs to the first connection, so that one stays open. */
static int edit(const struct asked *q)
{
	struct mr_cli_edit e = {0};
	struct mr_cli_admin admin;
	struct mrf_table before;
	int code = mr_cli_edit_text(q->cli, "owner", q->set->owner, &e)
			   ?: mr_cli_edit_text(
				      q->cli, "description", q->set->description, &e)
			   ?: mr_cli_edit_parse(q->cli, q->kind, q->words->at + 2,
				      q->words->count - 2, &e);

	if (code != MR_EXIT_OK)
		return code;
	code = ask(q, &admin, MRF_QUEUE_VERB_SHOW, q->name, MRF_ADMIN_BODY_ADMIN_QUEUES, &before);
	if (code == MR_EXIT_OK)
		code = apply_edit(q, &e, before);
	mr_cli_admin_close(&admin);
	return code;
}

/* The operands behind the queue's name are subjects. */
static struct mr_cli_bind binding_of(const struct asked *q)
{
	return (struct mr_cli_bind){.cli = q->cli,
		.queue = q->name,
		.patterns = q->words->at + 2,
		.count = q->words->count - 2,
		.all = q->set->all,
		.json = q->set->view.json};
}

static int bind(const struct asked *q)
{
	const struct mr_cli_bind b = binding_of(q);

	return mr_cli_bind(&b);
}

static int unbind(const struct asked *q)
{
	const struct mr_cli_bind b = binding_of(q);

	return mr_cli_unbind(&b);
}

/* The word behind the name is the ticket. */
static int cancel(const struct asked *q)
{
	return mr_cli_cancel(q->cli, q->name, q->to, q->set->view.json);
}

/* Without a name: of all queues. */
static int schedules(const struct asked *q)
{
	return mr_cli_schedules(q->cli, q->name, &q->set->view);
}

struct action {
	const char *name;
	int (*run)(const struct asked *q);
	unsigned words_min, words_max; /* with its own name */
};

/* Names the action that was perhaps meant, or all of them. */
static int fail_action(const struct mr_cli *cli, const char *name, const struct action *actions)
{
	struct mr_suggest s = mr_suggest_begin(name, strlen(name));
	char hint[160] = "expected: ";

	for (const struct action *a = actions; a->name; a++) {
		mr_suggest_try(&s, a->name);
		strcat(strcat(hint, a == actions ? "" : a[1].name ? ", " : " or "), a->name);
	}
	if (s.best)
		snprintf(hint, sizeof(hint), "did you mean `millrace %s %s`?", cli->verb, s.best);
	return mr_cli_fail(cli, MR_EXIT_USAGE, name, "no such action", hint);
}

static int run(const struct asked *q, const struct action *actions)
{
	const struct action *a = actions;
	const char *name = q->words->at[0];
	char why[32], hint[40];

	while (a->name && strcmp(name, a->name) != 0)
		a++;
	if (!a->name)
		return fail_action(q->cli, name, actions);
	if (q->words->count >= a->words_min && q->words->count <= a->words_max)
		return a->run(q);
	snprintf(why, sizeof(why), "takes %s %s%s",
		a->run == cancel    ? "a ticket and one"
		: a->words_max == 3 ? "two"
				    : "one",
		q->cli->verb, a->run == move ? "s" : "");
	snprintf(hint, sizeof(hint), "see `millrace help %s`", q->cli->verb);
	return mr_cli_fail(q->cli, MR_EXIT_USAGE, name, why, hint);
}

static const char *word(const struct mr_cli_words *w, unsigned index)
{
	return index < w->count ? w->at[index] : NULL;
}

static int run_queue(const struct mr_cli *cli, const void *settings, const struct mr_cli_words *w)
{
	static const struct action actions[] = {
		{"show", show, 2, 2},
		{"consumers", consumers, 2, 2},
		{"peek", peek, 2, 2},
		{"keys", keys, 2, 2},
		{"purge", purge, 2, 2},
		{"pause", pause_queue, 2, 2},
		{"resume", resume_queue, 2, 2},
		{"dead", dead, 2, 2},
		{"redrive", redrive, 2, 2},
		{"delete", delete, 2, 2},
		{"move", move, 3, 3},
		{"copy", copy, 3, 3},
		{"export", export, 2, 2},
		{"import", import, 2, 2},
		{"edit", edit, 2, MR_CLI_WORDS_MAX},
		{"bind", bind, 2, MR_CLI_WORDS_MAX},
		{"unbind", unbind, 2, MR_CLI_WORDS_MAX},
		{"cancel", cancel, 3, 3},
		{"schedules", schedules, 1, 2},
		{"unschedule", cancel, 3, 3},
		{0},
	};
	const struct asked q = {cli, settings, MRF_QUEUE_KIND_QUEUE, word(w, 1), word(w, 2), w};

	return run(&q, actions);
}

static int run_service(const struct mr_cli *cli, const void *settings, const struct mr_cli_words *w)
{
	static const struct action actions[] = {
		{"show", show, 2, 2}, {"edit", edit, 2, MR_CLI_WORDS_MAX}, {0}};
	const struct asked q = {cli, settings, MRF_QUEUE_KIND_SERVICE, word(w, 1), NULL, w};

	return run(&q, actions);
}

static const struct mr_cli_option service_options[] = {
	MR_CLI_VIEW_OPTIONS_JSON("print one JSON object"), {0}};

static const struct mr_cli_option options[] = {
	MR_CLI_VIEW_OPTIONS_JSON(
		"print a JSON object; peek, keys and dead: an array; export: lines of "
		"JSON, always"),
	MR_CLI_COUNT_OPTION(1, UINT32_MAX,
		"at most COUNT messages (default: peek, keys and dead 16; redrive, move, "
		"copy, export, import all)"),
	MR_CLI_FILTER_OPTIONS,
	{.name = "force",
		.letter = 'f',
		.type = MR_CLI_FLAG,
		.offset = offsetof(struct settings, force),
		.help = "purge, delete: do not ask on a terminal"},
	{.name = "all",
		.type = MR_CLI_FLAG,
		.offset = offsetof(struct settings, all),
		.help = "unbind: from all subjects"},
	{.name = "consumer",
		.type = MR_CLI_TEXT,
		.value = "TAG|SESSION",
		.offset = offsetof(struct settings, consumer),
		.help = "pause, resume: only this tag or session"},
	{.name = "owner",
		.type = MR_CLI_TEXT,
		.value = "TEXT",
		.offset = offsetof(struct settings, owner),
		.help = "edit: who answers for the queue; the same as owner=TEXT"},
	{.name = "description",
		.type = MR_CLI_TEXT,
		.value = "TEXT",
		.offset = offsetof(struct settings, description),
		.help = "edit: what the queue is for; the same as description=TEXT"},
	{0},
};

const struct mr_cli_verb mr_cli_queue = {
	.name = "queue",
	.summary = "show or change one queue",
	.operands = "show|consumers|peek|keys|purge|pause|resume|dead|redrive|delete|move|copy|"
		    "export|import|edit|bind|unbind|schedules|cancel|unschedule "
		    "NAME [TO|TICKET|KEY=VALUE...|SUBJECT...]",
	.details = "show     print everything about the queue, and its consumers\n"
		   "consumers  print its consumers with names, addresses and states\n"
		   "peek     print the first messages, which stay in the queue\n"
		   "keys     print the keys with most messages, and who holds them: of a queue\n"
		   "         with policy=key-shared\n"
		   "purge    discard ready and delayed messages; consumers keep theirs;\n"
		   "         with --older ready ones of that age only\n"
		   "pause    deliver no messages until resume; pushes are still accepted;\n"
		   "         with --consumer to that one, as long as it lives\n"
		   "resume   deliver messages again\n"
		   "dead     print the first dead letters: reason, number of deliveries, last\n"
		   "         error, time, beginning; also those in a queue named for them\n"
		   "redrive  push its dead letters back into it; of a queue that other queues\n"
		   "         have named for theirs (dead_letter): back to where each came from\n"
		   "delete   remove the queue with its messages and dead letters; refused while\n"
		   "         the queue or its dead letters have consumers\n"
		   "\n"
		   "move     move its messages to the queue TO, which is made if there is none\n"
		   "copy     push copies of its messages into the queue TO; they stay here\n"
		   "export   write its messages as lines of JSON, and take them out\n"
		   "import   push such lines from standard input; stops at the first line that\n"
		   "         is not one, or has an unknown key, and names it\n"
		   "edit     change options until the queue is deleted:\n"
		   "         messages_max=COUNT|none  bytes_max=SIZE|none  age_max=TIME|none\n"
		   "         ack_timeout=TIME (10ms to 24h)  max_deliver=COUNT (1 to 65535)\n"
		   "         policy=lru|round-robin|least-outstanding|random|weighted|\n"
		   "         key-shared  in_flight_per_key=COUNT (1 to 250)\n"
		   "         key_from='header NAME'|'token N'|none\n"
		   "         when_full=wait|refuse|drop-oldest|dead-letter\n"
		   "         when_expired=discard|dead-letter  aging=TIME|none\n"
		   "         single_active=no|yes (the other consumers stand by)\n"
		   "         retry_min=TIME|none  retry_max=TIME  retry_factor=1..100\n"
		   "         retry_jitter=PERCENT\n"
		   "         dead_letter=QUEUE|none|default\n"
		   "         owner=TEXT  description=TEXT (at most 64 and 200 bytes)\n"
		   "bind     let what is published to each SUBJECT, which may have wildcards,\n"
		   "         go into the queue, which is made if there is none\n"
		   "unbind   end that\n"
		   "cancel, unschedule\n"
		   "         take back the message with TICKET that is not due yet, or end what\n"
		   "         it repeats (push --delay, --at, --every, --cron)\n"
		   "schedules\n"
		   "         list what is repeated: ticket, times, the next time, copies made\n"
		   "         and copies left out because the queue was full; without NAME of\n"
		   "         all queues\n"
		   "\n"
		   "A message goes into a bound queue once, with the header Millrace-Subject. A\n"
		   "full queue does not get it; a promised one waits at its publisher.\n"
		   "A lower limit drops no message: a full queue takes no more until it has room.\n"
		   "With when_full=drop-oldest or dead-letter what exceeds the limit leaves.\n"
		   "A client that opens the queue with other values gets the edited ones.\n"
		   "\n"
		   "move, copy, export and import keep headers, priority, time to live, delay\n"
		   "with ticket, and failed attempts. Messages that are not due come last.\n"
		   "A message leaves its queue when TO has accepted it or its line is written.\n"
		   "If the command is killed nothing is lost; a message may be in both places.\n"
		   "Messages that are passed over or copied are held meanwhile, 60,000 at most\n"
		   "and for half of ack_timeout, and given back at the end, to their places.\n"
		   "On a terminal purge and delete ask first.\n"
		   "The exit code is 1 if there is no such queue. A queue whose name ends in\n"
		   ".dead holds the dead letters of another queue; show, purge and pause work on\n"
		   "it too.",
	.examples = "  millrace queue show jobs --json | jq '.consumer_rows[].session'\n"
		    "  millrace queue consumers jobs\n"
		    "  millrace queue pause jobs --consumer mailer\n"
		    "  millrace queue peek jobs --grep refund --older 1h\n"
		    "  millrace queue purge jobs --older 24h\n"
		    "  millrace queue dead jobs -n 5\n"
		    "  millrace queue redrive jobs\n"
		    "  millrace queue move jobs.dead jobs.later\n"
		    "  millrace queue copy jobs jobs.test --grep refund -n 100\n"
		    "  millrace queue export jobs -H customer:17 > customer.jsonl\n"
		    "  millrace queue export jobs > jobs.jsonl\n"
		    "  millrace queue import jobs < jobs.jsonl\n"
		    "  millrace queue edit jobs messages_max=100k ack_timeout=2m\n"
		    "  millrace queue edit jobs --owner shop --description 'orders to pack'\n"
		    "  millrace queue bind jobs 'orders.*.created' orders.retry\n"
		    "  millrace queue unbind jobs --all\n"
		    "  millrace queue cancel reminders 4711",
	.options = options,
	.settings_bytes = sizeof(struct settings),
	.operands_min = 1,
	.operands_max = MR_CLI_WORDS_MAX,
	.run = run_queue,
};

const struct mr_cli_verb mr_cli_service = {
	.name = "service",
	.summary = "show or change one service",
	.operands = "show|edit NAME [KEY=VALUE...]",
	.details = "show  print everything about a service: its circuit breaker and the failures\n"
		   "      that open it, waiting calls, and its workers with the calls that they\n"
		   "      have taken\n"
		   "edit  change options until the service is deleted: those of a queue\n"
		   "      (`millrace help queue`), and breaker_failures=COUNT|never (1 to 65534),\n"
		   "      breaker_reset=TIME (10ms to 24h), breaker_probes=COUNT (1 to 65535)",
	.examples =
		"  millrace service show echo\n  millrace service show echo --json | jq .breaker\n"
		"  millrace service edit echo breaker_failures=10 breaker_reset=30s",
	.options = service_options,
	.settings_bytes = sizeof(struct settings),
	.operands_min = 1,
	.operands_max = MR_CLI_WORDS_MAX,
	.run = run_service,
};
