/* SPDX-License-Identifier: Apache-2.0 */
/* Checks the new addresses of sessions whose clients have moved. The worker has adopted the path,
 * which the client has proved, and rings; a client that may not be there is closed. */
#include "dataplane/writer/writer.h"

#include <errno.h>

#include "lib/wire/path.h"

static bool in_network(const uint8_t network[16], unsigned prefix_bits, const uint8_t address[16])
{
	unsigned whole = prefix_bits / 8, rest = prefix_bits % 8;

	return memcmp(network, address, whole) == 0 &&
	       (rest == 0 || (network[whole] ^ address[whole]) >> (8 - rest) == 0);
}

/* True if hosts at the address may have sessions; the rule that control applies to hellos. */
static bool is_admitted(const struct mr_writer *wr, const struct mrf_network_path *path)
{
	const struct mr_config *c = wr->config;
	const struct mr_port *p = &wr->ports[path->port];
	uint8_t peer[16];

	memcpy(peer, &path->peer_0, 8);
	memcpy(peer + 8, &path->peer_1, 8);
	for (uint32_t i = 0; i < c->access.networks_count; i++)
		if (in_network(
			    c->access.networks[i].address, c->access.networks[i].prefix_bits, peer))
			return true;
	for (uint32_t i = 0; c->access.networks_count == 0 && i < p->addresses_count; i++)
		if (in_network(p->addresses[i].address.bytes, p->addresses[i].prefix_bits, peer))
			return true;
	return false;
}

/* Counts the session at its new host. -EDQUOT: that host has as many as it may have. */
static int move_share(
	struct mr_writer *wr, struct mr_writer_remote *entry, const struct mrf_network_path *path)
{
	uint64_t of = MR_SHARE_OF(MR_WRITER_REMOTES, 0);
	uint64_t peer = mr_path_peer(path, wr->config->peers.ip6_prefix_bits);
	int error;

	if (peer == entry->counted)
		return 0;
	error = mr_share_take(&wr->shares, peer, of, 1, mr_writer_remotes_share(wr));
	if (error != 0)
		return error;
	mr_share_give(&wr->shares, entry->counted, of, 1);
	entry->counted = peer;
	return 0;
}

void mr_writer_remote_moved(
	struct mr_writer *wr, struct mr_session *s, struct mr_writer_remote *entry)
{
	uint64_t moves = __atomic_load_n(&s->stats->paths_changed, __ATOMIC_RELAXED);
	struct mrf_network_path path;

	if (moves == entry->moves || s->closing)
		return;
	entry->moves = moves;
	path = mr_writer_remote_path(s);
	if (path.port >= wr->ports_count || !is_admitted(wr, &path))
		mr_writer_session_expel(wr, s, -EACCES,
			"its client moved to a network that may not open sessions "
			"(access.networks)");
	else if (move_share(wr, entry, &path) != 0)
		mr_writer_session_expel(wr, s, -EDQUOT,
			"its client moved to an address with too many sessions "
			"(sessions.per_address_max, or its share)");
}
