// SPDX-License-Identifier: GPL-2.0-only
#include "inode.hh"

namespace aufs
{

namespace
{

constexpr const char *origin_name = "trusted.aufs.origin";
constexpr const char *impure_name = "trusted.aufs.impure";

/* The value of origin_name, in the byte order of the machine, as the branch's own numbers are. */
struct Origin {
	static constexpr u32 current = 0x31736661; /* the format: "afs1" */

	u32 format;
	u32 links; /* as Inode::links() */
	u64 number;
	unsigned char uuid[UUID_SIZE];
};
static_assert(sizeof(Origin) == 32);

/* Empty where there is none, or one that we do not understand. */
bool read_origin(const Branch &branch, struct dentry &h_dentry, Origin &origin) noexcept
{
	ssize_t size = aufs_getxattr(branch.mnt(), &h_dentry, origin_name, &origin, sizeof(origin));

	return size == sizeof(origin) && origin.format == Origin::current;
}

} // namespace

ObjectId identity_of(const Super &super, const BranchDentry &top) noexcept
{
	const Branch &branch = super.branch(top.branch);
	const struct inode *h_inode = top.dentry->d_inode;
	Origin origin;

	if (branch.has_origins() && read_origin(branch, *top.dentry, origin)) {
		unsigned int filesystem = super.filesystem_of(origin.uuid);

		if (filesystem != Super::none)
			return {{origin.number, filesystem}, origin.links};
	}
	if (!super.number_for(top.branch, h_inode->i_ino))
		return {Key::of_pointer(h_inode)};
	return {{h_inode->i_ino, branch.filesystem()}};
}

Result<bool> set_identity(const BranchWrite &write, const Super &super, const BranchDentry &top,
			  const ObjectId &identity) noexcept
{
	const unsigned char *uuid = super.uuid_of(identity.key.filesystem);

	if (!uuid)
		return false;

	Origin origin = {};

	origin.format = Origin::current;
	origin.links = identity.links;
	origin.number = identity.key.number;
	__builtin_memcpy(origin.uuid, uuid, sizeof(origin.uuid));

	int error = aufs_setxattr(write.branch().mnt(), top.dentry.get(), origin_name, &origin,
				  sizeof(origin), 0);

	/* No such attributes; or none on what is no file and no directory. */
	if (error == -EOPNOTSUPP || error == -EPERM)
		return false;
	TRY(check(error));
	return true;
}

void note_impure(const BranchWrite &write, Inode &dir, struct dentry &h_dir) noexcept
{
	if (dir.purity() == Inode::Purity::impure)
		return;
	/* Where there is no room for it the origins are not kept, either. */
	aufs_setxattr(write.branch().mnt(), &h_dir, impure_name, "y", 1, 0);
	dir.set_purity(Inode::Purity::impure);
}

bool is_impure(Inode &dir) noexcept
{
	const Found &found = dir.found();

	if (dir.purity() != Inode::Purity::unknown)
		return dir.purity() == Inode::Purity::impure;

	Inode::Purity purity = Inode::Purity::pure;

	for (unsigned int i = 0; i < found.parts(); i++) {
		const Branch &branch = dir.super().branch(found.part(i).branch);
		char value;

		if (branch.has_origins() && aufs_getxattr(branch.mnt(), found.part(i).dentry.get(),
							  impure_name, &value, 1) == 1)
			purity = Inode::Purity::impure;
	}
	dir.set_purity(purity);
	return purity == Inode::Purity::impure;
}

} // namespace aufs
