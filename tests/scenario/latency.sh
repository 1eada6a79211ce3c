#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# latency: probes at a steady rate over shared memory and UDP. A pause of the bus shows in all probes that were due in
# it; an outage costs the probes whose time-out it lasted.
. "$(dirname "$0")/../support/lib.sh"
. "$top/tests/support/net.sh"

# total NAME EXPRESSION: of the total that the run printed; intervals NAME EXPRESSION: of the array of its intervals.
total() { jq -ce "select(.kind == \"total\") | $2" "$dir/$1.out"; }
intervals() { jq -sce "map(select(.kind == \"interval\")) | $2" "$dir/$1.out"; }
# balanced NAME: each probe is counted once, in an interval and in the total.
balanced() {
	expect_equal "$1: probes" "$(total "$1" '.probes == .received + .lost')" true
	expect_equal "$1: intervals" "$(jq -sce '.[-1] as $t | .[:-1] | (map(.probes) | add) == $t.probes and
		(map(.received) | add) == $t.received and (map(.lost) | add) == $t.lost' "$dir/$1.out")" true
	expect_equal "$1: histogram" "$(total "$1" '([.histogram[].probes] | add // 0) == .received')" true
}
# ended NAME PID STATUS: waits for the run.
ended() {
	wait_child "$2" "latency $1"
	expect_equal "exit status of latency $1" "$status" "$3"
	balanced "$1"
}

say "mistakes"
expect_status 2 "$millrace" latency a
expect_match "a subject" "$errors" 'a: a subject is only for --mode request'
expect_status 2 "$millrace" latency --mode request a --subscribe-at x
expect_match "two ends" "$errors" 'those that answer on SUBJECT are connected'
expect_status 2 "$millrace" latency --rate 1M --timeout 10s
expect_match "too many" "$errors" 'more than 524288 probes could be under way'

part=part
options=(--set workers.poll=adaptive)
if net_try; then
	net_pair 1
	options+=(--port "$(net_af_xdp)")
	part=''
fi
bus_start "${options[@]}"

say "each mode"
for mode in pubsub request queue; do
	start "$mode" "$millrace" latency --mode "$mode" --rate 200 --seconds 0.5 --interval 100ms --timeout 30s --json
	ended "$mode" "$pid" 0
	expect_equal "$mode" "$(total "$mode" '[.mode, .transport, .probes, .received, .lost, .late, .duplicates, .corrupt]')" \
		"[\"$mode\",\"shm\",100,100,0,0,0,0]"
	expect_equal "$mode: order" "$(total "$mode" '.latency_ns | .min > 0 and .min <= .p50 and .p50 <= .p90 and
		.p90 <= .p99 and .p99 <= .p999 and .p999 <= .p9999 and .p9999 <= .max')" true
done
start table "$millrace" latency --rate 100 --seconds 0.2 --size 100000 --timeout 30s
wait_child "$pid" latency
expect_equal "a payload that is too large" "$status" 2
start table "$millrace" latency --rate 100 --seconds 0.2 --size 60000 --timeout 30s
wait_child "$pid" latency
expect_equal "exit status" "$status" 0
expect_match "head" "$(cat "$dir/table.out")" 'shm, publish-subscribe, 60000 bytes, 100 probes/s'
expect_match "total" "$(cat "$dir/table.out")" '^20 probes in .* s: 20 received, 0 lost, 0 late$'

say "requests to others"
expect_status 5 "$millrace" latency --mode request nobody.here --rate 100 --seconds 0.1 --json
expect_match "nobody" "$errors" 'nobody.here: .*no responder'
reply_start answers ask.me 'any payload' -n 20
answering=$pid
start others "$millrace" latency --mode request ask.me --rate 100 --seconds 0.2 --timeout 30s --json
ended others "$pid" 0
expect_equal "answers" "$(total others '[.probes, .received]')" '[20,20]'
wait_child "$answering" reply

say "a pause of the bus shows in all probes that were due in it"
start paused "$millrace" latency --rate 500 --seconds 2 --interval 100ms --timeout 30s --json
paused=$pid
wait_for "probes come" lines_at_least "$dir/paused.out" 2
data=$(dataplane_pid)
kill -STOP "$data"
before=$(date +%s%N)
passed() { [ $(($(date +%s%N) - before)) -gt 400000000 ]; }
wait_for "400 ms pass" passed
kill -CONT "$data"
ended paused "$paused" 0
expect_equal "none was lost" "$(total paused '[.probes, .lost]')" '[1000,0]'
expect_above "probes that took over 100 ms" "$(total paused '[.histogram[] | select(.up_to_ns > 100000000) | .probes] | add // 0')" 100

say "an outage costs the probes that could not come in time, and no more"
start outage "$millrace" latency --rate 200 --seconds 0 --interval 50ms --timeout 200ms --json
outage=$pid
came() { [ "$(intervals outage 'map(.received) | add')" -gt "$1" ]; }
wait_for "probes come" came 20
kill -KILL "$data"
wait_for "probes are lost" intervals outage 'map(.lost) | add > 0'
wait_for "the program is connected again" has_line "$dir/outage.err" 'connected again'
now=$(intervals outage 'map(.received) | add')
wait_for "probes come again" came $((now + 50))
kill -INT "$outage"
ended outage "$outage" 130
expect_equal "the total is printed" "$(total outage '.received > 50 and .lost > 0')" true

if [ -z "$part" ]; then
	say "over UDP, and from UDP to shared memory"
	for at in "udp://$net_bus4:7400" "$MILLRACE_SERVER"; do
		start udp "${net_in[@]}" env MILLRACE_SERVER="udp://$net_bus4:7400" \
			"$millrace" latency --rate 200 --seconds 0.5 --timeout 5s --json --subscribe-at "$at"
		ended udp "$pid" 0
		expect_equal "transport" "$(total udp .transport)" '"udp"'
		expect_above "received" "$(total udp .received)" 50
	done
fi

bus_stop
