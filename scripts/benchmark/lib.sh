# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154
# After scripts/lib.sh: what the smaller benchmarks share.

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
	"$top/scripts/testing/check-log" "$out/kernel-log-$which" >&2 || status=1
	[ $status = 0 ] || die "measuring failed on $which: $(tail -n 5 "$out/lines-$which")"
}
