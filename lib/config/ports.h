/* SPDX-License-Identifier: Apache-2.0 */
/* ports: the texts of ports.open, one a port: DRIVER,key=value,key=value,...
 *
 * Owns      Nothing.
 * Errors    -EINVAL with a fault that says which part is wrong and what it should be.
 */
#ifndef MILLRACE_CONFIG_PORTS_H
#define MILLRACE_CONFIG_PORTS_H

#include "lib/config/keys.h"

#define MR_CONFIG_UDP_PORT      7400
#define MR_CONFIG_QUEUE_ENTRIES 2048

/* As the configuration calls it. */
const char *mr_config_driver_name(enum mr_config_driver driver);

/* Parses one text; `index` is its place in the list and makes the default name. */
int mr_config_port_parse(
	const char *text, uint32_t index, struct mr_config_port *out, struct mr_config_fault *f);
/* What cannot be said of one port alone: names, devices and addresses that two of them share. A memif
 * has an interface a worker, numbered from its id on. */
int mr_config_ports_check(const struct mr_config_port *ports, uint32_t count, uint32_t workers,
	struct mr_config_fault *f);

#endif
