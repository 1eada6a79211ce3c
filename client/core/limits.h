/* SPDX-License-Identifier: Apache-2.0 */
/* limits: the largest message that this connection takes. */
#ifndef MILLRACE_CLIENT_CORE_LIMITS_H
#define MILLRACE_CLIENT_CORE_LIMITS_H

#include <stdbool.h>
#include <stddef.h>

struct mr_client;
struct mr_publisher;

/* Sets the limits after an attach, or when the path's frames became smaller, and those of all
 * publishers. `with_subject`: the subject counts too. */
void mr_client_limits(struct mr_client *c, size_t body_bytes_max, bool with_subject);
/* Sets the limit of one publisher. */
void mr_publisher_limit(struct mr_publisher *p);

#endif
