#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# js_client: the client for Node, which is written from docs/protocol.md alone, in another network namespace behind an
# AF_XDP port, works together with programs on this host.
. "$(dirname "$0")/../support/lib.sh"
. "$top/tests/support/js/js.sh"
. "$top/tests/support/net.sh"
js_needs
net_needs

net_pair 2
# A client must find the new data plane before its liveness time-out: 10 s.
bus_start --set workers.count=2 --set sessions.heartbeat_ms=200 --set sessions.missed_max=50 \
	--set sessions.show_sender=true --port "$(net_af_xdp)"
udp4=udp://$net_bus4:7400
udp6="udp://[$net_bus6]:7400"

# js ARGUMENT...: runs the client's command line on the other side, and reports where it hangs. js_start NAME
# ARGUMENT...: does so in the background.
js() {
	MILLRACE_JS_PATIENCE_S=$((patience_s + 20)) "${net_in[@]}" timeout -k 5 $((patience_s * 2)) node "$js/cli.js" "$@"
}
js_start() {
	local name=$1

	shift
	start "$name" "${net_in[@]}" node "$js/cli.js" "$@"
}
js_sub_start() {
	js_start "$@"
	wait_for "sub $1 is subscribed" has_line "$dir/$1.err" subscribed
}
received() { jq -r '.subject + " " + .payload' "$dir/$1.out"; }
workers_with_frames() { "$millrace" workers --json | jq '[.. | objects | select(.frames_rx? // 0 > 0)] | length'; }
subscribed_times() { [ "$("$millrace" subjects --json | jq --arg p "$1" '[.[] | select(.pattern == $p)] | length')" -eq "$2" ]; }
no_session() { [ "$("$millrace" status --json | jq .clients)" -eq 0 ]; }

far=(near far4 far6 far7 far8 far9)
say "messages of either side reach both"
sub_start near 'orders.>' --json -n 3
js_sub_start far4 "$udp4" sub 'orders.>' 3
js_sub_start far6 "$udp6" sub 'orders.>' 3
for n in 7 8 9; do
	js_sub_start "far$n" "$udp4" sub 'orders.>' 3
done
"$millrace" pub orders.eu.created '{"id":1}' -H trace:abc
for name in "${far[@]}"; do
	wait_for "$name has the first" lines_at_least "$dir/$name.out" 1
done
js "$udp4" pub orders.us.created hello 2
for name in "${far[@]}"; do
	wait_for "$name has all" lines_at_least "$dir/$name.out" 3
	received "$name" >"$dir/$name.text"
	expect_lines "$dir/$name.text" 'orders.eu.created {"id":1}
orders.us.created hello
orders.us.created hello'
	jq -c '.headers // {}' "$dir/$name.out" >"$dir/$name.headers"
	expect_lines "$dir/$name.headers" '{"trace":"abc"}
{"from":"js"}
{}'
done

say "requests in all directions"
reply_start local greet 'from here'
local_pid=$pid
expect_equal "answer to there" "$(js "$udp4" request greet hello)" 'from here'
js_sub_start remote "$udp6" reply far.greet 'from there' 2
expect_equal "answer to here" "$("$millrace" request far.greet hello)" 'from there'
expect_equal "answer from there to there" "$(js "$udp4" request far.greet hello)" 'from there'
expect_status 5 "${net_in[@]}" node "$js/cli.js" "$udp4" request nobody.there hello
kill -TERM "$local_pid"
start one "$millrace" reply many 'the one'
responders=("$pid")
start other "$millrace" reply many 'the other'
responders+=("$pid")
wait_for "both answer" subscribed_times many 2
expect_equal "answers of both" "$(js "$udp4" gather many 2)" 'the one
the other'
kill -TERM "${responders[@]}"
expect_equal "a stamp" "$(js "$udp4" stamped self.stamp)" 'itself js stamped now b x'

