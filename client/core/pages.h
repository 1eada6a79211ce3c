/* SPDX-License-Identifier: Apache-2.0 */
/* pages: memory for large structures that an idle client leaves mostly unused. The kernel gives
 * it page by page, when a page is first touched. */
#ifndef MILLRACE_CLIENT_CORE_PAGES_H
#define MILLRACE_CLIENT_CORE_PAGES_H

#include <stddef.h>

/* Returns zeroed memory, or NULL if there is none. */
void *mr_pages_new(size_t bytes);
/* Takes NULL too. */
void mr_pages_free(void *pages, size_t bytes);

#endif
