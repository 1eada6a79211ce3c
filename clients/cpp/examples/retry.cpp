/* SPDX-License-Identifier: Apache-2.0 */
/* retry: a job that fails: it comes back later each time, and ends as a dead letter with the
 * reason.
 *
 *   retry [-n COUNT] QUEUE PAYLOAD [ADDRESS]
 *   build/clients/cpp/example_retry -n 3 example.mails 'to: anna'
 *
 * Shows `max_deliver` and the back-off of a queue, consumer::nack() with an error,
 * delivery::attempts(), and the headers in which the next attempt finds the last error, and a dead
 * letter its reason. The job has COUNT attempts, 3 by default, and fails in all. Then it is in
 * QUEUE.dead. */
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include <millrace.hpp>

/* The value of a header; a dash without one. */
static std::string value(const millrace::delivery &d, const char *name)
{
	return std::string(d.message().header(name).value_or("-"));
}

static void fail_each(
	millrace::client &c, const char *name, const char *payload, unsigned long count)
{
	millrace::push_options push;
	millrace::consume_options options;

	options.manual = true;
	options.queue.max_deliver = static_cast<std::uint16_t>(count);
	options.retry.min_ms = 50;
	options.retry.max_ms = 1000;
	options.retry.factor = 200;
	push.queue = options.queue;
	push.retry = options.retry;
	auto queue = c.open_queue(name, push);
	queue.push(payload);
	c.settle(std::chrono::seconds(5));
	auto jobs = c.consume(name, options);
	for (unsigned long i = 0; i < count;) {
		const auto job = jobs.pull();

		if (!job)
			continue;
		const std::string attempt = std::to_string(job->attempts() + 1);
		std::printf("attempt %s, error before: %s\n", attempt.c_str(),
			value(*job, "Millrace-Error").c_str());
		std::fflush(stdout);
		/* Without a delay of its own: the back-off of the queue has it. */
		jobs.nack(
			*job, true, std::chrono::milliseconds(0), "no host in attempt " + attempt);
		i++;
	}
	jobs.close();
}

static void print_dead_letter(millrace::client &c, const char *name)
{
	millrace::consume_options options;

	options.manual = true;
	auto letters = c.consume(std::string(name) + ".dead", options);
	for (;;) {
		const auto letter = letters.pull();

		if (!letter)
			continue;
		std::printf("dead letter: %s, reason: %s, attempts: %s, last error: %s\n",
			std::string(letter->payload()).c_str(),
			value(*letter, "Millrace-Dead-Reason").c_str(),
			value(*letter, "Millrace-Dead-Count").c_str(),
			value(*letter, "Millrace-Error").c_str());
		letters.ack(*letter);
		return;
	}
}

int main(int argc, char **argv)
{
	unsigned long count = 3;
	int at = 1;

	if (argc > 2 && std::strcmp(argv[1], "-n") == 0) {
		count = std::strtoul(argv[2], nullptr, 10);
		at = 3;
	}
	if (at + 1 >= argc) {
		std::fprintf(stderr, "usage: retry [-n COUNT] QUEUE PAYLOAD [ADDRESS]\n");
		return 2;
	}
	try {
		millrace::client c(at + 2 < argc ? argv[at + 2] : "");

		fail_each(c, argv[at], argv[at + 1], count);
		print_dead_letter(c, argv[at]);
		return 0;
	} catch (const std::system_error &e) {
		std::fprintf(stderr, "retry: %s\n", e.what());
		return 1;
	}
}
