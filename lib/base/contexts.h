/* SPDX-License-Identifier: Apache-2.0 */
/* contexts: the user's named buses, in $XDG_CONFIG_HOME/millrace/contexts.yaml (~/.config without
 * that variable).
 *
 *	current: lab
 *	contexts:
 *	  lab:
 *	    server: "udp://lab1,udp://lab2"
 *	    run_dir: "/run/millrace"
 *	    description: "two hosts in the lab"
 *
 * The file is YAML, in this form: one key on a line, indented by two spaces for each level; values
 * are plain or in double quotes, where \" and \\ stand for the character. Lines that begin with #
 * are comments. Other keys of a context, and all that is indented below them, are kept as they are:
 * there is room for credentials, and the file is written with mode 0600.
 *
 * Owns      `new` and `load` allocate; `free` frees.
 * Threads   Any, each with its own.
 * Errors    -ENOENT: there is no file; -EINVAL: malformed, with a text that names file and line;
 *           -ENOMEM; other -errno of the file.
 */
#ifndef MILLRACE_BASE_CONTEXTS_H
#define MILLRACE_BASE_CONTEXTS_H

#include <stddef.h>

#define MR_CONTEXTS_MAX            64
#define MR_CONTEXTS_NAME_BYTES     64 /* with the NUL, like the others */
#define MR_CONTEXTS_SERVER_BYTES   1024
#define MR_CONTEXTS_RUN_DIR_BYTES  108
#define MR_CONTEXTS_TEXT_BYTES     256
#define MR_CONTEXTS_FILE_BYTES_MAX 65536
#define MR_CONTEXTS_PATH_BYTES     512

struct mr_context {
	char name[MR_CONTEXTS_NAME_BYTES]; /* letters, digits, '.', '_' and '-' */
	char server[MR_CONTEXTS_SERVER_BYTES];
	char run_dir[MR_CONTEXTS_RUN_DIR_BYTES];  /* empty: that of the attach socket */
	char description[MR_CONTEXTS_TEXT_BYTES]; /* may be empty */
	char *rest;                               /* lines of other keys; NULL: none */
};

struct mr_contexts {
	char current[MR_CONTEXTS_NAME_BYTES]; /* empty: none */
	unsigned count;
	struct mr_context at[MR_CONTEXTS_MAX];
};

/* Writes the path of the user's file. -ENOENT: neither XDG_CONFIG_HOME nor HOME is set. */
int mr_contexts_path(char *out, size_t out_bytes);

struct mr_contexts *mr_contexts_new(void);
/* Reads the file. *out is NULL on failure. */
int mr_contexts_load(const char *path, struct mr_contexts **out, char *error, size_t error_bytes);
void mr_contexts_free(struct mr_contexts *c);

/* Returns the context of this name, or NULL. */
struct mr_context *mr_contexts_find(struct mr_contexts *c, const char *name);

/* 0, or -EINVAL for a name that no context can have. */
int mr_contexts_check_name(const char *name);

#endif
