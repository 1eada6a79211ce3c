#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# exception_path: ping and TCP reach the host through a port's TAP device, also after control or the data plane was
# killed, while messages go on. What cannot be set up is refused with a reason, and nothing remains.
. "$(dirname "$0")/../support/lib.sh"
. "$top/tests/support/net.sh"
net_needs
[ -e /dev/net/tun ] || skip "there is no /dev/net/tun"
for program in ping python3 setpriv; do
	command -v "$program" >/dev/null || skip "$program is not installed"
done

net_host

transfer=$top/tests/support/tcp_transfer.py
tap=host0
port=tap,interface=port0,tap=$tap,address=$net_bus4/24,address=$net_bus6/64

# A bridge joins the port's device to the peer. A device that is made again has to join again.
join() { near ip link set port0 master bridge0; }
near ip link add bridge0 type bridge mcast_snooping 0
near ip link add veth0 type veth peer name peer0 netns "$net_space"
# Else the kernel would answer address requests on the bridge, too, and the port were not needed.
near sysctl -qw net.ipv4.conf.bridge0.arp_ignore=8
near ip link set veth0 master bridge0 up
near ip link set bridge0 up
"${net_in[@]}" ip address add "$net_peer4/24" dev peer0
"${net_in[@]}" ip address add "$net_peer6/64" dev peer0 nodad
"${net_in[@]}" ip link set peer0 up

far() { timeout -k 5 $((patience_s * 2)) "${net_in[@]}" "$@"; }
far_ping() { far ping -q -c 1 -W 1 "$1"; }
far_send() { far "$transfer" send "$net_bus4" "$tcp" "$1"; }
count() { "$millrace" ports --json | jq ".[0].$1"; }
count_above() { [ "$(count "$1")" -gt "$2" ]; }
tap_is_there() { near ip link show "$tap" >/dev/null 2>&1; }
# Starts an echo server here on a port that is free.
serve() {
	for tcp in $(shuf -n 20 -i 20000-30000); do
		start server "${as[@]}" "$transfer" serve "$net_bus4" "$tcp"
		server=$pid
		wait_for "the server listens or fails" server_decided
		has_line "$dir/server.out" ready && return 0
	done
	fail "no TCP port is free"
}
server_decided() { has_line "$dir/server.out" ready || child_ended "$server"; }

say "a name that is taken, and no permission"
near ip link add "$tap" type bridge
expect_status 1 "$millrace" up --run-dir "$run" --port "$port"
expect_match refusal "$errors" "name belongs to another interface already.*hint=.*tap= in ports.open"
near ip link delete "$tap"
expect_status 1 setpriv --bounding-set=-net_admin --inh-caps=-net_admin \
	"$millrace" up --run-dir "$run" --port "memif,socket=$dir/m.sock,role=server,tap=$tap,address=$net_bus4/24"
expect_match refusal "$errors" "TAP device cannot be made.*hint=.*CAP_NET_ADMIN"
! tap_is_there || fail "a TAP device is left over"

say "ping, both ways"
bus_start --workers 2 --set workers.poll=adaptive --port "$port"
join
wait_for "the host answers" far_ping "$net_bus4"
wait_for "the host answers over IPv6" far_ping "$net_bus6"
wait_for "the peer answers" near ping -q -c 1 -W 1 -I "$tap" "$net_peer4"
expect_equal "MAC that the peer sees" "$(far ip -j neighbour show "$net_bus4" | jq '.[0].lladdr')" "$(count mac)"
expect_equal "MAC of the TAP device" "$(near ip -j link show "$tap" | jq '.[0].address')" "$(count mac)"
expect_equal "pings that the worker answered" "$(counter echoes_answered)" 0
expect_equal "address requests that the worker answered" "$(counter neighbours_answered)" 0

say "TCP, while messages go on over the same port"
serve
udp=udp://$net_bus4:7400
start publisher far env MILLRACE_SERVER="$udp" "$millrace" bench --publishers 1 --subscribers 1 --seconds 8 \
	--rate 2000 --verify full --json
publisher=$pid
far_send 8000000 >"$dir/seconds" || fail "the transfer is not intact"
say "8 MB there and back: $(cat "$dir/seconds") s"
expect_above "packets to the TAP device" "$(count tap_written)" 5000

say "control is killed under traffic"
dataplane=$(dataplane_pid)
start transfer far_send 24000000
transfer_pid=$pid
before=$(count exception_in)
wait_for "the transfer runs" count_above exception_in $((before + 200))
control=$(control_pid)
kill -KILL "$control"
wait_for "up starts control again" bus_child_is_not millrace-control "$control"
wait_for "control answers" "$millrace" ping
wait_child "$transfer_pid" "the transfer"
expect_equal "exit status of the transfer ($(cat "$dir/transfer.err"))" "$status" 0
expect_equal "pid of the data plane" "$(dataplane_pid)" "$dataplane"
wait_child "$publisher" "the bench over UDP"
expect_equal "exit status of the bench over UDP" "$status" 0
expect_json "$dir/publisher.out" '[.lost, .duplicates, .reordered, .corrupt] | map(. // 0) | add' 0

say "the data plane is killed: the TAP device stays with its MAC, and works again"
mac=$(count mac)
kill -KILL "$dataplane"
tap_is_there || fail "the TAP device is gone"
wait_for "another data plane" bus_child_is_not millrace-dataplane "$dataplane"
wait_for "the port's device joins the bridge" join
wait_for "the host answers" far_ping "$net_bus4"
expect_equal "MAC of the port" "$(count mac)" "$mac"
expect_match log "$(cat "$bus_log")" 'takes over the TAP device that another run left'
far_send 500000 >/dev/null || fail "the transfer is not intact"
bus_stop
! tap_is_there || fail "the TAP device is still there"

say "above the limit packets are dropped and counted; messages go on"
bus_start --set workers.poll=adaptive --port "$port,tap_packets_per_second=20"
join
wait_for "the host answers" far_ping "$net_bus4"
far ping -q -f -c 500 -W 1 "$net_bus4" >/dev/null || true
expect_above "packets above the limit" "$(count drop_exception_rate)" 0
far env MILLRACE_SERVER="$udp" "$millrace" bench --seconds 1 --rate 500 --verify full --json >"$dir/limited.out"
expect_json "$dir/limited.out" '[.lost, .duplicates, .reordered, .corrupt] | map(. // 0) | add' 0
bus_stop
! tap_is_there || fail "the TAP device is still there"
