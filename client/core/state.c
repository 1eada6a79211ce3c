/* SPDX-License-Identifier: Apache-2.0 */
#include "client/core/state.h"

#include <stdio.h>

void mr_state_set(struct mr_client *c, enum mr_state state)
{
	c->state = state;
	mr_state_refuse(c, state == MR_STATE_UP ? 0 : -ENOTCONN);
	if (state == MR_STATE_UP)
		c->backoff_ns = 0;
}

void mr_state_eof(struct mr_client *c, const char *why)
{
	/* The requests of a restoration fail only after the session has ended. */
	if (c->eof || c->state == MR_STATE_LOST)
		return;
	c->eof = true;
	mr_state_refuse(c, -ENOTCONN);
	if (why != NULL)
		snprintf(c->lost_text, sizeof(c->lost_text), "%s", why);
}
