/* SPDX-License-Identifier: Apache-2.0 */
/* millrace-dataplane: opens all modules in order, runs, and closes them in reverse. */
#include <errno.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <rte_launch.h>
#include <rte_lcore.h>

#include "lib/config/arguments.h"
#include "lib/base/files.h"
#include "lib/base/hint.h"
#include "lib/base/log.h"
#include "lib/base/signals.h"
#include "dataplane/eal.h"
#include "dataplane/port/pci.h"
#include "dataplane/privilege.h"
#include "dataplane/writer/writer.h"

/* Descriptors of a data plane without ports and clients; the files of ports come on top. */
#define FILES_MIN        40u
#define FILES_PER_WORKER 8u

static const char purpose[] =
	"Moves the messages. Usually started by `millrace up` or by the system's service "
	"manager.\n";

static int run_worker(void *worker)
{
	mr_privilege_drop(false);
	return mr_worker_run(worker);
}

/* Starts the workers and drops privileges: the ports are open, so root is not needed any more. */
static void run_workers(struct mr_writer *wr)
{
	for (unsigned i = 0; i < wr->workers_count; i++)
		rte_eal_remote_launch(run_worker, wr->workers[i], 1 + i);
	mr_privilege_drop(wr->ports_count > 0);
	mr_log(MR_LOG_INFO, "data plane runs", MR_LOG_U64("workers", wr->workers_count),
		MR_LOG_STR("run_dir", wr->config->run_dir));
}

static void stop_workers(struct mr_writer *wr)
{
	for (unsigned i = 0; i < wr->workers_count; i++)
		mr_worker_stop(wr->workers[i]);
	rte_eal_mp_wait_lcore();
}

static int make_run_dir(const char *path)
{
	int error;

	if (mkdir(path, 0755) == 0 || errno == EEXIST)
		return 0;
	error = -errno;
	mr_log(MR_LOG_ERROR, "cannot make the run directory", MR_LOG_STR("path", path),
		MR_LOG_ERR(error), MR_LOG_STR("hint", mr_hint_start(error)));
	return error;
}

/* DPDK prints a stack and aborts where it has too few descriptors, so they are counted before. */
static int check_files(const struct mr_config *config)
{
	uint64_t least = FILES_MIN + FILES_PER_WORKER * config->workers.count;
	uint64_t limit = mr_files_limit_raise();

	if (limit >= least)
		return 0;
	mr_log(MR_LOG_ERROR, "the limit of open files is too low", MR_LOG_U64("limit", limit),
		MR_LOG_U64("least", least), MR_LOG_STR("hint", mr_hint_start(-EMFILE)));
	return -EMFILE;
}

/* See closed_by_exit in dataplane/port/driver.h. */
static bool has_memif(const struct mr_config *config)
{
	for (uint32_t i = 0; i < config->ports.open_count; i++)
		if (config->ports.open[i].driver == MR_CONFIG_DRIVER_MEMIF)
			return true;
	return false;
}

int main(int argc, char **argv)
{
	static struct mr_config config;
	static struct mr_writer writer;
	int error, status;

	if (mr_arguments_load(argc, argv, "millrace-dataplane", purpose, &config, &status) != 0)
		return status;
	mr_log_init("millrace-dataplane", (enum mr_log_level)config.log.level, config.log.json);
	/* Block the signals before any thread starts: all threads inherit the mask, and the writer
	 * reads them. */
	mr_signals_block();
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	(void)mr_log_start();
	if (make_run_dir(config.run_dir) != 0 || check_files(&config) != 0 ||
		mr_pci_check(&config) != 0 || mr_eal_open(&config) != 0)
		return 1;
	mr_privilege_drop_interrupts();
	error = mr_writer_open(&writer, &config);
	if (error == 0) {
		run_workers(&writer);
		error = mr_writer_run(&writer);
		stop_workers(&writer);
		mr_writer_close(&writer);
		mr_log(MR_LOG_INFO, "data plane stopped");
	}
	if (has_memif(&config)) {
		mr_log_stop();
		_exit(error == 0 ? 0 : 1);
	}
	mr_eal_close();
	return error == 0 ? 0 : 1;
}
