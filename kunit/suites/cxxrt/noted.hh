/* SPDX-License-Identifier: GPL-2.0-only */
/* Records the order in which objects end. */
#pragma once

#include "kernel/handles.hh"

namespace aufs::test
{

/* The events in their order, a letter each. */
class Log final
{
public:
	void add(char what)
	{
		if (length_ < sizeof(text_))
			text_[length_++] = what;
	}
	bool is(StringView expected) const
	{
		return StringView(text_, length_) == expected;
	}
	void clear()
	{
		length_ = 0;
	}

private:
	char text_[32] = {};
	unsigned long length_ = 0;
};

/* Logs its end. */
struct Noted {
	Log *log = nullptr;
	char name = 0;

	Noted() = default;
	Noted(Log &where, char what) : log(&where), name(what)
	{
	}
	Noted(Noted &&other) : log(cxxrt::exchange(other.log, nullptr)), name(other.name)
	{
	}
	Noted(const Noted &) = delete;
	Noted &operator=(const Noted &) = delete;
	Noted &operator=(Noted &&) = delete;
	~Noted()
	{
		if (log)
			log->add(name);
	}
};

} // namespace aufs::test
