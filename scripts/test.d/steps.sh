# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154
# steps: the steps of scripts/test, one function each. Sourced by it.

checks=(
	check-format check-layers check-shell check-man check-docs check-reference check-lines
	check-openings check-edges check-words check-spelling check-clients
	check-layers-selftest check-lines-selftest check-openings-selftest check-edges-selftest
	check-words-selftest check-abi-selftest call-circles-selftest doc-commands-selftest check-report
)

check_command() {
	case $1 in
	*-selftest) echo "tests/tools/${1%-selftest} --self-test" ;;
	*) echo "tests/tools/$1" ;;
	esac
}

step_checks() {
	local check command

	for check in "${checks[@]}"; do
		read -ra command < <(check_command "$check")
		run_one "check: ${check#check-}" "${command[@]}"
	done
}

# The exported functions are those of the release build.
step_abi() {
	run_one "check: abi" tests/tools/check-abi build-release
}

# Meson's options for a build directory build-NAME.
build_options() {
	case $1 in
	clang) echo -Dtests=disabled ;; # the build for asan has tests, by the same compiler
	asan) echo -Db_sanitize=address,undefined -Db_lundef=false -Dbench=disabled -Dfuzzers=disabled ;;
	tsan) echo -Db_sanitize=thread -Db_lundef=false -Dbench=disabled -Dfuzzers=disabled ;;
	fuzz) echo -Dfuzzers=enabled -Dbench=disabled ;;
	esac
}

# Configures and builds build-NAME; a failure counts as one failed test. When --only asks for a test in
# the build, the build itself is made and not counted.
build() {
	local name=$1 compiler=$2 type=$3 options
	local dir=build-$name log=$logs/build-$name.log cxx=${compiler/gcc/g++}

	read -ra options < <(build_options "$name") || true
	local stamp="$compiler $type ${options[*]-}"
	# A build directory with other options is made anew.
	if [ ! -f "$dir/build.ninja" ] || [ "$(cat "$dir/configured" 2>/dev/null)" != "$stamp" ]; then
		rm -rf "$dir"
		CC=$compiler CXX=${cxx/clang/clang++} follow "$log" . meson setup "$dir" --buildtype="$type" -Dwerror=true \
			${options[@]+"${options[@]}"} || {
			failed "$name: build" "meson setup" "$log"
			return 1
		}
		echo "$stamp" >"$dir/configured"
	fi
	# The fuzzing build makes only the fuzzers, and the one for threads only the stress tests.
	local targets=()
	[ "$name" != fuzz ] || mapfile -t targets < <(targets_of fuzz fuzz_)
	[ "$name" != tsan ] || mapfile -t targets < <(targets_of tsan stress_)
	follow "$log" '^\[[0-9]+/[0-9]+\]' ninja -C "$dir" -j "$jobs" ${targets[@]+"${targets[@]}"} || {
		# The first failure, and the end: with several at a time they are not the same.
		sed -n '/^FAILED/,$p' "$log" | head -n 40 >"$log.failed"
		tail -n 40 "$log" >>"$log.failed"
		failed "$name: build" "ninja" "$log.failed" 80
		return 1
	}
	passed "$name: build"
}

step_build() {
	wanted "$1: build" || return 0
	build "$@"
}

# Prints the names of the tests in a build, one a line, as meson shows them, restricted to suites.
tests_in() {
	meson test -C "build-$1" --no-rebuild --list "${@:2}" 2>/dev/null |
		grep -v '^ninja:' | sed 's,^.* / ,,'
}

# True if some --only might name a test of a build that does not exist yet: it names no check and no
# build.
only_unknown() {
	local pattern check name known

	for pattern in "${only[@]}"; do
		known=false
		for check in "${checks[@]}"; do
			[[ "check: ${check#check-}" == *"$pattern"* ]] && known=true
		done
		for name in release clang asan tsan fuzz; do
			[[ "$name: build" == *"$pattern"* ]] && known=true
		done
		$known || return 0
	done
	return 1
}

# True if --only names this build's step, or might name tests in it.
step_wanted() {
	local name=$1 test

	shift
	[ "${#only[@]}" -gt 0 ] || return 0
	wanted "$name: build" && return 0
	if [ ! -f "build-$name/build.ninja" ]; then
		only_unknown
		return
	fi
	while read -r test; do
		wanted "$name: $test" && return 0
	done < <(tests_in "$name" "$@")
	return 1
}

