/* SPDX-License-Identifier: Apache-2.0 */
/* log_file: sends standard error of `up` and its children into a file that can be rotated.
 *
 * The children hold a pipe instead of the file, so that reopening the file needs nothing of them. A
 * thread copies the pipe into the file. After an error of the file, such as a full disk, lines are
 * dropped; the former standard error is told once, and the count is written when the file takes
 * lines again.
 *
 * Owns      The file, the pipe and the thread.
 * Threads   open, reopen and close: the main thread.
 * Errors    -errno.
 */
#ifndef MILLRACE_CLI_UP_LOG_FILE_H
#define MILLRACE_CLI_UP_LOG_FILE_H

/* Opens `path` to append, mode 0640, and puts the pipe in the place of standard error. The pointer
 * is kept. */
int mr_cli_log_file_open(const char *path);
/* Opens the path again, after the file was renamed. After an error the old file stays open. */
int mr_cli_log_file_reopen(void);
/* Puts the former standard error back and copies the rest, for half a second at most. */
void mr_cli_log_file_close(void);

#endif
