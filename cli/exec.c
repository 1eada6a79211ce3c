/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/exec.h"

#include <errno.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/jobs.h"

#define LOOK_MS 200 /* longest time until an interrupt is noticed */

static void done(const struct mr_cli_job *job, void *arg)
{
	struct mr_cli_exec *e = arg;

	e->status = job->status;
	e->out_bytes = job->out_bytes <= e->out_capacity ? job->out_bytes : 0;
	if (e->out_bytes > 0)
		memcpy(e->out, job->out, e->out_bytes);
	e->error = job->error;
}

static int run(struct mr_cli_jobs *jobs, struct mr_cli_exec *e)
{
	int rc = mr_cli_jobs_start(jobs, e->environment, e->in, e->in_bytes);

	if (rc < 0)
		return rc;
	while (mr_cli_jobs_step(jobs, done, e) == 0) {
		if (mr_cli_interrupted())
			return -EINTR;
		mr_cli_jobs_wait(jobs, -1, LOOK_MS);
	}
	return e->error;
}

int mr_cli_exec_run(struct mr_cli_exec *e)
{
	struct mr_cli_jobs jobs = {.command = e->command,
		.out_bytes_max = e->out_capacity,
		.timeout_ms = e->timeout_ms};
	int rc = mr_cli_jobs_init(&jobs, 1);

	e->out_bytes = 0;
	rc = rc ? rc : run(&jobs, e);
	mr_cli_jobs_fini(&jobs);
	return rc;
}
