/* SPDX-License-Identifier: GPL-2.0-only */
/* What the property tests and the fuzzer share: laws that every text and every path must keep. */
#pragma once

#include "options/options.hh"
#include "text.hh"

namespace model
{

using aufs::StringView;

/* The path as an option and in /proc/mounts. */
inline Text escape(StringView path)
{
	Text out;

	aufs::escape(path, [&out](StringView piece) { out += piece; });
	return out;
}

/* As libmount reads a field of /proc/mounts: each backslash with three octal digits is a byte. */
inline Text unmangle(StringView text)
{
	auto octal = [text](StringView::Size at, char most) {
		return text[at] >= '0' && text[at] <= most;
	};
	Text out;

	for (StringView::Size i = 0; i < text.size(); i++) {
		if (text[i] == '\\' && i + 3 < text.size() && octal(i + 1, '3') &&
		    octal(i + 2, '7') && octal(i + 3, '7')) {
			out += static_cast<char>((text[i + 1] - '0') << 6 |
						 (text[i + 2] - '0') << 3 | (text[i + 3] - '0'));
			i += 3;
		} else {
			out += text[i];
		}
	}
	return out;
}

/*
 * How mount(8) finds the end of an option: at a comma outside of quotation marks without a
 * backslash before it.
 */
inline StringView::Size mount_option_end(StringView text)
{
	bool quoted = false;
	StringView::Size i = 0;

	for (; i < text.size(); i++) {
		if (text[i] == '"')
			quoted = !quoted;
		else if (!quoted && text[i] == ',' && (i == 0 || text[i - 1] != '\\'))
			break;
	}
	return i;
}

/* The list that show_options writes for the branches of @list, or empty where @list is wrong. */
inline Text canonical(StringView text)
{
	static char buffer[aufs::path_size];
	aufs::BranchList list(text);
	aufs::OptionError error;
	Text out;

	while (list.more()) {
		auto item = list.next(buffer, sizeof(buffer), error);

		if (!item.ok())
			return {};
		if (!out.empty())
			out += ':';
		out += escape(item.value().path);
		out += '=';
		out += aufs::branch_perm_name(item.value().perm);
		out += aufs::copy_on_open_name(item.value().copy_on_open);
		item.value().may_miss.write([&out](StringView name) { out += name; });
	}
	return out;
}

} // namespace model
