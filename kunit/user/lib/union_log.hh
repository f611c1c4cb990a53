/* SPDX-License-Identifier: GPL-2.0-only */
//
// The union's own lines in the kernel's log, however much it has to complain about.
#pragma once

#include "fixture.hh"

#include <ctime>

/* The lines of the union since the construction, without other lines of the kernel. */
class UnionLog
{
public:
	UnionLog() : began_(seconds())
	{
	}
	/*
	 * Expects no more lines than module/kernel/helpers/log.c lets through in that time. @mounts counts mounts and
	 * remounts.
	 */
	void expect_no_flood(unsigned mounts)
	{
		constexpr long burst = 10, interval = 5, of_a_mount = 3;
		string text = log_.read();
		long lines = 0;
		for (size_t at = 0; at < text.size(); at = text.find('\n', at) + 1)
			lines += text.compare(at, prefix.size(), prefix) == 0;
		/* One interval may have begun before, and one may not have ended. */
		long most = burst * ((seconds() - began_) / interval + 2) + of_a_mount * mounts;
		if (lines > most)
			ktap::fail(
				__FILE__, __LINE__,
				ktap::format("no flood in the kernel's log\n  it has %ld lines of "
					     "the union, not %ld; the first are:\n%s",
					     lines, most, text.substr(0, 1000).c_str()));
	}

private:
	static inline const string prefix = "aufs: ";
	static long seconds()
	{
		timespec now;
		clock_gettime(CLOCK_MONOTONIC, &now);
		return now.tv_sec;
	}
	KernelLog log_;
	long began_;
};
