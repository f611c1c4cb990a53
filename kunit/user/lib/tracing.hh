// SPDX-License-Identifier: GPL-2.0-only
//
// The kernel's tracing directory.
#pragma once

#include "fixture.hh"

/* The tracing directory. It is mounted for the test if it is not. */
class Tracing
{
public:
	/* Skips the case if this kernel has no file @needed there. */
	explicit Tracing(const string &needed)
	{
		for (const char *dir : {"/sys/kernel/tracing", "/sys/kernel/debug/tracing"})
			if (access((string(dir) + "/" + needed).c_str(), W_OK) == 0) {
				dir_ = dir;
				return;
			}
		dir_ = string(ktap::env("AUFS_TMP")) + "/tracing";
		make_dirs(dir_);
		if (mount("tracefs", dir_.c_str(), "tracefs", 0, nullptr))
			SKIP("no tracefs: %s", strerrorname_np(errno));
		mounted_ = Mounted::adopt(dir_);
		if (access(file(needed).c_str(), W_OK))
			SKIP("this kernel has no %s", needed.c_str());
	}
	string file(const string &name) const
	{
		return dir_ + "/" + name;
	}
	/* Adds a line to a file that keeps its lines. */
	void append(const string &name, const string &line) const
	{
		Fd file = open_file(this->file(name), O_WRONLY | O_APPEND);
		OK(write(file, line.data(), line.size()));
	}

private:
	string dir_;
	Mounted mounted_;
};

/* Counts the calls of one function of the kernel, by all tasks, in its scope. */
class CountedCalls
{
public:
	/* @tracing has been asked for "kprobe_events". */
	CountedCalls(const Tracing &tracing, const string &function)
		: tracing_(tracing), function_(function)
	{
		tracing.append("kprobe_events", "p:aufs/" + function + " " + function);
		write_control(tracing_.file("events/aufs/" + function_ + "/enable"), "1");
	}
	CountedCalls(const CountedCalls &) = delete;
	~CountedCalls()
	{
		ktap::guarded([this] {
			write_control(tracing_.file("events/aufs/" + function_ + "/enable"), "0");
			tracing_.append("kprobe_events", "-:aufs/" + function_);
		});
	}
	/* How many there were until now. */
	unsigned long count() const
	{
		string profile = read_file(tracing_.file("kprobe_profile"));
		size_t at = profile.find(" " + function_ + " ");
		ASSERT_NE(at, string::npos);
		return std::stoul(profile.substr(at + function_.size() + 2));
	}

private:
	const Tracing &tracing_;
	string function_;
};
