#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# time_limits: waiting messages and deliveries in progress keep their time limits; calls without a waiting caller are
# not started; exit codes report the failures.
# shellcheck disable=SC2016 # variables in commands are theirs
. "$(dirname "$0")/../support/lib.sh"

bus_start --set queues.ack_timeout_ms=1500 --set services.expiry_ms=600 --set services.heartbeat_ms=400

figure() { "$millrace" queue show "$1" --json | jq ".$2"; }
queue_has() { [ "$(figure "$1" "$2")" = "$3" ]; }

say "jobs that take most of the time-out run once each, although they wait for each other"
for i in 1 2 3; do "$millrace" push jobs "job $i"; done
expect_status 0 "$millrace" pull jobs --exec "cat >>'$dir/ran'; echo >>'$dir/ran'; sleep 1.1" -n 3
expect_equal "runs" "$(sort "$dir/ran" | tr '\n' ,)" 'job 1,job 2,job 3,'
expect_equal "acked" "$(figure jobs acked)" 3
expect_equal "redelivered" "$(figure jobs redelivered)" 0

say "a job that takes longer than its time-out runs once, too"
"$millrace" push jobs long
expect_status 0 "$millrace" pull jobs --exec "echo >>'$dir/long'; sleep 3" -n 1
expect_equal "runs" "$(wc -l <"$dir/long")" 1

say "a command whose message went to another is stopped, and does not count"
"$millrace" push frozen once
start frozen "$millrace" pull frozen --exec 'echo $$ >>'"'$dir/pid'"'; sleep 60; echo never' -n 1
frozen=$pid
wait_for "it runs" test -s "$dir/pid"
kill -STOP "$frozen"
expect_status 0 "$millrace" pull frozen --exec 'echo $MILLRACE_REDELIVERED' -n 1
expect_equal "what the other printed" "$output" 1
kill -CONT "$frozen"
wait_for "it is stopped" gone "$(head -n 1 "$dir/pid")"
wait_for "it says so" has_line "$dir/frozen.err" 'given to another'
kill -TERM "$frozen"
wait_child "$frozen" "the first"
expect_equal "exit status of the first" "$status" 130
expect_equal "acked" "$(figure frozen acked)" 1

say "exit codes: every command failed; some did at first; too few came"
for i in 1 2; do "$millrace" push bad "job $i"; done
expect_status 1 "$millrace" pull bad --exec false -n 2 --delay 1
expect_match "what it says" "$errors" '0 of 2 done, 2 failed'
expect_equal "dead" "$(figure bad dead)" 2
for i in 1 2; do "$millrace" push fickle "job $i"; done
expect_status 0 "$millrace" pull fickle --exec '[ "$MILLRACE_REDELIVERED" -ge 1 ]' -n 2 --delay 1
"$millrace" push few one
expect_status 4 "$millrace" pull few --raw -n 2 --idle-exit 3000
expect_equal "what came" "$output" one

say "no worker of the service: at once, and no service is made"
expect_status 5 "$millrace" call nobody x --timeout 20000
expect_match "what it says" "$errors" 'nobody serves it'
expect_equal "services" "$("$millrace" services --json | jq length)" 0

say "a caller that waits for a worker gets one"
start caller "$millrace" call later hello --wait --timeout 20000
caller=$pid
wait_for "the call waits" eval '[ "$("$millrace" service show later --json | jq .ready)" = 1 ]'
start later "$millrace" serve later --exec cat -n 1
wait_child "$caller" "the caller"
expect_equal "exit status of the caller" "$status" 0
expect_lines "$dir/caller.out" hello

say "a command is stopped when its caller waits no longer; a retry finds no other at work"
start slow "$millrace" serve slow --exec 'echo $$ >>'"'$dir/slow'"'; sleep 60'
slow=$pid
wait_for "it serves" has_line "$dir/slow.err" serving
expect_status 4 "$millrace" call slow x --timeout 3000 --retries 1
expect_equal "tries" "$(wc -l <"$dir/slow")" 2
while read -r command; do
	wait_for "it is stopped" gone "$command"
done <"$dir/slow"
kill -TERM "$slow"
wait_child "$slow" "the worker"

say "a freeze of everything costs nobody anything"
"$millrace" push frost once
start worker "$millrace" serve thaw --exec cat
worker=$pid
wait_for "it serves" has_line "$dir/worker.err" serving
start cold "$millrace" pull frost --exec "touch '$dir/cold'; until [ -e '$dir/warm' ]; do sleep 0.01; done" -n 1
cold=$pid
wait_for "it works" test -e "$dir/cold"
# shellcheck disable=SC2046
set -- "$bus" $(pgrep -P "$bus") "$worker" "$cold"
kill -STOP "$@"
sleep 4 # three times a worker's liveness time-out, and a delivery's
kill -CONT "$@"
touch "$dir/warm"
wait_child "$cold" "the consumer"
expect_equal "exit status of the consumer" "$status" 0
expect_equal "redelivered" "$(figure frost redelivered)" 0
expect_status 0 "$millrace" call thaw warm
expect_equal "workers removed" "$(counter consumers_silent)" 0

say "a caller waits as long as it says, whatever the age of the service is"
start busy "$millrace" serve busy --exec 'sleep 1; cat'
wait_for "it serves" has_line "$dir/busy.err" serving
start first "$millrace" call busy first --timeout 20000
first=$pid
expect_status 0 "$millrace" call busy second --timeout 20000
wait_child "$first" "the first caller"
expect_equal "exit status of the first caller" "$status" 0
bus_stop
