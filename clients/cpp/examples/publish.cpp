/* SPDX-License-Identifier: Apache-2.0 */
/* publish: publishes one message with a header.
 *
 *   publish SUBJECT PAYLOAD [ADDRESS]
 *   build/clients/cpp/example_publish orders.eu.created '{"id":1}'
 *
 * Shows millrace::client, a header block and errors. Without ADDRESS the library takes
 * MILLRACE_SERVER from the environment. */
#include <cstdio>

#include <millrace.hpp>

int main(int argc, char **argv)
{
	if (argc < 3) {
		std::fprintf(stderr, "usage: publish SUBJECT PAYLOAD [ADDRESS]\n");
		return 2;
	}
	try {
		millrace::client c(argc > 3 ? argv[3] : "");
		millrace::header_block headers;

		headers.add("language", "C++");
		c.publish(argv[1], argv[2], headers);
		/* Waits until the bus has taken the message, as the destructor does. */
		c.close();
		std::printf("published to %s\n", argv[1]);
		return 0;
	} catch (const std::system_error &e) {
		std::fprintf(stderr, "publish: %s\n", e.what());
		return 1;
	}
}
