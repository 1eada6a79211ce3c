#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# startup_time: the time from start to the first message, three times. The figure is for people: a busy machine
# takes longer.
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
	figures "round $round: start to first message $took ms"
	bus_stop
done
