/* SPDX-License-Identifier: Apache-2.0 */
/* sample_data: sample.json as C writes it, as C must read it, and a reader that touches everything.
 */
#ifndef MILLRACE_TESTS_FLATBUF_SAMPLE_DATA_H
#define MILLRACE_TESTS_FLATBUF_SAMPLE_DATA_H

#include "tests/unit/flatbuf/sample.h"

/* Writes what sample.json says; returns the root's reference. */
uint32_t sample_write(struct mrf_builder *b);

/* Reads every field of a verified sample and of all that it holds, known or not, present or not.
 * The sum depends on all of it, so that no read is optimised away.
 */
uint64_t sample_walk(struct mrf_table t);

#endif
