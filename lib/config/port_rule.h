/* SPDX-License-Identifier: Apache-2.0 */
/* port_rule: limits of a port, and prefixes that it allows or denies.
 *
 * Owns      Nothing.
 * Errors    0, or -EINVAL with what was expected.
 */
#ifndef MILLRACE_CONFIG_PORT_RULE_H
#define MILLRACE_CONFIG_PORT_RULE_H

#include "lib/config/config.h"

#define MR_CONFIG_RATE_MAX 10000000u

/* Parses "sources=1000", "new=100:500" or "10.0.0.0/8=1000:2000": a target, a rate and perhaps a
 * burst. */
int mr_config_limit_parse(const char *text, struct mr_config_rule *out, const char **expected);
/* Parses the prefix of a rule, and clears the bits behind it. */
int mr_config_rule_network(const char *text, struct mr_config_rule *out, const char **expected);
/* Checks kind, rate and burst; a burst of 0 becomes the default, 100 ms of the rate, at least 32
 * packets. */
int mr_config_rule_check(struct mr_config_rule *r, const char **expected);
/* True if both stand in the same place, so that one replaces the other. */
bool mr_config_rule_same(const struct mr_config_rule *a, const struct mr_config_rule *b);
bool mr_config_rule_is_limit(const struct mr_config_rule *r);

#endif
