#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# python_unit: the unit tests of clients/python pass with the compiled part.
. "$(dirname "$0")/../support/lib.sh"
. "$top/tests/support/python.sh"
python_prepare compiled

expect_status 0 "$python" -c 'import millrace; print(millrace.MODE)'
expect_equal "the mode" "$output" compiled
unit discover -t . -s tests
