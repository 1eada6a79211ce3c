/* SPDX-License-Identifier: Apache-2.0 */
/* multicast: parses an entry of multicast.ranges: RANGE[,prefix=SUBJECT][,hops=N].
 *
 * Owns      Nothing.
 * Errors    -EINVAL with a struct mr_config_fault.
 */
#ifndef MILLRACE_CONFIG_MULTICAST_H
#define MILLRACE_CONFIG_MULTICAST_H

#include "lib/config/keys.h"

int mr_config_multicast_parse(
	const char *text, struct mr_config_multicast *out, struct mr_config_fault *f);

#endif
