#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# udp: programs of another host, behind an AF_XDP port with two queues, and programs of this host communicate through
# two workers. Sessions survive a killed control, and clients find a restarted data plane.
. "$(dirname "$0")/../support/lib.sh"
. "$top/tests/support/net.sh"
net_needs

net_pair 2
bus_start --set workers.count=2 --set workers.poll=adaptive --port "$(net_af_xdp)"
udp4=udp://$net_bus4:7400
udp6="udp://[$net_bus6]:7400"

# far ADDRESS COMMAND...: runs millrace on the other side; far_start NAME ADDRESS COMMAND...: in the background.
far() {
	local address=$1

	shift
	timeout -k 5 $((patience_s * 2)) "${net_in[@]}" env MILLRACE_SERVER="$address" "$millrace" "$@"
}
far4=("${net_in[@]}" env "MILLRACE_SERVER=$udp4" "$millrace") # the same, as a prefix
far_start() {
	local name=$1 address=$2

	shift 2
	start "$name" "${net_in[@]}" env MILLRACE_SERVER="$address" "$millrace" "$@"
}
far_sub_start() {
	far_start "$1" "$2" sub "${@:3}"
	wait_for "sub $1 is subscribed" has_line "$dir/$1.err" subscribed
}
received() { jq -r '.subject + " " + .payload' "$dir/$1.out"; }
sessions() { "$millrace" sessions --json | jq -c '[.[].session] | sort'; }
no_session() { [ "$(sessions)" = '[]' ]; }
sessions_are() { [ "$("$millrace" sessions --json | jq length)" -eq "$1" ]; }

say "messages of either side reach both, over both workers"
sub_start near 'orders.>' --json -n 6
names=(near)
# A client's port number decides the queue of its packets: as many clients as needed use both.
workers_serving() { "$millrace" sessions --json | jq '[.[].worker] | unique | length'; }
n=0
until [ "$n" -ge 6 ] && [ "$(workers_serving)" -eq 2 ]; do
	n=$((n + 1))
	[ "$n" -le 40 ] || fail "40 clients came to one worker"
	far_sub_start "far$n" "$([ $((n % 2)) -eq 0 ] && echo "$udp6" || echo "$udp4")" 'orders.>' --json -n 6
	names+=("far$n")
done
for round in 1 2; do
	"$millrace" pub orders.eu.created "here $round" -H trace:abc
	far "$udp4" pub orders.us.created "there $round" -H trace:def
	far "$udp6" pub orders.six.created "six $round"
	for name in "${names[@]}"; do
		wait_for "$name has what came in round $round" lines_at_least "$dir/$name.out" $((3 * round))
	done
done
for name in "${names[@]}"; do
	received "$name" | sort >"$dir/$name.text"
	expect_lines "$dir/$name.text" 'orders.eu.created here 1
orders.eu.created here 2
orders.six.created six 1
orders.six.created six 2
orders.us.created there 1
orders.us.created there 2'
done
wait_for "who has all is gone" no_session

say "verbs that look into the bus ask its admin socket, which has to be named"
expect_status 2 "${far4[@]}" status
expect_match "what it says" "$errors" '--run-dir'
expect_equal "state as seen from there" "$(far "$udp4" status --run-dir "$run" --json | jq -r .run_dir)" "$run"

say "requests in all directions"
reply_start local greet 'from here'
far_start remote "$udp4" reply far.greet 'from there'
wait_for "the far one replies" subscriptions_above 1
expect_equal "answer to there" "$(far "$udp6" request greet hello)" 'from here'
expect_equal "answer to here" "$("$millrace" request far.greet hello)" 'from there'
expect_equal "answer from there to there" "$(far "$udp4" request far.greet hello)" 'from there'
expect_status 5 "${far4[@]}" request nobody.there hello

say "a queue group over both sides gets each message once"
for n in 1 2; do
	far_sub_start "group$n" "$udp4" jobs --group g --json
	sub_start "group_near$n" jobs --group g --json
done
far "$udp4" pub jobs x -n 200
group_total() { cat "$dir"/group*.out | wc -l; }
group_has_all() { [ "$(group_total)" -ge 200 ]; }
wait_for "the group has all" group_has_all
expect_equal "messages in the group" "$(group_total)" 200

