/* SPDX-License-Identifier: Apache-2.0 */
/* call: calls a service and prints the reply.
 *
 *   call SERVICE PAYLOAD [ADDRESS]
 *   build/clients/cpp/example_call capitals hello
 *
 * Shows client::call() with a retry: a call without a reply in two seconds is tried once more.
 * Start the example serve first. Exits with 5 if no worker serves the name, with 4 if no reply
 * comes. */
#include <cstdio>

#include <millrace.hpp>

int main(int argc, char **argv)
{
	if (argc < 3) {
		std::fprintf(stderr, "usage: call SERVICE PAYLOAD [ADDRESS]\n");
		return 2;
	}
	try {
		millrace::client c(argc > 3 ? argv[3] : "");
		millrace::call_options options;

		options.timeout = std::chrono::seconds(2);
		options.retries = 1;
		/* The reply is valid until the next call that processes. */
		const auto reply = c.call(argv[1], argv[2], options).payload();
		std::printf("%.*s\n", static_cast<int>(reply.size()), reply.data());
		return 0;
	} catch (const std::system_error &e) {
		std::fprintf(stderr, "call: %s\n", e.what());
		return e.code() == std::errc::host_unreachable ? 5
		       : e.code() == std::errc::timed_out      ? 4
							       : 1;
	}
}
