#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# cli: help, exit codes, JSON and completion of the command line.
. "$(dirname "$0")/../support/lib.sh"

verbs='up pub sub request reply status workers clients sessions subjects queues queue services service ports counters top who kick ping bench latency context cheat version completion help'

say "help"
expect_status 0 "$millrace" help
for verb in $verbs; do
	expect_match "millrace help" "$output" "(^|[[:space:]])$verb([[:space:]]|\$)"
done
for verb in $verbs; do
	expect_status 0 "$millrace" "$verb" --help
	expect_match "$verb --help" "$output" "millrace $verb"
	expect_equal "errors of $verb --help" "$errors" ''
	expect_equal "options that $verb --help has twice" \
		"$(grep -oE '^  (-., |    )--[a-z-]+' <<<"$output" | grep -oE -- '--.*' | sort | uniq -d)" ''
	expect_status 0 "$millrace" help "$verb"
done
expect_match "a range" "$("$millrace" help up)" '^ +up; 1 to 65535$'
expect_match "a range of time" "$("$millrace" help ping)" '\(default 5s\); 1ms to 24h$'
expect_match "units of both kinds" "$("$millrace" help latency)" '^TIME: .* without a unit milliseconds, of --seconds seconds\.$'
for verb in up cheat version help; do
	expect_no_match "options of $verb that mean nothing to it" "$("$millrace" help "$verb")" '--(server|context)'
done

say "usage errors: exit code 2"
expect_status 2 "$millrace"
expect_status 2 "$millrace" nonsense
expect_match "unknown verb" "$errors" 'nonsense'
for verb in $verbs; do
	expect_status 2 "$millrace" "$verb" --no-such-option
	expect_match "unknown option" "$errors" 'no-such-option'
done
expect_status 2 "$millrace" pub
expect_status 2 "$millrace" kick notanumber
expect_status 2 "$millrace" queue show
expect_status 2 "$millrace" queue dance jobs
expect_match "what a queue cannot do" "$errors" 'show, consumers, peek, keys, purge'
expect_status 2 "$millrace" service purge echo
expect_status 2 "$millrace" bench --size 3
expect_status 2 "$millrace" bench --transport udp
expect_match "udp" "$errors" 'needs --server udp'

say "no bus: exit code 3, and a hint"
for verb in 'pub a b' 'sub a' 'request a b' 'reply a b' status workers clients sessions subjects ports counters \
	queues services 'queue show a' 'queue dead a' 'queue purge a' 'service show a' 'queues --watch' 'top -n 1' who 'who 1' 'kick 1' ping 'bench --seconds 1'; do
	# shellcheck disable=SC2086 # words are wanted
	expect_status 3 "$millrace" $verb
	expect_match "$verb without a bus" "$errors" "^millrace ${verb%% *}: .+: .+; .+"
	expect_equal "output of $verb without a bus" "$output" ''
done

bus_start
sub_start one 'some.>' --json

say "JSON"
for verb in status workers clients sessions 'sessions --slow' subjects queues services 'queues --watch -n 1 --interval 10' ports \
	counters 'counters --all' ping version; do
	# shellcheck disable=SC2086
	expect_status 0 "$millrace" $verb --json
	jq -e . >/dev/null <<<"$output" || fail "$verb --json is no JSON: $output"
done
expect_equal "counters that say nothing about themselves" \
	"$("$millrace" counters --all --json | jq '[.[] | select(.text == "")] | length')" 0
"$millrace" status --json >"$dir/status.out"
expect_json "$dir/status.out" .dataplane_connected true
expect_json "$dir/status.out" .dataplane_pid "$(dataplane_pid)"
expect_json "$dir/status.out" .control_pid "$(control_pid)"
expect_json "$dir/status.out" .clients_udp 0
expect_equal "transports" "$("$millrace" clients --json | jq -c '[.[].transport] | unique')" '["shm"]'
expect_equal "sessions over UDP" "$("$millrace" sessions --json)" '[]'
"$millrace" subjects --json >"$dir/subjects.out"
expect_json "$dir/subjects.out" '[.[].pattern]' '["some.>"]'
"$millrace" bench --transport shm --size 64 --subscribers 4 --seconds 1 --json >"$dir/bench.out"
expect_json "$dir/bench.out" '[.published_per_second > 0, .delivered_per_second > 0, .lost,
	(.latency_ns | [.p50, .p99, .p999, .max] | map(type == "number") | all),
	(.worker_cycles_per_message > 0), .payload_bytes, .publishers, .subscribers, (.seconds > 0)]' \
	'[true,true,0,true,true,64,1,4,true]'

say "columns"
for verb in status workers clients subjects counters 'top -n 1 --interval 100'; do
	# shellcheck disable=SC2086
	expect_status 0 "$millrace" $verb
	expect_no_match "$verb when not on a terminal" "$output" $'\033'
	expect_above "lines of $verb" "$(wc -l <<<"$output")" 1
done

for verb in sessions ports queues services; do
	expect_equal "lines of $verb where there are none" "$("$millrace" "$verb" | wc -l)" 1
done

say "queues and services that do not exist"
for verb in 'queue show' 'queue peek' 'queue dead' 'queue purge' 'queue pause' 'queue redrive' 'queue delete' 'service show'; do
	# shellcheck disable=SC2086
	expect_status 1 "$millrace" $verb nothing.here
	expect_match "$verb of what is not there" "$errors" 'no such'
