#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# xdp: an AF_XDP port on an interface with the kernel's addresses. The kernel answers ping and TCP there, the bus has
# its UDP port; other people's XDP programs are left alone, and nothing of ours remains.
. "$(dirname "$0")/../support/lib.sh"
. "$(dirname "$0")/../support/net.sh"
net_needs
for program in ping python3; do
	command -v "$program" >/dev/null || skip "$program is not installed"
done

net_pair 1
far() { "${net_in[@]}" "$@"; }
ip address add "$net_bus4/24" dev "$net_port"
ip address add "$net_bus6/64" dev "$net_port" nodad
port=af_xdp,interface=$net_port
xdp_of() { ip -j -d link show "$net_port" | jq -r '.[0].xdp.prog.id // 0'; }
port_is() { # FILTER VALUE
	[ "$("$millrace" ports --json | jq -c ".[0] | $1")" = "$2" ]
}
# A TCP server of this host on port 7400 of any address, which echoes a line.
tcp_echo() {
	python3 -c 'import socket
s = socket.create_server(("", 7400), reuse_port=True)
print("listens", flush=True)
while True:
    c, _ = s.accept()
    c.sendall(b"kernel: " + c.recv(100))
    c.close()'
}
tcp_answer() {
	far python3 -c 'import socket, sys
c = socket.create_connection((sys.argv[1], 7400), 10)
c.sendall(b"hello")
print(c.recv(100).decode())' "$1"
}
# The kernel and the bus answer at one address.
both_answer() {
	expect_status 0 "${net_in[@]}" ping -c 1 -W 5 "$net_bus4"
	expect_status 0 "${net_in[@]}" ping -c 1 -W 5 "$net_bus6"
	expect_equal "TCP" "$(tcp_answer "$net_bus4")" 'kernel: hello'
	for address in "$net_bus4" "[$net_bus6]"; do
		expect_equal "the bus at $address" \
			"$(far "$millrace" --server "udp://$address" request greet hello --timeout 20000)" 'from the bus'
	done
}

say "an interface without an address, and without one of the port"
ip link set "$net_port" addrgenmode none down
ip address flush dev "$net_port"
ip link set "$net_port" up
expect_status 1 "$millrace" up --run-dir "$run" --port "$port"
expect_match refusal "$errors" 'the interface has no address.*ip address add.*address='
ip address add "$net_bus4/24" dev "$net_port"
ip address add "$net_bus6/64" dev "$net_port" nodad

say "the kernel and the bus have one interface"
start tcp_echo tcp_echo
tcp_pid=$pid
wait_for "it listens" has_line "$dir/tcp_echo.out" listens
bus_start --set workers.poll=adaptive --port "$port"
expect_json <("$millrace" ports --json) '.[0].addresses' "[\"$net_bus4/24\",\"$net_bus6/64\"]"
expect_json <("$millrace" ports --json) '.[0].xdp_mode' '"native"'
expect_json <("$millrace" ports --json) '.[0].xdp_program' "$(xdp_of)"
expect_match log "$(cat "$bus_log")" 'XDP program is attached.*mode=native'
reply_start local greet 'from the bus'
both_answer
expect_json <("$millrace" ports --json) '.[0] | [.xdp_bus > 0, .xdp_other > 0, .xdp_not_ip > 0, .rx_discarded, .xdp_no_socket]' \
	'[true,true,true,0,0]'

say "an address that the kernel gives up is the bus's alone, until it has it again"
ip address del "$net_bus4/24" dev "$net_port"
discards() { far ping -c 1 -W 1 "$net_bus4" >/dev/null 2>&1; port_is '.rx_packets > 0 and .xdp_bus > 0' true && [ "$(counter echoes_answered)" -gt 0 ]; }
wait_for "the worker answers echo" discards
ip address add "$net_bus4/24" dev "$net_port"
kernel_again() {
	local before

	before=$(counter echoes_answered)
	far ping -c 1 -W 1 "$net_bus4" >/dev/null 2>&1 && [ "$(counter echoes_answered)" -eq "$before" ]
}
wait_for "the kernel answers echo" kernel_again
both_answer

say "a data plane that is killed leaves nothing; the next attaches its program"
first=$(xdp_of)
dataplane=$(dataplane_pid)
kill -KILL "$dataplane"
wait_for "another data plane" bus_child_is_not millrace-dataplane "$dataplane"
attached_again() { [ "$(xdp_of)" != 0 ] && [ "$(xdp_of)" != "$first" ]; }
wait_for "another program" attached_again
wait_for "the replier is back" subscriptions_above 0
both_answer
bus_stop
expect_equal "program at the end" "$(xdp_of)" 0

