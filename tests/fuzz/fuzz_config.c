/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_config: any bytes as a configuration file and, after the first NUL, as a --set. An accepted
 * configuration must keep every promise of struct mr_config. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "flatbuf/link.h"
#include "lib/config/config.h"
#include "lib/wire/subject.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void expect(bool holds)
{
	if (!holds)
		abort();
}

static bool power_of_two(uint32_t v)
{
	return v != 0 && (v & (v - 1)) == 0;
}

static void expect_valid_port(const struct mr_config_port *p)
{
	expect(memchr(p->name, '\0', sizeof(p->name)) != NULL && p->name[0] != '\0');
	expect(memchr(p->device, '\0', sizeof(p->device)) != NULL && p->device[0] != '\0');
	expect(p->addresses_count >= 1 && p->addresses_count <= MR_CONFIG_PORT_ADDRESSES_MAX);
	for (uint32_t i = 0; i < p->addresses_count; i++)
		expect(p->addresses[i].prefix_bits <= 128);
	expect(p->udp_port != 0);
	expect(p->mtu == 0 || (p->mtu >= 1280 && p->mtu <= 9216));
	expect(power_of_two(p->queue_entries) && p->queue_entries <= 16384);
}

static void expect_valid_template(const struct mr_config_template *t)
{
	expect(memchr(t->pattern, '\0', sizeof(t->pattern)) != NULL);
	expect(mr_pattern_parse(t->pattern, strlen(t->pattern)) == MR_SUBJECT_OK);
	expect(t->options != 0);
	expect((t->options & MRF_QUEUE_OPTION_MAX_DELIVER) == 0 || t->values.max_deliver >= 1);
	expect((t->options & MRF_QUEUE_OPTION_MESSAGES_MAX) == 0 || t->values.messages_max >= 1);
	expect((t->options & MRF_QUEUE_OPTION_WHEN_FULL) == 0 ||
		(t->values.when_full > MRF_QUEUE_FULL_DEFAULT &&
			t->values.when_full <= MRF_QUEUE_FULL_DEAD_LETTER));
}

static void expect_valid_sessions(const struct mr_config *c)
{
	expect(c->sessions.sessions_max >= 1 && c->sessions.sessions_max <= 1048576);
	expect(c->sessions.per_address_max <= 33554432);
	expect(c->peers.share_percent >= 1 && c->peers.share_percent <= 100);
	expect(c->sessions.heartbeat_ms >= 100 && c->sessions.heartbeat_ms <= 60000);
	expect(c->sessions.missed_max >= 1 && c->sessions.missed_max <= 100);
	expect(c->sessions.hellos_per_second >= 1 && c->sessions.hellos_per_second <= 1000000);
	expect(c->access.networks_count <= MR_CONFIG_NETWORKS_MAX);
	for (uint32_t i = 0; i < c->access.networks_count; i++)
		expect(c->access.networks[i].prefix_bits <= 128);
}

static void expect_valid(const struct mr_config *c)
{
	expect(memchr(c->run_dir, '\0', sizeof(c->run_dir)) != NULL && c->run_dir[0] != '\0');
	expect(c->workers.count >= 1 && c->workers.count <= MR_CONFIG_WORKERS_MAX);
	expect(c->workers.cpus_count == 0 || c->workers.cpus_count == c->workers.count);
	expect(c->workers.spin_us <= 1000000);
	expect(c->channels.clients_max >= 1 && c->channels.clients_max <= 65536);
	expect(power_of_two(c->channels.up_ring_bytes) && c->channels.up_ring_bytes >= 256u << 10);
	expect(power_of_two(c->channels.down_ring_bytes));
	expect(power_of_two(c->channels.handoff_ring_bytes));
	expect(power_of_two(c->tables.route_cache_entries));
	expect(power_of_two(c->mesh.ring_entries));
	expect(c->mesh.blocks >= 16 && c->mesh.blocks <= 8192);
	expect(c->access.users_count <= MR_CONFIG_IDS_MAX);
	expect(c->access.groups_count <= MR_CONFIG_IDS_MAX);
	expect(c->ports.open_count <= MR_CONFIG_PORTS_MAX);
	for (uint32_t i = 0; i < c->ports.open_count; i++)
		expect_valid_port(&c->ports.open[i]);
	expect(c->queues.templates_count <= MR_CONFIG_TEMPLATES_MAX);
	for (uint32_t i = 0; i < c->queues.templates_count; i++)
		expect_valid_template(&c->queues.templates[i]);
	expect_valid_sessions(c);
	expect(c->log.level >= 0 && c->log.level <= 3);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	const uint8_t *nul = bytes > 0 ? memchr(data, '\0', bytes) : NULL;
	size_t file_bytes = nul != NULL ? (size_t)(nul - data) : bytes;
	static struct mr_config c;
	const char *sets[1];
	char path[64], error[256], *set;
	int fd = memfd_create("config", MFD_CLOEXEC), code;

	expect(fd >= 0 && write(fd, data, file_bytes) == (ssize_t)file_bytes);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	set = calloc(1, bytes - file_bytes + 1);
	expect(set != NULL);
	if (nul != NULL)
		memcpy(set, nul + 1, bytes - file_bytes - 1);
	sets[0] = set;
	code = mr_config_load(&c, path, sets, nul != NULL ? 1 : 0, error, sizeof(error));
	if (code == 0)
		expect_valid(&c);
	else
		expect(error[0] != '\0' && strlen(error) < sizeof(error));
	free(set);
	close(fd);
	return 0;
}