say "larger than a frame: fragmented, and refragmented for sessions with smaller frames"
large=$(printf 'x%.0s' {1..5000})
head -c 60000 /dev/urandom | base64 -w 0 >"$dir/larger"
far_sub_start wide "$udp4" 'wide.>' --json
sub_start near 'wide.>' --json
far "$udp6" pub wide.one "$large"
far "$udp6" pub wide.two - <"$dir/larger"
"$millrace" pub wide.three "$large"
"$millrace" pub wide.four - <"$dir/larger"
sizes() { jq -s -c 'map([.subject, (.payload | length)]) | sort' "$dir/$1.out"; }
for name in wide near; do
	wait_for "$name has all" lines_at_least "$dir/$name.out" 4
	expect_equal "what $name got" "$(sizes "$name")" '[["wide.four",80000],["wide.one",5000],["wide.three",5000],["wide.two",80000]]'
	expect_equal "changed on the way to $name" "$(jq -r 'select(.payload | length == 80000) | .payload' "$dir/$name.out" |
		grep -vcxFf "$dir/larger")" 0
done
"$millrace" push wide - <"$dir/larger"
far "$udp4" pull wide -n 1 >"$dir/pulled"
cmp <(cat "$dir/larger" && echo) "$dir/pulled" || fail "a large message of a queue was changed"
far "$udp4" push wide - <"$dir/larger"
"$millrace" pull wide -n 1 >"$dir/pulled"
cmp <(cat "$dir/larger" && echo) "$dir/pulled" || fail "a large message of a queue was changed"
far_start server "$udp4" serve echo --exec cat
server_is_there() { [ "$("$millrace" call mmi.service echo)" = 200 ]; }
wait_for "the server is there" server_is_there
"$millrace" call echo - --raw <"$dir/larger" >"$dir/called"
cmp "$dir/larger" "$dir/called" || fail "a large call came back changed"
far "$udp6" call echo - --raw <"$dir/larger" >"$dir/called"
cmp "$dir/larger" "$dir/called" || fail "a large call came back changed"
expect_equal drop_too_large "$(counter drop_too_large)" 0

say "the bench over UDP counts correctly"
far "$udp4" bench --server "$udp4" --transport udp --size 64 --seconds 1 --run-dir "$run" --json >"$dir/bench.out"
expect_json "$dir/bench.out" '[.transport, .published_per_second > 0, .delivered_per_second > 0, .duplicates, .corrupt,
	.reordered, (.lost | type == "number"), (.latency_ns | [.p50, .p99, .p999, .max] | map(type == "number") | all),
	.worker_cycles_per_message > 0, .payload_bytes, .publishers, .subscribers]' \
	'["udp",true,true,0,0,0,true,true,true,64,1,1]'

say "kill -9 of control under traffic: sessions stay"
before=$(sessions)
far_start load "$udp4" bench --transport udp --seconds 3 --json
load_pid=$pid
published=$(counter published)
wait_for "the bench publishes" counter_above published $((published + 10000))
control=$(control_pid)
kill -KILL "$control"
wait_for "up starts control again" bus_child_is_not millrace-control "$control"
wait_for "control answers" "$millrace" ping
wait_child "$load_pid" "the bench"
expect_json "$dir/load.out" '.delivered_per_second > 0' true
expect_json "$dir/load.out" '[.duplicates, .corrupt]' '[0,0]'
listed() { [ "$(sessions)" = "$before" ]; }
wait_for "the sessions of before are listed, and no others" listed
expect_equal "answer from there, once more" "$("$millrace" request far.greet hello)" 'from there'

say "the link goes down and comes back"
ip link set "$net_port" down
port_is() { [ "$("$millrace" ports --json | jq -c '[.[].link] | map(tostring) | .[0]')" = "\"$1\"" ]; }
wait_for "the port says so" port_is down
ip link set "$net_port" up
wait_for "the port is back" port_is up
answered() { [ "$(far "$udp4" request greet hello 2>/dev/null)" = 'from here' ]; }
wait_for "requests are answered again" answered

say "kill -9 of the data plane: clients reconnect by themselves"
old=$(dataplane_pid)
kill -KILL "$old"
wait_for "another data plane is there" bus_child_is_not millrace-dataplane "$old"
again() { [ "$("$millrace" request far.greet hello 2>/dev/null)" = 'from there' ]; }
wait_for "the far one replies again" again

bus_stop
