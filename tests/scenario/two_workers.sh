#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# two_workers: clients of different workers exchange messages through the mesh: each once, in order.
. "$(dirname "$0")/../support/lib.sh"

# The thread of worker 0.
worker_thread() {
	local task

	for task in "/proc/$1/task"/*; do
		[ "$(cat "$task/comm")" != rte-worker-1 ] || basename "$task"
	done
}

cat >"$dir/two.yaml" <<YAML
workers:
  count: 2
YAML
bus_start --config "$dir/two.yaml"
expect_equal workers "$("$millrace" workers --json | jq length)" 2

say "workers run on the configured CPUs"
# The last allowed CPU; there may be only one.
cpu=$(taskset -cp $$ | grep -o '[0-9]*$')
bus_stop
bus_start --cpus "$cpu"
expect_equal "CPU of the worker" "$("$millrace" workers --json | jq '.[0].cpu')" "$cpu"
dataplane=$("$millrace" status --json | jq .dataplane_pid)
expect_equal "CPUs of its thread" "$(taskset -cp "$(worker_thread "$dataplane")" | grep -o '[^ ]*$')" "$cpu"
bus_stop
bus_start --config "$dir/two.yaml"

say "clients are spread over the workers"
for i in 1 2 3 4; do
	sub_start "sub$i" 'mesh.>' --json -n 2000
	eval "sub_pid$i=\$pid"
done
"$millrace" clients --json >"$dir/clients.out"
expect_json "$dir/clients.out" '[.[] | select(.subscriptions == 1) | .worker] | unique' '[0,1]'

say "every subscriber gets everything in order"
seq 1 2000 >"$dir/lines"
"$millrace" pub mesh.seq --stdin-lines <"$dir/lines"
for i in 1 2 3 4; do
	name=sub_pid$i
	wait_child "${!name}" "sub $i"
	jq -r .payload "$dir/sub$i.out" | cmp - "$dir/lines" >&2 || fail "sub$i: lost or out of order"
done
expect_above "messages through the mesh" "$(counter mesh_tx_messages)" 0
mesh_is_even() { [ "$(counter mesh_tx_messages)" -eq "$(counter mesh_rx_messages)" ]; }
wait_for "what was sent through the mesh was received" mesh_is_even

say "requests across workers, both ways"
reply_start echo1 echo.one --echo
reply_start echo2 echo.two --echo
for i in {1..4}; do
	expect_status 0 "$millrace" request echo.one "a$i" --timeout 20000
	expect_match answer "$output" "^a$i\$"
	expect_status 0 "$millrace" request echo.two "b$i" --timeout 20000
	expect_match answer "$output" "^b$i\$"
done

say "one group over two workers"
for i in 1 2 3 4; do
	sub_start "group$i" jobs --group g --json
done
"$millrace" pub jobs x -n 400
group_total() { cat "$dir"/group?.out | wc -l; }
group_has_all() { [ "$(group_total)" -ge 400 ]; }
wait_for "the group has all" group_has_all
expect_equal "messages in the group" "$(group_total)" 400

say "verified under load: 4 publishers to 4 subscribers"
start bench "$millrace" bench --publishers 4 --subscribers 4 --seconds 2 --json
bench_end bench "$pid"
start requests "$millrace" bench --pattern request --outstanding 32 --seconds 1 --json
bench_end requests "$pid"

bus_stop
