/* SPDX-License-Identifier: Apache-2.0 */
/* edit: an operator who changes the options of queues and of the service while they are in use.
 *
 * The model follows each edit. The programs do not know of it: they ask for their own options each
 * time they open a queue.
 *
 * Threads   The world's processes'.
 */
#ifndef MILLRACE_TESTS_SIM_EDIT_H
#define MILLRACE_TESTS_SIM_EDIT_H

/* Changes some options of some queue, or tries to change what cannot be changed. */
void edit_some(void);

#endif
