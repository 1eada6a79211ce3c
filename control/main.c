/* SPDX-License-Identifier: Apache-2.0 */
/* millrace-control, the slow path: reads the configuration, sets no_new_privs, runs control.c. */
#include <sys/prctl.h>

#include "lib/config/arguments.h"
#include "control/control.h"
#include "lib/base/files.h"
#include "lib/base/log.h"

static const char purpose[] =
	"Control admits clients, asks the data plane to change its tables, and answers the\n"
	"command line. Usually `millrace up` or the service manager starts it. You may stop and\n"
	"start it at any time: messages flow without it.\n";

int main(int argc, char **argv)
{
	static struct mr_config config;
	static struct mr_control control;
	int status;

	if (mr_arguments_load(argc, argv, "millrace-control", purpose, &config, &status) != 0)
		return status;
	mr_log_init("millrace-control", (enum mr_log_level)config.log.level, config.log.json);
	/* Neither control nor a program that it executes can gain privileges. */
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	(void)mr_log_start();
	(void)mr_files_limit_raise();
	if (mr_control_open(&control, &config) != 0)
		return 1;
	mr_control_run(&control);
	mr_control_close(&control);
	mr_log(MR_LOG_INFO, "control stopped");
	return 0;
}
