#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# protocol: a client written from docs/protocol.md alone works with the bus.
. "$(dirname "$0")/../support/lib.sh"
command -v flatc >/dev/null || skip "flatc is not installed"

bus_start
say "joins, subscribes, publishes, requests, falls behind, sends malformed messages, and is closed"
expect_status 0 python3 "$top/tests/support/protocol.py" "$run/attach.sock" "$top/flatbuf/schemas"

say "each message that was refused has been counted once"
expect_equal drop_bad_alias "$(counter drop_bad_alias)" 1
expect_equal drop_bad_subject "$(counter drop_bad_subject)" 2
expect_equal drop_bad_message "$(counter drop_bad_message)" 7
expect_equal drop_stale_token "$(counter drop_stale_token)" 1
expect_equal handoff_unknown "$(counter handoff_unknown)" 1
expect_equal channel_corrupt "$(counter channel_corrupt)" 1
expect_equal sessions_expelled "$(counter sessions_expelled)" 1
bus_stop
