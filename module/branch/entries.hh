/* SPDX-License-Identifier: GPL-2.0-only */
/* Reading a directory of one branch. */
#pragma once

#include "part.hh"
#include "writer.hh"
#include "names.hh"

namespace aufs
{

/* One entry as a branch gives it. */
struct BranchEntry {
	StringView name;
	u64 number;
	unsigned int type;
	loff_t offset; /* as the filesystem counts */
};

inline bool is_dot_or_dotdot(StringView name)
{
	return !name.empty() && name[0] == '.' &&
	       (name.size() == 1 || (name.size() == 2 && name[1] == '.'));
}

/* Takes each entry that iterate_dir() gives, for take_entries(). */
struct EntryTaker : dir_context {
	int error = 0; /* that of the last entry: it ends the reading */
	bool called = false; /* there was an entry */

	explicit EntryTaker(filldir_t take) : dir_context{}
	{
		actor = take;
	}
};

/* Passes each entry to a visitor. */
template <class Visit> struct EntryVisitor : EntryTaker {
	Visit &visit;

	explicit EntryVisitor(Visit &v) : EntryTaker(take), visit(v)
	{
	}

	static bool take(struct dir_context *ctx, const char *name, int size, loff_t offset,
			 u64 number, unsigned int type)
	{
		auto &self = static_cast<EntryVisitor &>(*ctx);
		StringView view(name, static_cast<StringView::Size>(size));

		self.called = true;
		self.error = self.visit(BranchEntry{view, number, type, offset}).error();
		return self.error == 0;
	}
};

/*
 * The open flags for a directory that no user asked to be read: neither the access time nor a notification tells of it.
 */
#ifdef HAVE___FMODE_NONOTIFY
inline constexpr unsigned int unseen = O_NOATIME | FMODE_NONOTIFY;
#else
inline constexpr unsigned int unseen = O_NOATIME;
#endif

/*
 * Has @taker take each entry of the directory @dir. Gives the position at the end. The kernel locks the branch
 * directory meanwhile. @flags are for its open. -EINTR on a fatal signal.
 */
Result<loff_t> take_entries(const AsMounter &mounter, PartRef dir, unsigned int flags,
			    EntryTaker &taker);

/* The same by @visit(BranchEntry) -> Result<void>. */
template <class Visit>
Result<loff_t> read_entries(const AsMounter &mounter, PartRef dir, unsigned int flags,
			    Visit &&visit)
{
	EntryVisitor<Visit> visitor(visit);

	return take_entries(mounter, dir, flags, visitor);
}

/* The same without `.` and `..`, and without the position. */
template <class Visit>
Result<void> for_each_entry(const AsMounter &mounter, PartRef dir, Visit &&visit)
{
	TRY(read_entries(mounter, dir, 0, [&visit](const BranchEntry &entry) -> Result<void> {
		return is_dot_or_dotdot(entry.name) ? Result<void>() : visit(entry);
	}));
	return {};
}

/* The names in one branch directory. */
class NameList final
{
public:
	static Result<NameList> read(const AsMounter &mounter, PartRef dir);
	static Result<NameList> read(const Writer &writer, struct dentry &dir)
	{
		return read(writer.mounter(), {writer.branch(), dir});
	}

	/* Calls @action(StringView) -> Result<void> for each name. */
	template <class Action> Result<void> for_each(Action &&action) const
	{
		for (unsigned long i = 0; i < names_.count(); i++)
			TRY(action(names_[i].view()));
		return {};
	}

private:
	NameTable names_;
};

} // namespace aufs
