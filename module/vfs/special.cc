// SPDX-License-Identifier: GPL-2.0-only
/* The operations of devices, pipes and sockets. */
#include "attr.hh"

namespace aufs
{

namespace
{

/* As @check, one of the two permission(). A device is not opened if its branch grants none, as on a nodev mount. */
template <auto check> int permission_to_open(AUFS_IDMAP *idmap, struct inode *vfs_inode, int mask)
{
	if (int error = check(idmap, vfs_inode, mask))
		return error;
	if (!(mask & MAY_OPEN) || !is_device(vfs_inode->i_mode) ||
	    Inode::of(*vfs_inode).grants_devices())
		return 0;
	return -EACCES;
}

template <class Ops> constexpr Ops for_special(Ops ops, bool asks)
{
	ops = with_common(ops, asks);
	ops.permission = asks ? permission_to_open<permission_asked> :
				permission_to_open<permission>;
	return ops;
}

} // namespace

constinit const struct ::inode_operations special_inode_operations[] = {
	for_special(::inode_operations{}, false), for_special(::inode_operations{}, true)};

} // namespace aufs
