# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
#
# Results on ttyS1, also of a machine that is going down. Sourced by checks and shutdown. The plan and the
# number of results so far are in $state.

state=/run/live/ktap

# plan N: so many results will come.
plan()
{
	printf 'KTAP version 1\n1..%d\n' "$1"
	echo "0 0" >"$state"
}

# result STATUS NAME: one of them; status 0 says that it is good.
result()
{
	read -r number bad <"$state"
	number=$((number + 1))
	if [ "$1" = 0 ]; then
		echo "ok $number $2"
	else
		echo "not ok $number $2"
		bad=$((bad + 1))
	fi
	echo "$number $bad" >"$state"
}
