#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# bind: queues that are bound to subjects, on two workers: plain and promised publishes, full queues, unbind, control
# killed, dead letters, requests, large messages.
. "$(dirname "$0")/../support/lib.sh"

show() { "$millrace" queue show "$1" --json | jq -c ".$2"; }
has() { [ "$(show "$1" "$2" 2>/dev/null)" = "$3" ]; }
has_at_least() { [ "$(show "$1" "$2" 2>/dev/null)" -ge "$3" ] 2>/dev/null; }
bind() { "$millrace" queue bind "$@" --json >"$dir/bind.out"; }
publish() { "$millrace" pub "$@"; }

bus_start --set workers.count=2

say "each message goes in once, however many bindings match; several queues get it"
bind b.jobs 'orders.*.created' 'orders.>' orders.eu.created
expect_lines "$dir/bind.out" '{"queue":"b.jobs","bindings":3,"changed":3}'
bind b.jobs 'orders.>'
expect_lines "$dir/bind.out" '{"queue":"b.jobs","bindings":3,"changed":0}'
bind b.audit 'orders.>'
bind b.third orders.eu.created
expect_equal "both workers have a queue" \
	"$("$millrace" queues --json | jq -c '[.[] | select(.name | startswith("b.")).worker] | unique')" '[0,1]'
publish orders.eu.created plain -H trace:abc
publish orders.us.created promised --promise at-least-once
publish invoices.eu.created nowhere
publish orders.eu.paid once --promise exactly-once
for queue in b.jobs b.audit; do
	wait_for "$queue has three" has "$queue" ready 3
done
wait_for "b.third has one" has b.third ready 1
"$millrace" pull b.jobs -n 3 --json >"$dir/pull.out"
expect_lines <(jq -c '[.headers, .payload]' "$dir/pull.out") \
	'[{"Millrace-Subject":"orders.eu.created","trace":"abc"},"plain"]
[{"Millrace-Subject":"orders.us.created"},"promised"]
[{"Millrace-Subject":"orders.eu.paid"},"once"]'
expect_equal "nothing was dropped" "$(counter drop_bound_full)" 0
expect_equal "copies in queues" "$(counter bound worker)" 7

say "lists show the bindings"
expect_equal "queue show" "$(show b.jobs subjects)" '["orders.*.created","orders.>","orders.eu.created"]'
expect_equal "queues" "$("$millrace" queues --json | jq -c '.[] | select(.name == "b.jobs").bindings')" 3
expect_equal "subjects" \
	"$("$millrace" subjects --json | jq -c '[.[] | select(.queue == "b.jobs") | [.pattern, .session]] | first')" \
	'["orders.*.created","0x0000000000000000"]'
expect_match "queue show" "$("$millrace" queue show b.jobs)" '^  orders\.\*\.created$'

say "what bind refuses"
while IFS='|' read -r status words expected; do
	read -ra arguments <<<"$words"
	expect_status "$status" "$millrace" queue "${arguments[@]}"
	expect_match "$words" "$errors" "$expected"
done <<'END'
2|bind b.jobs|bind: needs a subject
1|bind b.jobs a..b|empty token
1|bind b.jobs.dead a|dead letters cannot be bound
1|unbind b.jobs a.b|a.b: it is not bound to this subject
1|unbind nothing a.b|it is not bound to any subject
2|unbind b.jobs|name the subjects, or add --all
2|unbind b.jobs a.b --all|not both
1|delete b.jobs -f|it is bound to subjects: unbind it first
END

say "a full queue: plain publishes are dropped for it and counted, promised ones wait"
for queue in b.near b.far; do
	bind "$queue" "full.$queue"
	"$millrace" queue edit "$queue" messages_max=100 >/dev/null
	seq 1 300 | publish "full.$queue" --stdin-lines
	wait_for "$queue is full" has "$queue" ready 100
