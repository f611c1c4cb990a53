/* SPDX-License-Identifier: GPL-2.0-only */
/* How an option changes Settings, and how /proc/mounts shows it: the members of a row of the option table. */
#pragma once

#include "options.hh"

namespace aufs
{

struct Setting {
	/* On -EINVAL @error is set, and @settings is unchanged. */
	Result<void> (*set)(Settings &settings, StringView value, OptionError &error);
	/*
	 * Writes the option @name, after a comma, if @settings has the value that the option sets, and that is no
	 * default.
	 */
	void (*show)(const Settings &settings, StringView name, TextWriter &out);
};

Result<void> set_create(Settings &settings, StringView value, OptionError &error);
void show_create(const Settings &settings, StringView name, TextWriter &out);
Result<void> set_copy_up(Settings &settings, StringView value, OptionError &error);
void show_copy_up(const Settings &settings, StringView name, TextWriter &out);
/* The values of these two are words of the table. */
Result<void> set_diropq(Settings &settings, StringView value, OptionError &error);
void show_diropq(const Settings &settings, StringView name, TextWriter &out);
Result<void> set_udba(Settings &settings, StringView value, OptionError &error);
void show_udba(const Settings &settings, StringView name, TextWriter &out);

template <auto member, auto value>
Result<void> set_member(Settings &settings, StringView, OptionError &)
{
	settings.*member = value;
	return {};
}

template <auto member, auto value>
void show_member(const Settings &settings, StringView name, TextWriter &out)
{
	if (settings.*member != value || Settings().*member == value)
		return;
	out.put(',');
	out.put(name);
}

/* For an option that is a name alone, and gives @member the @value. */
template <auto member, auto value>
inline constexpr Setting sets = {set_member<member, value>, show_member<member, value>};

} // namespace aufs
