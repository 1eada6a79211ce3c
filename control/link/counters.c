/* SPDX-License-Identifier: Apache-2.0 */
#include "control/link/counters.h"

#define ENTRY(name, text) {#name, text, offsetof(struct mr_control_counters, name)},

const struct mr_control_counter mr_control_counter_list[] = {MR_CONTROL_COUNTERS(ENTRY)};

const size_t mr_control_counter_list_count =
	sizeof(mr_control_counter_list) / sizeof(mr_control_counter_list[0]);
