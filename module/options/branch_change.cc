// SPDX-License-Identifier: GPL-2.0-only
#include "branch_change.hh"
#include "branch_text.hh"

namespace aufs
{

using Size = StringView::Size;
using Kind = BranchChange::Kind;

namespace
{

/* The buffer for paths. */
struct Buffer {
	char *data;
	Size size;
};

/* The original's places are ints. */
constexpr unsigned int most_place = 0x7fffffff;

/*
 * Reads @text, the place in @value. The original takes other numbers than decimal ones, too: for it 010 is another
 * place.
 */
Result<unsigned int> parse_place(StringView text, StringView value, OptionError &error)
{
	unsigned int place = 0;
	bool wrong = text.empty() || (text.size() > 1 && text[0] == '0');

	for (char c : text)
		wrong = wrong || c < '0' || c > '9';
	if (wrong)
		return refuse(error, {.text = "wrong place",
				      .word = text,
				      .item = value,
				      .hint = "a decimal number, 0 is the top"});
	for (char c : text) {
		unsigned int digit = static_cast<unsigned int>(c - '0');

		if (place > (most_place - digit) / 10)
			return refuse(error,
				      {.text = "place too large", .word = text, .item = value});
		place = place * 10 + digit;
	}
	return place;
}

/* Refuses a `:` behind the permission of @text: it would start another branch of a list. */
Result<void> refuse_list(StringView text, OptionError &error)
{
	Size colon = find_unescaped(text, find_unescaped(text, 0, '='), ':');

	if (colon < text.size())
		return refuse(error, {.text = "more than one branch",
				      .word = text.substr(colon),
				      .item = text,
				      .hint = "give the option once for each"});
	return {};
}

Result<BranchChange> insert(StringView value, BranchPerm otherwise, Buffer buffer,
			    OptionError &error)
{
	Size colon = find_unescaped(value, 0, ':');

	if (colon == value.size())
		return refuse(error, {.text = "no place before the branch",
				      .word = value,
				      .hint = "as in add:1:/path; 0 is the top"});

	unsigned int place = TRY(parse_place(value.substr(0, colon), value, error));
	StringView text = value.substr(colon + 1);

	if (text.empty())
		return refuse(error, {.text = "no path after the place", .item = value});
	TRY(refuse_list(text, error));

	BranchItem branch = TRY(parse_branch(text, otherwise, buffer.data, buffer.size, error));

	return BranchChange{Kind::insert, place, branch, {}};
}

Result<BranchChange> remove(Kind kind, StringView value, Buffer buffer, OptionError &error)
{
	Size end = find_unescaped(value, 0, '=');

	if (end < value.size())
		return refuse(error, {.text = "a permission is of no use here:",
				      .word = value.substr(end + 1),
				      .item = value,
				      .hint = "a '=' in a path is written '\\='"});

	StringView path = TRY(take_path(value, buffer.data, buffer.size, error, end));
	BranchItem branch = {};

	branch.path = path;
	branch.perm = BranchPerm::ro;
	return BranchChange{kind, 0, branch, {}};
}

Result<BranchChange> modify(StringView value, Buffer buffer, OptionError &error)
{
	if (find_unescaped(value, 0, '=') == value.size())
		return refuse(error, {.text = "no permission for branch",
				      .word = value,
				      .hint = "as in mod:/path=ro"});
	TRY(refuse_list(value, error));

	BranchItem branch =
		TRY(parse_branch(value, BranchPerm::ro, buffer.data, buffer.size, error));

	return BranchChange{Kind::modify, 0, branch, {}};
}

Result<BranchChange> replace(StringView value, Buffer buffer, OptionError &error)
{
	Size end = find_unescaped(value, 0, '=');
	StringView text = end < value.size() ? value.substr(end + 1) : StringView();

	if (!end || text.empty())
		return refuse(error, {.text = "one path of two is missing",
				      .item = value,
				      .hint = "as in replace:/old=/new"});
	TRY(refuse_list(text, error));

	StringView path = TRY(take_path(value, buffer.data, buffer.size, error, end));
	/* The path and its zero. */
	Size used = path.size() + 1;
	BranchItem branch = TRY(
		parse_branch(text, BranchPerm::ro, buffer.data + used, buffer.size - used, error));
	BranchChange change = {Kind::replace, 0, branch, branch.path};

	change.branch.path = path;
	return change;
}

} // namespace

bool changes_branches(OptionKey key)
{
	switch (key) {
	case OptionKey::add:
	case OptionKey::append:
	case OptionKey::prepend:
	case OptionKey::del:
	case OptionKey::detach:
	case OptionKey::mod:
	case OptionKey::replace:
		return true;
	default:
		return false;
	}
}

Result<BranchChange> BranchChanges::next(char *buffer, Size size, OptionError &error)
{
	if (is_list()) {
		BranchItem branch = TRY(list_.next(buffer, size, error));

		if (key_ == OptionKey::append)
			return BranchChange{Kind::append, 0, branch, {}};
		return BranchChange{Kind::insert, place_++, branch, {}};
	}
	more_ = false;
	if (value_.empty())
		return refuse(error, {.text = "no branch given"});
	switch (key_) {
	case OptionKey::add:
		return insert(value_, otherwise_, {buffer, size}, error);
	case OptionKey::del:
		return remove(Kind::remove, value_, {buffer, size}, error);
	case OptionKey::detach:
		return remove(Kind::detach, value_, {buffer, size}, error);
	case OptionKey::mod:
		return modify(value_, {buffer, size}, error);
	default:
		return replace(value_, {buffer, size}, error);
	}
}

} // namespace aufs
