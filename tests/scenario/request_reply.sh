#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# request_reply: a request reaches a responder, and its reply reaches the requester.
. "$(dirname "$0")/../support/lib.sh"

bus_start

say "without a responder: exit code 5, at once"
expect_status 5 "$millrace" request nobody.home ping --timeout 20000
expect_match "what it says" "$errors" 'millrace request: .*respond'

say "one responder"
reply_start fixed greet 'hello'
expect_status 0 "$millrace" request greet ping
expect_match answer "$output" '^hello$'
reply_start echo 'echo.>' --echo
expect_status 0 "$millrace" request echo.this 'over the way'
expect_match answer "$output" '^over the way$'

say "a command answers"
reply_start command sum --exec 'tr a-z A-Z'
expect_status 0 "$millrace" request sum shout
expect_match answer "$output" '^SHOUT$'

say "a group of responders shares the requests"
for member in 1 2 3; do
	reply_start "member$member" shared "from $member" --group g
done
for _ in {1..30}; do
	"$millrace" request shared ping --timeout 20000
done >"$dir/shared.text"
expect_equal "answers" "$(grep -c '^from [123]$' "$dir/shared.text")" 30
for member in 1 2 3; do
	expect_above "answers of member $member" "$(grep -c "from $member" "$dir/shared.text")" 0
done

say "several responders: the first answer counts, the others are ignored"
for member in 1 2 3; do
	reply_start "all$member" everyone "from $member"
done
for _ in {1..10}; do
	expect_status 0 "$millrace" request everyone ping --timeout 20000
	expect_match answer "$output" '^from [123]$'
done

say "several responders: --replies gathers the replies"
expect_status 0 "$millrace" request everyone ping --replies 3 --timeout 20000
expect_equal "replies of three" "$(sort <<<"$output" | tr '\n' ' ')" "from 1 from 2 from 3 "
expect_status 0 "$millrace" request everyone ping --replies 2 --timeout 20000
expect_equal "replies of two" "$(grep -c '^from [123]$' <<<"$output")" 2
expect_status 0 "$millrace" request everyone ping --replies 0 --timeout 20000 --stall 3s --json
expect_equal "replies as JSON" "$(jq -r .payload <<<"$output" | sort | tr '\n' ' ')" "from 1 from 2 from 3 "
expect_status 4 "$millrace" request everyone ping --replies 4 --timeout 3000
expect_equal "replies before the time-out" "$(grep -c '^from [123]$' <<<"$output")" 3
expect_match "what it says" "$errors" '3 of 4 replies came in time'
expect_status 5 "$millrace" request nobody.home ping --replies 0 --timeout 20000

say "a subscriber that never answers: exit code 4 after the timeout"
sub_start silent silent.service
expect_status 4 "$millrace" request silent.service ping --timeout 200

say "a responder that goes away: no responders again"
reply_start once gone.soon bye -n 1
once_pid=$pid
expect_status 0 "$millrace" request gone.soon ping
wait_child "$once_pid" "the responder"
expect_equal "exit status of the responder" "$status" 0
no_responders() {
	local got=0
	"$millrace" request gone.soon ping --timeout 1000 || got=$?
	[ "$got" -eq 5 ]
}
wait_for "the bus knows that the responder is gone" no_responders

say "verified, with many outstanding"
start bench "$millrace" bench --pattern request --outstanding 64 --seconds 1 --json
bench_end bench "$pid"
expect_json "$dir/bench.out" .pattern '"request"'

bus_stop
