#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# xdp_queues: an interface with several queues is one port, with a worker a queue. There may be more workers than queues.
. "$(dirname "$0")/../support/lib.sh"
. "$(dirname "$0")/../support/net.sh"
net_needs

clients=12
far() { "${net_in[@]}" "$@"; }
# Prints the number of workers to which frames came.
workers_reached() {
	"$millrace" counters --json | jq '[.[] | select(.scope == "worker" and .name == "frames_rx" and .value > 0)] | length'
}
reached_above() { [ "$(workers_reached)" -gt "$1" ]; }
frames_of() {
	"$millrace" counters --json | jq "[.[] | select(.scope == \"worker\" and .index == $1 and .name == \"frames_rx\") | .value] | add // 0"
}
# serve QUEUES WORKERS: far clients on several flows, and a local one, get what others publish.
serve() {
	local pids=() i

	net_pair "$1"
	ip address add "$net_bus4/24" dev "$net_port"
	bus_start --workers "$2" --set workers.poll=adaptive --port "af_xdp,interface=$net_port"
	expect_json <("$millrace" ports --json) '.[0] | [.queues, .link]' "[$1,\"up\"]"
	for ((i = 0; i < clients; i++)); do
		start "far$i" far "$millrace" --server "udp://$net_bus4" sub 'flow.>' -n 2
		pids+=("$pid")
	done
	start local "$millrace" sub 'flow.>' -n 2
	pids+=("$pid")
	wait_for "all are subscribed" subscriptions_above "$clients"
	wait_for "several workers have frames" reached_above 1
	"$millrace" pub flow.near one
	far "$millrace" --server "udp://$net_bus4" pub flow.far two
	for i in "${pids[@]}"; do
		wait_child "$i" "a subscriber"
	done
	for ((i = 0; i < clients; i++)); do
		expect_equal "what far$i got" "$(sort "$dir/far$i.out" | xargs)" 'flow.far two flow.near one'
	done
	expect_json <("$millrace" ports --json) '.[0] | [.xdp_no_socket, .xdp_bus == .rx_packets]' '[0,true]'
}
done_with() {
	bus_stop
	ip link del "$net_port"
}

for queues in 2 4; do
	say "$queues queues, $queues workers"
	serve "$queues" "$queues"
	done_with
done

say "2 queues, 4 workers: the last two serve channels and the mesh"
serve 2 4
expect_equal "frames of worker 2" "$(frames_of 2)" 0
expect_equal "frames of worker 3" "$(frames_of 3)" 0
done_with

say "more queues than workers are refused"
net_pair 4
ip address add "$net_bus4/24" dev "$net_port"
expect_status 1 "$millrace" up --run-dir "$run" --workers 2 --port "af_xdp,interface=$net_port"
expect_match refusal "$errors" 'more receive queues than workers.*rx_queues=4 tx_queues=4 workers=2'
