/* SPDX-License-Identifier: GPL-2.0-only */
/* One mounted union: its branches, the mounter's credentials, its inode numbers. */
#pragma once

#include "branch/branch.hh"
#include "origin.hh"
#include "sysfs.hh"

namespace aufs
{

/* Where branches change although nobody writes to them; each includes those before it. */
enum class Changes : unsigned char {
	never,
	where_encrypted, /* other names are there, as soon as an encrypted directory has its key */
	anywhere /* a server's or a daemon's */
};

class Super final
{
public:
	static constexpr unsigned int magic = 0x61756673; /* "aufs", as the original has it */

	/* Empty; branches are added while options are parsed. Null when there is no memory. */
	[[nodiscard]] static Own<Super> create();
	~Super();

	static Super &of(const struct super_block &sb)
	{
		return *static_cast<Super *>(sb.s_fs_info);
	}

	unsigned int count() const
	{
		return count_;
	}
	const Branch &branch(unsigned int index) const
	{
		return branches_[index];
	}

	/* Adds the next branch below the others. Explains its errors in @fc's log. May sleep. */
	Result<void> add(struct fs_context *fc, const BranchItem &item);
	/*
	 * Makes all branches usable, for the caller, who becomes the mounter, and claims them
	 * (claims.cc). -EBUSY where another union has a rw branch.
	 */
	Result<void> attach(struct fs_context *fc);

	/* What tells this mount from others: random. */
	u64 id() const
	{
		return id_;
	}
	/* Shows the branches in sysfs, as long as this lives; the last step of a mount. */
	Result<void> publish();

	/* The index of the first rw branch, or none. */
	static constexpr unsigned int none = ~0U;
	unsigned int rw_index() const
	{
		return rw_;
	}
	bool has_rw() const
	{
		return rw_ != none;
	}
	/* The rw branch that is nearest above @index, or none. */
	unsigned int rw_above(unsigned int index) const
	{
		while (index > 0) {
			if (branches_[--index].writable())
				return index;
		}
		return none;
	}

	/*
	 * The mounter's credentials, with which branches are accessed; without the right to go over
	 * quotas and into reserved blocks where the caller has it not.
	 */
	const struct cred &mounter() const
	{
		return aufs_may_exceed_limits() ? *mounter_ : *limited_;
	}

	/*
	 * The union's number for the inode @number of branch @index, or 0 where it does not follow
	 * from it: the branch's numbers are too large or belong to no inode. Then fresh_number()
	 * gives one.
	 */
	u64 number_for(unsigned int index, u64 number) const
	{
		if (branches_[index].numbers_by_inode())
			return 0;
		return number_of({number, branches_[index].filesystem()});
	}
	/*
	 * Whether the numbers of all entries of branch @index follow from those that it gives; if
	 * not, those of its directories may.
	 */
	bool numbers_entries(unsigned int index) const
	{
		return branches_[index].lists_numbers() && names_stay(index);
	}
	u64 number_of(const Key &key) const
	{
		if (key.filesystem == Key::pointer || key.number >> (64 - index_bits_))
			return 0;
		return key.number << index_bits_ | key.filesystem;
	}
	/*
	 * The branches' filesystem of that Branch::filesystem_id(), or none where there is none or
	 * more than one.
	 */
	unsigned int filesystem_of(const unsigned char *id) const;
	/* The other way round; null where that does not tell the filesystem. */
	const unsigned char *id_of(unsigned int filesystem) const;

	/*
	 * Whether the names of one file on branch @index, which is @identity, stay one file when it
	 * is copied up, whatever rw branch takes the copy; if not, they are shown as files of their
	 * own from the beginning.
	 */
	bool names_stay(unsigned int index, umode_t mode, const ObjectId &identity) const;
	/* Whether they do whatever file it is. */
	bool names_stay(unsigned int index) const;

	/* A number that no inode of this mount has had: as if of one branch more than there are. */
	u64 fresh_number()
	{
		return (fresh_.fetch_add(1) + 1) << index_bits_ | count_;
	}

	/* Whether some branch's mount maps ids. */
	bool idmapped() const
	{
		return idmapped_;
	}

	Changes changes() const
	{
		return changes_;
	}
	/* Branch @index changes like that. Nobody else has this yet. */
	void note_changes(unsigned int index, Changes changes)
	{
		if (changes == Changes::anywhere)
			branches_[index].note_changes_by_itself();
		if (changes > changes_)
			changes_ = changes;
	}

	/* The deepest branch's stack depth. */
	int branch_depth() const;

	/*
	 * What the options say that can be changed; any context. During a remount some may be the
	 * old ones: no two of them need each other.
	 */
	Settings settings() const
	{
		u64 words[setting_words];

		for (unsigned int i = 0; i < setting_words; i++)
			words[i] = settings_[i].load();
		return __builtin_bit_cast(Settings, words);
	}
	/* s_umount is held for writing, or nobody else has this yet. */
	void set_settings(Settings settings)
	{
		u64 words[setting_words];

		__builtin_memcpy(words, &settings, sizeof(words));
		for (unsigned int i = 0; i < setting_words; i++)
			settings_[i].store(words[i]);
	}

	/* Says, once, where branch @index has @name, which is not shown because it is too long. */
	void note_hidden(unsigned int index, StringView name) const;

	/* For policy.cc: a number that is another one each time. */
	unsigned int next_turn() const
	{
		return turn_.fetch_add(1);
	}

private:
	Super() = default;

	bool copies_keep_identity(unsigned int index, umode_t mode) const;

	Result<void> claim(struct fs_context *fc);
	void release_claim();

	/* The unions whose branches are claimed; under aufs_claims_lock(). */
	static Super *claimed;
	Super *next_claimed_ = nullptr;
	bool claims_ = false;

	/* The mount's table: fixed once it is mounted. */
	Own<Branch[]> branches_;
	unsigned int count_ = 0;
	unsigned int rw_ = none;
	unsigned int index_bits_ = 1; /* enough for count_ */
	unsigned int numbers_given_ = 0; /* to branches */
	u64 id_ = 0;
	Ref<const struct cred> mounter_;
	Ref<const struct cred> limited_;
	Atomic<u64> fresh_;
	static constexpr unsigned int setting_words = sizeof(Settings) / sizeof(u64);
	Atomic<u64> settings_[setting_words];
	mutable Atomic<unsigned int> turn_;
	mutable Atomic<bool> warned_of_hidden_;
	bool idmapped_ = false;
	Changes changes_ = Changes::never;
	SysfsFiles files_;
};

} // namespace aufs
