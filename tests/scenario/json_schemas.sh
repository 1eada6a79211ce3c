#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# json_schemas: all output with --json is as the schemas in docs/json say, and they name nothing that does not exist.
. "$(dirname "$0")/../support/lib.sh"
. "$top/tests/support/net.sh"

for python in "${PYTHON:-python3}" /usr/bin/python3 ''; do
	[ -n "$python" ] || skip "python3-jsonschema is not installed: see scripts/deps"
	"$python" -c 'import jsonschema; jsonschema.Draft202012Validator' 2>/dev/null && break
done

records=$dir/records
mkdir "$records"
count=0
odd=$'\xff' # no UTF-8

# keep SCHEMA plain|safe FILE COMMAND...: keeps output for the check.
keep() {
	count=$((count + 1))
	cp "$3" "$records/$count"
	printf '%s\t%s\t%s\t%s\n' "$count" "$1" "$2" "${*:4}" >>"$records/index"
}
# take SCHEMA ARGUMENT...: runs millrace with --json, and keeps the output.
take() {
	expect_status 0 "$millrace" "${@:2}" --json
	keep "$1" plain "$dir/.output" "${@:2}" --json
}
# take_both SCHEMA ARGUMENT...: also runs it with --json-safe.
take_both() {
	take "$@"
	expect_status 0 "$millrace" "${@:2}" --json-safe
	keep "$1" safe "$dir/.output" "${@:2}" --json-safe
}
# ended NAME PID SCHEMA: waits for a program that was started, and keeps its output.
ended() {
	wait_child "$2" "$1"
	expect_equal "exit status of $1" "$status" 0
	keep "$3" plain "$dir/$1.out" "$1"
}
verbs_with_json() {
	"$millrace" completion bash | sed -nE "s/^\t([a-z]+)\) words='.*--json( .*|)' ;;\$/\1/p" | tr '\n' ' '
}
# actions_of VERB: its actions, from the usage line; many are in the details only, at the beginnings of lines.
actions_of() {
	"$millrace" help "$1" | sed -nE '/^Usage: /s/.*\[OPTIONS\] \[?([a-z]+\|[a-z|]+)\]? .*/\1/p' | tr '|' ' '
	"$millrace" help "$1" | sed -nE '/^Usage: .* ACTION /,/^Options:/s/^([a-z]+(, [a-z]+)*)(  .*)?$/\1/p' | tr -d ,
}
# actions_with_json VERB...: "queue show", "queue peek" and so on, of the verbs that have actions, each on a line.
actions_with_json() {
	local verb action

	for verb; do
		for action in $(actions_of "$verb"); do
			printf '%s %s\n' "$verb" "$action"
		done
	done
}
session_of() { "$millrace" clients --json | jq -r --argjson pid "$1" '.[] | select(.pid == $pid) | .session'; }

say "every verb has --json, but for four"
read -ra verbs <<<"$(verbs_with_json)"
expect_equal "verbs without it" "$("$millrace" help | sed -n '/^Verbs:/,/^$/s/^  \([a-z]*\) .*/\1/p' | sort |
	comm -23 - <(printf '%s\n' "${verbs[@]}" | sort) | xargs)" 'cheat completion help up'
actions_with_json "${verbs[@]}" >"$records/actions"
expect_above "actions" "$(wc -l <"$records/actions")" 15

say "an error is text on standard error, and the exit status; standard output stays empty"
for verb in status clients top ping 'pub a' 'push a' 'sub a' 'queue show a' 'bench --seconds 1' latency; do
	# shellcheck disable=SC2086 # words are wanted
	expect_status 3 "$millrace" $verb --json
	expect_equal "output of $verb without a bus" "$output" ''
	expect_match "$verb without a bus" "$errors" "^millrace ${verb%% *}: "
done
expect_status 2 "$millrace" up --json-safe
expect_match "up has no JSON" "$errors" 'json-safe'

say "lists of a bus without anything"
bus_start
for verb in queues services sessions 'sessions --slow' subjects 'subjects --patterns' 'who --filter name=nobody' ports; do
	# shellcheck disable=SC2086
	take "${verb%% *}" $verb
	expect_equal "$verb" "$output" '[]'
done
take workers workers
expect_equal "counters that an older control may lack and the schema does not let be null" "$(jq -r '."$defs".worker.properties |
	to_entries[] | select(.value["$ref"] == "#/$defs/u64").key' "$top/docs/json/workers.schema.json" | xargs)" \
	'rx_messages tx_messages published delivered replied silent_ms'
