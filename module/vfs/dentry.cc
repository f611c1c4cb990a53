// SPDX-License-Identifier: GPL-2.0-only
/* What the dcache asks: which dentry is the real one, and whether one is still right. */
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
 * The dentry of the data behind @dentry, through all layers of stacking. Up to 6.7 @which is the
 * inode of the one that is meant, null for the lowest; later it is data or metadata, and both lie
 * on the same branch here.
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

/* What the filesystem of the branch's dentry @h says of it. */
template <class Dentry> int ask(Dentry &h, unsigned int flags)
{
	if constexpr (requires { h.d_op->d_revalidate(&h, flags); }) {
		return h.d_op->d_revalidate(&h, flags);
	} else {
		/* It may be renamed meanwhile. */
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

/* udba: whether @dentry is what the branches have. @flags: of the walk. */
Result<bool> check_branches(struct dentry &dentry, unsigned int flags)
{
	unsigned long changes = 0;
	bool was_negative = !dentry.d_inode;
	auto valid = is_as_on_branches(dentry, changes);

	if (valid.ok() && valid.value())
		AtomicRef(dentry.d_time).store(changes);
	/* What cannot be known now is asked again the next time. */
	if (!valid.ok() && valid.error() != -EBUSY && valid.error() != -EAGAIN)
		return valid;
	if (!valid.ok() || valid.value())
		return true;
	/*
	 * Its directory is locked by who is to make it: nobody else is making it, and a walk is not repeated for
	 * that. An open looks without the lock first.
	 */
	bool is_locked = (flags & (LOOKUP_EXCL | LOOKUP_RENAME_TARGET)) ||
			 ((flags & LOOKUP_CREATE) && !(flags & LOOKUP_OPEN));

	if (!was_negative || is_locked)
		return false;
	/*
	 * The union may just be making what was seen there: then its dentry stays. Else it is out of the dcache,
	 * and the VFS is to walk again: told that it is not valid, it would drop what is made of it meanwhile.
	 */
	if (!drop_negative(dentry))
		return true;
	/* The VFS walks the path for the second time. */
	if (flags & LOOKUP_REVAL)
		return false;
	return Error{-ESTALE};
}

/*
 * Some branches change by themselves (a server's, a daemon's): ask their filesystem. Others may be changed
 * directly, and the union asked to look for that. May be called under RCU, where this declines unless
 * nothing has changed.
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

	/* Nobody tells when a name appears. */
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

/* The same, where the VFS tells what it calls the dentry. */
template <class Dentry>
int revalidate(struct inode *, const struct qstr *, Dentry *dentry, unsigned int flags)
{
	return revalidate(dentry, flags);
}

/* Whether ->d_revalidate is called says a flag of each dentry (Inode::set_asked()). */
template <class Ops> constexpr Ops for_dentry(Ops ops)
{
	ops.d_real = d_real;
	ops.d_revalidate = revalidate;
	return ops;
}

} // namespace

constinit const struct ::dentry_operations dentry_operations = for_dentry(::dentry_operations{});

} // namespace aufs
