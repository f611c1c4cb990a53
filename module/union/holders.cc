// SPDX-License-Identifier: GPL-2.0-only
#include "holders.hh"
#include "kernel/dcache.hh"

namespace aufs
{

namespace
{

constexpr Gfp kernel{GFP_KERNEL};

/* Finds a process that uses the file or the directory @inode by the name @dentry. */
struct HolderSearch : aufs_search {
	const Inode &inode;

	HolderSearch(const struct dentry &dentry, const Inode &of)
		: aufs_search{is_open, is_reg(of.vfs.i_mode) ? has_data : nullptr, &dentry},
		  inode(of)
	{
	}
	static bool is_open(struct aufs_search *search, struct file *file)
	{
		return file->f_path.dentry == search->place;
	}
	/* A mapping may be older than a copy-up. */
	static bool has_data(struct aufs_search *search, const struct inode *h_inode)
	{
		return static_cast<HolderSearch &>(*search).inode.is_or_was(h_inode);
	}
};

bool find_user_of(const struct dentry &holder, struct aufs_user &user)
{
	HolderSearch search(holder, Inode::of(*holder.d_inode));

	return find_user(search, user);
}

/* Finds a process that reads a directory of @branch through (DirReader). */
struct ReaderSearch : aufs_search {
	const Branch &branch;
	Ref<struct dentry> found;

	explicit ReaderSearch(const Branch &of)
		: aufs_search{is_reading, nullptr, nullptr}, branch(of)
	{
	}
	static bool is_reading(struct aufs_search *search, struct file *file)
	{
		auto &self = static_cast<ReaderSearch &>(*search);

		if (file->f_op != &dir_operations || !DirReader::of(*file).reads(self.branch))
			return false;
		self.found = Ref<struct dentry>::retain(file->f_path.dentry);
		return true;
	}
};

/*
 * Says in @fc's log that @holder is in use, and @more other names are. @user is the process that uses @holder, or null
 * if that is not known. @buffer has PATH_MAX bytes.
 */
void name_holder(struct fs_context *fc, const Branch &branch, BranchUse use,
		 const struct dentry &holder, const struct aufs_user *user, char *buffer,
		 unsigned int more)
{
	const char *path = dentry_path_raw(&holder, buffer, PATH_MAX);
	char who[64] = "";
	char rest[32] = "";

	if (user)
		snprintf(who, sizeof(who), " (pid %d, %s)", user->pid, user->command);
	else if (is_mount_point(holder))
		snprintf(who, sizeof(who), " (a mount point)");
	if (more)
		snprintf(rest, sizeof(rest), ", and %u more", more);
	mount_error(fc, "branch '%s' is in use: %s%s%s%s", branch.name().data(),
		    is_error(path) ? "?" : path,
		    use == BranchUse::writing ? " is open for writing" : "", who, rest);
}

} // namespace

void explain(struct fs_context *fc, const Refresh &refresh, int error)
{
	if (!refresh.failed() || is_passing(error) || error == -ENOMEM || error == -EINTR)
		return;

	auto buffer = Own<char[]>::adopt(new (kernel) char[PATH_MAX]);
	const char *path = buffer ? dentry_path_raw(refresh.failed(), buffer.get(), PATH_MAX) :
				    nullptr;

	if (path && !is_error(path))
		mount_error(fc, "'%s', which is in use, cannot be looked up (errno %d)", path,
			    -error);
}

Result<void> Busy::check(const ListChangeLock &list, const Refresh &refresh, const Branch &branch,
			 BranchUse use)
{
	count_ = refresh.users_of(list, branch, use, {holders_, most_holders});

	bool unseen = use == BranchUse::any && branch.pins() > refresh.parts_on(list, branch) + 1;

	branch_ = count_ || unseen ? &branch : nullptr;
	use_ = use;
	if (branch_)
		return Error{-EBUSY};
	return {};
}

bool Busy::is_of_process() const
{
	struct aufs_user user;

	for (unsigned int i = 0; i < cxxrt::min(count_, most_holders); i++) {
		if (find_user_of(*holders_[i], user))
			return true;
	}
	if (!branch_ || count_)
		return false;

	ReaderSearch search(*branch_);

	return find_user(search, user);
}

void Busy::explain(struct fs_context *fc) const
{
	auto buffer = Own<char[]>::adopt(branch_ ? new (kernel) char[PATH_MAX] : nullptr);

	if (!buffer)
		return;

	unsigned int named = cxxrt::min(count_, most_holders);
	struct aufs_user user;

	for (unsigned int i = 0; i < named; i++) {
		bool known = find_user_of(*holders_[i], user);

		name_holder(fc, *branch_, use_, *holders_[i], known ? &user : nullptr, buffer.get(),
			    i + 1 == named ? count_ - named : 0);
	}
	if (named)
		return;

	ReaderSearch search(*branch_);

	if (find_user(search, user))
		name_holder(fc, *branch_, use_, *search.found, &user, buffer.get(), 0);
	else
		mount_error(fc, "branch '%s' is in use by what has no name in the union",
			    branch_->name().data());
}

} // namespace aufs