step_build_and_test() {
	local name=$1 compiler=$2 type=$3 test chosen=()

	shift 3
	step_wanted "$name" "$@" || return 0
	build "$name" "$compiler" "$type" || return 0
	if [ "${#only[@]}" -gt 0 ]; then
		while read -r test; do
			wanted "$name: $test" && chosen+=("$test")
		done < <(tests_in "$name" "$@")
		[ "${#chosen[@]}" -gt 0 ] || return 0
	fi
	export ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1
	export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
	export TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1
	export LSAN_OPTIONS=suppressions=$PWD/tests/support/lsan.supp:print_suppressions=0
	# A time-out ends tests that hang. Beside 24 busy processes a test of 0.1 s has taken 70 s, so that even a
	# generous limit of 60 s is no sign of a fault. Sanitizers slow a test down two to ten times on top of it.
	local multiplier=5
	[ "$name" = release ] || multiplier=15
	# The full minute of kills is for the release build; with the sanitizers 15 s are enough.
	[ "$name" = release ] || export MILLRACE_KILL_S=15
	rm -f "build-$name/meson-logs/testlog.json"
	follow_tests "$name" "$logs/test-$name.log" env PYTHONUNBUFFERED=1 \
		meson test -C "build-$name" --no-rebuild --num-processes "$jobs" \
		--timeout-multiplier "$multiplier" "$@" ${chosen[@]+"${chosen[@]}"}
	if [ ! -s "build-$name/meson-logs/testlog.json" ]; then
		failed "$name: tests" "meson test ran nothing" "$logs/test-$name.log"
		return 0
	fi
	cp "build-$name/meson-logs/testlog.json" "build-$name/meson-logs/testlog.txt" "$logs/" 2>/dev/null
	mv "$logs/testlog.json" "$logs/test-$name.json"
	mv "$logs/testlog.txt" "$logs/test-$name.txt"
	report_meson "$name" "$logs/test-$name.json"
}

# targets_of NAME PREFIX: prints the programs of a build whose names begin with PREFIX, as ninja names them.
targets_of() {
	meson introspect "build-$1" --targets | jq -r --arg top "$PWD/build-$1/" --arg prefix "$2" \
		'.[] | select(.type == "executable" and (.name | startswith($prefix))) | .filename[0] |
		ltrimstr($top)'
}

fuzzers_in() {
	[ -f build-fuzz/build.ninja ] && targets_of fuzz fuzz_ | sed 's,^,build-fuzz/,' | sort
}

# Runs one fuzzer for its time, over its seeds and a temporary corpus. Inputs of crashes stay in the logs.
fuzz_one() {
	local program=$1 name=${1##*/} seeds corpus status=0

	seeds=tests/fuzz/seeds/${name#fuzz_}
	if [ ! -d "$seeds" ]; then
		echo "no seeds in $seeds"
		return 1
	fi
	corpus=$(mktemp -d)
	"$program" -max_total_time="$fuzz_seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
		-artifact_prefix="$logs/$name-" "$corpus" "$seeds" || status=$?
	rm -rf "$corpus"
	return $status
}

step_fuzz() {
	local program name running=() names=() i status

	step_wanted_fuzz || return 0
	build fuzz clang debugoptimized || return 0
	while read -r program; do
		name="fuzz: ${program##*/}"
		wanted "$name" || continue
		fuzz_one "$program" >"$logs/${program##*/}.log" 2>&1 &
		running+=($!)
		names+=("$name")
		# Two fuzzers run at a time.
		if [ "${#running[@]}" -eq 2 ]; then
			fuzz_collect
		fi
	done < <(fuzzers_in)
	fuzz_collect
	[ "${fuzzed:-0}" -gt 0 ] || [ "${#only[@]}" -gt 0 ] || failed "fuzz: targets" "there are none"
}

fuzz_collect() {
	for i in "${!running[@]}"; do
		status=0
		wait "${running[$i]}" || status=$?
		fuzzed=$((${fuzzed:-0} + 1))
		if [ "$status" -eq 0 ]; then
			passed "${names[$i]}"
		else
			failed "${names[$i]}" "exit status $status" "$logs/${names[$i]#fuzz: }.log"
		fi
	done
	running=()
	names=()
}

step_wanted_fuzz() {
	local program

	[ "${#only[@]}" -gt 0 ] || return 0
	wanted "fuzz: build" && return 0
	if [ ! -f build-fuzz/build.ninja ]; then
		only_unknown
		return
	fi
	while read -r program; do
		wanted "fuzz: ${program##*/}" && return 0
	done < <(fuzzers_in)
	return 1
}

list_all() {
	local check name

	for check in "${checks[@]}"; do
		echo "check: ${check#check-}"
	done
	echo "check: abi"
	for name in release clang asan tsan fuzz; do
		echo "$name: build"
		[ -f "build-$name/build.ninja" ] || continue
		case $name in
		release) tests_in release --suite tree --suite unit --suite stress --suite model --suite sim --suite scenario ;;
		asan) tests_in asan --suite unit --suite fault ;;
		tsan) tests_in tsan --suite stress ;;
		fuzz) fuzzers_in | sed 's,.*/,,' ;;
		esac | sed "s/^/$name: /"
	done
}
