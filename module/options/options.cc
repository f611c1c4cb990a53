// SPDX-License-Identifier: GPL-2.0-only
#include "branch_text.hh"

#include "find_byte.hh"

#if __STDC_HOSTED__
#include <errno.h>
#else
#include "kernel/kernel.hh"
#endif

namespace aufs
{

using cxxrt::Error;
using Size = StringView::Size;

namespace
{

/* One byte of an option's text, as written: plain or escaped. */
struct Lexeme {
	enum class Kind : unsigned char {
		plain, /* a byte that stands for itself; it may be a separator */
		literal, /* an escaped byte, never a separator */
		bad, /* a backslash that escapes nothing */
	};

	Kind kind;
	char byte;
	Size length;
};

constexpr StringView mangled_backslash = "\\134";

constexpr bool octal(char c)
{
	return c >= '0' && c <= '7';
}

constexpr bool separator(char c)
{
	return c == ',' || c == ':' || c == '=';
}

/* The lexeme at the head of @text, which is not empty. */
Lexeme lex(StringView text)
{
	using enum Lexeme::Kind;

	if (text[0] != '\\')
		return {plain, text[0], 1};

	/* A backslash comes plain or mangled; a backslash that it escapes then comes in the same shape. */
	StringView backslash = text.starts_with(mangled_backslash) ? mangled_backslash : "\\";
	StringView rest = text.substr(backslash.size());

	if (!rest.empty() && separator(rest[0]))
		return {literal, rest[0], backslash.size() + 1};
	if (rest.starts_with(backslash))
		return {literal, '\\', 2 * backslash.size()};
	if (backslash.size() == 1 && rest.size() >= 3 && rest[0] <= '3' && octal(rest[0]) &&
	    octal(rest[1]) && octal(rest[2])) {
		int byte = (rest[0] - '0') * 64 + (rest[1] - '0') * 8 + (rest[2] - '0');

		return {literal, static_cast<char>(byte), 4};
	}
	return {bad, '\\', backslash.size()};
}

Error refuse(OptionError &error, const OptionError &reason, int code)
{
	error = reason;
	return Error{-code};
}

/* The attributes of branches. */
struct Attribute {
	StringView name;
	bool rw; /* whether it goes with rw */
	bool ro; /* whether it goes with ro and rr */
	CopyOnOpen copy_on_open = CopyOnOpen::nothing;
	XattrClasses may_miss;
	bool overlay_whiteouts = false;
	bool own_whiteouts = false;
	StringView ignored; /* why it has no effect; empty if it has one */
};

/* On a rw branch it is shown, and does nothing. */
constexpr Attribute copies_nothing(StringView name, CopyOnOpen what)
{
	return {.name = name,
		.rw = true,
		.ro = false,
		.copy_on_open = what,
		.ignored = "what a rw branch has is not copied up"};
}

constexpr Attribute icex(StringView name, unsigned char classes)
{
	return {.name = name, .rw = true, .ro = true, .may_miss = XattrClasses(classes)};
}

constexpr Attribute attributes[] = {
	{"coo_reg", false, true, CopyOnOpen::regular},
	{"coo_all", false, true, CopyOnOpen::all},
	copies_nothing("coo_reg", CopyOnOpen::regular),
	copies_nothing("coo_all", CopyOnOpen::all),
	/* The union does what this says, also without it. */
	{"wh", false, true},
	{.name = "nolwh", .rw = true, .ro = false, .own_whiteouts = true},
	{.name = "owh", .rw = false, .ro = true, .overlay_whiteouts = true},
	icex("icex", XattrClasses::all),
	icex("icexsec", XattrClasses::security),
	icex("icexsys", XattrClasses::system),
	icex("icextr", XattrClasses::trusted),
	icex("icexusr", XattrClasses::user),
	icex("icexoth", XattrClasses::other),
	{.name = "moo", .rw = true, .ro = false, .ignored = "files come to each rw branch"},
	{.name = "fhsm", .rw = true, .ro = false, .ignored = "there is no tiered storage"},
	{.name = "unpin", .rw = true, .ro = true, .ignored = "branches are always pinned"},
};

/* The attribute @name if it goes with @perm; else null. */
const Attribute *find_attribute(StringView name, BranchPerm perm)
{
	for (const Attribute &attribute : attributes) {
		bool goes = perm == BranchPerm::rw ? attribute.rw : attribute.ro;

		if (attribute.name == name && goes)
			return &attribute;
	}
	return nullptr;
}

/* Whether an option or an attribute could have the name @text. */
bool is_word(StringView text)
{
	for (char c : text) {
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

		if (!letter && (c < '0' || c > '9') && c != '_')
			return false;
	}
	return !text.empty();
}

/* Takes the first attribute, without its `+`, off @text, which is not empty. */
StringView take_attribute(StringView &text)
{
	Size end = find_unescaped(text, 1, '+');
	StringView name = text.substr(1, end - 1);

	text = text.substr(end);
	return name;
}

/* Reads @text, permission and attributes, of the branch @item into @branch. */
Result<void> parse_perm(StringView text, StringView item, BranchItem &branch, OptionError &error)
{
	Size plus = find_unescaped(text, 0, '+');
	StringView name = text.substr(0, plus);
	BranchPerm &perm = branch.perm;

	if (name == "rw")
		perm = BranchPerm::rw;
	else if (name == "ro")
		perm = BranchPerm::ro;
	else if (name == "rr")
		perm = BranchPerm::rr;
	else if (is_word(name))
		branch.unknown_perm = name;
	else if (find_unescaped(name, 0, '=') < name.size())
		return refuse(error, {.text = "unknown permission",
				      .word = name,
				      .item = item,
				      .hint = "a '=' in a path is written '\\='"});
	else
		return refuse(error, {.text = "unknown permission",
				      .word = name,
				      .item = item,
				      .hint = "known are rw, ro, rr"});

	/* As in the original, which says so and mounts. */
	branch.ignores = !branch.unknown_perm.empty();
	if (branch.ignores)
		perm = BranchPerm::ro;
	branch.attributes = text.substr(plus);
	for (StringView rest = branch.attributes; !rest.empty();) {
		StringView attribute = take_attribute(rest);
		const Attribute *known = find_attribute(attribute, perm);

		if (!is_word(attribute))
			return refuse(error, {.text = "wrong attribute after a '+'",
					      .word = attribute,
					      .item = item});
		if (known && known->copy_on_open > branch.copy_on_open)
			branch.copy_on_open = known->copy_on_open;
		if (known)
			branch.may_miss = branch.may_miss | known->may_miss;
		if (known && known->overlay_whiteouts)
			branch.overlay_whiteouts = true;
		if (known && known->own_whiteouts)
			branch.own_whiteouts = true;
		branch.ignores = branch.ignores || !known || !known->ignored.empty();
	}
	return {};
}

} // namespace

Size find_unescaped(StringView text, Size at, char stop)
{
	for (;;) {
		/* Only a backslash makes more than one byte a lexeme, or a byte something else than itself. */
		at = cxxrt::find_byte(text, at, stop, '\\');
		if (at >= text.size() || text[at] == stop)
			return at;
		at += lex(text.substr(at)).length;
	}
}

Result<StringView> take_path(StringView item, char *buffer, Size size, OptionError &error,
			     Size &end)
{
	Size limit = size < path_size ? size : path_size;
	Size used = 0;
	auto fits = [&](Size more) {
		return !more || used + more < limit;
	};
	auto too_long = [&] {
		return refuse(error, {.text = "path too long", .item = item}, ENAMETOOLONG);
	};

	for (end = 0;;) {
		/* The bytes up to there stand for themselves. */
		Size stop = cxxrt::find_byte(item, end, '=', '\\', '\0');

		if (!fits(stop - end))
			return too_long();
		__builtin_memcpy(buffer + used, item.data() + end, stop - end);
		used += stop - end;
		end = stop;
		if (end == item.size() || item[end] == '=')
			break;

		Lexeme next = lex(item.substr(end));

		if (next.kind == Lexeme::Kind::bad)
			return refuse(error, {.text = "lone backslash",
					      .word = item.substr(end, next.length + 1),
					      .item = item,
					      .hint = "a backslash in a path is written '\\\\'"});
		if (!next.byte)
			return refuse(error, {.text = "zero byte",
					      .word = item.substr(end, next.length),
					      .item = item});
		if (!fits(1))
			return too_long();
		buffer[used++] = next.byte;
		end += next.length;
	}
	if (!used)
		return refuse(error, {.text = "no path before the permission", .item = item});
	buffer[used] = '\0';
	return StringView(buffer, used);
}

Result<BranchItem> parse_branch(StringView text, BranchPerm otherwise, char *buffer, Size size,
				OptionError &error)
{
	Size path_end = 0;
	StringView path = TRY(take_path(text, buffer, size, error, path_end));
	BranchItem branch = {};

	branch.path = path;
	branch.perm = otherwise;
	branch.perm_given = path_end < text.size();
	if (branch.perm_given)
		TRY(parse_perm(text.substr(path_end + 1), text, branch, error));
	return branch;
}

Error refuse(OptionError &error, const OptionError &reason)
{
	return refuse(error, reason, EINVAL);
}

StringView branch_perm_name(BranchPerm perm)
{
	switch (perm) {
	case BranchPerm::rw:
		return "rw";
	case BranchPerm::ro:
		return "ro";
	case BranchPerm::rr:
		break;
	}
	return "rr";
}

Size OptionError::describe(char *out, Size size) const
{
	TextWriter writer(out, size);

	writer.put(StringView::from_c_string(text));
	if (!word.empty()) {
		writer.put(' ');
		writer.quote(word);
	}
	if (!item.empty()) {
		writer.put(" in ");
		writer.quote(item);
	}
	if (*hint) {
		writer.put(" (");
		writer.put(StringView::from_c_string(hint));
		writer.put(')');
	}
	if (*known) {
		writer.put(" (known are ");
		writer.put(StringView::from_c_string(known));
		writer.put(')');
	}
	if (!nearest.empty()) {
		writer.put(" (the nearest known is ");
		writer.quote(nearest);
		writer.put(')');
	}
	return writer.finish();
}

void TextWriter::put(char c)
{
	if (used_ + 1 < size_)
		out_[used_++] = c;
}

void TextWriter::quote(StringView text)
{
	constexpr Size limit = 200;

	put('\'');
	for (char c : text.substr(0, limit))
		put(static_cast<unsigned char>(c) < ' ' || c == 0x7f ? '?' : c);
	if (text.size() > limit)
		put("...");
	put('\'');
}

bool XattrClasses::has(StringView name) const
{
	if (name.starts_with("security."))
		return classes_ & security;
	if (name.starts_with("system."))
		return classes_ & system;
	if (name.starts_with("trusted."))
		return classes_ & trusted;
	if (name.starts_with("user."))
		return classes_ & user;
	return classes_ & other;
}

Size describe_ignored(const BranchItem &item, char *out, Size size)
{
	TextWriter writer(out, size);
	bool first = item.unknown_perm.empty();

	if (!first) {
		writer.put("permission ");
		writer.quote(item.unknown_perm);
		writer.put(" (ro in its place; known are rw, ro, rr)");
	}
	for (StringView rest = item.attributes; !rest.empty();) {
		StringView name = take_attribute(rest);
		const Attribute *known = find_attribute(name, item.perm);

		if (known && known->ignored.empty())
			continue;
		if (!first)
			writer.put(", ");
		first = false;
		writer.quote(name);
		writer.put(" (");
		writer.put(known ? known->ignored : "not known there");
		writer.put(')');
	}
	return writer.finish();
}

Result<BranchItem> BranchList::next(char *buffer, Size size, OptionError &error)
{
	Size start = at_;
	Size stop = find_unescaped(list_, start, ':');
	StringView item = list_.substr(start, stop - start);
	StringView rest = list_.substr(stop);
	/* A program that joins branches to a list may leave a separator at its end. */
	bool last = rest.empty() || rest == ":" || rest == "::";

	/* Until this branch is known to be right, an error ends the list. */
	more_ = false;
	if (list_.empty())
		return refuse(error, {.text = "no branch given"});
	if (item.empty())
		return refuse(error, {.text = "empty branch before a ':'",
				      .item = list_,
				      .hint = "a ':' in a path is written '\\:'"});
	if (index_ >= most_)
		return refuse(error, {.text = "too many branches, from here on", .word = item},
			      E2BIG);

	BranchItem branch = TRY(
		parse_branch(item, index_ ? BranchPerm::ro : BranchPerm::rw, buffer, size, error));

	index_++;
	at_ = stop + 1;
	more_ = !last;
	return branch;
}

bool MonolithicOptions::more()
{
	while (at_ < data_.size() && data_[at_] == ',')
		at_++;
	return at_ < data_.size();
}

Result<RawOption> MonolithicOptions::next(OptionError &error)
{
	Size stop = find_unescaped(data_, at_, ',');
	StringView option = data_.substr(at_, stop - at_);

	/* The caller may overwrite the byte that ends an option. */
	at_ = stop < data_.size() ? stop + 1 : stop;

	RawOption raw(option);

	if (raw.key.empty())
		return refuse(error, {.text = "option without a name", .word = option});
	return raw;
}

RawOption::RawOption(StringView option)
{
	Size end = find_unescaped(option, 0, '=');
	Size colon = find_unescaped(option, 0, ':');

	end = colon < end ? colon : end;
	key = option.substr(0, end);
	has_value = end < option.size();
	if (has_value)
		value = option.substr(end + 1);
}

StringView escaped(char byte)
{
	switch (byte) {
	case ',':
		return "\\,";
	case ':':
		return "\\:";
	case '=':
		return "\\=";
	case '\\':
		return "\\134\\134";
	case ' ':
		return "\\040";
	case '\t':
		return "\\011";
	case '\n':
		return "\\012";
	case '"': /* where mount(8) would start a quotation */
		return "\\042";
	default:
		return {};
	}
}

} // namespace aufs
