/* SPDX-License-Identifier: Apache-2.0 */
/* relay: a bad path between clients and a bus, as a program. Prints its port when it is ready. On
 * SIGTERM or SIGINT it prints the faults that it caused, for each direction. */
#include <errno.h>
#include <getopt.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/bench/relay.h"

#define STEP_MS 200

static const char usage[] =
	"usage: relay [OPTION...] BUS PORT\n"
	"  --listen ADDRESS   address for clients; the port is chosen; default 127.0.0.1\n"
	"  --drop P, --duplicate P, --reorder P, --corrupt P   percent of the packets\n"
	"  --delay-us N, --jitter-us N\n"
	"  --direction both|up|down   for the faults named after it; up is to the bus\n"
	"  --seed N\n"
	"  --rebind-after N   after N packets of a client the bus sees it at another port\n";

static volatile sig_atomic_t ended;

static void end(int number)
{
	(void)number;
	ended = 1;
}

enum option_key {
	DROP = 256,
	DUPLICATE,
	REORDER,
	CORRUPT,
	DELAY,
	JITTER,
	DIRECTION,
	SEED,
	REBIND,
	LISTEN,
};

static const struct option keys[] = {
	{"drop", required_argument, NULL, DROP},
	{"duplicate", required_argument, NULL, DUPLICATE},
	{"reorder", required_argument, NULL, REORDER},
	{"corrupt", required_argument, NULL, CORRUPT},
	{"delay-us", required_argument, NULL, DELAY},
	{"jitter-us", required_argument, NULL, JITTER},
	{"direction", required_argument, NULL, DIRECTION},
	{"seed", required_argument, NULL, SEED},
	{"rebind-after", required_argument, NULL, REBIND},
	{"listen", required_argument, NULL, LISTEN},
	{0},
};

static bool resolve(const char *host, const char *port, struct sockaddr_storage *out)
{
	const struct addrinfo hints = {
		.ai_socktype = SOCK_DGRAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
	struct addrinfo *found;

	if (getaddrinfo(host, port, &hints, &found) != 0)
		return false;
	memcpy(out, found->ai_addr, found->ai_addrlen);
	freeaddrinfo(found);
	return true;
}

/* Directions that the faults named after it apply to. */
static bool direction(const char *text, bool to[MR_RELAY_DIRECTIONS])
{
	bool both = strcmp(text, "both") == 0;

	to[MR_RELAY_UP] = both || strcmp(text, "up") == 0;
	to[MR_RELAY_DOWN] = both || strcmp(text, "down") == 0;
	return to[MR_RELAY_UP] || to[MR_RELAY_DOWN];
}

static void fault(struct mr_faults *f, int key, const char *text)
{
	switch (key) {
	case DROP: f->drop = atof(text); break;
	case DUPLICATE: f->duplicate = atof(text); break;
	case REORDER: f->reorder = atof(text); break;
	case CORRUPT: f->corrupt = atof(text); break;
	case DELAY: f->delay_us = (uint32_t)atol(text); break;
	default: f->jitter_us = (uint32_t)atol(text); break;
	}
}

static bool parse(int argc, char **argv, struct mr_relay_options *o)
{
	bool to[MR_RELAY_DIRECTIONS] = {true, true};
	const char *listen = "127.0.0.1";
	int key;

	while ((key = getopt_long(argc, argv, "", keys, NULL)) != -1) {
		switch (key) {
		case '?': return false;
		case LISTEN: listen = optarg; break;
		case SEED: o->seed = strtoull(optarg, NULL, 0); break;
		case REBIND: o->rebind_after = strtoull(optarg, NULL, 0); break;
		case DIRECTION:
			if (!direction(optarg, to))
				return false;
			break;
		default:
			for (unsigned i = 0; i < MR_RELAY_DIRECTIONS; i++) {
				if (to[i])
					fault(&o->faults[i], key, optarg);
			}
		}
	}
	return argc == optind + 2 && resolve(listen, "0", &o->listen) &&
	       resolve(argv[optind], argv[optind + 1], &o->bus);
}

static void report(const char *name, const struct mr_relay_counts *c)
{
	printf("%s received %llu sent %llu dropped %llu duplicated %llu reordered %llu "
	       "corrupted %llu refused %llu\n",
		name, (unsigned long long)c->received, (unsigned long long)c->sent,
		(unsigned long long)c->dropped, (unsigned long long)c->duplicated,
		(unsigned long long)c->reordered, (unsigned long long)c->corrupted,
		(unsigned long long)c->refused);
}

int main(int argc, char **argv)
{
	const struct sigaction on_end = {.sa_handler = end};
	struct mr_relay_options options = {.seed = 1};
	struct mr_relay *relay;
	int error;

	if (!parse(argc, argv, &options)) {
		fputs(usage, stderr);
		return 2;
	}
	sigaction(SIGTERM, &on_end, NULL);
	sigaction(SIGINT, &on_end, NULL);
	error = mr_relay_open(&options, &relay);
	if (error != 0) {
		fprintf(stderr, "relay: %s\n", strerror(-error));
		return 1;
	}
	printf("port %u\n", mr_relay_port(relay));
	fflush(stdout);
	while (!ended && (error == 0 || error == -EINTR))
		error = mr_relay_step(relay, STEP_MS);
	report("up", mr_relay_counts(relay, MR_RELAY_UP));
	report("down", mr_relay_counts(relay, MR_RELAY_DOWN));
	mr_relay_close(relay);
	return ended ? 0 : 1;
}
