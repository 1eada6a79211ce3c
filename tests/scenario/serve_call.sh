#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# serve_call: workers and callers of the command line: commands that fail, run long, run in parallel, and are
# interrupted; streams; services without workers; circuits; workers that fall silent.
# shellcheck disable=SC2016 # variables in commands are theirs
. "$(dirname "$0")/../support/lib.sh"

workers_are() { [ "$("$millrace" call mmi.workers "$1")" = "$2" ]; }
serve_start() { # NAME SERVICE ARGUMENT...
	local name=$1 service=$2

	shift 2
	start "$name" "$millrace" serve "$service" "$@"
	wait_for "$name serves" has_line "$dir/$name.err" serving
}

bus_start --set services.expiry_ms=500 --set services.heartbeat_ms=400 --set services.breaker_reset_ms=1500

say "no worker of the service: the call ends at once"
expect_status 5 "$millrace" call nobody x --timeout 20000
expect_match "what it says" "$errors" 'nobody serves it'

say "a command that fails"
serve_start fails fails --exec 'exit 3' -v
expect_status 1 "$millrace" call fails x
expect_match "what it says" "$errors" 'its worker failed'
expect_match "what the worker says" "$(cat "$dir/fails.err")" 'exit status 3'
serve_start later later --exec '[ "$MILLRACE_REDELIVERED" -ge 1 ] && echo "$MILLRACE_SERVICE $(cat)"' --retry-on-failure
expect_status 0 "$millrace" call later x
expect_equal "after another try" "$output" 'later x\n'

say "the circuit opens, and closes when the service works again"
serve_start ill ill --exec "[ -e '$dir/well' ] && cat"
for _ in 1 2 3 4 5; do
	expect_status 1 "$millrace" call ill x
done
# On a busy machine a call may come only when the circuit lets one through again; its failure opens the circuit anew.
refused() { grep -q 'the circuit is open' <<<"$("$millrace" call ill x 2>&1)"; }
wait_for "a call is refused" refused
touch "$dir/well"
wait_for "the circuit closes" "$millrace" call ill x
expect_status 0 "$millrace" call ill x

say "two commands side by side"
serve_start pair pair --jobs 2 --exec "touch '$dir'/pair.\$\$; until [ -n \"\$(ls '$dir' | grep pair\\\\. | sed -n 2p)\" ]; do sleep 0.01; done; cat"
start call1 "$millrace" call pair one --timeout 60000
call1=$pid
expect_status 0 "$millrace" call pair two --timeout 60000
expect_equal "the second" "$output" two
wait_child "$call1" "the first caller"
expect_lines "$dir/call1.out" one

say "a command that runs for longer than a worker may be silent"
serve_start long long --exec 'sleep 2; echo "$MILLRACE_REDELIVERED"'
expect_status 0 "$millrace" call long x --timeout 60000
expect_equal "deliveries before" "$output" '0\n'

say "interrupted, a worker finishes what it has begun"
serve_start last last --exec "touch '$dir/begun'; until [ -e '$dir/go' ]; do sleep 0.01; done; cat"
last=$pid
start caller "$millrace" call last bye --timeout 60000
caller=$pid
wait_for "the request is in hand" test -e "$dir/begun"
kill -TERM "$last"
touch "$dir/go"
wait_child "$caller" "the caller"
expect_equal "exit status of the caller" "$status" 0
expect_lines "$dir/caller.out" bye
wait_child "$last" "the worker"
expect_equal "exit status of the worker" "$status" 130
wait_for "it is no worker any more" workers_are last 0

say "a worker that falls silent is none, until it is heard again"
serve_start silent silent --echo
silent=$pid
expect_status 0 "$millrace" call silent x
kill -STOP "$silent"
wait_for "it is no worker" workers_are silent 0
kill -CONT "$silent"
wait_for "it is one again" workers_are silent 1
expect_status 0 "$millrace" call silent again
expect_equal "the answer" "$output" again

say "a streaming request"
start capitals "$build/client/examples/example_serve" -n 2 capitals
wait_for "the example serves" has_line "$dir/capitals.out" serving
got=$(seq 1000 | "$millrace" call capitals --stream | tail -n 1)
expect_equal "the last of it" "$got" '1000 parts'
expect_status 0 "$millrace" call capitals '{"a":1}' --json
expect_match "as JSON" "$output" '"payload": *"\{'
expect_status 2 "$millrace" call capitals - --stream

bus_stop