take status status
take top top -n 1 --interval 20
expect_status 1 "$millrace" queue show nothing.here --json
expect_equal "output about no queue" "$output" ''
bus_stop

# A ring that a publisher can fill, a worker that is pinned, and a port where one can be made.
options=(--cpus "$(taskset -cp $$ | sed 's/.*[:,-] *//')" --set workers.poll=adaptive --set channels.down_ring_bytes=262144
	--set sessions.show_sender=true)
part=part
if net_try; then
	net_pair 1
	options+=(--port "$(net_af_xdp)"
		--port "memif,socket=$dir/memif.sock,role=server,tap=mrh$$,address=10.95.0.1/24")
	part=''
fi
bus_start "${options[@]}"
udp=udp://$net_bus4:7400
far() { timeout -k 5 $((patience_s * 2)) "${net_in[@]}" env MILLRACE_SERVER="$udp" "$millrace" "$@"; }

say "subscribers of each kind, and what they print"
sub_start texts 'text.>' --json
texts=$pid
sub_start stamped 'text.>' --time --sender --json
sub_start bytes "odd.$odd" 'odd.>' --group "g$odd" --json
bytes=$pid
sub_start grouped 'text.>' --group g --promise at-least-once --high-water 60 --json
if [ -z "$part" ]; then
	start far "${net_in[@]}" env MILLRACE_SERVER="$udp" "$millrace" sub 'text.>' --json
	wait_for "the far one is subscribed" has_line "$dir/far.err" subscribed
	far=$pid
fi
sub_start prefixed text --prefix --count-only -n 3 --json
counted=$pid
sub_start rated 'text.>' --rate --interval 50 -n 3 --json
rated=$pid
sub_start reported 'text.>' "odd.$odd" --report -n 4 --json
reported=$pid
sub_start last 'text.>' --last -n 3 --json
last=$pid
take pub pub text.a hello -H trace:abc
take pub pub text.b hello -H many:1 -H many:2
take_both pub pub "odd.$odd" hello
printf 'a\xff\x00b' | "$millrace" pub odd.payload - -H "odd:$odd"
reply_start plain_reply text.ask 'as you say' -n 2 --json -H from:reply
plain_reply=$pid
take request request text.ask hello
take request request text.ask hello
ended plain_reply "$plain_reply" reply
reply_start first ask.many one -n 1
reply_start second ask.many two -n 1 -H from:second
take request request ask.many --replies 2
expect_equal "replies" "$(wc -l <<<"$output")" 2
reply_start odd_reply ask.odd --exec "printf '\\377'" -n 1 -H "odd:$odd" --json
odd_reply=$pid
take request request ask.odd
ended odd_reply "$odd_reply" reply
for name in prefixed:$counted:count rated:$rated:rate reported:$reported:report last:$last:message; do
	ended "${name%%:*}" "$(cut -d: -f2 <<<"$name")" "sub#${name##*:}"
done
wait_for "all came" lines_at_least "$dir/texts.out" 4
wait_for "what is no text came" lines_at_least "$dir/bytes.out" 3
keep sub#message plain "$dir/texts.out" sub text
keep sub#message plain "$dir/bytes.out" sub odd
wait_for "the stamped ones came" lines_at_least "$dir/stamped.out" 4
keep sub#message plain "$dir/stamped.out" sub --time --sender

