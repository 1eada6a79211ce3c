# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# common: what the scripts share: progress, and plain words for what goes wrong. Sourced from the top of the tree.

script=${0##*/}

fail() {
	echo "scripts/$script: $*" >&2
	exit 1
}

# usage FROM: prints the comment that opens the script, from line FROM on.
usage() {
	sed -n "$1,\$ { /^#/!q; s/^# \{0,1\}//; p }" "scripts/$script"
}

# follow LOG REGEX COMMAND...: runs the command, its output goes to LOG. Its lines that match REGEX are progress: on
# a terminal the last one is shown, elsewhere one at most every 5 s. Returns the command's status.
follow() {
	local log=$1 regex=$2 line shown=$SECONDS last='' status

	shift 2
	while true; do
		if read -r -t 8 line; then
			printf '%s\n' "$line" >&7
			[[ $line =~ $regex ]] || continue
			last=${line:0:100}
			[ -t 1 ] || [ $((SECONDS - shown)) -ge 5 ] || continue
			progress "$last"
			shown=$SECONDS
		elif [ $? -gt 128 ]; then # nothing came for 8 s
			progress "${last:-working} ($((SECONDS - shown)) s)"
		else
			break
		fi
	done 7>"$log" < <("$@" 2>&1 </dev/null && echo "common: status 0" || echo "common: status $?")
	progress_end
	status=$(sed -n '$s/^common: status //p' "$log")
	return "${status:-1}"
}

progress() {
	if [ -t 1 ]; then
		printf '\r\033[K   %s' "$1"
	else
		printf '   %s\n' "$1"
	fi
}

progress_end() {
	[ ! -t 1 ] || printf '\r\033[K'
}

# can_write DIR: says why not, if the directory cannot be made or written to, or its disk is full.
can_write() {
	local probe error

	mkdir -p "$1" 2>/dev/null || { error=$(mkdir -p "$1" 2>&1) || fail "cannot make $1/: ${error##*: }"; }
	probe=$1/.probe.$$
	error=$( (head -c 65536 /dev/zero >"$probe") 2>&1) || {
		rm -f "$probe"
		fail "cannot write to $1/: ${error##*: }"
	}
	rm -f "$probe"
}

# built_here DIR: fails if the build directory was configured by a tree that stands elsewhere.
built_here() {
	local source

	[ -f "$1/meson-info/meson-info.json" ] || return 0
	source=$(jq -r .directories.source "$1/meson-info/meson-info.json" 2>/dev/null) || return 0
	[ "$source" = "$PWD" ] || fail "$1/ was configured for the tree in $source; remove it: rm -rf $PWD/$1"
}
