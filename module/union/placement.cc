// SPDX-License-Identifier: GPL-2.0-only
#include "placement.hh"

namespace aufs
{

const void *slot_of_id(const unsigned char *id)
{
	u64 halves[2];

	static_assert(sizeof(halves) == UUID_SIZE);
	__builtin_memcpy(halves, id, sizeof(halves));
	/* No null. */
	return reinterpret_cast<const void *>((halves[0] ^ halves[1]) | 1);
}

bool are_siblings(const Branch &branch, const Branch &other)
{
	const struct dentry &a = branch.root();
	const struct dentry &b = other.root();

	/* The root of a filesystem is its own parent. */
	return a.d_parent == b.d_parent && a.d_parent != &a && b.d_parent != &b;
}

Result<void> check_apart(struct fs_context *fc, const Branch &branch, const char *path,
			 const Branch &other)
{
	if (&branch.sb() != &other.sb())
		return {};
	if (&branch.root() == &other.root()) {
		mount_error(fc, "branch '%s' is given twice: it is branch '%s'", path,
			    other.name().data());
		return Error{-EINVAL};
	}
	if (are_siblings(branch, other))
		return {};
	if (is_subdir(&branch.root(), &other.root())) {
		mount_error(fc, "branch '%s' lies within branch '%s'", branch.name().data(),
			    other.name().data());
		return Error{-EINVAL};
	}
	if (is_subdir(&other.root(), &branch.root())) {
		mount_error(fc, "branch '%s' lies within branch '%s'", other.name().data(),
			    branch.name().data());
		return Error{-EINVAL};
	}
	return {};
}

/*
 * A directory that is moved meanwhile may be seen on both sides of its move: so the caller looks again, by
 * check_apart(). A directory that is moved afterwards is not seen, either.
 */
const Branch *Placement::around(const Branch &branch) const
{
	RcuReader reader;
	const struct dentry *at = &branch.root();

	for (;;) {
		const struct dentry *up = AtomicRef(at->d_parent).load();

		if (up == at)
			return nullptr;
		if (const Branch *const *found = roots_.find(up))
			return *found;
		at = up;
	}
}

Result<void> Placement::check(struct fs_context *fc, const Branch &branch, const char *path) const
{
	if (const Branch *const *same = roots_.find(&branch.root()))
		return check_apart(fc, branch, path, **same);
	/* The last one was not within any, and none has come since. */
	if (last_ && are_siblings(*last_, branch))
		return {};
	return check_within(fc, branch);
}

Result<void> Placement::check_within(struct fs_context *fc, const Branch &branch) const
{
	const Branch *other = around(branch);

	return other ? check_apart(fc, branch, branch.name().data(), *other) : Result<void>();
}

Result<void> Placement::add(const Branch &branch)
{
	constexpr Gfp kernel{GFP_KERNEL};

	TRY(roots_.add(kernel, &branch.root(), &branch));
	last_ = &branch;
	return filesystems_.add(kernel, &branch.sb(), &branch);
}

Result<void> Placement::add_mounted(const Branch &branch)
{
	constexpr Gfp kernel{GFP_KERNEL};

	TRY(add(branch));
	if (const unsigned char *id = branch.filesystem_id())
		TRY(ids_.add(kernel, slot_of_id(id), &branch));

	auto at = Ref<struct dentry>::retain(&branch.root());

	for (;;) {
		auto up = parent_of(*at);

		/* What lies above a known directory is known. */
		if (up.get() == at.get() || above_.find(up.get()))
			return {};
		TRY(above_.add(kernel, up.get(), &branch));
		at = move(up);
	}
}

bool Placement::is_near(const Branch &branch) const
{
	const struct dentry *root = &branch.root();

	return roots_.find(root) || above_.find(root) || around(branch);
}

bool Placement::may_have_id_of(const Branch &branch) const
{
	const unsigned char *id = branch.filesystem_id();

	return id && ids_.find(slot_of_id(id));
}

const Branch *Placement::beside(const Branch &branch) const
{
	const Branch *const *found = filesystems_.find(&branch.sb());

	return found ? *found : nullptr;
}

void Placement::clear()
{
	last_ = nullptr;
	roots_.clear();
	filesystems_.clear();
}

} // namespace aufs
