#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# sleep_ports: a worker with a port sleeps when there is no work, and each packet wakes it.
. "$(dirname "$0")/../support/lib.sh"
. "$(dirname "$0")/../support/net.sh"
net_needs

far() { "${net_in[@]}" env MILLRACE_SERVER="udp://$net_bus4" "$@"; }
# User and system time of the data plane, in clock ticks.
ticks() {
	# The command's name may have blanks in it.
	read -ra field < <(sed 's/.*) //' "/proc/$(dataplane_pid)/stat")
	echo $((field[11] + field[12]))
}
link_is() { [ "$("$millrace" ports --json | jq -r '.[0].link')" = "$1" ]; }
# wakes_always OPTION...: thousands of requests and answers, one at a time, to a worker that is woken by packets alone.
wakes_always() {
	LD_PRELOAD=$build/tests/support/libsleep_forever.so \
		bus_start --set sessions.heartbeat_ms=60000 "$@"
	wait_for "the link is up" link_is up
	[ -z "$tap" ] || ip address add 10.96.0.2/24 dev "$tap"
	"${from[@]}" env MILLRACE_SERVER="udp://$at" "$millrace" bench --pattern request --seconds 3 --warmup 100ms --json >"$dir/requests.out"
	expect_json "$dir/requests.out" '[.lost, .duplicates, .corrupt] | map(. // 0) | add' 0
	asked=$(jq '.published // .requests // 0' "$dir/requests.out")
	slept=$(counter sleeps)
	say "$asked requests, $slept sleeps"
	expect_above "requests" "$asked" 100
	expect_above "sleeps" "$slept" 10
	bus_stop
}

tap=''
at=$net_bus4
net_pair 1
from=("${net_in[@]}")
for spin in 0 20 50; do
	say "each packet wakes the worker, which sleeps after $spin us"
	wakes_always --set workers.spin_us="$spin" --port "$(net_af_xdp)"
done

if [ -w /dev/net/tun ]; then
	say "each packet of a tap wakes the worker"
	tap=mr$$t
	from=()
	at=10.96.0.1
	wakes_always --set workers.spin_us=0 --port "tap,interface=$tap,address=$at/24"
	tap=''
fi

if command -v python3 >/dev/null; then
	say "each packet of a memif wakes the worker"
	LD_PRELOAD=$build/tests/support/libsleep_forever.so bus_start --set workers.spin_us=0 \
		--port "memif,socket=$dir/m.sock,role=server,id=3,address=10.96.0.1/24"
	expect_match "the peer's count" "$(python3 "$top/tests/support/memif_peer.py" "$dir/m.sock" 3 bell)" '^rung [0-9]+ times$'
	bus_stop
fi

say "an idle bus with a port and sessions over UDP"
bus_start --port "$(net_af_xdp)"
start waiting far "$millrace" sub 'idle.>'
waiting=$pid
wait_for "it is subscribed" has_line "$dir/waiting.err" subscribed
far "$millrace" pub idle.once x
wait_for "it has worked" has_line "$dir/waiting.out" idle.once
before=$(ticks)
began=$(date +%s%N)
# A measurement over time, not a wait.
sleep 5
spent=$(($(ticks) - before))
elapsed_ms=$((($(date +%s%N) - began) / 1000000))
per_mille=$((spent * 1000000 / $(getconf CLK_TCK) / elapsed_ms))
figures "idle with a port: $((per_mille / 10)).$((per_mille % 10)) % of a core over $elapsed_ms ms"
[ "$per_mille" -lt 10 ] || fail "an idle bus with a port takes $((per_mille / 10)).$((per_mille % 10)) % of a core, 1 allowed"
far "$millrace" pub idle.twice x
wait_for "it works again" has_line "$dir/waiting.out" idle.twice
kill "$waiting"
bus_stop

say "a link that goes down and comes back"
bus_start --port "$(net_af_xdp)"
"${net_in[@]}" ip link set "$net_peer" down
wait_for "the link is down" link_is down
"${net_in[@]}" ip link set "$net_peer" up
wait_for "the link is up" link_is up
far "$millrace" bench --pattern request --seconds 0.2 --json >"$dir/again.out"
expect_json "$dir/again.out" '.lost // 0' 0
bus_stop
