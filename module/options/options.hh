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
 * Which names there are, and which of them have a list or another value, is in option_table.hh.
 *
 * In a path `\,` `\:` `\=` and `\\` stand for the character itself, and `\ooo` for the byte with
 * that octal number. `\134` is what /proc/mounts makes of a backslash, so `\134\134`, `\134,` and
 * so on mean what `\\` and `\,` mean: what escape() wrote into /proc/mounts is read the same as it
 * stands there and after mount(8) or getmntent(3) decoded it. Any other backslash is refused,
 * because whoever wrote it meant either a backslash or nothing, and only they know which.
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

/*
 * What a branch is used for: rw is written to, ro is not, rr is a filesystem that is read-only by
 * nature.
 */
enum class BranchPerm : unsigned char { rw, ro, rr };

/* The permission as it is written in an option. */
StringView branch_perm_name(BranchPerm perm);

/*
 * What of a branch is copied up when it is opened, for reading too: nothing, regular files, or
 * directories as well. Whoever maps a file then has the one that later writers change.
 */
enum class CopyOnOpen : unsigned char { nothing, regular, all };

/* The attribute as it is written after a permission, with its `+`; empty for nothing. */
StringView copy_on_open_name(CopyOnOpen what);

/* Of which extended attributes it does not matter that they cannot be copied from or to a branch. */
class XattrClasses final
{
public:
	enum Class : unsigned char { security = 1, system = 2, trusted = 4, user = 8, other = 16 };
	static constexpr unsigned char all = 31;

	constexpr XattrClasses() = default;
	explicit constexpr XattrClasses(unsigned char classes) : classes_(classes)
	{
	}

	/* Whether the extended attribute @name is of one of them. */
	bool has(StringView name) const;
	/*
	 * Gives them to @write(StringView) as attributes of a branch are written, each with its `+`.
	 */
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

/* Which rw branch takes a new object (policy.hh says how). */
enum class CreatePolicy : unsigned char { tdp, rr, mfs, mfsrr, pmfs, pmfsrr, tdmfs };
/* Which rw branch takes a copy. */
enum class CopyPolicy : unsigned char { tdp, bup, bu };

/* Which branches statfs adds up: the one that is written to counts alone, all, or the rw ones. */
enum class Sum : unsigned char { none, all, writable };

/*
 * Whether changes that somebody makes directly on a branch are looked for: not at all; each time that a name is
 * used; or when the kernel has told of one.
 */
enum class Udba : unsigned char { none, reval, notify };

/* What can be changed while mounted. */
struct alignas(8) Settings {
	static constexpr unsigned int default_seconds = 30;

	unsigned long long watermark = 0; /* free bytes that a branch should have */
	unsigned int mfs_seconds = default_seconds; /* how long mfs believes what it has asked */
	CreatePolicy create = CreatePolicy::tdp;
	CopyPolicy copy_up = CopyPolicy::tdp;
	Sum sum = Sum::none;
	bool share_rw = false; /* other unions may use the rw branches as well */
	bool always_opaque = false; /* a new directory shows nothing of lower branches, ever */
	bool show_whiteouts = false; /* as the files that they are */
	Udba udba = Udba::none;

	friend bool operator==(const Settings &, const Settings &) = default;
};

/* As /proc/mounts shows them. */
StringView create_policy_name(CreatePolicy policy);
/* Whether it has a watermark, and whether it asks for free space: then `:SECONDS` may follow. */
bool has_watermark(CreatePolicy policy);
bool has_seconds(CreatePolicy policy);
StringView copy_policy_name(CopyPolicy policy);
StringView udba_name(Udba udba);

/* Why an option was refused. The views are parts of the text that was parsed, or empty. */
struct OptionError {
	const char *text = ""; /* what is wrong; static */
	StringView word; /* the word that is wrong */
	StringView item; /* the option or branch that it stands in */
	const char *hint = ""; /* what would be right; static, may be empty */
	const char *known = ""; /* all words that would be right; static, may be empty */
	StringView nearest; /* the known word that is most like it, or empty; static */

	/*
	 * Writes "text 'word' in 'item' (hint)" to @out, with a terminating zero and within @size bytes
	 * (at least one). Bytes that a log cannot show become `?`, long items are cut. Returns the
	 * bytes before the zero.
	 */
	StringView::Size describe(char *out, StringView::Size size) const;
};

/* Sets @error, for who returns the errno that it returns. */
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
	/* @text in quotes, fit to be shown and cut to what a line of a log can hold. */
	void quote(StringView text);
	/* Adds a zero; the bytes before it. */
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
	BranchPerm perm; /* where it is not given: rw for the mount's first branch, else ro */
	bool perm_given;
	CopyOnOpen copy_on_open;
	XattrClasses may_miss;
	bool overlay_whiteouts; /* those of overlayfs hide as well */
	bool ignores; /* some attributes have no effect here */
	StringView attributes; /* as written: each with its `+` */

	/* Gives permission and attributes to @write(StringView) as they are written, with the `=`. */
	template <class Write> void write_use(Write &&write) const
	{
		write(StringView("="));
		write(branch_perm_name(perm));
		write(copy_on_open_name(copy_on_open));
		if (overlay_whiteouts)
			write(StringView("+owh"));
		may_miss.write(write);
	}
};

/*
 * Writes which attributes of @item have no effect, and why, to @out, as OptionError::describe() does.
 */
StringView::Size describe_ignored(const BranchItem &item, char *out, StringView::Size size);

/*
 * The branches of a list one after the other:
 *
 *	BranchList list(text);
 *	while (list.more())
 *		use(TRY(list.next(buffer, path_size, error)));
 *
 * An empty list has one branch, and that one is an error. After an error the list is at an end.
 */
class BranchList final
{
public:
	/*
	 * @already: how many branches earlier options gave; @most: how many there may be. @list must
	 * outlive this.
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
	 * Only where more(). The path is written to @buffer of @size bytes, of which path_size are
	 * enough. -EINVAL: wrong syntax; -ENAMETOOLONG: the path does not fit; -E2BIG: too many. @error
	 * is set with each.
	 */
	Result<BranchItem> next(char *buffer, StringView::Size size, OptionError &error);

private:
	StringView list_;
	StringView::Size at_ = 0;
	unsigned int index_;
	unsigned int most_;
	bool more_ = true;
};

/* One option: its name, and what stands after the first `=` or `:` that is not escaped. */
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

	/* Only where more(). -EINVAL with @error set: a value without a name. */
	Result<RawOption> next(OptionError &error);

private:
	StringView data_;
	StringView::Size at_ = 0;
};

/* What stands for @byte in an option, or empty where it stands for itself. */
StringView escaped(char byte);

/*
 * Gives @path to @write(StringView) piece by piece, escaped: as the text of an option and fit for
 * /proc/mounts without further mangling.
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
