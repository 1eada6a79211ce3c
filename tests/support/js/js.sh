# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154,SC2034
# js: for scenarios that run the JavaScript client. Source lib.sh first.

# js_needs: sets `js` to the directory of the client's command line; skips the scenario without Node 18.
js_needs() {
	command -v node >/dev/null || skip "node is not installed"
	[ "$(node -p 'process.versions.node.split(".")[0]')" -ge 18 ] || skip "node is older than 18"
	js=$top/tests/support/js
}