say "queues"
ready_are() { [ "$("$millrace" queue show "$1" --json | jq .ready)" -eq "$2" ]; }
"$millrace" push "q$odd" hello --max-deliver 1 --priority high -H "odd:$odd"
take_both push push jobs hello -n 3 -H a:b --max-deliver 1 --priority 5
take push push jobs hello --promise best-effort
printf '\xff' | "$millrace" push jobs - -H "odd:$odd" --promise at-least-once
wait_for "the best-effort one came" ready_are jobs 8
take queue#peek queue peek jobs
"$millrace" push keyed x --key k --policy key-shared
"$millrace" push keyed y --key $'odd\xff'
take queue#keys queue keys keyed
mkfifo "$dir/hold"
start holder bash -c "exec '$millrace' pull keyed --ack manual <'$dir/hold'"
exec 7>"$dir/hold"
keys_are_held() { [ "$("$millrace" queue show keyed --json | jq .outstanding)" -eq 2 ]; }
wait_for "both keys are held" keys_are_held
take queue#keys queue keys keyed
exec 7>&-
take queue#show queue show keyed
take queue#bind queue bind jobs 'bound.*' bound.too
take queue#bind queue bind "q$odd" bound.this
take queue#show queue show jobs
take_both subjects subjects
take queue#bind queue unbind jobs bound.too
take queue#bind queue unbind "q$odd" --all
take queue#bind queue unbind jobs --all
take_both push push jobs.later x --delay 1h --ticket 281474976710655
take queue#cancel queue cancel jobs.later 281474976710655
take push push jobs.later tick --every 1h --ticket 1
take push push jobs.later "$odd" --cron '0 8 * * *' --ticket 2
take_both queue#schedules queue schedules jobs.later
take push push "q$odd" tick --every 1h --ticket 3
take queue#schedules queue schedules
take queue#cancel queue unschedule "q$odd" 3
expect_match "a name that is not UTF-8" "$output" '"queue_base64": *"cf8="'
take queue#cancel queue unschedule jobs.later 1
take queue#show queue show "q$odd"
take_both queues queues
take_both queues queues --watch -n 1 --interval 20
"$millrace" queue import both --json <<<'{"payload":"x"}' >"$dir/import.out"
keep queue#import plain "$dir/import.out" queue import
take queue#move queue copy both copied
take queue#move queue move both other
"$millrace" push other x -H a:b
printf '\xff' | "$millrace" push other - -H "odd:$odd"
"$millrace" push other later --delay 1h --ttl 2h --ticket 5 >/dev/null
"$millrace" push other dated --at 2096-01-01T00:00:00Z >/dev/null
"$millrace" queue import other <<<'{"version":2,"payload":"tried","attempts":1}' >"$dir/import.out"
take queue#export queue export other
take queue#pause queue pause jobs
take queue#resume queue resume jobs
take pull pull jobs -n 2
start manual "$millrace" pull jobs --ack manual --json --tag manual --rate 1k --prefetch-bytes 1MiB
manual=$pid
wait_for "a message has a tag" has_line "$dir/manual.out" tag
take_both queue#show queue show jobs
take queue#consumers queue consumers jobs
wait_for "all have one" lines_at_least "$dir/manual.out" 6
keep pull plain "$dir/manual.out" pull --ack manual
start plain "$millrace" pull both --ack manual
plain=$pid
wait_for "it pulls" has_line "$dir/plain.err" pulling
take queue#show queue show both
take queue#consumers queue consumers both
kill -TERM "$manual" "$plain"
wait_child "$manual" pull
wait_child "$plain" pull
for queue in jobs "q$odd"; do
	"$millrace" pull "$queue" --exec false --idle-exit 200 >/dev/null 2>&1 || true
	take queue#dead queue dead "$queue"
done
expect_above "dead letters" "$(jq length "$dir/.output")" 0
"$millrace" push ended x --ttl 1ms --when-expired dead-letter
has_ended() { [ "$("$millrace" queue show ended --json | jq .dead_ready)" = 1 ]; }
wait_for "one died without an error" has_ended
take queue#dead queue dead ended
take_both queue#edit queue edit jobs messages_max=5k ack_timeout=1m
take queue#show queue show jobs
take queue#redrive queue redrive jobs -n 1
take queue#purge queue purge jobs
take queue#delete queue delete jobs

say "services"
start echo "$millrace" serve echo --exec cat -n 1 -H a:b --json
served=$pid
start odd_service "$millrace" serve "s$odd" --exec "printf '\\377'" -H "odd:$odd"
workers_are() { [ "$("$millrace" services --json | jq '[.[].consumers] | add')" -eq "$1" ]; }
wait_for "they serve" workers_are 2
for service in echo "s$odd"; do
	take_both service service show "$service"
done
take_both service service edit echo breaker_failures=never
take service service show echo
take_both services services
take services services --watch -n 1 --interval 20
for service in echo "s$odd"; do
	take call call "$service" hello
done
take call call mmi.service echo
ended echo "$served" serve

say "sessions: fast, slow, ended"
start ticking "$millrace" pub tick x --count 1G --rate 500
ticking=$pid
for verb in status workers counters 'counters --all' clients 'clients --watch -n 1 --interval 20' 'top -n 1 --interval 20' \
	ping version ports; do
	# shellcheck disable=SC2086
	take_both "${verb%% *}" $verb
