/* SPDX-License-Identifier: Apache-2.0 */
/* cli: shared by the verbs of the `millrace` command: the address of the bus, error reports, exit
 * codes.
 *
 * Owns      Nothing; strings live as long as main's argv and environment.
 * Threads   The main thread; any thread may call mr_cli_interrupted.
 * Errors    A verb has reported its error on standard error when it returns the exit code.
 */
#ifndef MILLRACE_CLI_CLI_H
#define MILLRACE_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "client/millrace.h"
#include "cli/args.h"
#include "lib/base/bus.h"

/* Exit codes; millrace(1) documents them. */
enum mr_cli_exit {
	MR_EXIT_OK = 0,
	MR_EXIT_FAILED = 1,
	MR_EXIT_USAGE = 2,
	MR_EXIT_UNREACHABLE = 3,
	MR_EXIT_TIMEOUT = 4,
	MR_EXIT_NO_RESPONDERS = 5,
	MR_EXIT_INTERRUPTED = 130,
};

struct mr_cli {
	const char *verb;    /* for messages */
	const char *server;  /* one or several addresses, see lib/base/bus.h; paths are complete */
	const char *run_dir; /* directory of the admin socket; NULL: that of the attach socket */
	const char *context; /* name of the context that the bus comes from; NULL: from elsewhere */
	bool colour;         /* standard output is a terminal that shows colours */
};

/* How a verb uses the options that name a bus. Unless it is CHOSEN, mr_cli has them as they were
 * given, or NULL. */
enum mr_cli_bus_use {
	MR_CLI_BUS_CHOSEN, /* mr_cli names the bus that they choose */
	MR_CLI_BUS_OWN,    /* the verb uses or refuses each */
	MR_CLI_BUS_MADE,   /* the verb starts a bus, and only --run-dir says where */
	MR_CLI_BUS_NONE,   /* the verb only prints texts, and refuses them behind its name */
};

struct mr_cli_verb {
	const char *name;
	const char *summary;
	const char *operands;                /* for the usage line */
	const char *details;                 /* paragraphs of the help, or NULL */
	const char *examples;                /* lines of the help, or NULL */
	const struct mr_cli_option *options; /* ends with a zero entry; NULL: none */
	const void *defaults;                /* initial settings, which options then change */
	size_t settings_bytes;
	unsigned operands_min;
	unsigned operands_max;
	enum mr_cli_bus_use bus;
	int (*run)(const struct mr_cli *cli, const void *settings,
		const struct mr_cli_words *operands);
};

/* Upper limit of struct mr_cli_verb.settings_bytes. */
#define MR_CLI_SETTINGS_BYTES 2048

/* All verbs, in the order of the help; ends with NULL. */
extern const struct mr_cli_verb *const mr_cli_verbs[];
const struct mr_cli_verb *mr_cli_verb_find(const char *name);

/* --server, --run-dir, --context and --help, which all verbs have, and --json-safe for a verb with
 * --json. NULL: no verb. */
const struct mr_cli_option *mr_cli_common_options(const struct mr_cli_verb *verb);
/* True if the verb refuses this common option. NULL: no verb. */
bool mr_cli_refuses_option(const struct mr_cli_verb *verb, const struct mr_cli_option *o);

/* Returns the promise for the text of --promise; best effort for NULL. */
enum mr_promise_kind mr_cli_promise(const char *text);

/* Prints "millrace VERB: what: why; hint" on standard error. `hint` may be NULL. Returns `code`. */
int mr_cli_fail(const struct mr_cli *cli, enum mr_cli_exit code, const char *what, const char *why,
	const char *hint);
/* Reports a failed call of the library. Exit code and hint follow from `error`, a negative errno;
 * `c` may be NULL. */
int mr_cli_fail_call(
	const struct mr_cli *cli, const struct mr_client *c, int error, const char *what);
/* Reports a payload that mr_cli_input_take did not read. Returns an exit code. */
int mr_cli_fail_input(const struct mr_cli *cli, int error);
/* Prints a remark on standard error: "millrace VERB: text". */
void mr_cli_note(const struct mr_cli *cli, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Reports the state of the connection, for a verb's on_state: lost, or connected again and `doing`
 * ("subscribed" or similar). */
void mr_cli_note_state(
	const struct mr_cli *cli, const struct mr_client *c, bool connected, const char *doing);

/* True if the address of the bus is one over UDP. */
bool mr_cli_is_udp(const struct mr_cli *cli);

/* Connects to cli->server under the verb's name, unless `options` (may be NULL) has a name. Reports
 * a failure. Returns 0 or an exit code. */
int mr_cli_connect(
	const struct mr_cli *cli, const struct mr_options *options, struct mr_client **out);

/* From now on SIGINT, SIGTERM and SIGHUP make mr_cli_interrupted true instead of killing. */
void mr_cli_catch_interrupts(void);
bool mr_cli_interrupted(void);

/* Flushes standard output. False: its reader has closed it, and the verb should end without a
 * message. */
bool mr_cli_flush(void);

/* Returns the default directory for a bus of this user: /run/millrace for root, else
 * $XDG_RUNTIME_DIR/millrace, else /tmp/millrace-UID. 0 or -ENAMETOOLONG. */
int mr_cli_run_dir_default(char *out, size_t out_bytes);

/* The bus as options name it; a NULL is an option that was not given. */
struct mr_cli_bus_options {
	const char *server;
	const char *run_dir;
	const char *context;
};

/* Memory for the texts of struct mr_cli. */
struct mr_cli_bus {
	char server[MR_BUS_TEXT_BYTES];
	char run_dir[108];
	char context[64];
};

/* Chooses the bus of all verbs, and points `cli` to it. Returns 0 or -EINVAL with a text. */
int mr_cli_bus_choose(struct mr_cli *cli, const struct mr_cli_bus_options *options,
	struct mr_cli_bus *memory, char *error, size_t error_bytes);

/* CLOCK_MONOTONIC and CLOCK_REALTIME. */
uint64_t mr_cli_now_ns(void);
uint64_t mr_cli_date_ns(void);

void mr_cli_help(FILE *out);
void mr_cli_help_verb(FILE *out, const struct mr_cli_verb *verb);

#endif
