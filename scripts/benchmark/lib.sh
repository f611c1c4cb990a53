# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154
# After scripts/lib.sh: what the benchmarks share.

# measure_in_vm WHICH DIRECTORY RUN MODULE...: RUN measures on that kernel, beside ./measure and the
# modules, and what it prints is in DIRECTORY/lines-WHICH.
measure_in_vm()
{
	local which=$1 out=$2 run=$3 job=$2/job-$1 status=0
	shift 3

	rm -rf "$job"
	mkdir -p "$job"
	cp "$@" "$job/"
	cp "$run" "$job/run"
	"$top/scripts/benchmark/build" "$job/measure"
	printf '{"release": "%s"}\n' "$("$top/scripts/kernel" "$which" release)" >"$out/lines-$which"
	"$top/scripts/vm" run --icount --kernel "$which" --timeout 600 --log "$out/kernel-log-$which" \
		"$job" >>"$out/lines-$which" || status=$?
	judge_log "$out/kernel-log-$which" || status=1
	[ $status = 0 ] || die "measuring failed on $which: $(tail -n 5 "$out/lines-$which")"
}

# judge_log FILE: fails if the kernel's log has a line that must not be there. A union that cannot tell the
# filesystems of two branches apart has no inode numbers that last. Unions of users have them, so the figures of
# such a union are wrong.
judge_log()
{
	local status=0

	"$top/scripts/testing/check-log" "$1" >&2 || status=1
	if grep -F 'is on a filesystem that says it is that of branch' "$1" >&2; then
		say "two branches of the benchmark are on filesystems with one UUID (above): give them two"
		status=1
	fi
	return $status
}

# patterns WORDS: prints them as the measuring programs take them.
patterns()
{
	local words
	read -ra words <<<"${1:-*}"
	(IFS=,; echo "${words[*]}")
}

# about MODULE KERNEL: prints the line that says what was measured.
about()
{
	local compiler

	# awk reads all of it: if it stopped early, a signal would end strings, and the script with it.
	compiler=$(strings -n 8 "$1" | awk '!found && /^(Debian )?clang version/ { found = 1; print }')
	printf '{"release": "%s", "compiler": "%s", "date": "%s"}\n' \
		"$("$top/scripts/kernel" "$2" release)" "$compiler" "$(date +%F)"
}

# show: prints the output of a machine without its figures: the lines of progress, and which operation is measured.
show()
{
	local line last='' now
	while IFS= read -r line; do
		case $line in
		'# '*)	say "${line#\# }" ;;
		'{"operation": '*)
			now=$(sed 's/.*"operation": "\([^"]*\)", "size": \([0-9]*\).*/\1 \2/; s/ 0$//' <<<"$line")
			[ "$now" = "$last" ] || say "  $now"
			last=$now
			;;
		'{'*)	;;
		*)	say "$line" ;;
		esac
	done
}
