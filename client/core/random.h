/* SPDX-License-Identifier: Apache-2.0 */
/* random: unpredictable numbers from the kernel (getrandom), fetched many at a time. */
#ifndef MILLRACE_CLIENT_CORE_RANDOM_H
#define MILLRACE_CLIENT_CORE_RANDOM_H

#include <stdint.h>

struct mr_client;

uint32_t mr_random(struct mr_client *c);

#endif
