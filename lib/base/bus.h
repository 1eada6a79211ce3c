/* SPDX-License-Identifier: Apache-2.0 */
/* bus: which bus a program means. The library and the command line use the same rules.
 *
 * Without an address the first of these counts: the environment variable MILLRACE_SERVER; the
 * current context (lib/base/contexts.h); the user's own run directory, if a bus is in it;
 * /run/millrace, if a bus is in it; the user's own run directory.
 *
 * An address is shm:PATH, udp://HOST[:PORT], or a path with a slash. A path names an attach socket
 * or the run directory that it is in. Several addresses are separated by commas, and the first one
 * that answers is used.
 *
 * Threads   Any.
 * Errors    -EINVAL with a text.
 */
#ifndef MILLRACE_BASE_BUS_H
#define MILLRACE_BASE_BUS_H

#include <stddef.h>

#define MR_BUS_TEXT_BYTES    1024 /* a list of addresses, with its NUL */
#define MR_BUS_ADDRESSES_MAX 8
#define MR_BUS_ADDRESS_BYTES 320

struct mr_bus_addresses {
	unsigned count;
	char at[MR_BUS_ADDRESSES_MAX]
	       [MR_BUS_ADDRESS_BYTES]; /* "shm:.../attach.sock", "udp://..." */
};

struct mr_bus {
	char server[MR_BUS_TEXT_BYTES];
	char run_dir[108]; /* the context's; empty: none */
	char context[64];  /* name of the context; empty: from elsewhere */
};

/* Splits a list of addresses, and completes paths. */
int mr_bus_addresses(
	const char *text, struct mr_bus_addresses *out, char *error, size_t error_bytes);

/* Chooses a bus by the rules above. */
int mr_bus_default(struct mr_bus *out, char *error, size_t error_bytes);

/* Chooses the bus of a context; NULL: of the current one. -ENOENT: there is none current. */
int mr_bus_context(const char *name, struct mr_bus *out, char *error, size_t error_bytes);

/* Writes the directory for a bus of this user: /run/millrace for root, else
 * $XDG_RUNTIME_DIR/millrace, else /tmp/millrace-UID. 0 or -ENAMETOOLONG. */
int mr_bus_run_dir(char *out, size_t out_bytes);

#endif
