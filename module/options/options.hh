/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The syntax of aufs's mount options, and nothing else: no kernel calls, no allocation, any
 * context. The same source is compiled on the host, where kunit/host tests and fuzzes it.
 *
 *	data    = option { "," option }
 *	option  = name [ ( "=" | ":" ) value ]
 *	list    = branch { ":" branch } [ ":" [ ":" ] ]
 *	branch  = path [ "=" permission { "+" attribute } ]
 *
 * The names, and the kind of value of each, are in option_table.hh. As in the original, a word that is no permission
 * counts as ro, and a word that is no attribute has no effect.
 *
 * In a path `\,` `\:` `\=` and `\\` stand for the character itself, and `\ooo` for the byte with
 * that octal number. `\134` is what /proc/mounts makes of a backslash, so `\134\134`, `\134,` and
 * so on mean what `\\` and `\,` mean. So the text that escape() wrote into /proc/mounts means the same as
 * it stands there and after mount(8) or getmntent(3) decoded it. Any other backslash is refused: its author
 * meant either a backslash or nothing, and nobody else knows which.
 */
#pragma once

#include "result.hh"
#include "string_view.hh"

namespace aufs
{

using cxxrt::Result;
using cxxrt::StringView;

/* Branches in one mount, as many as the tests have tried. */
inline constexpr unsigned int max_branches = 4096;
/* The kernel's PATH_MAX: bytes in a path with its terminating zero. */
inline constexpr StringView::Size path_size = 4096;

/* The use of a branch: rw is written to, ro is not, rr is a filesystem that is read-only by nature. */
enum class BranchPerm : unsigned char { rw, ro, rr };

/* The permission as an option has it. */
StringView branch_perm_name(BranchPerm perm);

/*
 * The objects of a branch that are copied up when they are opened to be read: none, regular files, or directories as
 * well. A mapping of a file is then of the copy, which later writers change.
 */
enum class CopyOnOpen : unsigned char { nothing, regular, all };

/* The attribute as it follows a permission, with its `+`; empty for nothing. */
StringView copy_on_open_name(CopyOnOpen what);

/* The extended attributes that a copy from or to a branch may lack, if they cannot be copied. */
class XattrClasses final
{
public:
	enum Class : unsigned char { security = 1, system = 2, trusted = 4, user = 8, other = 16 };
	static constexpr unsigned char all = 31;

	constexpr XattrClasses() = default;
	explicit constexpr XattrClasses(unsigned char classes) : classes_(classes)
	{
	}

	/* Whether the extended attribute @name is of one of the classes. */
	bool has(StringView name) const;
	/* Gives the classes to @write(StringView) as attributes of a branch, each with its `+`. */
	template <class Write> void write(Write &&write) const
	{
		constexpr StringView names[] = {"+icexsec", "+icexsys", "+icextr", "+icexusr",
						"+icexoth"};

		if (classes_ == all)
			return write(StringView("+icex"));
		for (unsigned int i = 0; i < 5; i++) {
			if (classes_ >> i & 1)
				write(names[i]);
		}
	}

	friend constexpr XattrClasses operator|(XattrClasses a, XattrClasses b)
	{
		return XattrClasses(static_cast<unsigned char>(a.classes_ | b.classes_));
	}
	friend bool operator==(XattrClasses, XattrClasses) = default;

private:
	unsigned char classes_ = 0;
};

/* The rw branch that takes a new object (policy.hh says how). */
enum class CreatePolicy : unsigned char { tdp, rr, mfs, mfsrr, pmfs, pmfsrr, tdmfs };
/* The rw branch that takes a copy. */
enum class CopyPolicy : unsigned char { tdp, bup, bu };

/* The branches whose space statfs adds up: only the one that is written to, all, or the rw ones. */
enum class Sum : unsigned char { none, all, writable };

/*
 * When the union looks for changes that somebody makes directly on a branch: never; each time that a name is used; or
 * when the kernel has told of one.
 */
enum class Udba : unsigned char { none, reval, notify };

/* Settings that a remount can change. */
struct alignas(8) Settings {
	static constexpr unsigned int default_seconds = 30;

	unsigned long long watermark = 0; /* free bytes that a branch should have */
	unsigned int mfs_seconds = default_seconds; /* how long mfs keeps an answer */
	CreatePolicy create = CreatePolicy::tdp;
	CopyPolicy copy_up = CopyPolicy::tdp;
	Sum sum = Sum::none;
	bool share_rw = false; /* other unions may use the rw branches as well */
	bool always_opaque = false; /* a new or moved directory never shows lower ones */
	bool show_whiteouts = false; /* users see whiteouts as the files that they are */
	Udba udba = Udba::none;

	friend bool operator==(const Settings &, const Settings &) = default;
};

/* The name as /proc/mounts shows it. */
StringView create_policy_name(CreatePolicy policy);
/* Whether the policy has a watermark, and whether it asks for free space: then `:SECONDS` may follow. */
bool has_watermark(CreatePolicy policy);
bool has_seconds(CreatePolicy policy);
StringView copy_policy_name(CopyPolicy policy);
StringView udba_name(Udba udba);

/* Why an option was refused. The views are parts of the text that was parsed, or empty. */
struct OptionError {
	const char *text = ""; /* what is wrong; static */
	StringView word; /* the word that is wrong */
	StringView item; /* the option or branch that has the word */
	const char *hint = ""; /* a correction; static, may be empty */
	const char *known = ""; /* all words that would be right; static, may be empty */
	StringView nearest; /* the known word that is nearest to it, or empty; static */

