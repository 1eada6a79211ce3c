#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# js_unit: the client for Node follows docs/protocol.md against a fake bus that loses, duplicates, delays and forges, and
# its parsers stand hostile bytes.
. "$(dirname "$0")/../support/lib.sh"
. "$top/tests/support/js/js.sh"
js_needs

# Each file by its name: what `node --test` makes of a directory differs between versions.
for file in "$top"/clients/node/test/*.test.js; do
	timeout -k 5 $((patience_s * 2)) node --test --test-reporter=tap "$file" >"$dir/tests.tap" ||
		fail "$(basename "$file"): $(cat "$dir/tests.tap")"
	passed=$(sed -n 's/^# pass //p' "$dir/tests.tap")
	expect_above "tests of $(basename "$file") that passed" "${passed:-0}" 0
	expect_equal "tests left out" "$(sed -n 's/^# skipped //p' "$dir/tests.tap")" 0
	say "$(basename "$file"): $passed tests"
done
