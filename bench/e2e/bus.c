/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/e2e/bus.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/micro/support/bench.h"
#include "flatbuf/admin.h"
#include "tests/support/hostile/raw.h"

#define ANSWER_BYTES_MAX (1u << 20)

static void read_all(int fd, void *to, size_t bytes)
{
	for (size_t at = 0; at < bytes;) {
		ssize_t n = read(fd, (char *)to + at, bytes - at);

		if (n <= 0)
			bench_check(n == 0 ? -EPIPE : -errno, "admin socket");
		at += (size_t)n;
	}
}

static void send_request(int fd)
{
	struct mrf_admin_request request = {.verb = MRF_ADMIN_VERB_COUNTERS};
	struct mrf_builder b;
	uint64_t memory[32];
	const void *data;
	uint32_t bytes;
	size_t length;

	mrf_builder_init(&b, memory, sizeof(memory));
	bench_check(mrf_builder_finish(&b, mrf_admin_request_write(&b, &request), &data, &length),
		"request");
	bytes = (uint32_t)length;
	if (write(fd, &bytes, sizeof(bytes)) < 0 || write(fd, data, length) < 0)
		bench_check(-errno, "admin socket");
}

static struct mrf_table ask(const char *admin_path)
{
	static uint64_t answer[ANSWER_BYTES_MAX / sizeof(uint64_t)];
	struct mrf_table response;
	uint32_t bytes;
	int fd = mr_raw_connect(admin_path, SOCK_STREAM);

	bench_check(fd < 0 ? fd : 0, "admin socket");
	send_request(fd);
	read_all(fd, &bytes, sizeof(bytes));
	bench_check(bytes > sizeof(answer) ? -EMSGSIZE : 0, "answer");
	read_all(fd, answer, bytes);
	close(fd);
	bench_check(mrf_admin_response_parse(answer, bytes, &response), "answer");
	return mrf_admin_response_body_as_admin_counters(response);
}

void bench_bus_counters(const char *admin_path, struct bench_counter *counters, size_t count)
{
	struct mrf_table all = ask(admin_path);

	for (size_t c = 0; c < count; c++) {
		bool found = false;

		counters[c].value = 0;
		for (uint32_t i = 0; i < mrf_admin_counters_rows_count(all); i++) {
			struct mrf_table row = mrf_admin_counters_rows_at(all, i);

			if (strcmp(mrf_admin_counter_name(row).data, counters[c].name) != 0)
				continue;
			counters[c].value += mrf_admin_counter_value(row);
			found = true;
		}
		bench_check(found ? 0 : -ENOENT, counters[c].name);
	}
}
