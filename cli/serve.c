/* SPDX-License-Identifier: Apache-2.0 */
/* serve: a worker of a service, which answers requests by a command or with their own payload. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "client/millrace.h"
#include "cli/headers.h"
#include "cli/jobs.h"
#include "cli/options.h"
#include "cli/text.h"
#include "cli/verbs.h"

#define PROCESS_MAX 64
#define WAIT_MS_MAX 200 /* longest time until an interrupt is noticed */
#define DRAIN_MS    2000

struct settings {
	const char *command;
	struct mr_cli_words headers;
	uint64_t jobs;
	uint64_t prefetch; /* 0: as many as jobs */
	uint64_t timeout_ms;
	uint64_t count;
	bool echo;
	bool retry_on_failure;
	bool not_idempotent;
	bool verbose;
	bool json;
};

/* A request that waits for a job. */
struct waiting {
	STAILQ_ENTRY(waiting) link;
	uint64_t tag;
	unsigned redelivered;
	size_t bytes;
	char payload[];
};

struct serve {
	const struct mr_cli *cli;
	const struct settings *set;
	const char *name;
	struct mr_client *client;
	struct mr_service *service;
	struct mr_headers headers;
	struct mr_cli_jobs jobs;
	uint64_t tags[MR_CLI_JOBS_MAX]; /* tag of each job; 0: its request was recalled */
	STAILQ_HEAD(, waiting) waiting;
	uint64_t answered;
	uint64_t failed; /* done requests for which the command failed */
	char header_memory[4096];
};

static bool is_done(const struct serve *s)
{
	return s->set->count != 0 && s->answered >= s->set->count;
}

static void note_lost(const struct serve *s, int rc)
{
	/* The request was recalled: it took too long, or the connection was lost. Another worker
	 * has it. */
	if (rc == -ENOENT || rc == -ENOTCONN)
		mr_cli_note(s->cli, "a request was given to another worker");
	else if (rc)
		mr_cli_note(s->cli, "a reply was not sent: %s", mr_error(s->client));
}

static void respond(struct serve *s, uint64_t tag, const void *payload, size_t bytes)
{
	int rc = mr_respond_with(s->service, tag, false, s->headers.bytes ? s->headers.data : NULL,
		s->headers.bytes, payload, bytes);

	s->answered += rc == 0;
	/* A retry would not help: another worker's reply would be too large, too. */
	if (rc == -EMSGSIZE)
		mr_respond_failed(s->service, tag, false);
	note_lost(s, rc);
}

static void fail(struct serve *s, uint64_t tag)
{
	int rc = mr_respond_failed(s->service, tag, s->set->retry_on_failure);

	s->answered += rc == 0;
	s->failed += rc == 0;
	note_lost(s, rc);
}

static void on_job(const struct mr_cli_job *job, void *arg)
{
	struct serve *s = arg;
	uint64_t tag = s->tags[job->index];

	s->tags[job->index] = 0;
	if (tag == 0) {
		mr_cli_note(s->cli,
			"%s: stopped: its caller no longer waits, or another worker has it",
			s->set->command);
		return;
	}
	if (job->error)
		mr_cli_note(s->cli, "%s: %s", s->set->command, strerror(-job->error));
	else if (job->status && s->set->verbose)
		mr_cli_note(s->cli, "%s: exit status %d", s->set->command, job->status);
	if (job->error || job->status)
		fail(s, tag);
	else
		respond(s, tag, job->out, job->out_bytes);
}

static int start(
	struct serve *s, uint64_t tag, unsigned redelivered, const void *payload, size_t bytes)
{
	char service[sizeof("MILLRACE_SERVICE=") + MR_SUBJECT_BYTES];
	char again[sizeof("MILLRACE_REDELIVERED=") + 16];
	const char *environment[] = {service, again, NULL};
	int job;

	snprintf(service, sizeof(service), "MILLRACE_SERVICE=%s", s->name);
	snprintf(again, sizeof(again), "MILLRACE_REDELIVERED=%u", redelivered);
	job = mr_cli_jobs_start(&s->jobs, environment, payload, bytes);
	if (job >= 0)
		s->tags[job] = tag;
	return job < 0 ? job : 0;
}

static void enqueue(struct serve *s, const struct mr_work *work)
{
	const struct mr_delivery *d = &work->delivery;
	struct waiting *w = malloc(sizeof(*w) + d->message.payload_bytes);

	if (!w) {
		mr_respond_failed(s->service, d->tag, true);
		return;
	}
	*w = (struct waiting){
		.tag = d->tag, .redelivered = d->redelivered, .bytes = d->message.payload_bytes};
	memcpy(w->payload, d->message.payload, w->bytes);
	STAILQ_INSERT_TAIL(&s->waiting, w, link);
}

