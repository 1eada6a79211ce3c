# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154
# report: counts results and prints them, one line each. Sourced by scripts/test.

passed_count=0
failed_names=()
skipped_names=()

# True if the name matches an --only, or no --only was given. A step runs if a test in it may match.
wanted() {
	local pattern

	[ "${#only[@]}" -gt 0 ] || return 0
	for pattern in "${only[@]}"; do
		[[ $1 == *"$pattern"* ]] && return 0
	done
	return 1
}

passed() {
	passed_count=$((passed_count + 1))
	printf 'ok       %s\n' "$1"
}

failed() {
	failed_names+=("$1")
	printf 'FAILED   %s: %s\n' "$1" "$2"
}

skipped() {
	skipped_names+=("$1")
	printf 'skipped  %s: %s\n' "$1" "$2"
}

# Prints the end of a log below the line of its failure.
show_log() {
	sed 's/^/    | /' <(tail -n "${2:-100}" "$1")
}

# Runs a command as one test; its output goes to a log, which is printed if it fails. Status 77 means
# skipped, with the last line of output as the reason.
run_one() {
	local name=$1 log status=0

	shift
	wanted "$name" || return 0
	log=$logs/${name//[\/: ]/-}.log
	"$@" >"$log" 2>&1 || status=$?
	case $status in
	0) passed "$name" ;;
	77) skipped "$name" "$(tail -n 1 "$log")" ;;
	*)
		failed "$name" "exit status $status"
		show_log "$log"
		;;
	esac
}

# follow_tests NAME LOG COMMAND...: runs `meson test`; each test that passes is shown as it ends. Failures are shown
# by report_meson, with their output.
follow_tests() {
	local prefix=$1 log=$2 line shown=$SECONDS ended=0 of='?'

	shift 2
	while true; do
		if read -r -t 8 line; then
			printf '%s\n' "$line" >&7
			[[ $line =~ ^([0-9]+)/([0-9]+)\ .*/\ ([^ ]+)\ +(OK|EXPECTEDFAIL|FAIL|TIMEOUT|ERROR)\ +([0-9.]+)s ]] || continue
			ended=${BASH_REMATCH[1]} of=${BASH_REMATCH[2]} shown=$SECONDS
			case ${BASH_REMATCH[4]} in
			OK | EXPECTEDFAIL) printf 'ok       %s: %s  %s s\n' "$prefix" "${BASH_REMATCH[3]}" "${BASH_REMATCH[5]}" ;;
			*) printf 'failed   %s: %s  (its output follows when all have run)\n' "$prefix" "${BASH_REMATCH[3]}" ;;
			esac
		elif [ $? -gt 128 ]; then # nothing came for 8 s
			printf '         %s: %s of %s tests have ended; the last one %s s ago\n' "$prefix" "$ended" "$of" \
				"$((SECONDS - shown))"
		else
			break
		fi
	done 7>"$log" < <("$@" 2>&1 </dev/null)
}

# Prints the results of `meson test` from its log, which has one JSON object a line.
report_meson() {
	local prefix=$1 json=$2 name result reason figures

	while IFS=$'\t' read -r name result reason figures; do
		name="$prefix: $name"
		case $result in
		OK | EXPECTEDFAIL)
			passed_count=$((passed_count + 1)) # follow_tests has shown it
			[ -z "$figures" ] || printf '%b\n' "$figures" | sed "s/^/           ${name#"$prefix: "}: /"
			;;
		SKIP) skipped "$name" "$reason" ;;
		*)
			failed "$name" "$result"
			jq -r --arg name "${name#"$prefix: "}" \
				'select(.name | endswith(" / " + $name) or . == $name) | (.stdout // ""), (.stderr // "")' "$json" \
				>"$logs/failed.tmp"
			show_log "$logs/failed.tmp"
			rm -f "$logs/failed.tmp"
			;;
		esac
	done < <(jq -r '[(.name | sub("^.* / "; "")), .result,
		(((.stdout // "") + "\n" + (.stderr // "")) | [scan("(?m)^skip: (.*)$")] | flatten | last // "no reason given"),
		((.stdout // "") | [scan("(?m)^== (.*)$")] | flatten | join("\n"))
		] | @tsv' "$json")
}

summary() {
	local line

	line="$passed_count passed, ${#failed_names[@]} failed"
	[ "${#skipped_names[@]}" -eq 0 ] || line+=", ${#skipped_names[@]} skipped"
	echo "$line"
	[ "${#failed_names[@]}" -eq 0 ]
}