say "queues and services from either side"
seq 1 300 >"$dir/numbers"
start pulled "$millrace" pull jobs -n 300
pulled=$pid
js "$udp4" push jobs 300
wait_child "$pulled" "the consumer here"
expect_lines "$dir/pulled.out" "$(cat "$dir/numbers")"
"$millrace" push back --stdin-lines <"$dir/numbers"
js "$udp6" pull back 300 2>/dev/null | jq -r . >"$dir/pulled.text"
expect_lines "$dir/pulled.text" "$(cat "$dir/numbers")"
js_sub_start worker "$udp4" serve shout 2
expect_equal "a call from here" "$("$millrace" call shout 'who is there')" 'WHO IS THERE'
expect_equal "a call from there" "$(js "$udp6" call shout 'and here')" 'AND HERE'
say "requests in parts, in both directions and within there; more parts and replies than go without a grant"
serves() { "$millrace" services --json | jq -e --arg name "$1" 'any(.[]; .name == $name and .consumers > 0)' >/dev/null; }
seq -f 'word%g' 1 200 >"$dir/words"
mapfile -t words <"$dir/words"
js_sub_start parts "$udp4" parts joined 2
start streamed "$build/client/examples/example_serve" -n 1 capitals
wait_for "capitals is served" serves capitals
for from in here there; do
	if [ "$from" = here ]; then
		"$build/client/examples/example_stream" joined "${words[@]}" >"$dir/$from.text"
	else
		js "$udp6" stream joined "${words[@]}" >"$dir/$from.text"
	fi
	expect_lines "$dir/$from.text" "$(tr '[:lower:]' '[:upper:]' <"$dir/words"; echo '200 parts')"
done
# That worker does not wait for room for its replies, and replies to no empty part.
mapfile -t empty < <(yes '' | head -n 150)
js "$udp4" stream capitals "${words[@]:0:60}" "${empty[@]}" >"$dir/capitals.text"
expect_lines "$dir/capitals.text" "$(head -n 60 "$dir/words" | tr '[:lower:]' '[:upper:]'; echo '60 parts')"

js_sub_start blocks "$udp4" block 'promised.>' 300
js "$udp6" promise promised.to.you 300
wait_for "all that was promised came" lines_at_least "$dir/blocks.out" 300
jq -r .payload "$dir/blocks.out" >"$dir/blocks.text"
expect_lines "$dir/blocks.text" "$(cat "$dir/numbers")"
expect_above "frames of the reliable flow" "$(counter reliable_rx worker)" 0

say "a session follows its client to another port, when that is proved"
expect_equal "places" "$(js "$udp4" move self.test 2>/dev/null)" '"one port"
"another port"'
expect_above paths_asked "$(counter paths_asked)" 0
expect_above paths_changed "$(counter paths_changed)" 0

say "a session that closes ends at once, one that dies a little later"
wait_for "those who said goodbye are gone" no_session
js_start dies "$udp4" hold
dies_pid=$pid
wait_for "a session is open" has_line "$dir/dies.out" open
kill -KILL "$dies_pid"
wait_for "the dead one is gone" no_session

say "frames came to both workers"
expect_equal "workers with frames" "$(workers_with_frames)" 2
expect_above hellos_retried "$(counter hellos_retried)" 0
expect_above hellos_taken "$(counter hellos_taken)" 0
for name in drop_bad_frame drop_bad_frame_length drop_bad_hello drop_bad_message drop_bad_udp drop_bad_ip; do
	expect_equal "$name" "$(counter "$name")" 0
done

say "a client hears of a bus that was restarted"
js_start restarted "$udp4" hold
restarted_pid=$pid
wait_for "a session is open" has_line "$dir/restarted.out" open
old=$(dataplane_pid)
kill -KILL "$old"
wait_for "another data plane is there" bus_child_is_not millrace-dataplane "$old"
wait_child "$restarted_pid" "the client of the old one"
expect_match "what it heard" "$(cat "$dir/restarted.out")" '"code":-107'

say "and of one that stops"
js_start stopped "$udp4" hold
stopped_pid=$pid
wait_for "a session is open" has_line "$dir/stopped.out" open
bus_stop
wait_child "$stopped_pid" "the client of the bus that stopped"
expect_match "what it heard" "$(cat "$dir/stopped.out")" '"code":-108'
