#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# frozen_worker: a worker's thread does not run for a while. Messages promised to its clients meanwhile still arrive,
# under their subject, whatever happens to the publisher.
. "$(dirname "$0")/../support/lib.sh"

frozen=$build/tests/support/frozen

# The thread of worker 1.
worker_thread() {
	local task

	for task in "/proc/$(dataplane_pid)/task"/*; do
		[ "$(cat "$task/comm")" != rte-worker-2 ] || basename "$task"
	done
}

# freeze MILLISECONDS WAY
freeze() {
	local got=0

	"$frozen" "$(worker_thread)" "$@" >"$dir/frozen.out" || got=$?
	[ "$got" -ne 77 ] || skip "threads cannot be stopped here"
	say "$(cat "$dir/frozen.out")"
	expect_equal "exit status of frozen $*" "$got" 0
	expect_json "$dir/frozen.out" '[.came, .wrong, .missed]' '[10,0,0]'
}

# Few aliases, so that a released one is assigned again at once.
bus_start --workers 2 --set tables.aliases_max=64 --set tables.aliases_per_client_max=64
for way in keep close exit kill; do
	freeze 200 "$way"
done
freeze 50 close
freeze 600 reuse
expect_equal "aliases that were not known any more" "$(counter drop_bad_alias)" 0
bus_stop