done
expect_status 1 "$millrace" queue show 'no.*'
expect_match "a name that cannot be" "$errors" 'wildcard'

say "peek, purge and delete"
printf 'one\ntwo\n' | "$millrace" push cli.jobs --stdin-lines
expect_equal "peek" "$("$millrace" queue peek cli.jobs --json | jq -c '[.[] | [.payload, .priority, .redelivered]]')" \
	'[["one","normal",0],["two","normal",0]]'
expect_status 0 "$millrace" queue peek cli.jobs -n 1 --no-headers --columns payload
expect_equal "peek of one" "$output" one
expect_status 0 "$millrace" queue show cli.jobs
expect_match "settings in show" "$(tr '\n' ' ' <<<"$output")" 'queues and services:.*messages_max.*services only:.*breaker_probes'
expect_match "no limits in show" "$(tr -s ' ' <<<"$output" | tr '\n' ';')" \
	';messages_max no limit;bytes_max no limit;age_max_ms no limit;ack_timeout_ms 30000;'
expect_equal "no limits in JSON" "$("$millrace" queue show cli.jobs --json | jq -c '[.messages_max, .bytes_max]')" '[4294967295,0]'
expect_status 0 "$millrace" queues --no-headers --columns name,messages_max,bytes_max --filter name=cli.jobs
expect_equal "no limits in a list" "$(tr -s ' ' <<<"$output")" 'cli.jobs - -'
expect_status 0 "$millrace" queue purge cli.jobs
expect_equal "purge" "$output" '2 messages purged'
"$millrace" push cli.jobs three
expect_status 0 "$millrace" queue delete cli.jobs -f
expect_equal "delete" "$output" 'deleted, with 1 message and 0 dead letters'
expect_status 1 "$millrace" queue peek cli.jobs

say "payloads that are no text"
printf 'a\xff\x00b' | "$millrace" pub some.bytes -
wait_for "it arrives" lines_at_least "$dir/one.out" 1
jq -e . "$dir/one.out" >/dev/null || fail "no JSON: $(cat "$dir/one.out")"

say "kick"
session=$("$millrace" clients --json | jq -r '[.[] | select(.subscriptions == 1) | .session][0]')
expect_status 0 "$millrace" kick "$session"
expect_status 1 "$millrace" kick 0x7f00000000000001
wait_for "who was kicked says so, and why" has_line "$dir/one.err" 'connection lost: .*operator'
who_ended() { "$millrace" who --json "$session" >"$dir/who.out" && [ "$(jq -r .state "$dir/who.out")" = ended ]; }
wait_for "the end is remembered" who_ended
expect_json "$dir/who.out" '[.session, .name, .reason, .user, .transport, (.ended_ns >= .opened_ns), (.pid > 0)]' \
	"[\"$session\",\"millrace sub\",\"closed by the operator\",\"$(id -un)\",\"shm\",true,true]"
expect_equal "sessions that the operator ended" "$("$millrace" who --json --filter 'reason~operator' | jq -r '.[].session')" "$session"
"$millrace" who --json "$("$millrace" clients --json --limit 1 | jq -r '.[0].session')" >"$dir/who.out"
expect_json "$dir/who.out" '[.state, .reason, (.subscriptions >= 0)]' '["connected",null,true]'
expect_status 1 "$millrace" who 0x7f00000000000001
expect_match "who nobody knows" "$errors" 'no such session'
expect_status 2 "$millrace" who somebody

say "--server before and after the verb"
server=$MILLRACE_SERVER
unset MILLRACE_SERVER
expect_status 0 "$millrace" --server "$server" status
expect_status 0 "$millrace" status --server "$server"
export MILLRACE_SERVER=$server

say "--run-dir before and after the verb"
: >"$dir/file"
expect_status 1 "$millrace" --run-dir "$dir/file" up
expect_match "up in what is no directory" "$errors" "$dir/file"
expect_status 1 "$millrace" up --run-dir "$dir/file"
expect_match "up in what is no directory" "$errors" "$dir/file"

say "a reader that goes away ends it quietly"
"$millrace" counters --all 2>"$dir/pipe.err" | head -n 1 >/dev/null
expect_equal "errors after a closed pipe" "$(cat "$dir/pipe.err")" ''

say "timeouts and interrupts"
expect_status 4 "$millrace" sub nothing.comes -n 1 --timeout 100
sub_start interrupted nothing.comes
kill -TERM "$pid"
wait_child "$pid" sub
expect_match "exit status after a signal" "$status" '^(0|130|143)$'

say "completion"
expect_status 0 "$millrace" completion bash
bash -n <<<"$output" || fail "the bash completion does not parse"
bash -c 'eval "$1" && complete -p millrace' - "$output" >/dev/null ||
	fail "the bash completion completes nothing"
completed() { bash -c 'eval "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _millrace; echo "${COMPREPLY[@]}"' - "$@"; }
script=$output
expect_equal "completion of a verb" "$(completed "$script" millrace --run-dir /x sess)" sessions
expect_equal "completion of an option" "$(completed "$script" millrace up --run)" --run-dir
expect_equal "completion of a value" "$(completed "$script" millrace -s udp://h bench --transport u)" udp
expect_status 0 "$millrace" completion zsh
expect_status 0 "$millrace" completion fish
expect_status 2 "$millrace" completion tcsh

bus_stop
