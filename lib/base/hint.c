/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/hint.h"

#include <errno.h>
#include <stddef.h>

static const struct {
	int error;
	const char *hint;
} hints[] = {
	{-EACCES, "name a directory that this user owns with --run-dir"},
	{-EPERM, "name a directory that this user owns with --run-dir"},
	{-EROFS, "name a directory that can be written with --run-dir"},
	{-ENOENT, "make its parent directory, or name another with --run-dir"},
	{-ENOTDIR, "remove the file, or name a directory with --run-dir"},
	{-EISDIR, "remove what has this name, or name another directory with --run-dir"},
	{-ELOOP, "remove the symbolic link, or name another directory with --run-dir"},
	{-EADDRINUSE, "remove what has this name, or name another directory with --run-dir"},
	{-ENOSPC, "free some space there, or name another directory with --run-dir"},
	{-EDQUOT, "free some space there, or name another directory with --run-dir"},
	{-EWOULDBLOCK, "stop the other process, or name another directory with --run-dir"},
	{-EMFILE, "raise the limit of open files: ulimit -n, or LimitNOFILE= of the service"},
	{-ENFILE, "raise the limit of open files of this machine: sysctl fs.file-max"},
	{-EFBIG, "raise the limit of file sizes: ulimit -f, or LimitFSIZE= of the service"},
	{-ENOMEM, "allow more memory (ulimit -v, MemoryMax= of the service), or lower "
		  "workers.count, tables.subscriptions_max or sessions.sessions_max"},
};

const char *mr_hint_start(int error)
{
	for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++) {
		if (hints[i].error == error)
			return hints[i].hint;
	}
	return "see the section \"When something is wrong\" of docs/operations.md";
}
