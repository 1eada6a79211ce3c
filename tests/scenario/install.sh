#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# An installation is complete: programs, daemons, library, header, pkg-config, manual pages, configuration, examples.
# An installed bus starts, and a program that was built against it runs. The same from the build tree.
. "$(dirname "$0")/../support/lib.sh"

command -v pkg-config >/dev/null || skip "pkg-config is not installed"
to=$dir/to
prefix=$to$(jq -r '.[] | select(.name == "prefix").value' <(meson introspect --buildoptions "$build"))

install_into() {
	DESTDIR=$to meson install -C "$build" --no-rebuild >"$dir/install.log" 2>&1 </dev/null || {
		tail -n 20 "$dir/install.log"
		fail "meson install failed"
	}
}

expect_file() { [ -s "$1" ] || fail "$1 was not installed"; }

# runs PROGRAM...: it connects and publishes.
publishes() {
	"$@" publish.test hello >"$dir/example.out" 2>&1 || {
		cat "$dir/example.out"
		fail "$1 did not run"
	}
}

build_with() { # NAME FLAGS...: builds the example publish
	local name=$1

	shift
	# shellcheck disable=SC2046
	CCACHE_DISABLE=1 cc -o "$dir/$name" "$top/client/examples/publish.c" $("$@" --cflags --libs millrace) ||
		fail "a program does not build with $*"
}

say "what is installed"
install_into
for file in bin/millrace libexec/millrace/millrace-dataplane libexec/millrace/millrace-control include/millrace.h \
	include/millrace.hpp include/millrace/client.hpp \
	share/man/man1/millrace.1 share/man/man3/mr_push.3 share/man/man3/mr_publish.3 share/man/man5/millrace.yaml.5 \
	share/man/man8/millrace-dataplane.8 share/man/man8/millrace-control.8 share/doc/millrace/LICENSE \
	share/doc/millrace/operations.md share/doc/millrace/examples/publish.c share/doc/millrace/examples/Makefile \
	share/doc/millrace/examples/millrace.yaml share/bash-completion/completions/millrace; do
	expect_file "$prefix/$file"
done
config=$(find "$to" -path '*etc/millrace/millrace.yaml')
expect_file "$config"

say "each function has a page"
cat "$top"/client/millrace/*.h | grep -v '_fn(' | grep -oE '^MR_API [^(]*\bmr_[a-z_]+\(' | grep -oE 'mr_[a-z_]+\(' |
	tr -d '(' >"$dir/functions"
expect_above "functions of the headers" "$(wc -l <"$dir/functions")" 50
while read -r name; do
	expect_file "$prefix/share/man/man3/$name.3"
done <"$dir/functions"
expect_match "the page of mr_push" "$(cat "$prefix/share/man/man3/mr_push.3")" '^\.so man3/mr_queue'

say "an installed bus, with the installed configuration, which nobody overwrites"
echo '# mine' >>"$config"
install_into
expect_equal "the last line" "$(tail -n 1 "$config")" '# mine'
millrace=$prefix/bin/millrace
bus_start --config "$config"
expect_match "the data plane" "$(ps -o args= -p "$(dataplane_pid)")" libexec/millrace/millrace-dataplane

if command -v c++ >/dev/null; then
	say "a C++ program built against what is installed"
	CCACHE_DISABLE=1 c++ -std=c++17 -fsyntax-only -I"$prefix/include" "$top/clients/cpp/examples/publish.cpp" ||
		fail "a C++ program does not compile"
fi

say "a program built against what is installed, and one against the build tree"
lib=$(dirname "$(find "$prefix" -name millrace.pc)")
build_with installed env PKG_CONFIG_PATH="$lib" PKG_CONFIG_SYSROOT_DIR="$to" pkg-config
publishes env LD_LIBRARY_PATH="$(dirname "$lib")" "$dir/installed"
build_with uninstalled env PKG_CONFIG_PATH="$build/meson-uninstalled" pkg-config
publishes "$dir/uninstalled"
bus_stop
