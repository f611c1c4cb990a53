/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A remount changes the list of branches as one transaction: all that can fail is done before anything changes that
 * users see. A lookup meanwhile sees the old list or the new one.
 */
#pragma once

#include "options/branch_change.hh"
#include "holders.hh"

namespace aufs
{

/* The changes that one remount asks for, in their order. */
class ListChange final
{
public:
	ListChange() = default;
	ListChange(const ListChange &) = delete;
	ListChange &operator=(const ListChange &) = delete;

	bool empty() const
	{
		return steps_.size() == 0;
	}
	/*
	 * Adds @change: resolves its paths for the caller, and creates and attaches a branch that comes, as a mount
	 * does. Explains errors in @fc's log. May sleep.
	 */
	Result<void> add(struct fs_context *fc, const BranchChange &change);
	/*
	 * Plans the list that the union will have. -EINVAL for a place or a branch that does not exist, or does not any
	 * more, and for a branch that cannot lie beside the others; -E2BIG.
	 */
	Result<void> plan(struct fs_context *fc, const UmountHeld &held);
	/* Whether the planned list has a rw branch, and how its branches change by themselves. After plan(). */
	bool has_rw() const;
	Volatility volatility() const;
	/*
	 * Does what was planned, and makes @settings the union's with it. If no change was added, all that is cached is
	 * looked at again. -EBUSY if a branch that goes, or that becomes read-only, is in use: the log says by what.
	 * -EINTR, -ENOMEM, errors of branches. Sleeps.
	 */
	Result<void> apply(struct fs_context *fc, const UmountHeld &held, const Settings &settings);

private:
	/* A path that was found; counted. */
	struct Target {
		struct path path = {};
		Own<char[]> name; /* as it was given */

		Target() = default;
		Target(Target &&other) : path(other.path), name(move(other.name))
		{
			other.path = {};
		}
		Target &operator=(Target &&other)
		{
			cxxrt::swap(path, other.path);
			cxxrt::swap(name, other.name);
			return *this;
		}
		~Target()
		{
			if (path.dentry)
				path_put(&path);
		}
		bool leads_to(const Branch &branch) const
		{
			return path.dentry == &branch.root();
		}
		bool names(const Branch &branch) const
		{
			return branch.name() == StringView::from_c_string(name.get());
		}
	};
	struct Step {
		BranchChange::Kind kind = BranchChange::Kind::insert;
		unsigned int place = 0;
		Target target;
		/* How the branch is used from now on; without its path. */
		BranchItem use = {};
		Own<Branch> fresh;
		/* The filesystem of a branch that has been in the list is the fresh one's, or may have its id. */
		bool may_share_id = false;
	};
	/* A branch that is in the list now, and not in the planned one. */
	struct Leaving {
		Branch *branch;
		bool is_detached; /* it goes even if it is in use */
	};
	/* A branch of the planned list. */
	struct PlannedBranch {
		Branch *branch = nullptr;
		/* It owns the branch until the list is exchanged. Null for a branch that was in the list before. */
		Step *comes_by = nullptr;
		bool is_modified = false;
		BranchItem use = {};
		/*
		 * Until the list is exchanged: how it was used before, and whether write access to it is taken away
		 * already.
		 */
		BranchItem before = {};
		bool is_taken = false;

		bool is_fresh() const
		{
			return comes_by;
		}
		BranchPerm perm() const
		{
			return is_modified ? use.perm : branch->perm();
		}
	};

	Result<void> plan_step(const AsMounter &mounter, struct fs_context *fc,
			       const UmountHeld &held, Step &step);
	Result<void> insert(struct fs_context *fc, const UmountHeld &held, unsigned int place,
			    Step &step);
	void number(const UmountHeld &held, Step &step) const;
	void tell_filesystems_apart(struct fs_context *fc) const;
	Result<PlannedBranch *> entry_of(struct fs_context *fc, const Step &step);
	Result<void> check_fresh(const AsMounter &mounter, struct fs_context *fc,
				 const Branch &branch) const;
	/* Whether a try that finds a use says so: not yet, only if it is a process's, or in any case. */
	enum class Try : unsigned char { one_of_many, asks_for_process, last };

	Result<void> try_to_apply(struct fs_context *fc, const UmountHeld &held,
				  const Settings &settings, Answers &answers, Try which);
	Result<void> exchange(struct fs_context *fc, const UmountHeld &held,
			      const Settings &settings, bool last, Refresh &refresh,
			      Answers &answers, Busy &busy);
	bool goes(const Branch &branch) const;
	Result<Own<Stack>> find_root(const AsMounter &mounter, struct fs_context *fc,
				     const struct super_block &sb) const;
	Result<void> prepare(const AsMounter &mounter, struct fs_context *fc,
			     struct super_block &sb, Refresh &refresh) const;
	Result<void> warm_up(struct super_block &sb, Answers &answers) const;
	Result<ListAndRenames> lock_list(struct fs_context *fc, struct super_block &sb,
					 Refresh &refresh, Answers &answers) const;
	Result<void> check_unused(const ListChangeLock &list, const Refresh &refresh,
				  Busy &busy) const;
	Result<void> claims(Array<Super::Claim> &claims) const;
	Result<void> take_write_access(const ListChangeLock &list, struct fs_context *fc, bool last,
				       const Refresh &refresh, Busy &busy);
	void give_write_access_back();
	void sync_read_only(struct fs_context *fc) const;
	void take_list();
	void clean(const AsMounter &mounter, const struct super_block &sb) const;

	Array<Step> steps_;
	Array<PlannedBranch> list_;
	/* All that have been in the list, if something comes to it. */
	Placement placement_;
	Array<Leaving> leaving_;
	/* Room for the list, made before anything changes. */
	Array<Own<Branch>> next_;
};

} // namespace aufs
