# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154
# js: for scenarios that run the JavaScript client. Source lib.sh first.

# js_prepare: sets `js` to the client's directory; skips the scenario if it cannot be made.
js_prepare() {
	local status=0

	js=$("$top/tests/support/js/prepare" "$build") || status=$?
	case $status in
	0) ;;
	77) skip "${js#skip: }" ;;
	*) fail "the JavaScript client cannot be made: $js" ;;
	esac
}
