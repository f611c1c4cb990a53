// SPDX-License-Identifier: GPL-2.0-only
#include "holders.hh"
#include "kernel/dcache.hh"

namespace aufs
{

namespace
{

constexpr Gfp kernel{GFP_KERNEL};
/* The context's log has as many lines. */
constexpr unsigned int most_holders = 8;

/* Says that @holder is in use, and by whom, and so are @more. @buffer has PATH_MAX bytes. */
void name_holder(struct fs_context *fc, const Branch &branch, BranchUse use, struct dentry &holder,
		 char *buffer, unsigned int more)
{
	const char *path = dentry_path_raw(&holder, buffer, PATH_MAX);
	const Inode &inode = Inode::of(*holder.d_inode);
	struct aufs_user user;
	char who[64] = "";
	char rest[32] = "";

	if (find_user(holder, is_reg(inode.vfs.i_mode) ? &inode.h_inode() : nullptr, user))
		snprintf(who, sizeof(who), " (pid %d, %s)", user.pid, user.command);
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

Result<void> refuse_use(struct fs_context *fc, const Refresh &refresh, const Branch &branch,
			BranchUse use, bool say)
{
	struct dentry *holders[most_holders];
	unsigned int count = refresh.users_of(branch, use, {holders, most_holders});
	bool unseen = use == BranchUse::any && branch.pins() > refresh.parts_on(branch) + 1;

	if (!count && !unseen)
		return {};
	if (say) {
		auto buffer = Own<char[]>::adopt(new (kernel) char[PATH_MAX]);
		unsigned int named = buffer ? cxxrt::min(count, most_holders) : 0;

		for (unsigned int i = 0; i < named; i++)
			name_holder(fc, branch, use, *holders[i], buffer.get(),
				    i + 1 == named ? count - named : 0);
		if (!count)
			mount_error(fc, "branch '%s' is in use by what has no name in the union",
				    branch.name().data());
	}
	return Error{-EBUSY};
}

} // namespace aufs
