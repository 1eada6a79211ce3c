/* SPDX-License-Identifier: Apache-2.0 */
/* pull: pulls jobs from a queue, one at a time, and acknowledges each when it is done.
 *
 *   pull [-n COUNT] QUEUE [ADDRESS]
 *   build/clients/cpp/example_pull -n 3 example.jobs
 *
 * Shows client::consume(), consumer::pull(), ack(), nack() and progress(). Start several: they
 * share the jobs. A job with the payload "bad" is rejected, and goes to the dead letters,
 * QUEUE.dead. Prints "pulling" when it is ready, and ends after COUNT deliveries, 1 by default. */
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <millrace.hpp>

static void work(millrace::consumer &consumer, const millrace::delivery &job)
{
	if (job.payload() == "bad") {
		consumer.nack(job, false);
		return;
	}
	/* Work that takes long says so now and then; otherwise another consumer gets the job. */
	consumer.progress(job);
	std::printf("%.*s%s\n", static_cast<int>(job.payload().size()), job.payload().data(),
		job.redelivered() > 0 ? " (again)" : "");
	/* If the program dies before this, another consumer gets the job. */
	consumer.ack(job);
}

int main(int argc, char **argv)
{
	unsigned long count = 1;
	int at = 1;

	if (argc > 2 && std::strcmp(argv[1], "-n") == 0) {
		count = std::strtoul(argv[2], nullptr, 10);
		at = 3;
	}
	if (at >= argc) {
		std::fprintf(stderr, "usage: pull [-n COUNT] QUEUE [ADDRESS]\n");
		return 2;
	}
	try {
		millrace::client c(at + 1 < argc ? argv[at + 1] : "");
		millrace::consume_options options;

		options.manual = true;
		options.prefetch = 1;
		auto consumer = c.consume(argv[at], options);
		std::printf("pulling\n");
		std::fflush(stdout);
		for (unsigned long i = 0; i < count;) {
			if (const auto job = consumer.pull()) {
				work(consumer, *job);
				i++;
			}
		}
		consumer.close();
		return 0;
	} catch (const std::system_error &e) {
		std::fprintf(stderr, "pull: %s\n", e.what());
		return 1;
	}
}
