#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# js_unit: the JavaScript client follows docs/protocol.md,
# against a fake bus that loses, duplicates, delays and forges.
. "$(dirname "$0")/../support/lib.sh"
. "$top/tests/support/js/js.sh"
js_prepare

timeout -k 5 $((patience_s * 2)) node --test "$js/sessions.test.js" "$js/reliable.test.js"
