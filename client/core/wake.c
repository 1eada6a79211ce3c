/* SPDX-License-Identifier: Apache-2.0 */
/* The flag is set before the descriptor is written, and cleared before it is read. A write that is
 * late leaves the descriptor readable without the flag, which costs one look. A read that takes a
 * new write leaves the flag set, which the next call sees. */
#include "client/core/wake.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "client/core/error.h"

#define POSTS_MAX 1024u

struct mr_posts {
	struct {
		mr_post_fn *run;
		void *arg;
	} ring[POSTS_MAX];
	uint32_t head;
	uint32_t count;
};

int mr_wake_init(struct mr_client *c)
{
	atomic_init(&c->wake.pending, false);
	pthread_mutex_init(&c->wake.lock, NULL);
	c->wake.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return c->wake.fd >= 0 ? 0 : -errno;
}

void mr_wake_fini(struct mr_client *c)
{
	if (c->wake.fd >= 0)
		close(c->wake.fd);
	free(c->wake.posts);
	pthread_mutex_destroy(&c->wake.lock);
}

void mr_wake_clear(struct mr_client *c)
{
	uint64_t count;

	/* Fails if it was empty already. */
	while (read(c->wake.fd, &count, sizeof(count)) < 0 && errno == EINTR)
		continue;
}

void mr_client_wake(struct mr_client *c)
{
	static const uint64_t one = 1;
	int saved = errno;

	if (c == NULL)
		return;
	/* [wake.flag] */
	if (atomic_exchange_explicit(&c->wake.pending, true, memory_order_acq_rel))
		return;
	while (write(c->wake.fd, &one, sizeof(one)) < 0 && errno == EINTR)
		continue;
	errno = saved;
}

static int post(struct mr_client *c, mr_post_fn *run, void *arg)
{
	struct mr_posts *p = c->wake.posts;
	uint32_t at;

	if (p == NULL)
		p = c->wake.posts = calloc(1, sizeof(*p));
	if (p == NULL)
		return -ENOMEM;
	if (p->count == POSTS_MAX)
		return -EAGAIN;
	at = (p->head + p->count++) % POSTS_MAX;
	p->ring[at].run = run;
	p->ring[at].arg = arg;
	return 0;
}

int mr_client_post(struct mr_client *c, mr_post_fn *run, void *arg)
{
	int error;

	/* Errors have the text of the thread: the client may belong to another one. */
	if (c == NULL || run == NULL)
		return mr_fail(NULL, -EINVAL, "mr_client_post: the client or the function is NULL");
	pthread_mutex_lock(&c->wake.lock);
	error = post(c, run, arg);
	pthread_mutex_unlock(&c->wake.lock);
	if (error != 0)
		return mr_fail(NULL, error,
			error == -EAGAIN ? "mr_client_post: too many functions wait" : NULL);
	mr_client_wake(c);
	return 0;
}

static uint32_t posts_count(struct mr_client *c)
{
	uint32_t count;

	pthread_mutex_lock(&c->wake.lock);
	count = c->wake.posts != NULL ? c->wake.posts->count : 0;
	pthread_mutex_unlock(&c->wake.lock);
	return count;
}

static void run_one(struct mr_client *c)
{
	struct mr_posts *p = c->wake.posts;
	mr_post_fn *run;
	void *arg;

	pthread_mutex_lock(&c->wake.lock);
	run = p->ring[p->head].run;
	arg = p->ring[p->head].arg;
	p->head = (p->head + 1) % POSTS_MAX;
	p->count--;
	pthread_mutex_unlock(&c->wake.lock);
	c->depth++;
	run(c, arg);
	c->depth--;
}

unsigned mr_wake_run(struct mr_client *c)
{
	uint32_t count;

	/* [wake.flag] */
	if (!atomic_exchange_explicit(&c->wake.pending, false, memory_order_acq_rel))
		return 0;
	mr_wake_clear(c);
	/* Functions posted by these run the next time. */
	count = posts_count(c);
	for (uint32_t i = 0; i < count; i++)
		run_one(c);
	return count;
}
