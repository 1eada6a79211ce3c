/* SPDX-License-Identifier: Apache-2.0 */
/* address: IP addresses with their prefix length, such as 10.0.0.1/24.
 *
 * Owns      Nothing.
 * Errors    -EINVAL.
 */
#ifndef MILLRACE_CONFIG_ADDRESS_H
#define MILLRACE_CONFIG_ADDRESS_H

#include "lib/config/config.h"

/* "ffff:ffff:…:255.255.255.255/128" */
#define MR_CONFIG_NETWORK_TEXT_BYTES 64

/* Parses "10.0.0.1/24" or "fd77::1/64"; the prefix length is required. */
int mr_config_network_parse(const char *text, struct mr_config_network *out);
void mr_config_network_text(const struct mr_config_network *n, char *out, size_t bytes);
bool mr_config_network_is_ipv4(const struct mr_config_network *n);

#endif
