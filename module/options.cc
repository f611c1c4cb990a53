// SPDX-License-Identifier: GPL-2.0-only
#include "options.hh"

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

/* What one place in an option's text says. */
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

constexpr bool octal(char c) noexcept
{
	return c >= '0' && c <= '7';
}

constexpr bool separator(char c) noexcept
{
	return c == ',' || c == ':' || c == '=';
}

/* The lexeme at the head of @text, which is not empty. */
Lexeme lex(StringView text) noexcept
{
	using enum Lexeme::Kind;

	if (text[0] != '\\')
		return {plain, text[0], 1};

	/* A backslash comes plain or mangled; what it escapes then comes in the same shape. */
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

/* Where the first unescaped @stop of @text is, from @at on; its size when there is none. */
Size find(StringView text, Size at, char stop) noexcept
{
	while (at < text.size()) {
		Lexeme next = lex(text.substr(at));

		if (next.kind == Lexeme::Kind::plain && next.byte == stop)
			break;
		at += next.length;
	}
	return at;
}

Error refuse(OptionError &error, const OptionError &reason, int code) noexcept
{
	error = reason;
	return Error{-code};
}

/* Notes @attribute in @item, whose permission is known; false where it does not go with that. */
bool take_attribute(StringView attribute, BranchItem &item) noexcept
{
	if (attribute == "coo_all")
		item.copy_on_open = CopyOnOpen::all;
	else if (attribute == "coo_reg" && item.copy_on_open == CopyOnOpen::nothing)
		item.copy_on_open = CopyOnOpen::regular;
	else if (attribute != "coo_reg")
		return item.perm == BranchPerm::rw ? attribute == "nolwh" : attribute == "wh";
	return true;
}

/* Reads @text, permission and attributes, of the branch @item into @branch. */
Result<void> parse_perm(StringView text, StringView item, BranchItem &branch,
			OptionError &error) noexcept
{
	Size plus = find(text, 0, '+');
	StringView name = text.substr(0, plus);
	BranchPerm &perm = branch.perm;

	if (name == "rw")
		perm = BranchPerm::rw;
	else if (name == "ro")
		perm = BranchPerm::ro;
	else if (name == "rr")
		perm = BranchPerm::rr;
	else if (find(name, 0, '=') < name.size())
		return refuse(error, {.text = "unknown permission",
				      .word = name,
				      .item = item,
				      .hint = "a '=' in a path is written '\\='"});
	else
		return refuse(error, {.text = "unknown permission",
				      .word = name,
				      .item = item,
				      .hint = "known are rw, ro, rr"});

	while (plus < text.size()) {
		Size start = plus + 1;

		plus = find(text, start, '+');

		StringView attribute = text.substr(start, plus - start);

		if (take_attribute(attribute, branch))
			continue;
		return refuse(error,
			      {.text = "unknown attribute",
			       .word = attribute,
			       .item = item,
			       .hint = "known are ro+wh, rr+wh, rw+nolwh, coo_reg, coo_all"});
	}
	return {};
}

/* Writes the path of @item to @buffer; @end is where it ends in @item. */
Result<StringView> take_path(StringView item, char *buffer, Size size, OptionError &error,
			     Size &end) noexcept
{
	Size limit = size < path_size ? size : path_size;
	Size used = 0;

	for (end = 0; end < item.size();) {
		Lexeme next = lex(item.substr(end));

		if (next.kind == Lexeme::Kind::plain && next.byte == '=')
			break;
		if (next.kind == Lexeme::Kind::bad)
			return refuse(error, {.text = "lone backslash",
					      .word = item.substr(end, next.length + 1),
					      .item = item,
					      .hint = "a backslash in a path is written '\\\\'"});
		if (!next.byte)
			return refuse(error, {.text = "zero byte",
					      .word = item.substr(end, next.length),
					      .item = item});
		if (used + 1 >= limit)
			return refuse(error, {.text = "path too long", .item = item}, ENAMETOOLONG);
		buffer[used++] = next.byte;
		end += next.length;
	}
	if (!used)
		return refuse(error, {.text = "no path before the permission", .item = item});
	buffer[used] = '\0';
	return StringView(buffer, used);
}

struct KnownKey {
	StringView name;
	OptionKey key;
};

/* The aliases are the original's. */
constexpr KnownKey known_keys[] = {
	{"br", OptionKey::branches},
	{"dirs", OptionKey::branches},
	{"append", OptionKey::append},
	{"create", OptionKey::create},
	{"create_policy", OptionKey::create},
	{"cpup", OptionKey::copy_up},
	{"copyup", OptionKey::copy_up},
	{"copyup_policy", OptionKey::copy_up},
	{"sum", OptionKey::sum},
	{"nosum", OptionKey::nosum},
	{"share_rw", OptionKey::share_rw},
};

/* Whether the option is a word without a value. */
bool is_flag(OptionKey key) noexcept
{
	return key == OptionKey::sum || key == OptionKey::nosum || key == OptionKey::share_rw;
}

const KnownKey *find_key(StringView name) noexcept
{
	for (const KnownKey &known : known_keys) {
		if (known.name == name)
			return &known;
	}
	return nullptr;
}

/* Appends to a buffer that it never overruns. */
class Writer final
{
public:
	Writer(char *out, Size size) noexcept : out_(out), size_(size)
	{
	}
	void put(char c) noexcept
	{
		if (used_ + 1 < size_)
			out_[used_++] = c;
	}
	void put(StringView text) noexcept
	{
		for (char c : text)
			put(c);
	}
	/* @text in quotes, fit to be shown and cut to what a line of a log can hold. */
	void quote(StringView text) noexcept
	{
		constexpr Size limit = 200;

		put('\'');
		for (char c : text.substr(0, limit))
			put(static_cast<unsigned char>(c) < ' ' || c == 0x7f ? '?' : c);
		if (text.size() > limit)
			put("...");
		put('\'');
	}
	Size finish() noexcept
	{
		out_[used_] = '\0';
		return used_;
	}

private:
	char *out_;
	Size size_;
	Size used_ = 0;
};

} // namespace

