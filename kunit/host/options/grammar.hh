/* SPDX-License-Identifier: GPL-2.0-only */
/* The grammar of the options once more, as plainly as possible, for the laws that a parser must keep. */
#pragma once

#include <ctype.h>

#include "check.hh"
#include "model.hh"

namespace model
{

using Size = StringView::Size;

/* Prints enough to find the case again. The first few are enough. */
inline void report(const char *what, StringView text)
{
	if (++check::failures > 5)
		return;
	printf("# %s\n", what);
	check::show("text", text);
}

/* Forms of a byte in a path. The order matters: the first form that fits counts. */
struct Escape {
	StringView text;
	char byte;
};

inline constexpr Escape escapes[] = {
	{"\\134\\134", '\\'}, {"\\134,", ','}, {"\\134:", ':'}, {"\\134=", '='}, {"\\134", '\0'},
	{"\\\\", '\\'},	      {"\\,", ','},    {"\\:", ':'},	{"\\=", '='},
};

/* The path at the head of @text, up to one of @stops (or the end); false if it is wrong. */
inline bool read_path(StringView text, Text &path, Size &end, StringView stops = ":=")
{
	for (end = 0; end < text.size();) {
		StringView rest = text.substr(end);
		const Escape *found = nullptr;

		for (const Escape &one : escapes) {
			if (!found && rest.starts_with(one.text))
				found = &one;
		}
		if (found && found->byte) {
			path += found->byte;
			end += found->text.size();
			continue;
		}
		for (char stop : stops) {
			if (rest[0] == stop)
				return true;
		}
		if (rest[0] == '\\') {
			Text byte = found ? Text() : unmangle(rest.substr(0, 4));

			if (byte.size() != 1 || !byte[0] || rest.size() < 4)
				return false;
			path += byte;
			end += 4;
			continue;
		}
		path += rest[0];
		end++;
	}
	return true;
}

/* Adds to @out the shown form of @perm: a permission, and attributes that are words. */
inline bool read_perm(StringView perm, Text &out)
{
	static constexpr StringView classes[] = {"icexsec", "icexsys", "icextr", "icexusr",
						 "icexoth"};
	bool all = false;
	bool regular = false;
	bool overlay = false;
	bool own = false;
	bool missed[5] = {};
	int count = 0;
	StringView rest = perm;

	while (!rest.empty() && (isalnum(static_cast<unsigned char>(rest[0])) || rest[0] == '_'))
		rest = rest.substr(1);
	perm = perm.substr(0, perm.size() - rest.size());
	if (perm.empty())
		return false;
	if (perm != "rw" && perm != "rr")
		perm = "ro";
	while (!rest.empty()) {
		Size end = 1;

		while (end < rest.size() &&
		       (isalnum(static_cast<unsigned char>(rest[end])) || rest[end] == '_'))
			end++;
		if (rest[0] != '+' || end == 1)
			return false;
		all |= rest.substr(1, end - 1) == "coo_all";
		regular |= rest.substr(1, end - 1) == "coo_reg";
		overlay |= rest.substr(1, end - 1) == "owh" && perm != "rw";
		own |= rest.substr(1, end - 1) == "nolwh" && perm == "rw";
		for (int i = 0; i < 5; i++)
			missed[i] |= rest.substr(1, end - 1) == classes[i] ||
				     rest.substr(1, end - 1) == "icex";
		rest = rest.substr(end);
	}
	out += Text("=") + perm;
	if (all || regular)
		out += all ? "+coo_all" : "+coo_reg";
	if (overlay)
		out += "+owh";
	if (own)
		out += "+nolwh";
	for (bool one : missed)
		count += one;
	if (count == 5) {
		out += "+icex";
		return true;
	}
	for (int i = 0; i < 5; i++) {
		if (missed[i])
			out += Text("+") + classes[i];
	}
	return true;
}

/* The expected result of canonical() for the list @text. @first: its first branch is the first of a mount. */
inline Text read_list(StringView text, bool first = true)
{
	Text out;

	for (;; first = false) {
		Text path;
		Size end;

		if (!read_path(text, path, end) || path.empty())
			return {};
		out += escape(path);
		text = text.substr(end);
		if (!text.empty() && text[0] == '=') {
			Size colon = 0;

			while (colon < text.size() && text[colon] != ':')
				colon++;

			StringView perm = text.substr(1, colon - 1);

			if (!read_perm(perm, out))
				return {};
			text = text.substr(colon);
		} else {
			out += StringView(first ? "=rw" : "=ro");
		}
		if (text.empty() || text == ":" || text == "::")
			return out;
		text = text.substr(1);
		out += ':';
	}
}

/* Reads the place and the `:` at the head of @text. Returns their size; 0 if there are none. */
inline Size read_place(StringView text, Text &place)
{
	Size end = 0;

	while (end < text.size() && isdigit(static_cast<unsigned char>(text[end])))
		place += text[end++];
	if (!end || end == text.size() || text[end] != ':')
		return 0;
	if (end > 1 && place[0] == '0')
		return 0;
	/* Texts of one length compare like their numbers. */
	if (end > 10 || (end == 10 && memcmp(StringView(place).data(), "2147483647", 10) > 0))
		return 0;
	return end + 1;
}

/* Reads a branch that is all of @text; false if it is wrong. @perm is shown if none is given. */
inline bool read_branch(StringView text, StringView perm, Text &out)
{
	Text path;
	Size end;

	if (!read_path(text, path, end, "=") || path.empty())
		return false;
	out += escape(path);
	if (end < text.size())
		return read_perm(text.substr(end + 1), out);
	out += perm;
	return true;
}

/* The expected result of canonical_changes(); @first as in read_list(). */
inline Text read_changes(aufs::OptionKey key, StringView text, bool first = false)
{
	using aufs::OptionKey;
	Text out;
	Text path;
	Size end = 0;

	if (key == OptionKey::append || key == OptionKey::prepend)
		return read_list(text, first);
	if (key == OptionKey::add) {
		end = read_place(text, out);
		out += ':';
		return end && read_branch(text.substr(end), first ? "=rw" : "=ro", out) ? out :
											  Text();
	}
	if (!read_path(text, path, end, "=") || path.empty())
		return {};
	out = escape(path);
	if (key == OptionKey::del || key == OptionKey::detach)
		return end == text.size() ? out : Text();
	if (end == text.size())
		return {};
	text = text.substr(end + 1);
	if (key == OptionKey::mod)
		return read_perm(text, out) ? out : Text();
	out += '=';
	return read_branch(text, "", out) ? out : Text();
}

/* Calls @action with each text of up to @most bytes of @alphabet. */
template <class F> void for_all_texts(StringView alphabet, Size most, F action)
{
	char text[16];
	Size digits[16];

	for (Size size = 0; size <= most; size++) {
		for (Size i = 0; i < size; i++) {
			digits[i] = 0;
			text[i] = alphabet[0];
		}
		for (Size at = 0; at < size || !size;) {
			action(StringView(text, size));
			for (at = 0; at < size; at++) {
				digits[at] = (digits[at] + 1) % alphabet.size();
				text[at] = alphabet[digits[at]];
				if (digits[at])
					break;
			}
			if (!size)
				break;
		}
	}
}

} // namespace model
