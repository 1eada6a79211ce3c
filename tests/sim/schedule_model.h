/* SPDX-License-Identifier: Apache-2.0 */
/* schedule_model: schedules as programs make them, and the times of cron. Private to schedule.c,
 * schedule_cron.c and schedule_work.c. */
#ifndef MILLRACE_TESTS_SIM_SCHEDULE_MODEL_H
#define MILLRACE_TESTS_SIM_SCHEDULE_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCHEDULE_TICKETS 4u /* from 1 */
#define SCHEDULE_MAX     512u

struct schedule_body {
	uint32_t magic;
	uint32_t number;
};

/* A program's wish for a schedule. */
struct schedule_wish {
	bool far;
	uint64_t ticket;
	uint32_t every_ms; /* 0: by cron */
	unsigned cron;     /* number of the expression */
	uint32_t ttl_ms;   /* of each copy; 0: none */
};

const char *schedule_name(bool far);
uint32_t schedule_limit(void); /* messages_max of both queues */
/* Returns the number of a new wish; 0: there is no room. */
uint32_t schedule_new(struct schedule_wish w);
const struct schedule_wish *schedule_wish(uint32_t number);
struct schedule_body schedule_body(uint32_t number);
/* Returns the number in a body. */
uint32_t schedule_number(const void *at, size_t bytes);
/* A program has got a copy. */
void schedule_handed(uint32_t number);

/* Expressions of cron, by their numbers. */
unsigned schedule_crons(void);
const char *schedule_cron_text(unsigned cron);
/* Returns the first time after unix_ms; UINT64_MAX: none in 42 years. */
uint64_t schedule_cron_next(unsigned cron, uint64_t unix_ms);

#endif
