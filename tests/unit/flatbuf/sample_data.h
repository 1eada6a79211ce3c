/* SPDX-License-Identifier: Apache-2.0 */
/* sample_data: the content of sample.json: a writer in C, checks for a reader, and a reader of
 * every field. */
#ifndef MILLRACE_TESTS_FLATBUF_SAMPLE_DATA_H
#define MILLRACE_TESTS_FLATBUF_SAMPLE_DATA_H

#include "tests/unit/flatbuf/sample.h"

/* Writes the content of sample.json; returns the root's reference. */
uint32_t sample_write(struct mrf_builder *b);

/* Reads every field of a verified sample and of its tables, known or not, present or not. The sum
 * depends on all of it, so that no read is optimised away. */
uint64_t sample_walk(struct mrf_table t);

#endif