done
wait_for "the others are counted" counter_above drop_bound_full 399
expect_equal "dropped" "$(counter drop_bound_full)" 400
for queue in b.near b.far; do
	blocks=$(counter publisher_blocks)
	start "promised-$queue" bash -c "exec '$millrace' pub full.$queue --stdin-lines --promise at-least-once < <(seq 1 20000)"
	promised=$pid
	wait_for "its publisher is held" counter_above publisher_blocks "$blocks"
	publish other.subject meanwhile
	alive "$promised" || fail "the publisher did not wait for $queue"
	held=$(show "$queue" ready)
	[ "$held" -lt 20100 ] || fail "$queue took all $held messages"
	"$millrace" pull "$queue" -n 20100 >"$dir/all.out"
	wait_child "$promised" "the publisher for $queue"
	expect_equal "exit status" "$status" 0
	expect_equal "all came, in order" "$(tail -n 20000 "$dir/all.out" | sed 's/.*] //' | cksum)" "$(seq 1 20000 | cksum)"
	expect_equal "left in $queue" "$(show "$queue" ready)" 0
done
expect_equal "no promised message was dropped" "$(counter drop_bound_full)" 400

say "without a binding nothing goes in"
expect_status 0 "$millrace" queue unbind b.jobs 'orders.*.created' orders.eu.created --json
expect_equal "unbind" "$output" '{"queue":"b.jobs","bindings":1,"changed":2}'
expect_status 0 "$millrace" queue unbind b.jobs --all
expect_equal "unbind" "$output" 'b.jobs is not bound to any subject'
publish orders.eu.created later --promise at-least-once
wait_for "b.audit has it" has b.audit ready 4
expect_equal "b.jobs" "$(show b.jobs ready)" 0
expect_status 0 "$millrace" queue delete b.jobs -f

say "control is killed: the data plane remembers the bindings, the next control lists them"
control=$(control_pid)
mkfifo "$dir/lines"
start lines bash -c "exec '$millrace' pub orders.kill --stdin-lines <'$dir/lines'"
lines=$pid
exec 7>"$dir/lines"
echo before >&7
wait_for "b.audit has it" has b.audit ready 5
kill -KILL "$control"
echo after >&7
exec 7>&-
wait_child "$lines" "pub"
wait_for "up starts control again" bus_child_is_not millrace-control "$control"
wait_for "control answers" "$millrace" ping
wait_for "both are in" has b.audit ready 6
expect_equal "bindings" "$(show b.audit subjects)" '["orders.>"]'
bind b.audit 'orders.>' more
expect_lines "$dir/bind.out" '{"queue":"b.audit","bindings":2,"changed":1}'

say "dead letters of a queue that is bound to everything do not come back"
bind b.all '>'
publish loop.one poison
wait_for "it is in" has b.all ready 1
"$millrace" queue edit b.all max_deliver=1 >/dev/null
expect_status 1 "$millrace" pull b.all -n 1 --exec false
wait_for "it is a dead letter" has b.all dead_ready 1
publish loop.two next
wait_for "the next one is in" has b.all ready 1
expect_equal "pushed" "$(show b.all pushed)" 2
expect_match "its subject" "$("$millrace" queue dead b.all --json)" '"Millrace-Subject":"loop.one"'

say "a bound queue does not answer requests"
expect_status 5 "$millrace" request loop.ask question -t 5s
wait_for "but it has the request" has b.all ready 2

say "a message in fragments"
head -c 300000 /dev/zero | tr '\0' x >"$dir/large"
publish loop.large - -H trace:def --promise at-least-once <"$dir/large"
wait_for "it is in" has b.all ready 3
"$millrace" pull b.all -n 3 --json | tail -n 1 >"$dir/pull.out"
expect_json "$dir/pull.out" '[.headers, (.payload | length)]' \
	'[{"Millrace-Subject":"loop.large","trace":"def"},300000]'
expect_equal "dropped" "$(counter drop_bound_memory),$(counter drop_bound_gone)" 0,0

bus_stop
