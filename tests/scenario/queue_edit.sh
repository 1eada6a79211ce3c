#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# queue_edit: an operator changes options of queues and services that are in use.
. "$(dirname "$0")/../support/lib.sh"

show() { "$millrace" queue show "$1" --json | jq -r ".$2"; }
has_ready() { [ "$(show "$1" ready)" -eq "$2" ]; }
has_at_least() { [ "$("$millrace" queue show "$1" --json 2>/dev/null | jq .ready)" -ge "$2" ] 2>/dev/null; }
has_dead() { [ "$(show "$1" dead_ready)" -eq "$2" ]; }

bus_start

say "edit says what an option is and was; show says that it was edited"
seq 1 10 | "$millrace" push e.a --stdin-lines --limit 100 --when-full refuse
expect_equal "nothing edited" "$(show e.a edited)" ''
expect_status 0 "$millrace" queue edit e.a messages_max=5 ack_timeout=1m
expect_equal "what edit says" "$output" $'messages_max=5, was 100\nack_timeout=60000ms, was 30000ms'
expect_equal "edited" "$(show e.a edited)" 'messages_max,ack_timeout'
expect_equal "its value" "$(show e.a ack_timeout_ms)" 60000
"$millrace" queue edit e.a age_max=none bytes_max=1MiB policy=weighted --json >"$dir/edit.out"
expect_json "$dir/edit.out" .bytes_max 1048576
expect_json "$dir/edit.out" .policy '"weighted"'
expect_json "$dir/edit.out" .name '"e.a"'

say "a lower limit keeps all messages and refuses more"
expect_equal "messages" "$(show e.a ready)" 10
expect_status 1 "$millrace" push e.a more --limit 100 --when-full refuse
expect_equal "messages" "$(show e.a ready)" 10
"$millrace" pull e.a -n 10 >"$dir/pulled.out"
expect_equal "all were delivered" "$(sort -n "$dir/pulled.out" | tr '\n' ' ')" '1 2 3 4 5 6 7 8 9 10 '

say "a client that asks for its former options goes on; for others it is refused"
expect_status 0 "$millrace" push e.a again --limit 100 --when-full refuse
expect_status 1 "$millrace" push e.a again --limit 100 --when-full wait
expect_match "other options" "$errors" 'other options'

say "a raised limit lets a waiting producer end"
start producer bash -c "exec '$millrace' push e.b --stdin-lines --limit 5 < <(seq 1 20)"
wait_for "it waits" has_at_least e.b 5
expect_status 0 "$millrace" queue edit e.b messages_max=1k
wait_child "$pid" "push"
expect_equal "exit status" "$status" 0
wait_for "all are there" has_ready e.b 20

say "an age limit holds for what waits"
expect_status 0 "$millrace" queue edit e.b age_max=10ms
wait_for "all are dead letters" has_dead e.b 20
expect_status 1 "$millrace" queue edit e.b.dead age_max=1s
expect_match "dead letters" "$errors" 'dead letters have no options: edit their queue'

say "what edit refuses"
expect_status 1 "$millrace" queue edit nothing.here max_deliver=3
expect_match "no queue" "$errors" 'no such queue'
while IFS='|' read -r word expected; do
	expect_status 2 "$millrace" queue edit e.a ${word:+"$word"}
	expect_match "edit $word" "$errors" "$expected"
done <<'END'
mesages_max=3|mesages_max: no such option.*did you mean messages_max
color=red|color: no such option.*expected: policy, when_full, messages_max
messages_max|messages_max: needs a value
messages_max=0|messages_max=0: .*1 to [0-9]*; or none
ack_timeout=1|ack_timeout=1: .*10 to 86400000 ms
max_deliver=70000|1 to 65535
when_full=refused|expected wait, refuse, drop-oldest, dead-letter; did you mean refuse
breaker_reset=1s|only services have a circuit breaker
|edit: needs an option
END
expect_status 2 "$millrace" queue edit e.a max_deliver=3 max_deliver=4
expect_match "twice" "$errors" 'max_deliver: is given twice'
expect_equal "nothing was changed" "$(show e.a max_deliver)" 5

say "a service's circuit breaker"
start worker "$millrace" serve e.echo --exec cat
worker=$pid
wait_for "it serves" "$millrace" service show e.echo --json
expect_status 0 "$millrace" service edit e.echo breaker_failures=never breaker_reset=30s
expect_match "what edit says" "$output" 'breaker_failures=never, was 5'
expect_equal "its value" "$("$millrace" service show e.echo --json | jq -r .breaker_reset_ms)" 30000
kill "$worker"
wait_child "$worker" "serve"

say "names for shells"
expect_match "options" "$("$millrace" completion names queue-options | tr '\n' ' ')" 'ack_timeout= .*when_full=wait'

bus_stop
