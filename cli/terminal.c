/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/terminal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define COLUMNS_MAX 100000ul

/* Returns the number in a variable of the environment; 0: none that makes sense. */
static size_t number_in(const char *variable)
{
	const char *text = getenv(variable);
	char *end;
	unsigned long number;

	if (!text || *text < '0' || *text > '9')
		return 0;
	number = strtoul(text, &end, 10);
	return *end == '\0' && number <= COLUMNS_MAX ? (size_t)number : 0;
}

struct mr_cli_size mr_cli_terminal_size(void)
{
	size_t columns = number_in("COLUMNS");
	struct mr_cli_size size = {0};
	struct winsize reported;

	if (isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &reported) == 0) {
		size.columns = reported.ws_col;
		size.rows = reported.ws_row;
	}
	if (columns > 0)
		size.columns = columns;
	return size;
}

bool mr_cli_terminal_is_screen(void)
{
	const char *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && term && strcmp(term, "dumb") != 0;
}
