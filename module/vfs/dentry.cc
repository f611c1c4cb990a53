// SPDX-License-Identifier: GPL-2.0-only
/* The methods of dentries: which dentry is the real one, and whether a dentry is still right. */
#include "union/list_lock.hh"
#include "union/names_now.hh"
#include "branch/dir_lock.hh"
#include "method.hh"
#include "kernel/dcache.hh"

namespace aufs
{

namespace
{

/*
 * The dentry of the data behind @dentry, through all layers of stacking. Up to 6.7 @which is the inode whose dentry is
 * meant, or null for the lowest. Later it says data or metadata: both lie on the same branch here.
 */
template <class Which> struct dentry *d_real(struct dentry *dentry, Which which)
{
	if (!dentry->d_inode || !is_reg(dentry->d_inode->i_mode))
		return dentry;

	const Inode &inode = Inode::of(*dentry->d_inode);
	struct dentry &h_dentry = inode.h_dentry();

	if constexpr (cxxrt::same_type<Which, const struct inode *>) {
		if (which == dentry->d_inode)
			return dentry;
		/* A branch file stands at our path, also one that was opened before a copy-up. */
		if (struct dentry *known = which ? inode.h_dentry_of(which) : nullptr)
			return known;
	}
	if (h_dentry.d_op && h_dentry.d_op->d_real)
		return h_dentry.d_op->d_real(&h_dentry, which);
	return &h_dentry;
}

/* Asks the filesystem of the branch's dentry @h whether that is still valid. */
template <class Dentry> int ask(Dentry &h, unsigned int flags)
{
	if constexpr (requires { h.d_op->d_revalidate(&h, flags); }) {
		return h.d_op->d_revalidate(&h, flags);
	} else {
		/* @h may be renamed meanwhile. */
		Ref<Dentry> parent = parent_of(h);
		NameSnapshot name(h);

		return h.d_op->d_revalidate(parent->d_inode, &name.qstr(), &h, flags);
	}
}

/* The directory that @dentry lies in; under RCU it may be about to go. */
const struct inode *dir_of(const struct dentry &dentry)
{
	const struct dentry *parent = AtomicRef(dentry.d_parent).load_acquire();

	return AtomicRef(parent->d_inode).load_acquire();
}

/* udba: whether @dentry still stands for what the branches have. @flags are the walk's. */
Result<bool> check_branches(struct dentry &dentry, unsigned int flags)
{
	unsigned long changes = 0;
	bool was_negative = !dentry.d_inode;
	auto valid = is_as_on_branches(dentry, changes);

	if (valid.ok() && valid.value())
		AtomicRef(dentry.d_time).store(changes);
	/* -EBUSY, -EAGAIN: the answer cannot be known now. The next walk asks again. */
	if (!valid.ok() && valid.error() != -EBUSY && valid.error() != -EAGAIN)
		return valid;
	if (!valid.ok() || valid.value())
		return true;
	/*
	 * With these flags the VFS has locked the directory to make the name: no other task is making it, and the VFS
	 * looks it up anew without another walk. An open looks without the lock first.
	 */
	bool is_locked = (flags & (LOOKUP_EXCL | LOOKUP_RENAME_TARGET)) ||
			 ((flags & LOOKUP_CREATE) && !(flags & LOOKUP_OPEN));

	if (!was_negative || is_locked)
		return false;
	/*
	 * Another task may just be making, through the union, the name that was seen on the branch: then the dentry is
	 * positive, and stays. Else the dentry is out of the dcache, and the VFS is to walk again. If the VFS was told
	 * that the dentry is not valid, it would drop it, even if another task has made it positive meanwhile.
	 */
	if (!drop_negative(dentry))
		return true;
	/* This is the VFS's second walk of the path: there is no third. */
	if (flags & LOOKUP_REVAL)
		return false;
	return Error{-ESTALE};
}

/*
 * If some branch changes by itself (a server's, a daemon's), asks its filesystem. With udba, looks whether somebody
 * has changed the branches directly. Under RCU this declines, unless udba=notify says that nothing has changed.
 */
template <class Dentry> int revalidate(Dentry *dentry, unsigned int flags)
{
	const Super &super = Super::of(*dentry->d_sb);
	Udba udba = super.settings().udba;

	if (udba == Udba::notify && super.volatility() == Volatility::never &&
	    AtomicRef(dentry->d_time).load() == super.watches().changes_of(*dir_of(*dentry)))
		return 1;
	if (flags & LOOKUP_RCU)
		return -ECHILD;
	if (udba != Udba::none) {
		if (int valid = told<int>(check_branches(*dentry, flags)); valid <= 0)
			return valid;
	}

	struct inode *vfs_inode = dentry->d_inode;

	/* A branch does not tell when a name appears: without udba such a dentry is looked up anew. */
	if (!vfs_inode)
		return udba != Udba::none;

	Inode &inode = Inode::of(*vfs_inode);
	DirListLock list(inode);

	for (const Part &part : inode.stack()) {
		struct dentry &h = *part.dentry;

		if (!(h.d_flags & DCACHE_OP_REVALIDATE))
			continue;
		if (int valid = ask(h, flags); valid <= 0)
			return valid;
	}
	inode.learn();
	return 1;
}

/* The same for kernels whose VFS passes the directory and the name as well. */
template <class Dentry>
int revalidate(struct inode *, const struct qstr *, Dentry *dentry, unsigned int flags)
{
	return revalidate(dentry, flags);
}

/* A flag of each dentry says whether ->d_revalidate is called for it (Inode::set_asked()). */
template <class Ops> constexpr Ops for_dentry(Ops ops)
{
	ops.d_real = d_real;
	ops.d_revalidate = revalidate;
	return ops;
}

} // namespace

constinit const struct ::dentry_operations dentry_operations = for_dentry(::dentry_operations{});

} // namespace aufs
