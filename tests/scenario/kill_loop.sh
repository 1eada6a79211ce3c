#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# kill_loop: programs and control are killed at any time under load, and no promised message is lost.
#
#   producers ──▶ raw ──▶ stages ──▶ cooked ──▶ consumer      exactly once, named publishers
#   producer  ──▶ plain ──────────────────────▶ consumers     at least once
#   callers   ──▶ echo  ──▶ servers                           each call is answered correctly
#
# For MILLRACE_KILL_S seconds (default: a minute) one after the other is killed with SIGKILL and started
# anew, and now and then control. Each accepted message must have been processed: at
# least once, and after the stages exactly once. Only the last consumer of cooked is not killed:
# a message that it processed but could not acknowledge would be delivered again.
. "$(dirname "$0")/../support/lib.sh"
export LC_ALL=C # millions of lines are sorted

load=$build/tests/support/load
seconds=${MILLRACE_KILL_S:-60}
declare -A pids=() commands=()
kills=0

run_one() { # NAME
	# shellcheck disable=SC2086
	start "$1" "$load" ${commands[$1]}
	pids[$1]=$pid
}

add() { # NAME ARGUMENTS
	local name=$1

	shift
	commands[$name]="$*"
	run_one "$name"
}

kill_one() { # NAME
	kill -KILL "${pids[$1]}"
	wait "${pids[$1]}" 2>/dev/null || true
	kills=$((kills + 1))
	run_one "$1"
}

kill_control() {
	local control

	control=$(control_pid) || return 0
	kill -KILL "$control"
	kills=$((kills + 1))
	wait_for "up starts control again" bus_child_is_not millrace-control "$control"
}

bus_start --workers 2 --set queues.max_deliver=65535 --set queues.messages_max=2000 \
	--set services.retries=100 --set services.breaker_failures=0
dataplane=$(dataplane_pid)

add drain consume cooked - "$dir/cooked"
add stage1 stage raw cooked
add stage2 stage raw cooked
add made1 produce raw alpha "$dir/raw.accepted"
add made2 produce raw beta "$dir/raw.accepted"
add eat1 consume plain - "$dir/plain"
add eat2 consume plain - "$dir/plain"
add plain produce plain - "$dir/plain.accepted"
add serve1 serve echo
add serve2 serve echo
add call1 call echo one "$dir/called"
add call2 call echo two "$dir/called"
for file in cooked raw.accepted plain plain.accepted called; do
	wait_for "$file grows" test -s "$dir/$file"
done

# bytes_of NAME...: bytes written so far; some twenty a line.
bytes_of() { (cd "$dir" && stat -c %s "$@") | awk '{ sum += $1 } END { print sum }'; }

victims=(stage1 made1 eat1 serve1 call1 plain stage2 made2 eat2 serve2 call2)
say "killing for $seconds s"
deadline=$((SECONDS + seconds)) round=0
while [ "$SECONDS" -lt "$deadline" ]; do
	kill_one "${victims[round % ${#victims[@]}]}"
	round=$((round + 1))
	[ $((round % 7)) -ne 0 ] || kill_control
	# Some work must be done between two kills, or nothing is tested.
	bytes=$(bytes_of cooked plain called)
	goes_on() { [ "$(bytes_of cooked plain called)" -gt $((bytes + 6000)) ]; }
	wait_for "work goes on" goes_on
done
expect_equal "pid of the data plane" "$(dataplane_pid)" "$dataplane"

say "after $kills kills: producers and callers end, what is accepted is worked off"
wait_for "control answers" "$millrace" ping
for name in made1 made2 plain call1 call2; do
	kill -TERM "${pids[$name]}"
	wait_child "${pids[$name]}" "$name"
	expect_equal "exit status of $name" "$status" 0
done
empty() { # QUEUE
	"$millrace" queues --json |
		jq -e --arg q "$1" '.[] | select(.name == $q) | .ready + .delayed + .outstanding == 0'
}
for queue in raw cooked plain; do
	wait_for "$queue is empty" empty "$queue"
done
for name in drain stage1 stage2 eat1 eat2 serve1 serve2; do
	kill -TERM "${pids[$name]}"
	wait_child "${pids[$name]}" "$name"
	expect_equal "exit status of $name" "$status" 0
done

# missing ACCEPTED PROCESSED: prints messages that were accepted and never processed.
for file in cooked raw.accepted plain plain.accepted; do
	sort "$dir/$file" >"$dir/$file.sorted"
done
missing() { comm -23 <(uniq "$1.sorted") <(uniq "$2.sorted") | wc -l; }
doubled() { uniq -d "$1.sorted" | wc -l; }
# There are millions of lines on a fast machine: each figure is counted once.
missing_once=$(missing "$dir/raw.accepted" "$dir/cooked") doubled_once=$(doubled "$dir/cooked")
missing_plain=$(missing "$dir/plain.accepted" "$dir/plain")
figures "exactly once: accepted $(wc -l <"$dir/raw.accepted"), processed $(wc -l <"$dir/cooked"), missing \
$missing_once, doubled $doubled_once"
figures "at least once: accepted $(wc -l <"$dir/plain.accepted"), processed $(wc -l <"$dir/plain"), missing \
$missing_plain, doubled $(doubled "$dir/plain")"
figures "calls answered rightly: $(wc -l <"$dir/called"); kills: $kills"
expect_equal "accepted and lost, exactly once" "$missing_once" 0
expect_equal "accepted and lost, at least once" "$missing_plain" 0
expect_equal "processed twice, exactly once" "$doubled_once" 0
expect_equal "dead letters" "$(counter queue_dead)" 0
bus_stop
