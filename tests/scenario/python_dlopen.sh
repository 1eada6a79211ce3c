#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# python_dlopen: a wheel of clients/python that was built without a compiler passes the same tests, and the package
# passes mypy, where that is installed.
. "$(dirname "$0")/../support/lib.sh"
. "$top/tests/support/python.sh"
python_prepare dlopen

compgen -G "$dir/wheel/millrace-*-py3-none-any.whl" >/dev/null || fail "the wheel is not plain: $(ls "$dir/wheel")"
expect_status 0 "$python" -c 'import millrace; print(millrace.MODE)'
expect_equal "the mode" "$output" dlopen
unit tests.test_publish tests.test_queue tests.test_request tests.test_bulk tests.test_streams

if command -v mypy >/dev/null; then
	say "types"
	(cd "$package" && mypy --cache-dir "$dir/mypy" src/millrace examples tests) >"$dir/mypy.log" 2>&1 ||
		fail "mypy found faults"
else
	say "mypy is not installed: types are not checked"
fi
