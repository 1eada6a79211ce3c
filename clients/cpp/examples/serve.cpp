/* SPDX-License-Identifier: Apache-2.0 */
/* serve: a worker of a service, which answers with the payload in capitals.
 *
 *   serve [-n COUNT] SERVICE [ADDRESS]
 *   build/clients/cpp/example_serve -n 2 capitals
 *
 * Shows client::serve() and respond(). Start several: each request goes to the least recently used
 * worker, and to another if that one dies. Prints "serving" when it is ready, and ends after COUNT
 * requests, 10 by default. */
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <millrace.hpp>

static std::string capitals(std::string_view text)
{
	std::string out(text);

	for (char &c : out)
		c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
	return out;
}

static void serve(millrace::client &c, const char *name, unsigned long wanted)
{
	unsigned long served = 0;

	auto service = c.serve(
		name, [&](millrace::service_ref s, const millrace::delivery &request, bool) {
			s.respond(request.tag(), capitals(request.payload()));
			served++;
		});
	std::printf("serving\n");
	std::fflush(stdout);
	/* wait() sends the heartbeats. */
	while (served < wanted)
		c.wait();
	service.close();
	std::printf("served %lu\n", served);
}

int main(int argc, char **argv)
{
	unsigned long wanted = 10;
	int at = 1;

	if (argc > 2 && std::strcmp(argv[1], "-n") == 0) {
		wanted = std::strtoul(argv[2], nullptr, 10);
		at = 3;
	}
	if (at >= argc) {
		std::fprintf(stderr, "usage: serve [-n COUNT] SERVICE [ADDRESS]\n");
		return 2;
	}
	try {
		millrace::client c(at + 1 < argc ? argv[at + 1] : "");

		serve(c, argv[at], wanted);
		return 0;
	} catch (const std::system_error &e) {
		std::fprintf(stderr, "serve: %s\n", e.what());
		return 1;
	}
}
