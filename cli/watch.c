/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/watch.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "cli/terminal.h"
#include "cli/text.h"
#include "cli/width.h"

/* Failed readings in a row before it gives up. */
#define FAILURES_MAX 10
#define HEAD_BYTES   512
/* Lines of a screen beside the rows: the head, an empty line, the titles, and the last line, which
 * stays empty or says what is missing. */
#define LINES_BESIDE 4u

static volatile sig_atomic_t resized;

static void note_resize(int signal)
{
	(void)signal;
	resized = 1;
}

/* The terminal's modes before keys were read one by one. */
struct keyboard {
	bool on;
	struct termios before;
	sigset_t mask; /* while waiting */
};

void mr_cli_watch_head(const struct mr_cli *cli, bool in_place, const char *text)
{
	char when[32], line[HEAD_BYTES], shown[HEAD_BYTES];
	size_t columns = mr_cli_terminal_size().columns;
	time_t date = time(NULL);
	struct tm local;

	localtime_r(&date, &local);
	strftime(when, sizeof(when), "%F %T", &local);
	snprintf(line, sizeof(line), "millrace  %s  %s  %s", when, text, cli->server);
	mr_cli_elide(shown, sizeof(shown), line, columns ? columns : SIZE_MAX, MR_CLI_ELIDE_END);
	if (in_place)
		fputs("\033[H\033[J", stdout);
	puts(shown);
}

static size_t rows_that_fit(bool in_place, size_t rows)
{
	size_t lines = mr_cli_terminal_size().rows;

	if (!in_place || lines == 0)
		return rows;
	lines = lines > LINES_BESIDE + 1 ? lines - LINES_BESIDE : 1;
	return rows < lines ? rows : lines;
}

int mr_cli_watch_show(const struct mr_cli_watch *w, bool in_place, const char *text,
	const struct mr_cli_view *view, struct mr_cli_table *t)
{
	int code = mr_cli_view_select(w->cli, view, t);

	if (code != MR_EXIT_OK)
		return code;
	if (view->json) {
		mr_cli_text_json_line(mr_cli_table_json(t));
		return MR_EXIT_OK;
	}
	mr_cli_watch_head(w->cli, in_place, text);
	putchar('\n');
	code = mr_cli_view_print(w->cli, view, t, 0, rows_that_fit(in_place, mr_cli_table_rows(t)));
	if (!in_place)
		putchar('\n');
	return code;
}

int mr_cli_watch_key(const char *bytes, size_t count, size_t *taken)
{
	static const struct {
		const char *bytes;
		int key;
	} sequences[] = {{"\033[5~", MR_CLI_KEY_PAGE_UP}, {"\033[6~", MR_CLI_KEY_PAGE_DOWN},
		{"\033[A", MR_CLI_KEY_PAGE_UP}, {"\033[B", MR_CLI_KEY_PAGE_DOWN},
		{"\033[H", MR_CLI_KEY_HOME}, {"\033[F", MR_CLI_KEY_END},
		{"\033[1~", MR_CLI_KEY_HOME}, {"\033[4~", MR_CLI_KEY_END}};

	for (size_t i = 0; i < sizeof(sequences) / sizeof(sequences[0]); i++) {
		*taken = strlen(sequences[i].bytes);
		if (*taken <= count && memcmp(bytes, sequences[i].bytes, *taken) == 0)
			return sequences[i].key;
	}
	/* An unknown sequence of the terminal is one key, which nothing is bound to. */
	*taken = bytes[0] == '\033' ? count : 1;
	return bytes[0] == '\033' ? MR_CLI_KEY_OTHER : (unsigned char)bytes[0];
}

