/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which object an inode of the union is, whatever branch it lies on by now. What was copied up
 * remembers where it came from in an extended attribute, so that its inode number outlives the
 * copy-up, the inode and the mount:
 *
 *	trusted.aufs.origin	on the copy: filesystem (uuid), inode number and generation of what
 *				was copied
 *	trusted.aufs.impure	on a directory of a rw branch: some entries are such copies, so the
 *				numbers that the branch's readdir gives are not the union's
 *
 * A branch without trusted attributes keeps no origin: there the number lasts as long as the inode.
 */
#pragma once

#include "branch/part.hh"

namespace aufs
{

class AsMounter;
class Writer;
class Super;

/* An object: filesystem and inode number, or where those say nothing, an address. */
struct IdentityKey {
	static constexpr unsigned int pointer = ~0U;

	u64 number = 0;
	unsigned int filesystem = pointer; /* as Super counts them, or pointer */

	/* Of what is there as long as the inode that has the key. */
	static IdentityKey of_pointer(const void *object)
	{
		return {reinterpret_cast<unsigned long>(object), pointer};
	}
	unsigned long hash() const
	{
		return static_cast<unsigned long>(number) + filesystem;
	}
	friend bool operator==(const IdentityKey &a, const IdentityKey &b)
	{
		return a.number == b.number && a.filesystem == b.filesystem;
	}
};

inline constexpr StringView private_prefix{"trusted.aufs."};
inline constexpr StringView capability_name{"security.capability"};

/* What an object of a branch says about itself. */
struct Identity {
	static constexpr u64 unknown = ~0ULL;

	IdentityKey key;
	/* Tells it from what had the number before or will have it; copies of old are without. */
	u64 generation = unknown;
	unsigned int links = 0; /* as Inode::links() has it */
	unsigned int gone =
		0; /* of what is not on a rw branch: names that whiteouts hide (gone_names.hh) */
	bool one_name = false; /* as Inode::has_one_name() has it */

	/* Whether it says so in any mount, and of this object alone. */
	bool lasts() const
	{
		return key.filesystem != IdentityKey::pointer && generation != unknown;
	}
};

/* What @top is: what it was copied from, or itself. Sleeps. */
Result<Identity> find_identity(const AsMounter &mounter, const Super &super, PartRef top);
/* The same; where that cannot be read, what it is by its address. */
Identity identity_of(const AsMounter &mounter, const Super &super, PartRef top);

/*
 * What @top says that it was copied from, whether or not that is believed (Super::may_have_copies): to look for
 * further copies of that, and for nothing else. Lasts not, where it says nothing.
 */
Result<Identity> claimed_identity_of(const AsMounter &mounter, const Super &super, PartRef top);

/*
 * Whether @copy says that it is a copy of @original, which is @id: by number and generation, or where
 * it has been said without the latter, if @original was there before it. May sleep.
 */
Result<bool> is_copy_of(const AsMounter &mounter, const Super &super, PartRef copy,
			PartRef original, const Identity &id);

/*
 * Notes on @copy that it is a copy of @identity. Where the branch has no room for it that is no
 * error: the number is another one after the inode is gone. Whether it was noted.
 */
Result<bool> set_identity(const Writer &writer, const Super &super, struct dentry &copy,
			  const Identity &identity);

/* Whether @top has an origin, one that this mount does not know as well, or may have one. May sleep. */
bool has_origin(const AsMounter &mounter, PartRef top);

class Inode;

/*
 * Notes that @dir gets an entry whose number is not the branch's, before it is there; @h_dir is its
 * part there.
 */
void note_impure(const Writer &writer, Inode &dir, struct dentry &h_dir);
/*
 * The same where @coming, which lies on that branch, gets a name in @dir. A copy whose original is on no
 * branch of this mount has the branch's own number here, and another where that branch is there again.
 */
void note_arrival(const Writer &writer, Inode &dir, struct dentry &h_dir, const Inode &coming);
/* Reads from the branches what note_impure() left there. What cannot be read may be there. */
bool is_impure(const AsMounter &mounter, Inode &dir);

} // namespace aufs
