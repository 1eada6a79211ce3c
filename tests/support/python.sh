# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154
# python: builds the Python package of clients/python as a wheel and installs it into a new venv, with Debian's
# tools and without a network. Sourced after lib.sh.

# python_prepare compiled|dlopen: sets `python` to the interpreter of the venv, and `package` to a copy of clients/python.
# With `dlopen` the wheel has no compiled part.
python_prepare() {
	local candidate base='' needs

	needs='import sys, importlib.util as u
missing = [m for m in ("cffi", "pycparser", "pip", "setuptools", "wheel") if u.find_spec(m) is None]
sys.exit(bool(missing) or sys.version_info < (3, 11))'
	for candidate in "${PYTHON:-python3}" /usr/bin/python3; do
		if "$candidate" -c "$needs" >/dev/null 2>&1; then
			base=$candidate
			break
		fi
	done
	[ -n "$base" ] || skip "no Python 3.11 with cffi, pip, setuptools and wheel: see scripts/deps"
	package=$dir/package
	mkdir "$package"
	(cd "$top/clients/python" && tar -c --exclude=__pycache__ --exclude='*.so' .) | tar -x -C "$package"
	MILLRACE_PYTHON=$1 wheel_build "$base" "$dir/wheel"
	"$base" -m venv --system-site-packages --without-pip "$dir/venv"
	python=$dir/venv/bin/python
	wheel_install "$base" "$dir"/wheel/millrace-*.whl
	export LD_LIBRARY_PATH=$build/client MILLRACE_BUILD=$build PYTHONDONTWRITEBYTECODE=1
}

# wheel_build PYTHON DIRECTORY
wheel_build() {
	MILLRACE_INCLUDE=$top/client MILLRACE_LIB=$build/client "$1" -W ignore -m pip --no-cache-dir \
		--disable-pip-version-check wheel --no-build-isolation --no-deps --no-index --wheel-dir "$2" "$package" \
		>"$dir/wheel.log" 2>&1 || fail "the wheel was not built"
}

# wheel_install PYTHON WHEEL
wheel_install() {
	"$1" -m pip --no-cache-dir --disable-pip-version-check --python "$python" install --no-deps --no-index \
		--force-reinstall "$2" >"$dir/install.log" 2>&1 || fail "the wheel was not installed"
}

# unit TEST...: runs unit tests in the venv; warnings, such as those of a forgotten client, are errors.
unit() {
	(cd "$package" && timeout -k 5 $((patience_s * 3)) "$python" -W error -m unittest "$@") \
		>"$dir/unit.out" 2>&1 </dev/null || fail "unit tests"
	expect_match "the last line of the tests" "$(tail -n 1 "$dir/unit.out")" '^OK$'
	say "$(grep '^Ran ' "$dir/unit.out")"
}
