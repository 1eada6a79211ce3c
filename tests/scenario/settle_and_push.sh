#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# settle_and_push: two stages take each message of raw, and push two into left and one into right in one step with the
# ack of their input (mr_settle_and_push). The queues have different home workers. One stage after the other is killed
# with SIGKILL, and control now and then; in some rounds right is full then. Each accepted message has each of its three
# outputs once. At last the data plane dies: what it had is lost, and all programs go on by themselves.
. "$(dirname "$0")/../support/lib.sh"
export LC_ALL=C
patience_s=60

load=$build/tests/support/load
rounds=${MILLRACE_KILL_ROUNDS:-12}
declare -A pids=()

stage() { # NAME
	start "$1" "$load" split raw "$left" "$right"
	pids[$1]=$pid
}
home_of() { "$millrace" queue show "$1" --json | jq .worker; }

bus_start --workers 2 --set queues.max_deliver=65535 --set queues.messages_max=500
# Two queues with different home workers: which names have which depends on a random key of the bus.
"$millrace" push first.0 x
left=first.0 right=
for i in $(seq 1 40); do
	"$millrace" push "second.$i" x
	[ "$(home_of "second.$i")" = "$(home_of "$left")" ] || { right=second.$i && break; }
done
[ -n "$right" ] || fail "all of 40 queues have one home worker"
expect_status 0 "$millrace" queue purge "$left"
expect_status 0 "$millrace" queue purge "$right"

for queue in left right; do
	start "$queue" "$load" consume "${!queue}" - "$dir/$queue.lines"
	pids[$queue]=$pid
done
stage one
stage two
start made "$load" produce raw alpha "$dir/accepted"
pids[made]=$pid
lines() { wc -l <"$1"; }
wait_for "outputs arrive" test -s "$dir/right.lines"

say "killing stages, $rounds times"
depth() { "$millrace" queue show "$1" --json | jq '.ready + .outstanding'; }
is_full() { [ "$(depth "$right")" -ge 500 ]; }
for round in $(seq "$rounds"); do
	if [ $((round % 4)) -eq 3 ]; then
		kill -STOP "${pids[right]}"
		wait_for "outputs wait for room" is_full
	fi
	victim=$([ $((round % 2)) -eq 0 ] && echo one || echo two)
	kill -KILL "${pids[$victim]}"
	wait "${pids[$victim]}" 2>/dev/null || true
	stage "$victim"
	if [ $((round % 6)) -eq 0 ]; then
		control=$(control_pid)
		kill -KILL "$control"
		wait_for "up starts control again" bus_child_is_not millrace-control "$control"
	fi
	kill -CONT "${pids[right]}"
	so_far=$(lines "$dir/right.lines")
	goes_on() { [ "$(lines "$dir/right.lines")" -gt $((so_far + 500)) ]; }
	wait_for "work goes on" goes_on
done

say "the producer ends, and all is worked off"
kill -TERM "${pids[made]}"
wait_child "${pids[made]}" "the producer"
expect_equal "exit status of the producer" "$status" 0
nothing_is_left() {
	"$millrace" queues --json | jq -e --arg left "$left" --arg right "$right" \
		'map(select(.name == "raw" or .name == $left or .name == $right) | .ready + .delayed + .outstanding) | add == 0'
}
wait_for "control answers" "$millrace" ping
wait_for "queues are empty" nothing_is_left
for name in one two left right; do
	kill -TERM "${pids[$name]}"
	wait_child "${pids[$name]}" "$name"
	expect_equal "exit status of $name" "$status" 0
done

sed 's/$/:a/; p; s/a$/b/' "$dir/accepted" | sort >"$dir/left.expected"
sed 's/$/:c/' "$dir/accepted" | sort >"$dir/right.expected"
for queue in left right; do
	sort "$dir/$queue.lines" >"$dir/$queue.sorted"
	missing=$(comm -23 "$dir/$queue.expected" "$dir/$queue.sorted" | wc -l)
	doubled=$(uniq -d "$dir/$queue.sorted" | wc -l)
	figures "$queue: of $(lines "$dir/$queue.expected") expected, missing $missing, doubled $doubled"
	expect_equal "accepted and lost" "$missing" 0
	expect_equal "there twice" "$doubled" 0
done
expect_above "outputs that queues knew already" "$("$millrace" queues --json | jq 'map(.duplicates) | add')" 0
expect_equal "dead letters" "$(counter queue_dead)" 0
expect_equal "too old" "$(counter refused_push_old)" 0

say "the data plane is killed"
for name in left right; do
	start "$name" "$load" consume "${!name}" - "$dir/$name.lines"
	pids[$name]=$pid
done
stage one
start made "$load" produce raw alpha "$dir/accepted"
pids[made]=$pid
for round in 1 2 3; do
	so_far=$(lines "$dir/right.lines")
	wait_for "work goes on" goes_on
	dataplane=$(dataplane_pid)
	kill -KILL "$dataplane"
	wait_for "up starts the data plane again" bus_child_is_not millrace-dataplane "$dataplane"
done
so_far=$(lines "$dir/right.lines")
wait_for "work goes on" goes_on
for name in made one left right; do
	alive "${pids[$name]}" || fail "$name ended: $(cat "$dir/$name.err")"
	kill -TERM "${pids[$name]}"
	wait_child "${pids[$name]}" "$name"
done
bus_stop
