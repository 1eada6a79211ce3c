#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# af_xdp.sh: compares the bus and dpdk-testpmd, each behind an AF_XDP port on a veth pair, under the same
# generator at the pair's other end. Needs root and a network namespace of its own. See lib.sh for the options.
. "$(dirname "$0")/lib.sh"

[ "$(id -u)" -eq 0 ] || fail "AF_XDP needs root"
space=mr-bench-$$
in_place=(ip netns exec "$space")

clean_up() { ip netns del "$space" 2>/dev/null || true; }

ip netns add "$space"
"${in_place[@]}" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
# Makes a new pair for each run, so that no program of the run before remains on it.
make_pair() {
	"${in_place[@]}" ip link del mr0 2>/dev/null || true
	"${in_place[@]}" ip link add mr0 numrxqueues 1 numtxqueues 1 type veth \
		peer name mr1 numrxqueues 1 numtxqueues 1
	"${in_place[@]}" ip link set mr0 up
	"${in_place[@]}" ip link set mr1 up
}

testpmd_run() {
	make_pair
	testpmd_start 'net_af_xdp0,iface=mr0,start_queue=0,queue_count=1,force_copy=1,busy_budget=0'
	wait_for "testpmd" grep -q "nb forwarding ports" "$dir/testpmd.log"
	generator_start "$1" --af-xdp mr1 "${@:2}"
	generator_end "$1" "$pid"
}

bus_run() {
	make_pair
	bus_start "af_xdp,interface=mr0,address=10.77.0.1/24"
	generator_start "$1" --af-xdp mr1 "${@:2}"
	generator_end "$1" "$pid"
}

compare testpmd_run bus_run
