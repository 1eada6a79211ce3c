/* SPDX-License-Identifier: Apache-2.0 */
/* ticket: numbers by which waiting messages are cancelled, and pushes that repeat. */
#ifndef MILLRACE_CLIENT_QUEUE_TICKET_H
#define MILLRACE_CLIENT_QUEUE_TICKET_H

#include "client/queue/queue.h"

/* Checks ticket, every_ms and cron of a push: 0, or -EINVAL. */
int mr_ticket_check(const struct mr_queue *q, const struct mr_push *push);
/* Copies them to the options. */
void mr_ticket_options(const struct mr_push *push, struct mrf_push_options *out);
/* Returns the bytes that the header Millrace-Cron adds to the push's header block. */
size_t mr_ticket_header_bytes(const struct mr_push *push);
/* Writes the push's header block with that header; false: the block has no first line. */
bool mr_ticket_header_write(const struct mr_push *push, char *to);

#endif
