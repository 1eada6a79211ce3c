#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# python: the wheel of clients/python installs into a new venv, and its examples work as they say.
. "$(dirname "$0")/../support/lib.sh"
. "$top/tests/support/python.sh"
. "$top/tests/support/same_examples.sh"
python_prepare compiled

expect_status 0 "$python" -c 'import millrace; print(millrace.__file__, millrace.MODE)'
expect_match "what is installed" "$output" "^$dir/venv/.* compiled\$"
compgen -G "$dir/venv/lib/python3*/site-packages/millrace/py.typed" >/dev/null || fail "the wheel has no py.typed"

# An example by its name; a program, so that exit statuses and signals are those of the example.
mkdir "$dir/bin"
cat >"$dir/bin/example" <<-EOF
	#!/bin/sh
	name=\$1
	shift
	exec "$python" "$package/examples/\$name.py" "\$@"
EOF
chmod +x "$dir/bin/example"

bus_start
same_examples Python "$dir/bin/example"

say "dead letters"
expect_status 0 "$dir/bin/example" push other.jobs bad
expect_status 0 "$dir/bin/example" pull other.jobs
expect_equal "what pull printed" "$output" pulling
expect_status 0 "$dir/bin/example" pull --dead other.jobs
expect_equal "what pull --dead printed" "$output" 'pulling
bad'
bus_stop
