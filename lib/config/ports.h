/* SPDX-License-Identifier: Apache-2.0 */
/* ports: parses the texts of ports.open, one for each port: DRIVER,key=value,key=value,...
 *
 * Owns      Nothing.
 * Errors    -EINVAL with the faulty part and the expected one.
 */
#ifndef MILLRACE_CONFIG_PORTS_H
#define MILLRACE_CONFIG_PORTS_H

#include "lib/config/keys.h"

#define MR_CONFIG_UDP_PORT      7400
#define MR_CONFIG_QUEUE_ENTRIES 2048

/* Returns the driver's name in the configuration. */
const char *mr_config_driver_name(enum mr_config_driver driver);

/* Parses one text. `index` is its place in the list, which makes the default name. */
int mr_config_port_parse(
	const char *text, uint32_t index, struct mr_config_port *out, struct mr_config_fault *f);
/* Checks ports against each other: no two may share a name, device or address. A memif port has one
 * interface for each worker, numbered from its id. */
int mr_config_ports_check(const struct mr_config_port *ports, uint32_t count, uint32_t workers,
	struct mr_config_fault *f);

#endif