	/*
	 * Writes "text 'word' in 'item' (hint)" to @out, with a terminating zero and within @size bytes
	 * (at least one). Bytes that a log cannot show become `?`, long items are cut. Returns the
	 * bytes before the zero.
	 */
	StringView::Size describe(char *out, StringView::Size size) const;
};

/* Sets @error to @reason, and returns -EINVAL. */
cxxrt::Error refuse(OptionError &error, const OptionError &reason);

/* Appends to a buffer of at least one byte that it never overruns. */
class TextWriter final
{
public:
	TextWriter(char *out, StringView::Size size) : out_(out), size_(size)
	{
	}
	void put(char c);
	void put(StringView text)
	{
		for (char c : text)
			put(c);
	}
	/* Puts @text in quotes, without bytes that a log cannot show, and cut to the length of a line of a log. */
	void quote(StringView text);
	/* Adds a zero. Returns the number of bytes before it. */
	StringView::Size finish()
	{
		out_[used_] = '\0';
		return used_;
	}

private:
	char *out_;
	StringView::Size size_;
	StringView::Size used_ = 0;
};

/* One branch of a list. */
struct BranchItem {
	StringView path; /* unescaped, in the caller's buffer, a zero follows it */
	BranchPerm perm; /* if none is given: rw for the mount's first branch, else ro */
	bool perm_given;
	CopyOnOpen copy_on_open;
	XattrClasses may_miss;
	bool overlay_whiteouts; /* whiteouts of overlayfs hide as well */
	bool own_whiteouts; /* a whiteout there is a file of its own, no hard link */
	bool ignores; /* the permission or some attributes have no effect here */
	StringView unknown_perm; /* the word that is no permission, so that @perm is ro */
	StringView attributes; /* as written: each with its `+` */

	/* Gives permission and attributes to @write(StringView) as they are written, with the `=`. */
	template <class Write> void write_use(Write &&write) const
	{
		write(StringView("="));
		write(branch_perm_name(perm));
		write(copy_on_open_name(copy_on_open));
		if (overlay_whiteouts)
			write(StringView("+owh"));
		if (own_whiteouts)
			write(StringView("+nolwh"));
		may_miss.write(write);
	}
};

/* Writes the parts of @item that have no effect, and why, to @out, as OptionError::describe() does. */
StringView::Size describe_ignored(const BranchItem &item, char *out, StringView::Size size);

/*
 * The branches of a list one after the other:
 *
 *	BranchList list(text);
 *	while (list.more())
 *		use(TRY(list.next(buffer, path_size, error)));
 *
 * An empty list has one branch, which is an error. An error ends the list.
 */
class BranchList final
{
public:
	/*
	 * @already: the number of branches that earlier options gave; @most: how many there may be. @list must outlive
	 * this.
	 */
	explicit constexpr BranchList(StringView list, unsigned int already = 0,
				      unsigned int most = max_branches)
		: list_(list), index_(already), most_(most)
	{
	}

	bool more() const
	{
		return more_;
	}

	/*
	 * Only if more(). The path is written to @buffer of @size bytes; path_size is always enough. -EINVAL: wrong
	 * syntax; -ENAMETOOLONG: the path does not fit; -E2BIG: too many branches. Each sets @error.
	 */
	Result<BranchItem> next(char *buffer, StringView::Size size, OptionError &error);

private:
	StringView list_;
	StringView::Size at_ = 0;
	unsigned int index_;
	unsigned int most_;
	bool more_ = true;
};

/* One option: its name, and the text after the first `=` or `:` that is not escaped. */
struct RawOption {
	StringView key;
	StringView value; /* as written, still escaped */
	bool has_value;

	explicit RawOption(StringView option);
};

/*
 * Splits mount(2)'s data at the commas that are not escaped; empty options are skipped, as the
 * kernel's own splitter does. The byte after a key is a separator or the end of the data, and it is
 * not read again, so that a caller who owns the data may put a zero there.
 */
class MonolithicOptions final
{
public:
	/* @data must outlive this. */
	explicit constexpr MonolithicOptions(StringView data) : data_(data)
	{
	}

	/* Steps over empty options. */
	bool more();

	/* Only if more(). -EINVAL, and @error is set: a value without a name. */
	Result<RawOption> next(OptionError &error);

private:
	StringView data_;
	StringView::Size at_ = 0;
};

/* The text that stands for @byte in an option; empty if @byte stands for itself. */
StringView escaped(char byte);

/*
 * Gives @path to @write(StringView) piece by piece, escaped: as the text of an option, and fit for /proc/mounts as it
 * is.
 */
template <class Write> void escape(StringView path, Write &&write)
{
	StringView::Size start = 0;

	for (StringView::Size i = 0; i < path.size(); i++) {
		StringView piece = escaped(path[i]);

		if (piece.empty())
			continue;
		if (i > start)
			write(path.substr(start, i - start));
		write(piece);
		start = i + 1;
	}
	if (start < path.size())
		write(path.substr(start));
}

} // namespace aufs
