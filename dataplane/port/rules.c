/* SPDX-License-Identifier: Apache-2.0 */
/* Limits of an AF_XDP port, and prefixes that it allows or denies. */
#include <errno.h>

#include "dataplane/port/driver.h"
#include "dataplane/port/xdp/steer.h"

int mr_port_rule_set(struct mr_port *p, const struct mr_config_rule *rule)
{
	return p->steer != NULL ? mr_steer_rule_set(p->steer, rule) : -EOPNOTSUPP;
}

int mr_port_rule_remove(struct mr_port *p, const struct mr_config_rule *rule)
{
	return p->steer != NULL ? mr_steer_rule_remove(p->steer, rule) : -EOPNOTSUPP;
}

const struct mr_config_rule *mr_port_rules(const struct mr_port *p, uint32_t *count)
{
	*count = 0;
	return p->steer != NULL ? mr_steer_rules(p->steer, count) : NULL;
}

int mr_port_rules_configure(struct mr_port *p)
{
	for (uint32_t i = 0; i < p->config->rules_count; i++) {
		int error = mr_port_rule_set(p, &p->config->rules[i]);

		if (error != 0)
			return mr_port_refuse(p, error, "a limit or prefix cannot be set",
				"see limit=, allow= and deny= in ports.open");
	}
	return 0;
}