say "limits and denied networks: the kernel answers on, and a session goes on while others flood"
bus_start --set workers.poll=adaptive --port "$port,limit=10.99.0.0/16=1000,deny=10.98.0.0/16"
reply_start local greet 'from the bus'
xdp_counter() { "$millrace" ports --json | jq ".[0].$1"; }
xdp_above() { [ "$(xdp_counter "$1")" -gt "$2" ]; }
mac=$(ip -j link show "$net_port" | jq -r '.[0].address')
hostile() { far python3 "$top/tests/support/net_hostile.py" "$net_peer" "$net_peer4" "$net_bus4" "$mac" "$@"; } # KIND COUNT
expect_json <("$millrace" ports deny af_xdp0 --json) '[.[].network]' '["10.98.0.0/16"]'
expect_json <("$millrace" ports limit af_xdp0 --json) '[.[] | [.rule, .network, .rate, .burst]]' '[["prefix","10.99.0.0/16",1000,100]]'
expect_status 0 "$millrace" ports limit af_xdp0 new 1 --burst 32
start seen far "$millrace" --server "udp://$net_bus4" sub flood.end -n 1
seen=$pid
wait_for "the far one is subscribed" subscriptions_above 1
far_session() { "$millrace" sessions --json | jq -r '[.[] | select(.name == "millrace sub") | .session] | join(" ")'; }
session=$(far_session)
hostile forged 3000
wait_for "forged sources are limited" xdp_above xdp_limited_new 2000
both_answer
expect_equal "the far one's session" "$(far_session)" "$session"
expect_status 0 "$millrace" ports limit af_xdp0 sources 200 --burst 100
hostile hello_flood 3000
wait_for "its source is limited" xdp_above xdp_limited 1000
expect_status 0 "${net_in[@]}" ping -c 1 -W 5 "$net_bus4"
expect_json <("$millrace" ports limit af_xdp0 sources off --json) '[.[].rule]' '["prefix","new"]'
both_answer
expect_status 0 "$millrace" ports deny af_xdp0 10.77.0.0/24
hostile hello_flood 50
wait_for "its network is denied" xdp_above xdp_denied 49
expect_status 0 "${net_in[@]}" ping -c 1 -W 5 "$net_bus4"
expect_equal "TCP" "$(tcp_answer "$net_bus4")" 'kernel: hello'
expect_status 0 "$millrace" ports deny af_xdp0 10.77.0.0/24 --remove
expect_status 0 "$millrace" ports allow af_xdp0 10.77.0.0/24 fd77::/16
hostile forged 50
wait_for "others are not allowed" xdp_above xdp_not_allowed 49
both_answer
expect_equal "queue 0 and the sum" "$("$millrace" ports stats af_xdp0 --json | jq '.[0].xdp_not_allowed')" "$(xdp_counter xdp_not_allowed)"
"$millrace" pub flood.end x
wait_child "$seen" "the far one"
expect_status 1 "$millrace" ports deny nothing 10.0.0.0/8
expect_match refusal "$errors" 'no such port.*millrace ports'
expect_status 1 "$millrace" ports deny af_xdp0 10.0.0.0
expect_match refusal "$errors" 'expected: a network such as'
expect_status 1 "$millrace" ports limit af_xdp0 sources 1M --burst 9
expect_match refusal "$errors" 'at least 10 ms of the rate'
expect_status 2 "$millrace" ports limit af_xdp0 sources many
bus_stop

say "an address of the bus beside those of the kernel"
bus_start --set workers.poll=adaptive --port "$port,address=10.77.0.9/24"
reply_start local greet 'from the bus'
expect_status 0 "${net_in[@]}" ping -c 1 -W 5 "$net_bus4"
expect_status 0 "${net_in[@]}" ping -c 1 -W 5 10.77.0.9
expect_equal "echoes that the worker answered" "$(counter echoes_answered)" 1
expect_equal "the bus at its own" \
	"$(far "$millrace" --server udp://10.77.0.9 request greet hello --timeout 20000)" 'from the bus'
bus_stop

say "where the driver refuses, the kernel's generic code runs the program"
far ip link set "$net_peer" mtu 9000
bus_start --set workers.poll=adaptive --port "$port"
expect_json <("$millrace" ports --json) '.[0].xdp_mode' '"generic"'
expect_match log "$(cat "$bus_log")" 'XDP program is attached.*mode=generic'
reply_start local greet 'from the bus'
both_answer
bus_stop
expect_equal "program at the end" "$(xdp_of)" 0
far ip link set "$net_peer" mtu 1500

say "another's program is named and stays"
object=$(find /usr/lib -name xsk_def_xdp_prog.o 2>/dev/null | head -n 1)
# ip mounts a bpf file system for the object: in a mount namespace of its own.
if [ -n "$object" ] && unshare -m ip link set dev "$net_port" xdp obj "$object" section xdp 2>/dev/null; then
	other=$(xdp_of)
	expect_status 1 "$millrace" up --run-dir "$run" --port "$port"
	expect_match refusal "$errors" "another XDP program is attached.*program=xsk_def_prog id=$other"
	expect_equal "the program" "$(xdp_of)" "$other"
	ip link set dev "$net_port" xdp off
else
	say "(not tested: no XDP program to attach)"
fi
kill "$tcp_pid"
