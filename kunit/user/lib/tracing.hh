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

/* An event of a probe, which counts in its scope. */
class CountedEvent
{
public:
	/*
	 * @kind is "kprobe" or "uprobe", and @tracing was asked for its file of events. @place is a function of the
	 * kernel, or PATH:OFFSET.
	 */
	CountedEvent(const Tracing &tracing, const string &kind, const string &name,
		     const string &place)
		: tracing_(tracing), kind_(kind), name_(name)
	{
		tracing_.append(kind_ + "_events", "p:aufs/" + name_ + " " + place);
		write_control(tracing_.file("events/aufs/" + name_ + "/enable"), "1");
	}
	CountedEvent(const CountedEvent &) = delete;
	~CountedEvent()
	{
		ktap::guarded([this] {
			write_control(tracing_.file("events/aufs/" + name_ + "/enable"), "0");
			tracing_.append(kind_ + "_events", "-:aufs/" + name_);
		});
	}
	/* The number of hits until now, by all tasks. */
	unsigned long count() const
	{
		string profile = read_file(tracing_.file(kind_ + "_profile"));
		size_t at = profile.find(" " + name_ + " ");
		ASSERT_NE(at, string::npos);
		return std::stoul(profile.substr(at + name_.size() + 2));
	}

private:
	const Tracing &tracing_;
	string kind_, name_;
};