static void drop_first(struct serve *s)
{
	struct waiting *w = STAILQ_FIRST(&s->waiting);

	STAILQ_REMOVE_HEAD(&s->waiting, link);
	free(w);
}

/* Starts jobs for waiting requests. After an interrupt they are left to other workers. */
static void start_waiting(struct serve *s)
{
	while (!STAILQ_EMPTY(&s->waiting) && !mr_cli_jobs_full(&s->jobs) && !mr_cli_interrupted() &&
		!is_done(s)) {
		struct waiting *w = STAILQ_FIRST(&s->waiting);
		int rc = start(s, w->tag, w->redelivered, w->payload, w->bytes);

		if (rc) {
			mr_cli_note(s->cli, "%s: %s", s->set->command, strerror(-rc));
			mr_respond_failed(s->service, w->tag, true);
		}
		drop_first(s);
	}
}

static void on_work(struct mr_client *c, const struct mr_work *work, void *arg)
{
	struct serve *s = arg;
	const struct mr_message *m = &work->delivery.message;

	(void)c;
	if (s->set->verbose)
		mr_cli_note(s->cli, "request: %zu bytes", m->payload_bytes);
	if (s->set->command)
		enqueue(s, work);
	else if (!is_done(s))
		respond(s, work->delivery.tag, m->payload, m->payload_bytes);
}

static void stop_job(struct serve *s, unsigned index)
{
	s->tags[index] = 0;
	mr_cli_jobs_stop(&s->jobs, index);
}

/* The caller no longer waits, or another worker has the request. */
static void on_recall(struct mr_client *c, uint64_t tag, void *arg)
{
	struct serve *s = arg;
	struct waiting *w = STAILQ_FIRST(&s->waiting);

	(void)c;
	for (unsigned i = 0; i < s->jobs.count; i++) {
		if (s->tags[i] == tag)
			stop_job(s, i);
	}
	while (w && w->tag != tag)
		w = STAILQ_NEXT(w, link);
	if (!w)
		return;
	STAILQ_REMOVE(&s->waiting, w, waiting, link);
	free(w);
}

/* When the connection is lost, all requests in hand go to other workers. */
static void on_state(struct mr_client *c, bool connected, int error, void *arg)
{
	struct serve *s = arg;

	(void)error;
	mr_cli_note_state(s->cli, c, connected, "serving");
	if (connected)
		return;
	while (!STAILQ_EMPTY(&s->waiting))
		drop_first(s);
	for (unsigned i = 0; i < s->jobs.count; i++)
		stop_job(s, i);
}

static int process(struct serve *s)
{
	int n;

	do {
		n = mr_process(s->client, PROCESS_MAX);
	} while (n > 0);
	return n == -ENOTCONN ? 0 : n;
}

static int loop(struct serve *s)
{
	int fd = mr_fd(s->client);
	int rc = fd < 0 ? fd : 0;

	while (rc == 0 && !is_done(s) && (!mr_cli_interrupted() || s->jobs.running > 0)) {
		rc = process(s);
		mr_cli_jobs_step(&s->jobs, on_job, s);
		start_waiting(s);
		mr_flush(s->client);
		if (rc == 0 && !is_done(s))
			mr_cli_jobs_wait(&s->jobs, fd, WAIT_MS_MAX);
	}
	return rc;
}

static int serve(struct serve *s)
{
	int rc = loop(s);

	if (rc)
		return mr_cli_fail_call(s->cli, s->client, rc, s->name);
	/* Stops taking requests; those that no job has begun go to other workers. */
	mr_service_close(s->service);
	mr_drain(s->client, DRAIN_MS);
	if (s->set->json)
		mr_cli_text_json_line(json_pack("{s:I, s:I}", "answered", (json_int_t)s->answered,
			"failed", (json_int_t)s->failed));
	if (!is_done(s))
		return MR_EXIT_INTERRUPTED;
	if (s->failed > 0)
		mr_cli_note(s->cli, "%" PRIu64 " answered, %" PRIu64 " of them with an error",
			s->answered, s->failed);
	return s->failed > 0 ? MR_EXIT_FAILED : MR_EXIT_OK;
}

static int refused(const struct serve *s, int rc)
{
	if (rc == -EACCES && strncmp(s->name, "mmi.", 4) == 0)
		return mr_cli_fail(s->cli, MR_EXIT_FAILED, s->name,
			"the bus itself serves names that begin with mmi.", "choose another name");
	if (rc == -EEXIST)
		return mr_cli_fail(s->cli, MR_EXIT_FAILED, s->name, mr_error(s->client),
			"use --not-idempotent as the first worker did");
	return mr_cli_fail_call(s->cli, s->client, rc, s->name);
}

