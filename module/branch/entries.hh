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
	return name == StringView(".") || name == StringView("..");
}

/* Passes each entry that iterate_dir() gives to a visitor; for read_entries(). */
template <class Visit> struct EntryVisitor : dir_context {
	Visit &visit;
	int error = 0;
	bool called = false;

	explicit EntryVisitor(Visit &v) : dir_context{}, visit(v)
	{
		actor = act;
	}

	static bool act(struct dir_context *ctx, const char *name, int size, loff_t offset,
			u64 number, unsigned int type)
	{
		auto &self = static_cast<EntryVisitor &>(*ctx);
		StringView view(name, static_cast<StringView::Size>(size));

		self.called = true;
		if (is_dot_or_dotdot(view))
			return true;
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
 * Calls @visit(BranchEntry) -> Result<void> for each entry of the directory @dir but `.` and `..`. Gives the position
 * at the end. The kernel locks the branch directory meanwhile. @flags are for its open. -EINTR on a fatal signal.
 */
template <class Visit>
Result<loff_t> read_entries(const AsMounter &, PartRef dir, unsigned int flags, Visit &&visit)
{
	struct path path = dir.path();
	auto file = TRY(adopt_or_error(
		dentry_open(&path, static_cast<int>(O_RDONLY | O_DIRECTORY | O_LARGEFILE | flags),
			    aufs_current_cred())));
	EntryVisitor<Visit> visitor(visit);

	/* A filesystem may stop after any number of entries; at the end it gives none. */
	do {
		visitor.called = false;
		TRY(check(iterate_dir(file.get(), &visitor)));
		TRY(check(visitor.error));
		if (aufs_signal_pending())
			return Error{-EINTR};
	} while (visitor.called);
	return file->f_pos;
}

/* The same without the position. */
template <class Visit>
Result<void> for_each_entry(const AsMounter &mounter, PartRef dir, Visit &&visit)
{
	TRY(read_entries(mounter, dir, 0, visit));
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
