// SPDX-License-Identifier: GPL-2.0-only
#include "option_table.hh"
#include "settings.hh"

namespace aufs
{

using Size = StringView::Size;

namespace
{

/* How this filesystem takes an option. */
enum class Effect : unsigned char {
	works,
	none, /* accepted without effect; the log has the reason */
	silent, /* the same, and nobody misses anything */
	opposite, /* would undo what is always done: only in a remount to read-only */
	adds_branches, /* in a first mount and in a remount */
	changes_branches, /* in a remount */
	refused,
};

/* The kind of value behind the `=`. */
enum class Value : unsigned char {
	none,
	list,
	policy,
	text,
	number, /* or "def" */
	maybe, /* text, or no value at all */
	words, /* one of the words of the row */
};

} // namespace

struct OptionRow {
	StringView names[3]; /* the first is shown; the others may be empty */
	Value value;
	Effect effect;
	OptionKey key = OptionKey::nothing;
	const char *reason = "";
	/* For Value::words: the words, with ", " between them. */
	const char *words = "";
	Setting setting = {};
};

namespace
{

struct Names {
	StringView first, second, third;

	constexpr Names(StringView name, StringView alias = {}, StringView alias2 = {})
		: first(name), second(alias), third(alias2)
	{
	}
	template <Size N> constexpr Names(const char (&name)[N]) : first(name)
	{
	}
};

constexpr OptionRow row(const Names &names, Value value, Effect effect, const char *reason = "")
{
	return {{names.first, names.second, names.third}, value, effect, OptionKey::nothing, reason};
}

constexpr OptionRow changes(const Names &names, Setting setting, Value value = Value::none)
{
	return {{names.first, names.second, names.third},
		value,
		Effect::works,
		OptionKey::setting,
		"",
		"",
		setting};
}

/* An option whose value is one of @words, which are as OptionRow has them. */
constexpr OptionRow one_of(StringView name, const char *words, Setting setting,
			   OptionKey key = OptionKey::setting)
{
	return {{name}, Value::words, Effect::works, key, "", words, setting};
}

constexpr OptionRow changes(const Names &names, Value value, Effect effect, OptionKey key)
{
	return {{names.first, names.second, names.third}, value, effect, key};
}

constexpr OptionRow no_table(StringView name, Value value)
{
	return row(name, value, Effect::none, "inode numbers need no table");
}

constexpr OptionRow no_limit(StringView name)
{
	return row(name, Value::number, Effect::none, "directories are read without such limits");
}

constexpr OptionRow always(StringView name)
{
	return row(name, Value::none, Effect::none, "it is always so");
}

constexpr OptionRow no_care(StringView name)
{
	return row(name, Value::none, Effect::none, "pseudo-links need no care");
}

constexpr OptionRow no_warning(StringView name)
{
	return row(name, Value::none, Effect::none, "there is no such warning");
}

constexpr OptionRow one_voice(const Names &names)
{
	return row(names, Value::none, Effect::none, "messages are the same for all");
}

/* mount.aufs(8) makes several options of it; where that is not there, it comes as it is. */
constexpr OptionRow drops(StringView name, Value value, const char *words = "")
{
	return {{name},
		value,
		Effect::none,
		OptionKey::nothing,
		"features stay, and udba and noatime are asked for by name",
		words};
}

constexpr OptionRow obsolete(StringView name)
{
	return row(name, Value::text, Effect::none, "it means nothing any more");
}

constexpr OptionRow silent(StringView name, Value value = Value::none)
{
	return row(name, value, Effect::silent);
}

constexpr OptionRow opposite(StringView name, const char *reason)
{
	return row(name, Value::none, Effect::opposite, reason);
}

constexpr OptionRow rows[] = {
	changes({"br", "dirs"}, Value::list, Effect::works, OptionKey::branches),
	changes("append", Value::list, Effect::adds_branches, OptionKey::append),
	changes({"create", "create_policy"}, {set_create, show_create}, Value::policy),
	changes({"cpup", "copyup", "copyup_policy"}, {set_copy_up, show_copy_up}, Value::policy),
	changes("sum", sets<&Settings::sum, Sum::all>),
	changes({"nosum", "nowsum"}, sets<&Settings::sum, Sum::none>),
	changes("wsum", sets<&Settings::sum, Sum::writable>),
	one_of("diropq", "w, whiteouted, a, always", {set_diropq, show_diropq}),
	changes("shwh", sets<&Settings::show_whiteouts, true>),
	changes("noshwh", sets<&Settings::show_whiteouts, false>),
	changes("share_rw", sets<&Settings::share_rw, true>),
	one_of("udba", "none, reval, notify, fsnotify", {set_udba, show_udba}, OptionKey::udba),

	changes("prepend", Value::list, Effect::adds_branches, OptionKey::prepend),
	changes({"add", "ins"}, Value::text, Effect::adds_branches, OptionKey::add),
	changes("del", Value::text, Effect::changes_branches, OptionKey::del),
	changes("detach", Value::text, Effect::changes_branches, OptionKey::detach),
	changes("mod", Value::text, Effect::changes_branches, OptionKey::mod),
	changes("replace", Value::text, Effect::changes_branches, OptionKey::replace),
	row("idel", Value::text, Effect::refused, "a branch is named by its path, as in del:/path"),
	row("imod", Value::text, Effect::refused,
	    "a branch is named by its path, as in mod:/path=ro"),

	no_table("xino", Value::text),
	no_table("noxino", Value::none),
	no_table("trunc_xino", Value::maybe),
	no_table("trunc_xino_v", Value::text),
	no_table("trunc_xino_path", Value::text),
	no_table("notrunc_xino", Value::none),
	no_table("itrunc_xino", Value::number),
	no_table("trunc_xib", Value::none),
	no_table("notrunc_xib", Value::none),
	no_limit("rdblk"),
	no_limit("rdhash"),
	no_limit("rdcache"),
	no_limit("dirwh"),
	always("dio"),
	always("acl"),
	always("plink"),
	always("dirperm1"),
	no_care("clean_plink"),
	no_care("list_plink"),
	no_warning("warn_perm"),
	no_warning("nowarn_perm"),
	one_voice({"verbose", "v"}),
	one_voice("noverbose"),
	one_voice({"quiet", "q", "silent"}),
	drops("droplvl", Value::words, "1, 2, 3, -1, -2, -3"),
	drops("ephemeral", Value::none),
	obsolete("debug"),
	obsolete("delete"),
	obsolete("imap"),

	silent("si", Value::text),
	silent("nodirren"),
	silent("relatime"),
	silent("nodlgt"),

	opposite("nodio", "O_DIRECT works as on the branch"),
	opposite("noacl", "ACLs count as on the branch"),
	opposite("noplink", "hard links stay one file"),
	opposite("nodirperm1", "the rights of the uppermost directory count"),

	row("fhsm_sec", Value::text, Effect::refused, "there is no tiered storage"),
	row("dirren", Value::none, Effect::refused, "directories of lower branches stay: EXDEV"),
};

constexpr Size row_count = sizeof(rows) / sizeof(rows[0]);

static_assert(row_count <= 64, "OptionSet has a bit for each");

const OptionRow *find_row(StringView name)
{
	for (const OptionRow &row : rows) {
		for (StringView known : row.names) {
			if (!known.empty() && name == known)
				return &row;
		}
	}
	return nullptr;
}

/* How many bytes must be changed, put in or taken out to turn @a into @b, which is short. */
Size distance(StringView a, StringView b)
{
	constexpr Size longest = 31;
	Size row[longest + 1] = {};

	if (b.size() > longest)
		return a.size() + b.size();
	for (Size j = 0; j <= b.size(); j++)
		row[j] = j;
	for (Size i = 0; i < a.size(); i++) {
		Size corner = row[0];

		row[0] = i + 1;
		for (Size j = 0; j < b.size(); j++) {
			Size changed = corner + (a[i] != b[j]);
			Size moved = (row[j] < row[j + 1] ? row[j] : row[j + 1]) + 1;

			corner = row[j + 1];
			row[j + 1] = changed < moved ? changed : moved;
		}
	}
	return row[b.size()];
}

/* The name of an option that is most like @name. */
StringView nearest(StringView name)
{
	StringView found = rows[0].names[0];
	Size least = ~Size{0};

	for (const OptionRow &row : rows) {
		for (StringView known : row.names) {
			/* A name of 40 bytes is too long for any of them already. */
			Size steps = known.empty() ? least : distance(name.substr(0, 40), known);

			if (steps >= least)
				continue;
			found = known;
			least = steps;
		}
	}
	return found;
}

bool is_number(StringView text)
{
	for (char c : text) {
		if (c < '0' || c > '9')
			return false;
	}
	return !text.empty();
}

/* Whether @text is one of @words, with ", " between them. */
bool is_one_of(StringView words, StringView text)
{
	for (;;) {
		Size end = 0;

		while (end < words.size() && words[end] != ',')
			end++;
		if (words.substr(0, end) == text)
			return true;
		if (end == words.size())
			return false;
		words = words.substr(end + 2);
	}
}

/* Whether @option has the kind of value that @row says. */
Result<void> check_value(const OptionRow &row, const RawOption &option, OptionError &error)
{
	switch (row.value) {
	case Value::none:
		if (option.has_value)
			return refuse(error,
				      {.text = "no value goes with option", .word = option.key});
		return {};
	case Value::maybe:
		return {};
	case Value::list:
		/* BranchList refuses an empty list. */
		if (!option.has_value)
			return refuse(error, {.text = "no branches given with option",
					      .word = option.key});
		return {};
	case Value::policy:
		if (!option.has_value)
			return refuse(error,
				      {.text = "no policy given with option", .word = option.key});
		return {};
	case Value::text:
	case Value::number:
	case Value::words:
		break;
	}
	if (option.value.empty())
		return refuse(error, {.text = "no value given with option", .word = option.key});
	if (row.value == Value::number && !is_number(option.value) && option.value != "def")
		return refuse(error,
			      {.text = "no number", .word = option.value, .item = option.key});
	if (row.value == Value::words &&
	    !is_one_of(StringView::from_c_string(row.words), option.value))
		return refuse(error, {.text = "unknown value",
				      .word = option.value,
				      .item = option.key,
				      .known = row.words});
	return {};
}

} // namespace

Result<OptionKey> OptionSet::accept(const RawOption &option, Settings &settings, OptionError &error)
{
	const OptionRow *row = find_row(option.key);

	if (!row)
		return refuse(error, {.text = "unknown option",
				      .word = option.key,
				      .nearest = nearest(option.key)});
	TRY(check_value(*row, option, error));
	switch (row->effect) {
	case Effect::works:
		if (row->key == OptionKey::branches)
			TRY(accept_branches(option.key, error));
		if (row->setting.set)
			TRY(row->setting.set(settings, option.value, error));
		break;
	case Effect::none:
		noted_ |= 1ULL << (row - rows);
		break;
	case Effect::silent:
		break;
	case Effect::opposite:
		if (kind_ == MountKind::first)
			return refuse(error, {.text = "not possible here: option",
					      .word = option.key,
					      .hint = row->reason});
		opposite_ = row;
		break;
	case Effect::adds_branches:
	case Effect::changes_branches:
		TRY(accept_change(*row, option.key, error));
		break;
	case Effect::refused:
		return refuse(error, {.text = "not possible here: option",
				      .word = option.key,
				      .hint = row->reason});
	}
	return OptionKey{row->key};
}

Result<void> OptionSet::accept_branches(StringView name, OptionError &error)
{
	if (branches_)
		return refuse(error, {.text = "branches given twice, the second time by option",
				      .word = name});
	if (change_ == OptionKey::append)
		return refuse(error, {.text = "append given before option", .word = name});
	if (change_ != OptionKey::nothing)
		return refuse(error, {.text = "branches changed before option", .word = name});
	branches_ = true;
	return {};
}

Result<void> OptionSet::accept_change(const OptionRow &row, StringView name, OptionError &error)
{
	if (kind_ == MountKind::first && row.effect != Effect::adds_branches)
		return refuse(
			error,
			{.text = "a mount gets its branches by br, append, prepend and add, not by option",
			 .word = name});
	if (change_ == OptionKey::nothing)
		change_ = row.key;
	return {};
}

Result<void> OptionSet::finish(bool read_only, const Settings &settings, OptionError &error) const
{
	if (settings.show_whiteouts && !read_only)
		return refuse(error, {.text = "not possible unless read-only: option",
				      .word = "shwh",
				      .hint = "who sees a whiteout could remove it"});
	if (opposite_ && !read_only)
		return refuse(error, {.text = "not possible unless read-only: option",
				      .word = opposite_->names[0],
				      .hint = opposite_->reason});
	return {};
}

Size describe_settings(const Settings &settings, char *out, Size size)
{
	TextWriter writer(out, size);

	for (const OptionRow &row : rows) {
		if (row.setting.show)
			row.setting.show(settings, row.names[0], writer);
	}
	return writer.finish();
}

Size OptionSet::describe_notes(char *out, Size size) const
{
	TextWriter writer(out, size);
	auto is_noted = [this](Size row) {
		return (noted_ >> row & 1) != 0;
	};
	StringView separator = "options without effect: ";

	/* Rows with the same reason stand together in the table. */
	for (Size i = 0; i < row_count; i++) {
		if (!is_noted(i))
			continue;
		writer.put(separator);
		writer.put(rows[i].names[0]);
		separator = ", ";

		Size next = i + 1;

		while (next < row_count && !is_noted(next))
			next++;
		StringView reason = StringView::from_c_string(rows[i].reason);

		if (next < row_count && StringView::from_c_string(rows[next].reason) == reason)
			continue;
		writer.put(" (");
		writer.put(reason);
		writer.put(')');
	}
	return writer.finish();
}

} // namespace aufs
