#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# queue_priority: of ten levels the highest goes first, and each message keeps its own; ageing lets the lowest through.
. "$(dirname "$0")/../support/lib.sh"

show() { "$millrace" queue show "$1" --json | jq -c ".$2"; }
pulled() { "$millrace" pull "$1" -n "$2" --json | jq -r '"\(.payload)=\(.priority)"' | tr '\n' ' '; }

bus_start

say "higher first, the older first within one; named ones are among them"
for level in 0 9 4 2 7 normal high low 9; do "$millrace" push t.a "$level" --priority "$level"; done
"$millrace" push t.a plain
expect_equal "counted" "$(show t.a ready_by_priority)" '{"9":2,"7":2,"4":3,"2":1,"1":1,"0":1}'
expect_match "shown" "$("$millrace" queue show t.a)" $'Ready by priority:\n  9         2\n  7 high    2\n  4 normal  3\n'
expect_equal "peek" "$("$millrace" queue peek t.a --json | jq -r '.[].priority' | tr '\n' ' ')" \
	"9 9 high high normal normal normal 2 low 0 "
expect_equal "delivered" "$(pulled t.a 10)" \
	"9=9 9=9 7=high high=high 4=normal normal=normal plain=normal 2=2 low=low 0=0 "

say "only normal ones: nothing is said of priorities"
"$millrace" push t.b x
expect_equal "as JSON" "$(show t.b ready_by_priority)" '{"4":1}'
expect_equal "shown" "$("$millrace" queue show t.b | grep -c 'by priority')" 0

say "they stay in the dead letters, in a redrive, a move, an export and an import; also in fragments"
head -c 100000 /dev/zero | tr '\0' x >"$dir/large"
"$millrace" push t.c - --priority 8 --age 50ms <"$dir/large"
"$millrace" push t.c small --priority 3
dead_are() { [ "$(show t.c dead_ready)" -eq "$1" ]; }
wait_for "they are dead letters" dead_are 2
expect_equal "dead letters" "$(show t.c.dead ready_by_priority)" '{"8":1,"3":1}'
"$millrace" queue edit t.c age_max=none
"$millrace" queue redrive t.c
wait_for "they are back" dead_are 0
expect_equal "redriven" "$(show t.c ready_by_priority)" '{"8":1,"3":1}'
"$millrace" queue move t.c t.d
expect_equal "moved" "$(show t.d ready_by_priority)" '{"8":1,"3":1}'
"$millrace" queue export t.d >"$dir/lines"
expect_equal "exported" "$(jq -r .priority "$dir/lines" | tr '\n' ' ')" "8 3 "
"$millrace" queue import t.e <"$dir/lines"
expect_equal "imported" "$(show t.e ready_by_priority)" '{"8":1,"3":1}'

say "ageing lets a low one through, and may be switched off"
"$millrace" push t.f low --priority 0
expect_status 0 "$millrace" queue edit t.f aging=20ms
expect_equal "what edit says" "$output" 'aging=20ms, was none'
aged() { [ "$(show t.f oldest_ms)" -ge 180 ]; }
wait_for "it has aged" aged
"$millrace" push t.f urgent --priority 9
expect_equal "the older goes first" "$("$millrace" pull t.f -n 1 --raw)" low
expect_status 0 "$millrace" queue edit t.f aging=none
expect_equal "what edit says" "$output" 'aging=none, was 20ms'
expect_equal "the option is named" "$(show t.f edited)" '"aging"'

say "what is wrong is said"
expect_status 2 "$millrace" push t.a x --priority 10
expect_match "the choices" "$errors" 'normal'
expect_status 2 "$millrace" queue edit t.a aging=never
expect_status 2 "$millrace" service edit t.s aging=1s
expect_match "the kind" "$errors" 'only queues'
