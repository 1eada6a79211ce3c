/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/config/port_rule.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/config/address.h"

#define TARGET_BYTES MR_CONFIG_NETWORK_TEXT_BYTES
#define BURST_LEAST  32u
/* The program reads a clock that advances with the kernel's tick, at most 10 ms. */
#define TICKS_PER_SECOND 100u

bool mr_config_rule_is_limit(const struct mr_config_rule *r)
{
	return r->kind >= MRF_PORT_RULE_KIND_SOURCES && r->kind <= MRF_PORT_RULE_KIND_PREFIX;
}

int mr_config_rule_network(const char *text, struct mr_config_rule *out, const char **expected)
{
	struct mr_config_network *n = &out->network;

	if (mr_config_network_parse(text, n) != 0) {
		*expected = "a network such as 10.0.0.0/8 or fd77::/64";
		return -EINVAL;
	}
	for (unsigned bit = n->prefix_bits; bit < 128; bit++)
		n->address[bit / 8] &= (uint8_t) ~(0x80u >> bit % 8);
	return 0;
}

int mr_config_rule_check(struct mr_config_rule *r, const char **expected)
{
	if (r->kind == MRF_PORT_RULE_KIND_NONE || r->kind > MRF_PORT_RULE_KIND_DENY) {
		*expected = "a limit, or a prefix to allow or deny";
		return -EINVAL;
	}
	if (!mr_config_rule_is_limit(r))
		return 0;
	if (r->rate < 1 || r->rate > MR_CONFIG_RATE_MAX) {
		*expected = "a rate from 1 to 10000000 packets a second";
		return -EINVAL;
	}
	if (r->burst == 0)
		r->burst = r->rate / 10 > BURST_LEAST ? r->rate / 10 : BURST_LEAST;
	if (r->burst < r->rate / TICKS_PER_SECOND || r->burst > 10 * MR_CONFIG_RATE_MAX) {
		*expected = "a burst of at least 10 ms of the rate (rate / 100), at most 100000000";
		return -EINVAL;
	}
	return 0;
}

static int parse_packets(const char *text, char end, const char **rest, uint32_t *out)
{
	char *stop;
	unsigned long value = strtoul(text, &stop, 10);

	if (*text < '0' || *text > '9' || (*stop != end && *stop != '\0') ||
		value > 10 * MR_CONFIG_RATE_MAX)
		return -EINVAL;
	*out = (uint32_t)value;
	*rest = *stop == '\0' ? NULL : stop + 1;
	return 0;
}

static int parse_rate(const char *text, struct mr_config_rule *out)
{
	const char *burst, *rest = NULL;
	int error = parse_packets(text, ':', &burst, &out->rate);

	if (error == 0 && burst != NULL) {
		error = parse_packets(burst, '\0', &rest, &out->burst);
		if (error == 0 && out->burst == 0)
			error = -EINVAL;
	}
	return error;
}

static int parse_target(const char *text, struct mr_config_rule *out, const char **expected)
{
	out->kind = MRF_PORT_RULE_KIND_PREFIX;
	if (strcmp(text, "sources") == 0)
		out->kind = MRF_PORT_RULE_KIND_SOURCES;
	else if (strcmp(text, "new") == 0)
		out->kind = MRF_PORT_RULE_KIND_NEW;
	else
		return mr_config_rule_network(text, out, expected);
	return 0;
}

int mr_config_limit_parse(const char *text, struct mr_config_rule *out, const char **expected)
{
	const char *equals = strchr(text, '=');
	char target[TARGET_BYTES];

	memset(out, 0, sizeof(*out));
	*expected = "sources, new or a network, =RATE or =RATE:BURST, such as sources=1000:2000";
	if (equals == NULL || (size_t)(equals - text) >= sizeof(target))
		return -EINVAL;
	memcpy(target, text, (size_t)(equals - text));
	target[equals - text] = '\0';
	if (parse_target(target, out, expected) != 0 || parse_rate(equals + 1, out) != 0)
		return -EINVAL;
	return mr_config_rule_check(out, expected);
}

static bool is_access(const struct mr_config_rule *r)
{
	return r->kind == MRF_PORT_RULE_KIND_ALLOW || r->kind == MRF_PORT_RULE_KIND_DENY;
}

bool mr_config_rule_same(const struct mr_config_rule *a, const struct mr_config_rule *b)
{
	if (a->kind != b->kind && !(is_access(a) && is_access(b)))
		return false;
	return a->kind == MRF_PORT_RULE_KIND_SOURCES || a->kind == MRF_PORT_RULE_KIND_NEW ||
	       memcmp(&a->network, &b->network, sizeof(a->network)) == 0;
}
