/* SPDX-License-Identifier: Apache-2.0 */
/* zone_file: the rule at the end of a file of time zones (RFC 8536 §3.3). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/zone.h"

#define DIRECTORY   "/usr/share/zoneinfo"
#define MAGIC_BYTES 5 /* "TZif", version */
#define TAIL_BYTES  (MR_ZONE_RULE_BYTES_MAX + 2)

/* A name leads to no file outside the directory. */
static bool is_name(const char *name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789_+-/";

	return name[0] != '\0' && name[0] != '/' && strspn(name, allowed) == strlen(name);
}

/* Takes what stands between the last two line feeds. */
static int take_rule(const char *tail, size_t bytes, char *rule)
{
	const char *start;
	struct mr_zone zone;

	if (bytes < 2 || tail[bytes - 1] != '\n')
		return -EINVAL;
	start = memrchr(tail, '\n', bytes - 1);
	if (start == NULL)
		return -EINVAL;
	bytes = (size_t)(tail + bytes - 1 - ++start);
	if (!mr_zone_parse(start, bytes, &zone))
		return -EINVAL;
	memcpy(rule, start, bytes);
	rule[bytes] = '\0';
	return 0;
}

static int read_rule(int fd, char *rule)
{
	char magic[MAGIC_BYTES], tail[TAIL_BYTES];
	struct stat s;
	off_t from;
	ssize_t n;

	if (fstat(fd, &s) != 0 || !S_ISREG(s.st_mode))
		return -ENOENT;
	if (pread(fd, magic, sizeof(magic), 0) != (ssize_t)sizeof(magic) ||
		memcmp(magic, "TZif", 4) != 0 || magic[4] < '2')
		return -EINVAL;
	from = s.st_size > (off_t)sizeof(tail) ? s.st_size - (off_t)sizeof(tail) : 0;
	n = pread(fd, tail, sizeof(tail), from);
	return n < 0 ? -errno : take_rule(tail, (size_t)n, rule);
}

int mr_zone_find(const char *name, char rule[MR_ZONE_RULE_BYTES_MAX + 1])
{
	const char *directory = getenv("TZDIR");
	char path[4096];
	int fd, rc;

	if (directory == NULL || directory[0] == '\0')
		directory = DIRECTORY;
	if (!is_name(name) ||
		snprintf(path, sizeof(path), "%s/%s", directory, name) >= (int)sizeof(path))
		return -ENOENT;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	rc = read_rule(fd, rule);
	close(fd);
	return rc;
}
