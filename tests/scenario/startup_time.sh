#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# startup_time: the time from start to the first message. The figure is for people; the bound is wide, as
# the machine may be busy.
. "$(dirname "$0")/../support/lib.sh"

now_ms() { echo $(($(date +%s%N) / 1000000)); }

for round in 1 2 3; do
	began=$(now_ms)
	bus_start
	sub_start "sub$round" first --json -n 1
	sub_pid=$pid
	"$millrace" pub first message
	wait_child "$sub_pid" sub
	took=$(($(now_ms) - began))
	expect_json "$dir/sub$round.out" .payload '"message"'
	say "round $round: start to first message $took ms"
	[ "$took" -lt 10000 ] || fail "start to first message took $took ms"
	bus_stop
done
