/* SPDX-License-Identifier: GPL-2.0-only */
/* Reading a directory of one branch. */
#pragma once

#include "writer.hh"
#include "names.hh"

namespace aufs
{

/* One entry as a branch gives it. */
struct BranchEntry {
	StringView name;
	u64 number;
	unsigned int type;
};

inline bool is_dot_or_dotdot(StringView name)
{
	return name == StringView(".") || name == StringView("..");
}

/* A visit of one branch directory, as the kernel calls it back; for for_each_entry(). */
template <class Visit> struct EntryVisitor : dir_context {
	Visit &visit;
	int error = 0;
	bool called = false;

	explicit EntryVisitor(Visit &v) : dir_context{}, visit(v)
	{
		actor = act;
	}

	static bool act(struct dir_context *ctx, const char *name, int size, loff_t, u64 number,
			unsigned int type)
	{
		auto &self = static_cast<EntryVisitor &>(*ctx);
		StringView view(name, static_cast<StringView::Size>(size));

		self.called = true;
		if (is_dot_or_dotdot(view))
			return true;
		self.error = self.visit(BranchEntry{view, number, type}).error();
		return self.error == 0;
	}
};

/*
 * Calls @visit(BranchEntry) -> Result<void> for each entry of the directory @dir of @branch but `.`
 * and `..`. The branch directory is locked meanwhile. -EINTR on a fatal signal.
 */
template <class Visit>
Result<void> for_each_entry(const AsMounter &, const Branch &branch, struct dentry &dir,
			    Visit &&visit)
{
	struct path path = branch.path_to(dir);
	auto file = TRY(adopt_or_error(
		dentry_open(&path, O_RDONLY | O_DIRECTORY | O_LARGEFILE, aufs_current_cred())));
	EntryVisitor<Visit> visitor(visit);

	/* A filesystem may stop after any number of entries; at the end it gives none. */
	do {
		visitor.called = false;
		TRY(check(iterate_dir(file.get(), &visitor)));
		TRY(check(visitor.error));
		if (aufs_signal_pending())
			return Error{-EINTR};
	} while (visitor.called);
	return {};
}

/* The names in one branch directory. */
class NameList final
{
public:
	static Result<NameList> read(const AsMounter &mounter, const Branch &branch,
				     struct dentry &dir);
	static Result<NameList> read(const Writer &writer, struct dentry &dir)
	{
		return read(writer.mounter(), writer.branch(), dir);
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
