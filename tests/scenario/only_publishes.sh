#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# only_publishes: a program that only publishes notices that the bus was killed, was stopped, or expelled it, and
# goes on by itself. Lines of a slow standard input arrive at once, also over a restart of the bus.
. "$(dirname "$0")/../support/lib.sh"

bus_start
sub_start all 'logs.>' --raw

say "a pipe that stays open: the lines go out as they come"
mkfifo "$dir/pipe"
# shellcheck disable=SC2016
start pipe bash -c 'exec "$0" pub logs.app --stdin-lines <"$1"' "$millrace" "$dir/pipe"
pipe=$pid
mkfifo "$dir/work"
# shellcheck disable=SC2016
start work bash -c 'exec "$0" push jobs --stdin-lines <"$1"' "$millrace" "$dir/work"
work=$pid
exec 8>"$dir/pipe" 7>"$dir/work"
echo "before" >&8
wait_for "the first line is there" has_line "$dir/all.out" '^before$'

resubscribed() { [ "$("$millrace" subjects --json | jq length)" -eq 1 ]; }
told_again() { has_line "$dir/$1.err" "connected again.* and $2|connected again"; }

say "kill -9 of the data plane: the pipe reconnects before the next line"
dataplane=$(dataplane_pid)
kill -KILL "$dataplane"
wait_for "up starts the data plane again" bus_child_is_not millrace-dataplane "$dataplane"
wait_for "the subscriber is back" resubscribed
wait_for "pub tells" told_again pipe publishing
wait_for "push tells" told_again work pushing
echo "after kill" >&8
wait_for "the line is there" has_line "$dir/all.out" '^after kill$'
echo "job" >&7
expect_status 0 "$millrace" pull jobs -n 1 --raw
expect_equal "the job" "$output" job

say "a program that calls mr_publish alone, every 10 ms"
start publisher "$build/tests/support/publisher" logs.only
publisher=$pid
wait_for "it publishes" has_line "$dir/all.out" '^5$'
dataplane=$(dataplane_pid)
kill -KILL "$dataplane"
wait_for "up starts the data plane again" bus_child_is_not millrace-dataplane "$dataplane"
wait_for "the subscriber is back" resubscribed
last=$(tail -n 1 "$dir/publisher.out")
wait_for "what it publishes now arrives" has_line "$dir/all.out" "^$((last + 20))\$"
session() { "$millrace" clients --json | jq -r --argjson pid "$publisher" '.[] | select(.pid == $pid) | .session'; }
"$millrace" kick "$(session)"
wait_for "it is told" has_line "$dir/publisher.err" 'closed by the operator'
last=$(tail -n 1 "$dir/publisher.out")
wait_for "what it publishes now arrives" has_line "$dir/all.out" "^$((last + 20))\$"
kill -TERM "$publisher"
wait_child "$publisher" "the publisher"
expect_equal "exit status of the publisher: no call failed" "$status" 0
expect_equal "twice" "$(sort "$dir/all.out" | uniq -d)" ''

say "the bus stops and starts"
bus_stop
bus_start 7>&- 8>&- # or the pipes would not end
wait_for "the subscriber is back" resubscribed
echo "after restart" >&8
exec 8>&- 7>&-
wait_for "the line is there" has_line "$dir/all.out" '^after restart$'
wait_child "$pipe" "pub"
wait_child "$work" "push"
expect_equal "exit status of push" "$status" 0

bus_stop
