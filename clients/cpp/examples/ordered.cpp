/* SPDX-License-Identifier: Apache-2.0 */
/* ordered: work in the order of its key: the steps of one order are done one after the other, those
 * of other orders meanwhile.
 *
 *   ordered [-n COUNT] QUEUE [ADDRESS]
 *   build/clients/cpp/example_ordered -n 2 example.ordered
 *
 * Shows MR_POLICY_KEY_SHARED, push_message with `key`, and consumer::pull_batch() with a longest
 * wait. Pushes the steps of COUNT orders, 2 by default, and takes them in batches: however many
 * messages wait, a batch has at most one of each order. Start several: each order is at one of
 * them. */
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include <millrace.hpp>

static constexpr const char *steps[] = {"paid", "packed", "shipped"};
static constexpr unsigned batch_max = 16;
static constexpr std::chrono::milliseconds longest_wait(200);

static void push_steps(millrace::client &c, const char *name, unsigned long orders)
{
	millrace::push_options options;

	options.queue.policy = MR_POLICY_KEY_SHARED;
	auto queue = c.open_queue(name, options);
	for (const char *step : steps) {
		for (unsigned long order = 1; order <= orders; order++) {
			millrace::push_message m(step);

			m.key = "order-" + std::to_string(order);
			while (!queue.push(m))
				c.wait(std::chrono::milliseconds(10));
		}
	}
	c.settle(std::chrono::seconds(5));
}

static void work_all(millrace::client &c, const char *name, std::size_t left)
{
	millrace::consume_options options;

	options.manual = true;
	options.prefetch = batch_max;
	options.queue.policy = MR_POLICY_KEY_SHARED;
	auto jobs = c.consume(name, options);
	while (left > 0) {
		for (const auto &job : jobs.pull_batch(batch_max, longest_wait)) {
			const std::string key(job.message().header("Millrace-Key").value_or("-"));
			const std::string step(job.payload());

			std::printf("%s %s\n", key.c_str(), step.c_str());
			std::fflush(stdout);
			jobs.ack(job); /* the next step of this order is delivered now */
			left--;
		}
	}
}

int main(int argc, char **argv)
{
	unsigned long count = 2;
	int at = 1;

	if (argc > 2 && std::strcmp(argv[1], "-n") == 0) {
		count = std::strtoul(argv[2], nullptr, 10);
		at = 3;
	}
	if (at >= argc) {
		std::fprintf(stderr, "usage: ordered [-n COUNT] QUEUE [ADDRESS]\n");
		return 2;
	}
	try {
		millrace::client c(at + 1 < argc ? argv[at + 1] : "");

		push_steps(c, argv[at], count);
		work_all(c, argv[at], count * std::size(steps));
		return 0;
	} catch (const std::system_error &e) {
		std::fprintf(stderr, "ordered: %s\n", e.what());
		return 1;
	}
}
