# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154
# net: networks of a scenario's own, for ports. Sourced after lib.sh. All names carry the number of the
# scenario's process; what was made goes when it ends.
#
#   net_need_root       skips the scenario where namespaces cannot be made
#   net_pair N [QUEUES] a veth pair: $net_near here, for the bus, and $net_far in the namespace $net_space
#   net_in COMMAND...   in that namespace

net_spaces=()
net_links=()

net_need_root() {
	local tool

	[ "$(id -u)" -eq 0 ] || skip "needs root, for network namespaces"
	for tool in ip ethtool; do
		command -v "$tool" >/dev/null || skip "$tool is not installed"
	done
	[ -e /dev/net/tun ] || skip "there is no /dev/net/tun"
	ip netns add "mr$$-try" 2>/dev/null || skip "network namespaces cannot be made"
	ip netns del "mr$$-try"
	trap net_finish EXIT
}

net_pair() {
	local queues=${2:-1}

	net_near=mr$$n$1
	net_far=mr$$f$1
	net_space=mr$$-$1
	ip netns add "$net_space"
	net_spaces+=("$net_space")
	ip link add "$net_near" numrxqueues "$queues" numtxqueues "$queues" type veth \
		peer name "$net_far" numrxqueues "$queues" numtxqueues "$queues"
	net_links+=("$net_near")
	ip link set "$net_far" netns "$net_space"
	ip link set "$net_near" up
	ip -n "$net_space" link set lo up
	ip -n "$net_space" link set "$net_far" up
	# Else it leaves checksums to a device that is none.
	net_in ethtool -K "$net_far" tx off >/dev/null
}

net_in() { ip netns exec "$net_space" "$@"; }

# Before lib.sh's own, which removes the directory and ends the script.
net_finish() {
	local status=$? name

	for name in ${net_links[@]+"${net_links[@]}"}; do
		ip link del "$name" 2>/dev/null || true
	done
	for name in ${net_spaces[@]+"${net_spaces[@]}"}; do
		ip netns del "$name" 2>/dev/null || true
	done
	set +e
	(exit "$status")
	finish
}