Error refuse(OptionError &error, const OptionError &reason) noexcept
{
	return refuse(error, reason, EINVAL);
}

StringView branch_perm_name(BranchPerm perm) noexcept
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

Size OptionError::describe(char *out, Size size) const noexcept
{
	Writer writer(out, size);

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
	return writer.finish();
}

Result<BranchItem> BranchList::next(char *buffer, Size size, OptionError &error) noexcept
{
	Size start = at_;
	Size stop = find(list_, start, ':');
	StringView item = list_.substr(start, stop - start);
	bool last = stop == list_.size();

	/* Until this branch is known to be right, an error ends the list. */
	more_ = false;
	if (list_.empty())
		return refuse(error, {.text = "no branch given"});
	if (item.empty() && last)
		return refuse(error, {.text = "empty branch after the last ':'",
				      .item = list_,
				      .hint = "a ':' in a path is written '\\:'"});
	if (item.empty())
		return refuse(error, {.text = "empty branch before a ':'",
				      .item = list_,
				      .hint = "a ':' in a path is written '\\:'"});
	if (index_ >= max_branches)
		return refuse(error, {.text = "too many branches, from here on", .word = item},
			      E2BIG);

	Size path_end = 0;
	StringView path = TRY(take_path(item, buffer, size, error, path_end));
	BranchItem branch = {path, index_ ? BranchPerm::ro : BranchPerm::rw, path_end < item.size(),
			     CopyOnOpen::nothing};

	if (branch.perm_given)
		TRY(parse_perm(item.substr(path_end + 1), item, branch, error));
	index_++;
	at_ = stop + 1;
	more_ = !last;
	return branch;
}

bool MonolithicOptions::more() noexcept
{
	while (at_ < data_.size() && data_[at_] == ',')
		at_++;
	return at_ < data_.size();
}

Result<RawOption> MonolithicOptions::next(OptionError &error) noexcept
{
	Size stop = find(data_, at_, ',');
	StringView option = data_.substr(at_, stop - at_);
	Size key_end = find(option, 0, '=');
	Size colon = find(option, 0, ':');
	StringView name = option.substr(0, colon);

	/* Only these names may end at a colon; in all others it is a part of the name. */
	if (name == "br" || name == "append")
		key_end = colon;
	/* The caller may overwrite what ends an option. */
	at_ = stop < data_.size() ? stop + 1 : stop;

	StringView key = option.substr(0, key_end);

	if (key.empty())
		return refuse(error, {.text = "option without a name", .word = option});
	if (key_end == option.size())
		return RawOption{key, {}, false};
	return RawOption{key, option.substr(key_end + 1), true};
}

Result<OptionUse> OptionSet::accept(StringView key, bool has_value, OptionError &error) noexcept
{
	OptionUse use = {OptionKey::branches, {}};
	Size colon = find(key, 0, ':');
	StringView name = key.substr(0, colon);
	bool has_list = colon < key.size() && (name == "br" || name == "append");
	const KnownKey *known = find_key(has_list ? name : key);

	if (!known)
		return refuse(
			error,
			{.text = "unknown option",
			 .word = key,
			 .hint = "known are br, dirs, append, create, cpup, sum, nosum, share_rw"});
	use.key = known->key;
	if (is_flag(use.key)) {
		if (has_value)
			return refuse(error, {.text = "no value goes with option", .word = key});
		return use;
	}
	if (use.key == OptionKey::create || use.key == OptionKey::copy_up) {
		if (!has_value)
			return refuse(error, {.text = "no policy given with option", .word = key});
		return use;
	}

	/* Whoever has a list has a head or a value: neither may be missing altogether. */
	if (has_list)
		use.head = key.substr(colon + 1);
	if (has_list ? use.head.empty() : !has_value)
		return refuse(error, {.text = "no branches given with option", .word = key});

	if (use.key == OptionKey::append) {
		append_ = true;
		return use;
	}
	if (branches_)
		return refuse(error, {.text = "branches given twice, the second time by option",
				      .word = name});
	if (append_)
		return refuse(error, {.text = "append given before option", .word = name});
	branches_ = true;
	return use;
}

StringView escaped(char byte) noexcept
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
