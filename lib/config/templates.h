/* SPDX-License-Identifier: Apache-2.0 */
/* templates: parses the texts of queues.templates: PATTERN,key=value,key=value,...
 *
 * PATTERN matches names of queues as a pattern matches subjects. The options are those of
 * `millrace queue edit` (lib/config/queue_option.h). A description takes the rest of the text.
 *
 * Owns      Nothing.
 * Errors    -EINVAL with the faulty part and the expected one.
 */
#ifndef MILLRACE_CONFIG_TEMPLATES_H
#define MILLRACE_CONFIG_TEMPLATES_H

#include "lib/config/keys.h"

int mr_config_template_parse(
	const char *text, struct mr_config_template *out, struct mr_config_fault *f);

#endif
