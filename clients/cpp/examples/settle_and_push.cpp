/* SPDX-License-Identifier: Apache-2.0 */
/* settle_and_push: a stage of a pipeline: each order makes a bill and a parcel.
 *
 *   settle_and_push [-n COUNT] ORDERS BILLS PARCELS [ADDRESS]
 *   build/clients/cpp/example_settle_and_push -n 3 example.orders example.bills example.parcels
 *
 * Shows consumer::settle_and_push(): both outputs are accepted, and then the order is acknowledged.
 * Kill it at any time and start it again: each order has one bill and one parcel, if it was pushed
 * exactly once (millrace push does). Prints "pulling" when it is ready, and ends after COUNT
 * orders, 1 by default. */
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include <millrace.hpp>

static void run(millrace::client &c, char **names, unsigned long count)
{
	millrace::consume_options options;
	auto bills = c.open_queue(names[1]), parcels = c.open_queue(names[2]);

	options.manual = true;
	auto orders = c.consume(names[0], options);
	std::puts("pulling");
	std::fflush(stdout);
	for (unsigned long i = 0; i < count;) {
		const auto order = orders.pull();

		if (!order)
			continue;
		const std::string text = "to pay: " + std::string(order->payload());
		const millrace::push_message bill(text), parcel(order->payload());
		/* If the program dies before this returns, the order comes again, and nothing is
		 * doubled. */
		orders.settle_and_push(*order, {{bills, bill}, {parcels, parcel}});
		i++;
	}
}

int main(int argc, char **argv)
{
	unsigned long count = 1;
	int at = 1;

	if (argc > 2 && std::strcmp(argv[1], "-n") == 0) {
		count = std::strtoul(argv[2], nullptr, 10);
		at = 3;
	}
	if (at + 2 >= argc) {
		std::fprintf(stderr,
			"usage: settle_and_push [-n COUNT] ORDERS BILLS PARCELS [ADDRESS]\n");
		return 2;
	}
	try {
		millrace::client c(at + 3 < argc ? argv[at + 3] : "");

		run(c, argv + at, count);
		return 0;
	} catch (const std::system_error &e) {
		std::fprintf(stderr, "settle_and_push: %s\n", e.what());
		return 1;
	}
}
