/* SPDX-License-Identifier: Apache-2.0 */
/* request: sends one request and prints the reply.
 *
 *   request SUBJECT PAYLOAD [ADDRESS]
 *   build/clients/cpp/example_request greet hello
 *
 * Shows client::request() and errors by their code. Start the example reply first. Exits with 5 if
 * nobody serves the subject, with 4 if no reply comes in two seconds. */
#include <cstdio>

#include <millrace.hpp>

int main(int argc, char **argv)
{
	if (argc < 3) {
		std::fprintf(stderr, "usage: request SUBJECT PAYLOAD [ADDRESS]\n");
		return 2;
	}
	try {
		millrace::client c(argc > 3 ? argv[3] : "");
		/* The reply is valid until the next call that processes. */
		const auto reply = c.request(argv[1], argv[2], std::chrono::seconds(2)).payload();

		std::printf("%.*s\n", static_cast<int>(reply.size()), reply.data());
		return 0;
	} catch (const std::system_error &e) {
		std::fprintf(stderr, "request: %s\n", e.what());
		return e.code() == std::errc::host_unreachable ? 5
		       : e.code() == std::errc::timed_out      ? 4
							       : 1;
	}
}
