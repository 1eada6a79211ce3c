#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# queue_open: options of a queue are given when push or pull makes it, or by a template: where its dead letters go, its
# policy, its ageing.
. "$(dirname "$0")/../support/lib.sh"

show() { "$millrace" queue show "$1" --json | jq -r ".$2"; }
is_ready() { [ "$(show "$1" ready)" -eq "$2" ]; }

bus_start --workers 2 --set 'queues.templates=mail.*,dead_letter=none;keys.*,policy=key-shared;bound.*,bind=orders.*.created,bind=orders.retry,owner=shop,description=to pack'

say "a place at another worker is refused, with a name that is not"
here='' away=''
for queue in t.1 t.2 t.3 t.4 t.5 t.6 t.7 t.8; do
	if "$millrace" push "$queue" x --dead-letter t.errors --max-deliver 1 2>"$dir/why.$queue"; then
		here=$queue
	else
		away=$queue
	fi
done
if [ -z "$here" ] || [ -z "$away" ]; then fail "all queues are at one worker"; fi
expect_match "why" "$(cat "$dir/why.$away")" \
	'dead_letter: that queue is at worker [01], and this one at worker [01].*such as t.errors-[0-9]+'
expect_status 1 "$millrace" queue show "$away"
expect_status 2 "$millrace" pull "$away" --dead-letter t.errors
expect_match "why" "$errors" 'such as t.errors-'
"$millrace" push "$away" x
expect_status 1 "$millrace" queue edit "$away" dead_letter=t.errors
expect_match "why" "$errors" 'such as t.errors-'
other=$(grep -o 't.errors-[0-9]*' "$dir/why.$away")
expect_status 0 "$millrace" queue edit "$away" dead_letter="$other"
expect_equal "where" "$(show "$other" worker)" "$(show "$away" worker)"

say "dead letters go where the first push said"
expect_equal "shown" "$(show "$here" dead_letter)" t.errors
expect_status 1 "$millrace" pull "$here" -n 1 --exec 'exit 1'
wait_for "it is there" is_ready t.errors 1
expect_status 0 "$millrace" push "$here" y --dead-letter t.errors
expect_status 1 "$millrace" push "$here" y --dead-letter none
expect_match "it has another" "$errors" 'already with other options'
expect_status 2 "$millrace" push t.x y --aging 1500ms
expect_match "whole seconds" "$errors" 'whole number of seconds'
expect_status 2 "$millrace" push t.x y --dead-letter t.x
expect_match "itself" "$errors" 'come back to this queue'

say "pull makes a queue that goes by keys, with ageing"
start consumer "$millrace" pull t.keys -n 1 --json --policy key-shared --key-from 'header Customer' \
	--in-flight-per-key 2 --aging 10s --dead-letter none
exists() { "$millrace" queue show t.keys >"$dir/null" 2>&1; }
wait_for "it is made" exists
expect_equal "its options" "$("$millrace" queue show t.keys --json |
	jq -c '[.policy, .key_from, .in_flight_per_key, .aging_ms, .dead_letter]')" \
	'["key-shared","header Customer",2,10000,"none"]'
"$millrace" push t.keys x -H Customer:ann
wait_child "$pid" consumer
expect_status 0 "$millrace" push t.aging x --aging 2s
expect_equal "by push" "$(show t.aging aging_ms)" 2000

say "a template says where dead letters go"
"$millrace" push mail.a x --dead-letter t.errors
expect_equal "the template's" "$(show mail.a dead_letter)" none
expect_equal "its option" "$(show mail.a edited)" dead_letter
expect_status 1 "$millrace" up --run-dir "$dir/other" --set 'queues.templates=a.*,dead_letter=b.dead'
expect_match "not such a place" "$errors" 'none, default, or the name of a queue'

say "a template that contradicts an open is named, with the option and what to do"
for json in '' --json; do
	# shellcheck disable=SC2086
	expect_status 2 "$millrace" push keys.a x --when-full drop-oldest $json
	expect_equal "no output" "$output" ''
	expect_match "why" "$errors" 'the template keys\.\* \(queues\.templates\) sets policy=key-shared, which does not go with when_full=drop-oldest: ask without when_full, or change the template'
done
expect_status 1 "$millrace" queue show keys.a
expect_status 0 "$millrace" push keys.a x --when-full refuse

say "a template binds the queues that are made under it, and says whose they are and what for"
expect_status 0 "$millrace" push bound.a x
"$millrace" pub orders.eu.created 1
"$millrace" pub orders.retry 2
wait_for "both are in" is_ready bound.a 3
expect_equal "shown" "$("$millrace" queue show bound.a --json | jq -c '[.owner, .description, .subjects, .edited]')" \
	'["shop","to pack",["orders.*.created","orders.retry"],"owner,description"]'
expect_match "in the list" "$("$millrace" queues --wide)" 'bound\.a .* shop  *to pack'
expect_status 0 "$millrace" queue edit bound.a --owner mail --description 'to pack, and returns' max_deliver=9
expect_match "what edit says of the owner" "$output" 'owner=mail, was shop'
expect_match "what edit says of the description" "$output" 'description=to pack, and returns, was to pack'
expect_status 0 "$millrace" queue edit bound.a description=
expect_status 1 "$millrace" queue edit bound.a owner="$(printf 'x%.0s' {1..65})"
expect_match "too long" "$errors" 'at most 64 bytes'
expect_status 0 "$millrace" queue unbind bound.a orders.retry
expect_status 0 "$millrace" push bound.a y
expect_equal "unbound by an operator" "$("$millrace" queue show bound.a --json | jq -c .subjects)" '["orders.*.created"]'
expect_status 0 "$millrace" queue bind bound.b extra
expect_equal "by queue bind, too" "$(show bound.b bindings)" 3
kill -9 "$(control_pid)"
answers() { "$millrace" queue show bound.a >"$dir/null" 2>&1; }
wait_for "control is back" answers
expect_equal "after control was killed" "$("$millrace" queue show bound.a --json | jq -c '[.owner, .description, .bindings]')" '["mail","",1]'
expect_status 1 "$millrace" up --run-dir "$dir/other" --set 'queues.templates=a.*,bind=b..c'
expect_match "no subject" "$errors" 'queues.templates: found bind=b\.\.c; expected a subject or pattern'

say "old messages are copied, moved, exported and purged by their age"
for i in 1 2 3 4 5; do "$millrace" push aged "old $i" || exit; done
ages() { [ "$("$millrace" queue peek aged --json | jq 'last.age_ms')" -gt 1000 ]; }
wait_for "they are old" ages
"$millrace" push aged young
expect_equal "copied" "$("$millrace" queue copy aged aged.copies --older 1s --json | jq .count)" 5
expect_equal "moved" "$("$millrace" queue move aged aged.moved --older 1s -n 1 --json | jq .count)" 1
expect_equal "exported" "$("$millrace" queue export aged --older 1s -n 1 2>"$dir/null" | jq -r .payload)" 'old 2'
expect_equal "purged" "$("$millrace" queue purge aged --older 1s --json | jq .count)" 3
expect_equal "left" "$("$millrace" queue peek aged --json | jq -c 'map(.payload)')" '["young"]'
expect_equal "no more" "$("$millrace" queue purge aged --older 1h --json | jq .count)" 0
expect_status 2 "$millrace" queue import aged --older 1s
