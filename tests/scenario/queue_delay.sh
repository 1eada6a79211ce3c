#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# queue_delay: messages that are delivered later, cancelled before, or repeated; they outlive control.
. "$(dirname "$0")/../support/lib.sh"

show() { "$millrace" queue show "$1" --json | jq -r ".$2"; }
is() { [ "$(show "$1" "$2")" -eq "$3" ]; }
at_least() { [ "$(show "$1" "$2")" -ge "$3" ]; }
at_least_skipped() { [ "$(schedules d.e .[0].skipped)" -ge "$1" ]; }
schedules() { "$millrace" queue schedules "$1" --json | jq -c "$2"; }

bus_start

say "a delayed message comes when it is due, one for a time that has passed at once"
"$millrace" push d.a later --delay 5s >/dev/null
expect_equal "not due yet" "$(show d.a delayed)" 1
"$millrace" push d.a today --at 2020-01-01T00:00:00+01:00 >/dev/null
expect_equal "in order" "$("$millrace" pull d.a -n 2 --raw)" $'today\nlater'
"$millrace" push d.a soon --at "$(date -u -d '+2 seconds' +%Y-%m-%dT%H:%M:%SZ)" >/dev/null
wait_for "it is due" is d.a ready 1

say "a message in fragments, with headers"
head -c 200000 /dev/zero | tr '\0' x >"$dir/large"
"$millrace" push d.b - --delay 3s -H kind:large <"$dir/large" >/dev/null
expect_equal "not due yet" "$(show d.b delayed)" 1
expect_equal "whole" "$("$millrace" pull d.b -n 1 --json | jq -r '.headers.kind, (.payload | length)')" $'large\n200000'

say "a message is cancelled by its ticket, once, and not after it was due"
ticket=$("$millrace" push d.c never --delay 1h | sed 's/^ticket //')
expect_equal "with --json" "$("$millrace" push d.c x --delay 1h --ticket 17 --json | jq .ticket)" 17
expect_status 0 "$millrace" queue cancel d.c "$ticket"
expect_equal "what it says" "$output" "cancelled $ticket"
expect_equal "the other waits" "$(show d.c delayed)" 1
expect_status 1 "$millrace" queue cancel d.c "$ticket"
expect_match "why" "$errors" 'due already, was cancelled'
"$millrace" push d.c now --delay 1ms --ticket 18
wait_for "it is due" is d.c ready 1
expect_status 1 "$millrace" queue cancel d.c 18
expect_status 1 "$millrace" queue cancel d.none 18
expect_match "why" "$errors" 'no such queue'
expect_equal "with --json" "$("$millrace" queue cancel d.c 17 --json | jq -c .)" '{"queue":"d.c","cancelled":17}'
expect_equal "counted" "$(counter queue_cancelled)" 2

say "a queue repeats a message, also while control is dead"
"$millrace" push d.d tick --every 300ms --ticket 1
"$millrace" push d.d night --cron '30 3 * * *' --tz +0200 --ticket 2
wait_for "it repeats" at_least d.d ready 2
expect_equal "both" "$(schedules d.d 'sort_by(.ticket) | map([.ticket, .every_ms, .cron])')" \
	'[[1,300,""],[2,0,"30 3 * * * +0200"]]'
expect_equal "the next time" "$(schedules d.d 'map(.next_ms <= 86400000) | all')" true
made=$(schedules d.d '.[] | select(.ticket == 1).made')
kill -KILL "$(control_pid)"
wait_for "control is back" "$millrace" ping -n 1
wait_for "it goes on" at_least d.d ready "$((made + 2))"
expect_equal "a copy" "$("$millrace" pull d.d -n 1 --raw)" tick