static void keyboard_open(struct keyboard *k, const struct mr_cli_watch *w, bool in_place)
{
	const struct sigaction action = {.sa_handler = note_resize};
	struct termios modes;
	sigset_t resize;

	sigemptyset(&resize);
	sigaddset(&resize, SIGWINCH);
	sigprocmask(SIG_BLOCK, &resize, &k->mask);
	sigdelset(&k->mask, SIGWINCH);
	sigaction(SIGWINCH, &action, NULL);
	/* In the background the terminal belongs to somebody else. */
	if (!w->key || !in_place || tcgetpgrp(STDIN_FILENO) != getpgrp() ||
		tcgetattr(STDIN_FILENO, &k->before) != 0)
		return;
	modes = k->before;
	modes.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	modes.c_cc[VMIN] = 1;
	modes.c_cc[VTIME] = 0;
	k->on = tcsetattr(STDIN_FILENO, TCSANOW, &modes) == 0;
}

static void keyboard_close(struct keyboard *k)
{
	if (k->on)
		tcsetattr(STDIN_FILENO, TCSANOW, &k->before);
}

/* Reads keys. False: one of them ends it, or the terminal is gone. */
static bool take_keys(const struct mr_cli_watch *w)
{
	char bytes[64];
	ssize_t count = read(STDIN_FILENO, bytes, sizeof(bytes));

	if (count <= 0)
		return false;
	for (size_t at = 0, taken; at < (size_t)count; at += taken) {
		int key = mr_cli_watch_key(bytes + at, (size_t)count - at, &taken);

		if (!w->key(w, key))
			return false;
	}
	return true;
}

static int show(const struct mr_cli_watch *w, bool in_place, bool *over)
{
	int code = w->show(w, in_place);

	*over |= !mr_cli_flush() || code != MR_EXIT_OK;
	return code;
}

/* Waits for the next reading; shows the last one again after a key or a new size. */
static int pause_between(
	const struct mr_cli_watch *w, const struct keyboard *k, bool in_place, bool *over)
{
	uint64_t end_ns = mr_cli_now_ns() + w->interval_ms * 1000000u, now_ns;
	int code = MR_EXIT_OK;

	while (!*over && !mr_cli_interrupted() && (now_ns = mr_cli_now_ns()) < end_ns) {
		struct pollfd input = {.fd = k->on ? STDIN_FILENO : -1, .events = POLLIN};
		const struct timespec left = {.tv_sec = (time_t)((end_ns - now_ns) / 1000000000u),
			.tv_nsec = (long)((end_ns - now_ns) % 1000000000u)};
		int ready = ppoll(&input, 1, &left, &k->mask);

		if (ready > 0 && !take_keys(w))
			*over = true;
		else if (ready > 0 || (resized && in_place))
			code = show(w, in_place, over);
		resized = 0;
	}
	return code;
}

static bool is_last(const struct mr_cli_watch *w, uint64_t taken)
{
	/* The first reading is only a base for comparison. */
	return mr_cli_interrupted() || (w->count && taken > w->count);
}

static int run(const struct mr_cli_watch *w, const struct keyboard *k, bool in_place)
{
	unsigned failures = 0;
	uint64_t taken = 0;
	bool over = false;
	int code = MR_EXIT_OK;

	while (!over && !is_last(w, taken)) {
		struct mr_cli_admin admin = {.socket.fd = -1};
		int rc = w->take(w, &admin);

		/* A bus that was reached once may come back. */
		if (rc && !mr_cli_interrupted() && (taken == 0 || ++failures > FAILURES_MAX)) {
			rc = mr_cli_admin_fail(w->cli, &admin, rc);
			mr_cli_admin_close(&admin);
			return rc;
		}
		mr_cli_admin_close(&admin);
		failures = rc == 0 ? 0 : failures;
		if (rc == 0 && taken++ > 0)
			code = show(w, in_place, &over);
		if (!over && !is_last(w, taken))
			code = pause_between(w, k, in_place && taken > 1, &over);
	}
	return code;
}

int mr_cli_watch(const struct mr_cli_watch *w)
{
	bool in_place = mr_cli_terminal_is_screen();
	struct keyboard k = {0};
	int code;

	mr_cli_catch_interrupts();
	keyboard_open(&k, w, in_place);
	code = run(w, &k, in_place);
	keyboard_close(&k);
	if (in_place && w->key)
		putchar('\n'); /* the last line of the screen has no end */
	return code;
}
