#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# hostile_messages: malformed messages are counted by reason, and other clients notice nothing.
. "$(dirname "$0")/../support/lib.sh"
. "$(dirname "$0")/../support/hostile.sh"

bus_start --set tables.subscriptions_max=2000 --set tables.aliases_max=1000

honest_start 8
attack_counted drop_bad_alias bad-aliases
attack_counted drop_bad_subject bad-subjects
attack_counted drop_bad_message bad-sections
attack_counted drop_bad_message bus-kinds
attack_counted drop_stale_token stale-tokens
attack_counted refused_push_unknown unknown-queues
attack_counted bad_tags forged-tags
attack_counted drop_bad_fragment forged-fragments
attack_counted handoff_tx unknown-kinds
attack_counted handoff_unknown unknown-kinds 1000
attack_counted handoff_malformed control-garbage
attack control-flood
attack_counted refused_subscriptions subscriptions-hoard
expect_match "what the bus says" "$said" 'refused: -28 .+'
attack_counted refused_aliases aliases-hoard
expect_match "what the bus says" "$said" 'refused: -28 .+'
honest_end

say "rejected messages are counted for their session; here all of these are closed"
no_clients() { [ "$("$millrace" status --json | jq .clients)" -eq 0 ]; }
wait_for "all sessions are closed" no_clients

say "forged replies do not reach clients that wait for replies"
start requests "$millrace" bench --pattern request --outstanding 16 --seconds 4 --json
requests_pid=$pid
wait_for "requests are answered" counter_above replied 0
attack forged-replies
bench_end requests "$requests_pid"

bus_stop
