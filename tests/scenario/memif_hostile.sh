#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# memif_hostile: a memif peer hangs up at any step, takes its memory away, or breaks the rules of the rings; the bus
# goes on, and the next peer is served.
. "$(dirname "$0")/../support/lib.sh"
command -v python3 >/dev/null || skip "python3 is not installed"

peer() { python3 "$top/tests/support/memif_peer.py" "$dir/m.sock" "$@"; } # ID KIND [TIMES]
state() { "$millrace" ports --json | jq -r ".[0].$1"; }
link_is() { [ "$(state link)" = "$1" ]; }
local_traffic() {
	sub_start "local$1" 'a.b' -n 1
	"$millrace" pub a.b c
	wait_child "$pid" "the local subscriber"
}
unharmed() { expect_equal "data plane after $1" "$(dataplane_pid)" "$dataplane"; }

bus_start --port "memif,socket=$dir/m.sock,role=server,id=3,address=10.98.0.1/24"
dataplane=$(dataplane_pid)

say "peers that hang up, or send noise"
peer 3 hang_up 3
unharmed hang_up
peer 3 noise >"$dir/noise.out"
unharmed noise

say "peers that are refused, and told why"
expect_match reason "$(peer 4 wrong_id)" 'no interface has this id'
expect_match reason "$(peer 3 unsealed)" 'sealed against shrinking'
expect_match reason "$(peer 3 outside)" 'not inside its region'
expect_match reason "$(peer 3 no_cookie)" 'has no cookie'
expect_match reason "$(peer 3 wrong_bell)" 'no eventfd'
unharmed refusals

say "peers that break the rules of the rings are disconnected"
for kind in head slot region chain; do
	expect_match "reason for $kind" "$(peer 3 $kind)" 'impossible values'
	unharmed $kind
done
expect_above rx_errors "$(state rx_errors)" 3

say "memory cannot be taken away; a packet that is too large is discarded"
peer 3 shrink
peer 3 large
unharmed shrink

say "peers that are killed while packets flow"
for round in 1 2 3; do
	start "traffic$round" python3 "$top/tests/support/memif_peer.py" "$dir/m.sock" 3 traffic
	wait_for "the link is up" link_is up
	before=$(state rx_packets)
	more_packets() { [ "$(state rx_packets)" -gt "$((before + 1000))" ]; }
	wait_for "packets are received" more_packets
	kill -KILL "$pid"
	wait "$pid" 2>/dev/null || true
	wait_for "the link is down" link_is down
	unharmed "round $round"
	local_traffic "$round"
done

say "an honest peer is served after all of them"
start honest "$build/millrace-dataplane" --run-dir "$dir/peer" --set workers.poll=adaptive \
	--set "ports.open=memif,socket=$dir/m.sock,role=client,id=3,address=10.98.0.2/24"
honest=$pid
wait_for "the link is up" link_is up
kill "$honest"
wait_child "$honest" "the honest peer"
unharmed "the honest peer"
bus_stop

say "with trusted=yes memory is taken as it is"
bus_start --port "memif,socket=$dir/m.sock,role=server,address=10.98.0.1/24,trusted=yes"
! peer 0 unsealed >"$dir/trusted.out" 2>&1 || fail "a trusted peer was refused"
expect_match outcome "$(cat "$dir/trusted.out")" 'was not refused'
bus_stop
