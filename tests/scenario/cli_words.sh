#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# cli_words: times and sizes with units, and the word that a mistyped one probably means.
. "$(dirname "$0")/../support/lib.sh"

say "mistyped words get one suggestion, and exit code 2"
expect_status 2 "$millrace" queux
expect_match "a verb" "$errors" '^millrace: queux: no such verb; did you mean .millrace queue.\?'
expect_status 2 "$millrace" frobnicate
expect_match "a verb near none" "$errors" 'no such verb; see .millrace help.'
expect_status 2 "$millrace" status --jsn
expect_match "an option" "$errors" '--jsn: no such option; did you mean --json\?'
expect_status 2 "$millrace" status -json
expect_match "one dash" "$errors" '-json: no such option; did you mean --json\?'
expect_status 2 "$millrace" status json
expect_equal "no dash" "$errors" 'millrace status: json: one word too many; did you mean --json?'
expect_status 2 "$millrace" pub a b --promise exactly-onse
expect_match "a choice" "$errors" "did you mean 'exactly-once'\?"
expect_status 1 "$millrace" up --run-dir "$run" --set workers.cuont=2
expect_match "a key" "$errors" 'did you mean workers\.count\?'

say "units that do not fit"
expect_status 2 "$millrace" sub a -t 1KiB
expect_match "a size for a time" "$errors" "'1KiB' is not a number from 1 to 86400000, in ms, or a time"
expect_status 2 "$millrace" bench --size 2s
expect_match "a time for a size" "$errors" 'in bytes, or a size such as 16KiB'

bus_start --set sessions.heartbeat_ms=2s --set channels.up_ring_bytes=512KiB --set queues.memory_mib=64MiB

say "units in options"
expect_status 4 "$millrace" sub nothing.comes -n 1 -t 0.1s
expect_match "the time that was waited" "$errors" '0 of 1 messages came in 100 ms'
expect_status 0 "$millrace" bench --transport shm --size 1KiB --seconds 200ms --warmup 50ms --json
expect_equal "size" "$(jq .payload_bytes <<<"$output")" 1024
expect_status 0 "$millrace" ping -t 2m

say "plain numbers mean what they always meant"
expect_status 4 "$millrace" sub nothing.comes -n 1 -t 100
expect_match "the time that was waited" "$errors" '0 of 1 messages came in 100 ms'

bus_stop
