#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# exception_memif: two hosts whose only network is a memif between their buses: ping and TCP pass through the exception
# paths of both, also after each control was killed, and after the TAP device was down; messages pass, too.
. "$(dirname "$0")/../support/lib.sh"
. "$top/tests/support/net.sh"
net_needs
[ -e /dev/net/tun ] || skip "there is no /dev/net/tun"
for program in ping python3; do
	command -v "$program" >/dev/null || skip "$program is not installed"
done

net_host
far() { timeout -k 5 $((patience_s * 2)) "${net_in[@]}" "$@"; }

transfer=$top/tests/support/tcp_transfer.py
memif=memif,socket=$dir/memif.sock
count() { "$millrace" ports --json | jq ".[0].$1"; }
count_above() { [ "$(count "$1")" -gt "$2" ]; }
peer_bus() { MILLRACE_SERVER=shm:$dir/peer/attach.sock "$millrace" "$@"; }
link_is_up() { [ "$(count link)" = '"up"' ]; }

bus_start --set workers.poll=adaptive --port "$memif,role=server,mtu=9000,tap=host0,address=$net_bus4/24"
start peer "${net_in[@]}" "$millrace" up --run-dir "$dir/peer" --set workers.poll=adaptive \
	--port "$memif,role=client,mtu=9000,tap=host0,address=$net_peer4/24"
peer=$pid
wait_for "the peer's bus" peer_bus ping
wait_for "the memif is up" link_is_up

say "ping with large packets, and with fragments"
wait_for "the host answers" far ping -q -c 1 -W 1 "$net_bus4"
wait_for "the host answers to 8,900 bytes" far ping -q -c 1 -W 1 -M "do" -s 8900 "$net_bus4"
wait_for "the host answers to fragments" far ping -q -c 1 -W 1 -s 30000 "$net_bus4"
wait_for "the peer answers" near ping -q -c 1 -W 1 "$net_peer4"

say "TCP both ways"
start server near "$transfer" serve "$net_bus4" 20001
wait_for "the server listens" has_line "$dir/server.out" ready
start far_server far "$transfer" serve "$net_peer4" 20002
wait_for "the peer's server listens" has_line "$dir/far_server.out" ready
say "8 MB there and back: $(far "$transfer" send "$net_bus4" 20001 8000000) s"
say "8 MB back and there: $(near "$transfer" send "$net_peer4" 20002 8000000) s"

say "messages of a client behind the memif"
udp=udp://$net_bus4:7400
far env MILLRACE_SERVER="$udp" "$millrace" bench --seconds 1 --rate 1000 --verify full --json >"$dir/far.out"
expect_json "$dir/far.out" '[.lost, .duplicates, .reordered, .corrupt] | map(. // 0) | add' 0
expect_json "$dir/far.out" '.delivered_per_second > 0' true

say "both controls are killed under traffic"
start transfer far "$transfer" send "$net_bus4" 20001 40000000
transfer_pid=$pid
before=$(count exception_in)
wait_for "the transfer runs" count_above exception_in $((before + 100))
control=$(control_pid)
kill -KILL "$control" "$(pgrep -P "$peer" -f '^[^ ]*millrace-control( |$)')"
wait_for "up starts control again" bus_child_is_not millrace-control "$control"
wait_for "control answers" "$millrace" ping
wait_child "$transfer_pid" "the transfer"
expect_equal "exit status of the transfer ($(cat "$dir/transfer.err"))" "$status" 0

say "a TAP device that is down drops and counts; up again, it works"
near ip link set host0 down
far ping -q -c 1 -W 1 "$net_bus4" >/dev/null || true
wait_for "refused packets are counted" count_above drop_tap_write 0
near ip link set host0 up
wait_for "the host answers" far ping -q -c 1 -W 1 "$net_bus4"

say "a TAP device that is removed is reported; the bus goes on"
near ip link delete host0
wait_for "the log says so" has_line "$bus_log" "TAP device cannot be read"
sub_start local 'a.b' -n 1
"$millrace" pub a.b c
wait_child "$pid" "the local subscriber"

kill "$peer"
wait_child "$peer" "the peer's bus"
bus_stop
! far ip link show host0 >/dev/null 2>&1 || fail "the peer's TAP device is still there"
