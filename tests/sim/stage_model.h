/* SPDX-License-Identifier: Apache-2.0 */
/* stage_model: what is known of the inputs of a pipeline. Private to stage.c and stage_work.c. */
#ifndef MILLRACE_TESTS_SIM_STAGE_MODEL_H
#define MILLRACE_TESTS_SIM_STAGE_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STAGE_INPUTS  400u
#define STAGE_OUTPUTS 3u  /* most of one input */
#define STAGE_INPUT   99u /* place of an input in its body */

enum stage_queue {
	STAGE_IN,
	STAGE_NEAR,
	STAGE_FAR, /* another worker's */
	STAGE_QUEUES,
};

struct stage_body {
	uint32_t magic;
	uint32_t number;
	uint32_t place; /* among the outputs */
};

struct stage_input {
	bool accepted;
	bool taken;
	bool handed;
	bool done;
	bool told_calm; /* a program was told that it is settled, while nothing failed */
	uint32_t sends;
	uint64_t sent; /* order */
	uint64_t session;
	uint64_t tag;
	uint32_t outputs[STAGE_OUTPUTS]; /* times that a queue took it */
	uint32_t received[STAGE_OUTPUTS];
};

const char *stage_name(enum stage_queue queue);
struct stage_input *stage_input(uint32_t number);
struct stage_body stage_body(uint32_t number, uint32_t place);
/* Returns the number of the input in a body, and the place. */
uint32_t stage_number(const void *at, size_t bytes, uint32_t *place);
/* Returns how many outputs the input has, always the same, and their queues. */
unsigned stage_outputs(uint32_t number, enum stage_queue to[STAGE_OUTPUTS]);
/* A program was told that the input is settled. */
void stage_told(uint32_t number);

#endif
