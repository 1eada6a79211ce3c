#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# reliable: messages promised over UDP arrive once, in order and unchanged, although the path loses, duplicates and
# reorders in both directions, and changes. The relay between the clients and the bus is the path.
. "$(dirname "$0")/../support/lib.sh"
. "$top/tests/support/net.sh"
net_needs

promised=$build/tests/support/promised
relay=$build/tests/support/relay
seed=7

net_pair 1
# The MTU behind the relay: otherwise the client would try larger frames.
"${net_in[@]}" ip link set lo mtu 1500
bus_start --set workers.count=1 --set workers.poll=adaptive --port "$(net_af_xdp)"

# path NAME [OPTION...]: starts a relay beside the clients; sets `address`.
path() {
	local name=$1

	shift
	start "relay-$name" "${net_in[@]}" "$relay" --seed "$seed" "$@" "$net_bus4" 7400
	path_pid=$pid
	wait_for "the relay listens" has_line "$dir/relay-$name.out" '^port '
	address=udp://127.0.0.1:$(sed -n 's/^port //p' "$dir/relay-$name.out")
}
# path_end NAME: stops the relay; sets `path_did` to its report.
path_end() {
	kill "$path_pid"
	wait_child "$path_pid" "relay $1"
	path_did=$(tail -n +2 "$dir/relay-$1.out")
	say "path $1: ${path_did//$'\n'/; }"
}
did() { sed -n "s/^$1 .* $2 \([0-9]*\).*/\1/p" <<<"$path_did"; }

# all_come NAME COUNT [ARGUMENT...]: publishes through the path to itself; all must arrive.
all_come() {
	local name=$1 count=$2

	shift 2
	start "$name" "${net_in[@]}" timeout -k 5 120 "$promised" -n "$count" "$@" "$address" "test.$name"
	patience_s=120 wait_child "$pid" "promised $name"
	figures "$name: $(cat "$dir/$name.out" "$dir/$name.err")"
	expect_equal "exit status of $name" "$status" 0
	expect_json "$dir/$name.out" ".came == $count and .wrong == 0 and .reconnects == 0" true
}

for percent in 0 1 10; do
	say "$percent % lost, each way, with others doubled and out of order"
	path "$percent" --drop "$percent" --duplicate 1 --reorder 2
	all_come "loss$percent" 8000
	path_end "$percent"
done
expect_json "$dir/loss10.out" '.retransmits > 0 and .frames_held > 0 and .frames_duplicate > 0' true
[ "$(did up dropped)" -gt 0 ] || fail "nothing was dropped on the way to the bus"
[ "$(did down dropped)" -gt 0 ] || fail "nothing was dropped on the way from the bus"

say "30 % lost each way: exactly once"
path 30 --drop 30 --duplicate 5 --reorder 5
all_come loss30 2000 -x
path_end 30

say "only one direction"
path up --direction up --drop 10 --reorder 5
all_come up 3000
path_end up
path down --direction down --drop 10 --reorder 5
all_come down 3000
path_end down

say "messages of many fragments"
path pieces --drop 5 --duplicate 1 --reorder 2
all_come pieces 200 -b 30000
path_end pieces

say "a path with a delay"
path delay --delay-us 5000 --jitter-us 2000 --drop 1
all_come delay 3000
path_end delay

say "the client's port changes, and the session stays"
path rebind --rebind-after 500 --drop 1
all_come rebind 6000
path_end rebind
expect_equal "sessions that moved" "$(counter paths_changed)" 1

say "damaged frames: their session may suffer, no other"
path damaged --corrupt 5
start damaged "${net_in[@]}" timeout -k 5 5 "$promised" -n 100000 "$address" test.damaged
damaged_pid=$pid damaged_path_pid=$path_pid
address=udp://$net_bus4:7400
all_come beside 5000
wait_child "$damaged_pid" "promised damaged"
path_pid=$damaged_path_pid
path_end damaged
[ "$(did up corrupted)" -gt 0 ] || fail "nothing was damaged on the way to the bus"

say "clean end"
# A goodbye may have been lost; then the bus misses the heartbeats.
none_left() { [ "$("$millrace" sessions --json | jq length)" -eq 0 ]; }
wait_for "no session is left" none_left
bus_stop