static int open_and_serve(struct serve *s)
{
	const struct settings *set = s->set;
	struct mr_options options = {.on_state = on_state, .arg = s};
	struct mr_serve_options how = {
		.prefetch = (unsigned)(set->prefetch ? set->prefetch : set->jobs),
		.queue.not_idempotent = set->not_idempotent,
	};
	int code = mr_cli_connect(s->cli, &options, &s->client);
	int rc;

	if (code)
		return code;
	mr_cli_catch_interrupts();
	s->jobs.out_bytes_max = mr_message_bytes_max(s->client);
	rc = mr_serve(s->client, s->name, &how, on_work, s, &s->service);
	if (rc) {
		code = refused(s, rc);
	} else {
		mr_service_renew(s->service, true);
		mr_service_on_recall(s->service, on_recall, s);
		fputs("serving\n", stderr);
		code = serve(s);
	}
	mr_close(s->client);
	return code;
}

static int prepare(struct serve *s)
{
	if ((s->set->command != NULL) == s->set->echo)
		return mr_cli_fail(s->cli, MR_EXIT_USAGE, s->name, "there is no answer",
			"give one of --exec and --echo");
	s->jobs.command = s->set->command;
	s->jobs.timeout_ms = s->set->timeout_ms;
	STAILQ_INIT(&s->waiting);
	return mr_cli_headers_take(
		s->cli, &s->set->headers, &s->headers, s->header_memory, sizeof(s->header_memory));
}

static int run_serve(const struct mr_cli *cli, const void *settings, const struct mr_cli_words *w)
{
	static struct serve serve; /* one per process */
	struct serve *s = &serve;
	int code;

	*s = (struct serve){.cli = cli, .set = settings, .name = w->at[0]};
	code = prepare(s);
	if (code)
		return code;
	if (mr_cli_jobs_init(&s->jobs, (unsigned)s->set->jobs) != 0)
		return mr_cli_fail(cli, MR_EXIT_FAILED, "start", strerror(ENOMEM), NULL);
	code = open_and_serve(s);
	mr_cli_jobs_fini(&s->jobs);
	while (!STAILQ_EMPTY(&s->waiting))
		drop_first(s);
	return code;
}

static const struct mr_cli_option options[] = {
	MR_CLI_EXEC_OPTION("run COMMAND with sh for each request: standard input is the "
			   "request, the output is the reply"),
	MR_CLI_ECHO_OPTION("answer with the payload of the request"),
	MR_CLI_JOBS_OPTION("run at most N commands at once (default 1)"),
	MR_CLI_PREFETCH_OPTION("take at most N requests that are not answered (default: as "
			       "many as jobs)"),
	{.name = "retry-on-failure",
		.type = MR_CLI_FLAG,
		.offset = offsetof(struct settings, retry_on_failure),
		.help = "if the command fails, give the request to another worker"},
	{.name = "not-idempotent",
		.type = MR_CLI_FLAG,
		.offset = offsetof(struct settings, not_idempotent),
		.help = "if a worker dies, never give its requests to another worker"},
	MR_CLI_HEADER_OPTION("add a header to each reply; may be repeated"),
	MR_CLI_COUNT_OPTION(1, MR_CLI_TIMES_MAX, "stop after COUNT requests (default: never)"),
	MR_CLI_TIMEOUT_OPTION("kill the command after TIME (default 30s)"),
	MR_CLI_VERBOSE_OPTION("report each request on standard error"),
	MR_CLI_JSON_OPTION("at the end, print how many were answered as a JSON object"),
	{0},
};

static const struct settings defaults = {.jobs = 1, .timeout_ms = 30000};

const struct mr_cli_verb mr_cli_serve = {
	.name = "serve",
	.summary = "be a worker of a service",
	.operands = "SERVICE",
	.details = "Each request goes to the worker of the service that has waited longest. With\n"
		   "--exec a command gets the request on standard input, and its output is the\n"
		   "reply. It finds the service in MILLRACE_SERVICE, and in MILLRACE_REDELIVERED\n"
		   "how often the request was given to other workers before. If the command\n"
		   "fails, the caller gets an error, or another worker gets the request\n"
		   "(--retry-on-failure). A command is stopped when its caller no longer waits.\n"
		   "Streaming requests are refused.\n"
		   "\n"
		   "Standard error shows \"serving\" as soon as requests are taken. When\n"
		   "interrupted, this command waits for running commands, and leaves all other\n"
		   "requests to other workers. With -n the exit code is 1 if the command failed\n"
		   "for a request.",
	.examples = "  millrace serve upper --exec 'tr a-z A-Z'\n"
		    "  millrace serve thumbnails --exec ./thumbnail --jobs 4 --retry-on-failure\n"
		    "  millrace serve echo --echo -n 100",
	.options = options,
	.defaults = &defaults,
	.settings_bytes = sizeof(struct settings),
	.operands_min = 1,
	.operands_max = 1,
	.run = run_serve,
};
