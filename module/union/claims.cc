// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which branches are in use. A union does not see that another one changes what it has cached. So a rw branch belongs
 * to one union. It is refused to a second one: its root, what lies in it, and what it lies in. If a rw branch of one
 * union is a ro branch of another, only the other is affected, and its mounter is warned.
 *
 * A claim lasts from the mount until the last user of the union is gone. It also lasts while the union is mounted
 * read-only, as that may become writable at any time. Where branches lie is looked at when they come. A directory that
 * is moved into another branch afterwards is not noticed.
 *
 * Overlayfs has a mark of its own on the directories that it writes to. The mark is only looked at: nobody but
 * overlayfs may set it.
 */
#include "super.hh"
#include "kernel/inodes.hh"

namespace aufs
{

using cxxrt::exchange;

Super *Super::claimed;

namespace
{

/* Whether some object lies in both. */
bool overlap(const Branch &a, const Branch &b)
{
	if (&a.sb() != &b.sb())
		return false;
	return a.root().d_inode == b.root().d_inode || is_subdir(&a.root(), &b.root()) ||
	       is_subdir(&b.root(), &a.root());
}

/*
 * Compares @mine, a branch that a union with @settings gets or will write to (@rw), with the branches of @other. -EBUSY
 * if they must not be shared.
 */
Result<void> compare(const ClaimsLock &lock, struct fs_context *fc, const Settings &settings,
		     const Branch &mine, bool rw, const Super &other, bool &warned)
{
	bool shared = settings.share_rw && other.settings().share_rw;

	for (const Branch &theirs : other.branches()) {
		if ((!rw && !theirs.is_claimed_rw(lock)) || !overlap(mine, theirs))
			continue;
		if (rw && theirs.is_claimed_rw(lock) && !shared) {
			mount_error(
				fc,
				"branch '%s' is in use: it is rw branch '%s' of another union (share_rw lets several use it)",
				mine.name().data(), theirs.name().data());
			return Error{-EBUSY};
		}
		/* One warning is enough: as a rule the other branches of the two unions are the same case. */
		if (!warned)
			mount_warning(
				fc,
				"branch '%s' shares files with branch '%s' of another union: what one changes the other may not see",
				mine.name().data(), theirs.name().data());
		warned = true;
	}
	return {};
}

/* The same for directories that overlayfs writes to. */
Result<void> refuse_overlays(struct fs_context *fc, const Branch &branch, bool rw, bool shared)
{
	if (!is_overlays(branch.root()))
		return {};
	if (rw && !shared) {
		mount_error(fc, "branch '%s' is in use: an overlayfs writes to it",
			    branch.name().data());
		return Error{-EBUSY};
	}
	mount_warning(
		fc, "branch '%s' shares files with an overlayfs: what that changes may not be seen",
		branch.name().data());
	return {};
}

} // namespace

Result<void> Super::compare_with_others(const ClaimsLock &lock, struct fs_context *fc,
					const Settings &settings, const Branch &branch, bool rw,
					bool &warned) const
{
	for (const Super *other = claimed; other; other = other->next_claimed_) {
		if (other != this)
			TRY(compare(lock, fc, settings, branch, rw, *other, warned));
	}
	return {};
}

Result<void> Super::change_branches(const ListChangeLock &list, struct fs_context *fc,
				    const Settings &settings, const Array<Claim> &claims,
				    Array<Own<Branch>> &next, FunctionRef<void()> modify)
{
	bool warned = false;

	for (const Claim &claim : claims)
		TRY(refuse_overlays(fc, *claim.branch, claim.rw, settings.share_rw));

	ClaimsLock lock;

	for (const Claim &claim : claims)
		TRY(compare_with_others(lock, fc, settings, *claim.branch, claim.rw, warned));
	modify();
	exchange_branches(list, lock, next);
	note_claims(lock);
	return {};
}

void Super::note_claims(const ClaimsLock &lock)
{
	for (Own<Branch> &branch : branches_)
		branch->set_claimed_rw(lock, branch->writable());
}

Result<void> Super::claim(struct fs_context *fc)
{
	bool warned = false;

	for (const Branch &branch : branches())
		TRY(refuse_overlays(fc, branch, branch.writable(), settings().share_rw));

	ClaimsLock lock;

	for (const Branch &branch : branches())
		TRY(compare_with_others(lock, fc, settings(), branch, branch.writable(), warned));
	note_claims(lock);
	next_claimed_ = exchange(claimed, this);
	claims_ = true;
	return {};
}

void Super::release_claim()
{
	if (!claims_)
		return;

	ClaimsLock lock;
	Super **link = &claimed;

	while (*link != this)
		link = &(*link)->next_claimed_;
	*link = next_claimed_;
}

} // namespace aufs