done
kill -TERM "$ticking"
take_both ports#stats ports stats
if [ -n "$part" ]; then
	say "(not tested: limits of ports, without a port)"
else
	for rule in 'limit af_xdp0 sources 1M' 'limit af_xdp0 10.99.0.0/16 1000' 'allow af_xdp0 0.0.0.0/0' 'deny af_xdp0 10.98.0.0/16'; do
		# shellcheck disable=SC2086
		take_both "ports#${rule%% *}" ports $rule
	done
fi
take_both sessions#list sessions
take_both subjects#list subjects
take_both subjects#patterns subjects --patterns
expect_match "a date with --json-safe" "$("$millrace" clients --json-safe)" '"opened_ns":"[0-9]{19}"'
expect_match "a date without it" "$("$millrace" clients --json)" '"opened_ns":[0-9]{19}'
sub_start blocking 'slow.>' --promise at-least-once --raw
blocking=$pid
sub_start dropping 'drop.>' --raw
dropping=$pid
kill -STOP "$blocking" "$dropping"
seq -f '%.0f of a row that is long enough to fill rings' 1 100000 >"$dir/lines"
# shellcheck disable=SC2016
start promising bash -c 'exec "$0" pub slow.subject --promise at-least-once --stdin-lines <"$1"' "$millrace" "$dir/lines"
promising=$pid
"$millrace" pub drop.them --stdin-lines <"$dir/lines"
slow() { [ "$("$millrace" sessions --slow --json | jq -c '[.[].state] | unique')" = '["full","held up","missing"]' ]; }
wait_for "receivers are slow" slow
take_both sessions#slow_list sessions --slow
blames() { "$millrace" status --json | jq -e 'any(.troubles[]; .session) and all(.troubles[]; .worker >= 0)'; }
wait_for "status knows" blames
take_both status status
kill -STOP "$(dataplane_pid)"
stands() { ("$millrace" status --json || true) | jq -e 'any(.troubles[]; .worker == null)'; }
wait_for "the data plane stands still" stands
expect_status 3 "$millrace" status --json
keep status plain "$dir/.output" status
kill -CONT "$(dataplane_pid)"
take who#session who "$(session_of "$texts")"
session=$(session_of "$dropping")
take kick kick "$session"
kill -KILL "$promising" "$blocking" "$dropping" "$bytes"
if [ -z "$part" ]; then
	session=$("$millrace" sessions --json | jq -r '.[0].session')
	take who#session who "$session"
	kill -TERM "$far"
fi
end_is_known() { "$millrace" who "$session" --json | jq -e '.state == "ended"'; }
wait_for "the end is known" end_is_known
take_both who#session who "$session"
take_both who#list who

say "benches"
for how in '--verify sequence' '--rate 1k --promise at-least-once' '--pattern queue' '--pattern request' '--pattern service'; do
	# shellcheck disable=SC2086
	take bench bench --seconds 0.05 --warmup 0 $how
done
if [ -z "$part" ]; then
	far bench --seconds 0.05 --warmup 0 --promise at-least-once --loss 1 --json >"$dir/bench.out" 2>"$dir/bench.err"
	keep bench plain "$dir/bench.out" bench --loss 1
fi

say "probes"
take latency latency --seconds 0.1 --interval 50
take latency latency --seconds 0.1 --mode queue
take latency latency --seconds 0.1 --mode request --timeout 50
expect_status 5 "$millrace" latency --seconds 0.1 --mode request nobody.here --json
keep latency plain "$dir/.output" latency nobody.here
if [ -z "$part" ]; then
	far latency --seconds 0.1 --json >"$dir/latency.out" 2>"$dir/latency.err"
	keep latency plain "$dir/latency.out" latency
fi

say "contexts"
take context#context context add lab udp://lab --run-dir /run/lab --description 'a lab'
take context#context context add other /run/millrace
take context#ls context ls
take context#context context show lab
take context#bus context show
MILLRACE_SERVER="/tmp/$odd" take context#bus context show
(
	unset MILLRACE_SERVER
	"$millrace" context use lab >/dev/null
	"$millrace" context show --json >"$dir/context.out"
)
keep context#bus plain "$dir/context.out" context show
take context#context context use -
take context#context context rm lab

say "all of it is as the schemas say"
bus_stop
"$python" "$top/tests/support/json_schemas.py" "$top/docs/json" "$records" "$(verbs_with_json)" ${part:+part} >&2 ||
	fail "output and docs/json differ (above)"
