/* SPDX-License-Identifier: GPL-2.0-only */
/* Shared by the property tests and the fuzzer: laws that every text and every path must keep. */
#pragma once

#include "options/branch_change.hh"
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
 * The end of an option as mount(8) finds it: at a comma outside of quotation marks and without a backslash before it.
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

/* The permission and the attributes of @item, with the `=`. */
inline Text shown_perm(const aufs::BranchItem &item)
{
	Text out;

	item.write_use([&out](StringView piece) { out += piece; });
	return out;
}

/* The list that show_options writes for the branches of @text; empty if @text is wrong. */
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
		out += escape(item.value().path) + shown_perm(item.value());
	}
	return out;
}

/* Whether the changes that the option @key asks for are of this kind. */
inline bool goes_with(aufs::OptionKey key, aufs::BranchChange::Kind kind)
{
	using aufs::OptionKey;
	using Kind = aufs::BranchChange::Kind;

	switch (key) {
	case OptionKey::append:
		return kind == Kind::append;
	case OptionKey::add:
	case OptionKey::prepend:
		return kind == Kind::insert;
	case OptionKey::del:
		return kind == Kind::remove;
	case OptionKey::detach:
		return kind == Kind::detach;
	case OptionKey::mod:
		return kind == Kind::modify;
	default:
		return kind == Kind::replace;
	}
}

inline constexpr aufs::OptionKey change_keys[] = {aufs::OptionKey::append, aufs::OptionKey::prepend,
						  aufs::OptionKey::add,	   aufs::OptionKey::del,
						  aufs::OptionKey::detach, aufs::OptionKey::mod,
						  aufs::OptionKey::replace};

/*
 * The value of the option @key that asks for the same changes as @text. Empty if @text is wrong, "=" if the facts about
 * the changes do not agree.
 */
inline Text canonical_changes(aufs::OptionKey key, StringView text, unsigned int already = 1)
{
	using aufs::OptionKey;
	static char buffer[aufs::BranchChanges::buffer_size];
	aufs::BranchChanges changes(key, text, already);
	aufs::OptionError error;
	unsigned int count = 0;
	Text out;

	while (changes.more()) {
		auto result = changes.next(buffer, sizeof(buffer), error);

		if (!result.ok())
			return {};

		const aufs::BranchChange &change = result.value();
		bool replaces = key == OptionKey::replace;
		bool list = key == OptionKey::append || key == OptionKey::prepend;

		if ((count && !list) || !goes_with(key, change.kind) ||
		    replaces == change.new_path.empty())
			return "=";
		if (key != OptionKey::add &&
		    change.place != (key == OptionKey::prepend ? count : 0))
			return "=";
		if (count++)
			out += ':';
		if (key == OptionKey::add)
			out += Text::number(change.place) + ":";
		out += escape(change.branch.path);
		if (replaces)
			out += "=" + escape(change.new_path);
		if (key != OptionKey::del && key != OptionKey::detach &&
		    (!replaces || change.branch.perm_given))
			out += shown_perm(change.branch);
	}
	return out;
}

} // namespace model