say "the same ticket replaces, purge leaves it, unschedule ends it"
"$millrace" push d.d tock --every 1h --ticket 1
expect_equal "replaced" "$(schedules d.d 'map([.ticket, .payload]) | sort')" '[[1,"tock"],[2,"night"]]'
"$millrace" queue purge d.d --force >/dev/null
expect_equal "not purged" "$(schedules d.d length)" 2
expect_status 0 "$millrace" queue unschedule d.d 1
expect_status 0 "$millrace" queue unschedule d.d 2
expect_equal "ended" "$(schedules d.d length)" 0
expect_status 1 "$millrace" queue unschedule d.d 2

say "the schedules of all queues are listed without a name"
"$millrace" push d.g one --every 1h --ticket 7
"$millrace" push d.h two --every 2h --ticket 8
expect_equal "both" "$("$millrace" queue schedules --json |
	jq -c 'map(select(.queue | test("^d.[gh]$")) | [.queue, .ticket]) | sort')" '[["d.g",7],["d.h",8]]'
expect_match "for people" "$("$millrace" queue schedules)" 'd.h .*2h.*two'
expect_equal "of one" "$(schedules d.g 'map(.queue)')" '["d.g"]'

say "a named zone has its summer time; the bus gets its rule"
mkdir -p "$dir/zones/Europe"
printf 'TZif2 and so on\nCET-1CEST,M3.5.0,M10.5.0/3\n' >"$dir/zones/Europe/Berlin"
printf 'TZif2 and so on\n\n' >"$dir/zones/Europe/Nowhere"
expect_status 0 env TZDIR="$dir/zones" "$millrace" push d.z x --cron '0 8 * * mon' --tz Europe/Berlin --ticket 5
expect_equal "its rule" "$(schedules d.z '.[0].cron')" '"0 8 * * mon CET-1CEST,M3.5.0,M10.5.0/3 Europe/Berlin"'
next=$((($(date +%s) + $(schedules d.z '.[0].next_ms') / 1000 + 30) / 60 * 60))
expect_equal "the next time" "$(TZ=CET-1CEST,M3.5.0,M10.5.0/3 date -d "@$next" '+%a %H:%M')" 'Mon 08:00'
expect_status 2 env TZDIR="$dir/zones" "$millrace" push d.z x --cron '0 8 * * mon' --tz Europe/Nowhere

say "a full queue gets no copy"
"$millrace" push d.e tick --every 100ms --limit 2 --ticket 1
wait_for "copies are left out" at_least_skipped 3
expect_equal "no more than fit" "$(show d.e ready)" 2

say "what is wrong is said"
expect_status 2 "$millrace" push d.f x --at tomorrow
expect_match "the form" "$errors" '2026-12-01T08:00:00Z'
expect_status 2 "$millrace" push d.f x --at 2026-12-01T08:00:00Z --delay 1s
expect_status 2 "$millrace" push d.f x --cron '0 0 30 2 *'
expect_match "the reason" "$errors" 'this day never comes'
expect_status 2 "$millrace" push d.f x --cron '0 25 * * *'
expect_match "the field" "$errors" 'the hour is not 0-23'
expect_status 2 "$millrace" push d.f x --cron '0 8 * * *' --tz Mars/Phobos
expect_match "the zone" "$errors" 'is no time zone that is known here'
for zone in ../../etc/passwd /etc/passwd '' Europe CET-1CEST,M3; do
	expect_status 2 "$millrace" push d.f x --cron '0 8 * * *' --tz "$zone"
done
expect_status 2 "$millrace" push d.f x --every 10ms
expect_status 2 "$millrace" push d.f x --ticket 1
expect_status 2 "$millrace" push d.f x --every 1s --count 2
expect_status 2 "$millrace" queue cancel d.f one
expect_status 2 "$millrace" queue cancel d.f
expect_status 1 "$millrace" queue schedules d.none
head -c 100000 /dev/zero | tr '\0' x >"$dir/large"
expect_status 1 bash -c "'$millrace' push d.f - --every 1s <'$dir/large'"
expect_match "the size" "$errors" 'larger than one frame'
