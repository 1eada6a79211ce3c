/* SPDX-License-Identifier: Apache-2.0 */
/* mr_fb: the includes of a generated header: reading, verifying and building FlatBuffers.
 *
 * Programs include the header of their schema ("flatbuf/wire.h"), which includes this one.
 */
#ifndef MILLRACE_FLATBUF_RUNTIME_MR_FB_H
#define MILLRACE_FLATBUF_RUNTIME_MR_FB_H

#include "flatbuf/runtime/build.h"
#include "flatbuf/runtime/read.h"
#include "flatbuf/runtime/verify.h"

#endif
