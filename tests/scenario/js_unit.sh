#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# js_unit: the client for Node follows docs/protocol.md against a fake bus that loses, duplicates, delays and forges, and
# its parsers stand hostile bytes.
. "$(dirname "$0")/../support/lib.sh"
. "$top/tests/support/js/js.sh"
js_needs

timeout -k 5 $((patience_s * 2)) node --test "$top/clients/node/test/"
