/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which object an inode of the union is, whatever branch it lies on by now. A copy remembers its original in an
 * extended attribute, so that the inode number outlives the copy-up, the inode and the mount:
 *
 *	trusted.aufs.origin	on the copy: filesystem (uuid), inode number and generation of the
 *				original
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

/* An object, by filesystem and inode number, or by an address if those say nothing. */
struct IdentityKey {
	static constexpr unsigned int pointer = ~0U;

	u64 number = 0;
	unsigned int filesystem = pointer; /* as Super counts them, or pointer */

	/* The key of an @object that stays in memory as long as the inode with the key. */
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

/* The identity of an object of a branch, as it says itself. */
struct Identity {
	static constexpr u64 unknown = ~0ULL;

	IdentityKey key;
	/* Tells the object from others that had its number before or will have it. Copies of older versions lack it. */
	u64 generation = unknown;
	unsigned int links = 0; /* as Inode::links() has it */
	unsigned int gone = 0; /* names that are gone, if it is on no rw branch (gone_names.hh) */
	bool one_name = false; /* as Inode::has_one_name() has it */

	/* Whether it means this object alone, in any mount. */
	bool lasts() const
	{
		return key.filesystem != IdentityKey::pointer && generation != unknown;
	}
};

/* The identity of @top: that of its original, or else its own. Sleeps. */
Result<Identity> find_identity(const AsMounter &mounter, const Super &super, PartRef top);
/* The same. If it cannot be read, the address of @top. */
Identity identity_of(const AsMounter &mounter, const Super &super, PartRef top);

/*
 * The identity of the original that @top claims, whether or not that is believed (Super::may_have_copies): only to look
 * for further copies of the original. If @top claims none, lasts() is false.
 */
Result<Identity> claimed_identity_of(const AsMounter &mounter, const Super &super, PartRef top);

/*
 * Whether @copy says that it is a copy of @original, the object @id: by number and generation. If it says no
 * generation, by number, and if @original was there before it. May sleep.
 */
Result<bool> is_copy_of(const AsMounter &mounter, const Super &super, PartRef copy,
			PartRef original, const Identity &id);

/*
 * Stores on @copy that it is a copy of @identity; tells whether it did. If the branch has no such attributes, that is
 * no error: the inode number then lasts as long as the inode.
 */
Result<bool> set_identity(const Writer &writer, const Super &super, struct dentry &copy,
			  const Identity &identity);

/* Whether @top has or may have an origin, one that this mount does not know as well. May sleep. */
bool has_origin(const AsMounter &mounter, PartRef top);

class Inode;

/* Marks @h_dir, the part of @dir on the branch, as impure before it gets an entry whose number is not the branch's. */
void note_impure(const Writer &writer, Inode &dir, struct dentry &h_dir);
/*
 * The same if @coming, which lies on that branch, gets a name in @dir and makes it impure. A copy whose original is on
 * no branch of this mount has the branch's own number here, and another where the original's branch is there again.
 */
void note_arrival(const Writer &writer, Inode &dir, struct dentry &h_dir, const Inode &coming);
/* Whether note_impure() has marked a part of @dir. If a mark cannot be read, this is true. */
bool is_impure(const AsMounter &mounter, Inode &dir);

} // namespace aufs
