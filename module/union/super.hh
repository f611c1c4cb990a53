/* SPDX-License-Identifier: GPL-2.0-only */
/* One mounted union: its branches, the mounter's credentials, its inode numbers. */
#pragma once

#include "branch/writer.hh"
#include "origin.hh"
#include "placement.hh"
#include "sysfs.hh"
#include "kernel/watches.hh"

namespace aufs
{

/* Where branches change although nobody writes to them. Each value includes those before it. */
enum class Volatility : unsigned char {
	never,
	where_encrypted, /* an encrypted directory has other names as soon as its key is there */
	anywhere /* on branches of a server or a daemon */
};

class ListChangeLock;

class Super final
{
public:
	static constexpr unsigned int magic = 0x61756673; /* "aufs", as the original has it */

	/* A union without branches: they are added while options are parsed. Null without memory. */
	[[nodiscard]] static Own<Super> create();
	~Super();

	static Super &of(const struct super_block &sb)
	{
		return *static_cast<Super *>(sb.s_fs_info);
	}

	/* Branches from the topmost; @B is Branch, const or not. */
	template <class B> class Branches
	{
	public:
		class Iterator
		{
		public:
			explicit Iterator(const Own<Branch> *at) : at_(at)
			{
			}
			B &operator*() const
			{
				return **at_;
			}
			Iterator &operator++()
			{
				at_++;
				return *this;
			}
			bool operator!=(const Iterator &other) const
			{
				return at_ != other.at_;
			}

		private:
			const Own<Branch> *at_;
		};

		explicit Branches(const Array<Own<Branch>> &list) : list_(list)
		{
		}
		Iterator begin() const
		{
			return Iterator(list_.begin());
		}
		Iterator end() const
		{
			return Iterator(list_.end());
		}

	private:
		const Array<Own<Branch>> &list_;
	};
	/* All branches: `for (const Branch &branch : super.branches())`. */
	Branches<const Branch> branches() const
	{
		return Branches<const Branch>(branches_);
	}
	Branches<Branch> branches_to_change()
	{
		return Branches<Branch>(branches_);
	}
	/* The branch at @place, as users and sysfs count from the top; null if there is none. */
	const Branch *branch_at(unsigned int place) const
	{
		return place < count() ? branches_[place].get() : nullptr;
	}
	/* The branch below all others. */
	const Branch &lowest_branch() const
	{
		return *branches_[count() - 1];
	}
	unsigned int count() const
	{
		return static_cast<unsigned int>(branches_.size());
	}

	/*
	 * Adds a branch at @place, which is at most count(). Explains errors in @fc's log. After an error nothing more
	 * may be added. May sleep.
	 */
	Result<void> add(struct fs_context *fc, unsigned int place, const BranchItem &item,
			 BranchFinder &finder);
	/*
	 * No more are added. -EINVAL, explained in @fc's log, if one lies within another. Before that, the branches
	 * have no places, and top_rw() and main_branch() say nothing. May sleep.
	 */
	Result<void> end_adding(struct fs_context *fc);
	/* A branch that comes, or becomes rw. */
	struct Claim {
		const Branch *branch;
		bool rw;
	};
	/*
	 * Claims @claims (claims.cc) for a union that will have @settings, calls @modify(), and then makes @next the
	 * list; @next becomes the old list. If it is -EBUSY, nothing was done. May sleep.
	 */
	Result<void> change_branches(const ListChangeLock &, struct fs_context *fc,
				     const Settings &settings, const Array<Claim> &claims,
				     Array<Own<Branch>> &next, FunctionRef<void()> modify);
	/*
	 * Gives @branch, which is not in the list yet, its numbers. @beside is a branch on the same filesystem, or
	 * null.
	 */
	void number(const UmountHeld &, Branch &branch, const Branch *beside)
	{
		number(branch, beside);
	}
	/* The numbers that number() gives next. If branches do not come after all, their numbers are taken back. */
	struct Numbers {
		unsigned int filesystems, branches;
	};
	Numbers numbers() const
	{
		return {filesystems_, numbers_given_};
	}
	void take_back(const Numbers &numbers)
	{
		filesystems_ = numbers.filesystems;
		numbers_given_ = numbers.branches;
	}
	/*
	 * Makes all branches usable for the caller, who becomes the mounter, and claims them (claims.cc). -EBUSY if
	 * another union has one as a rw branch.
	 */
	Result<void> attach(struct fs_context *fc);
	/* Finds filesystems of branches that only say that they are another's (new_branch.hh). -ENOMEM. */
	Result<void> tell_filesystems_apart(struct fs_context *fc);

	/* Whether some inode has been lone (Inode::become_lone()). Any context. */
	bool has_had_lone() const
	{
		return has_had_lone_.load();
	}
	void note_lone()
	{
		has_had_lone_.store(true);
	}
	/* For list_lock.hh. */
	BranchListLock &list_lock() const
	{
		return list_lock_;
	}

	/* A random number that tells this mount from others. */
	u64 id() const
	{
		return id_;
	}
	/* Shows the branches in sysfs as long as this lives; the last step of a mount. */
	Result<void> publish();
	/* Shows @count places in sysfs, as SysfsFiles::set_count(). */
	Result<void> set_places(unsigned int count)
	{
		return files_.set_count(count);
	}

	/* The topmost rw branch, or null. Any context. */
	const Branch *top_rw() const
	{
		return AtomicRef(top_rw_).load();
	}
	/* The rw branch that is nearest above @branch, or null. */
	const Branch *rw_above(const Branch &branch) const
	{
		if (branch.has_left())
			return nullptr;
		for (unsigned int i = branch.index(); i > 0; i--) {
			if (branches_[i - 1]->writable())
				return branches_[i - 1].get();
		}
		return nullptr;
	}
	/* The branch that new data goes to; the topmost one if none is rw. */
	const Branch &main_branch() const
	{
		return top_rw_ ? *top_rw_ : *branches_[0];
	}

	/*
	 * The mounter's credentials, with which branches are accessed. If the caller may not go over quotas and into
	 * reserved blocks, neither may they.
	 */
	const struct cred &mounter() const
	{
		return may_exceed_limits() ? *mounter_ : *limited_;
	}
	/* The same for writing data by an open file: root's blocks are not for a caller who may not have them. */
	const struct cred &data_writer() const
	{
		return may_exceed_limits() ? *mounter_ : *nobody_;
	}
	/*
	 * The same for storing attributes on @branch. A server may judge by the fsuid, and gets the mounter's. May be
	 * asked as the mounter.
	 */
	const struct cred &attribute_writer(const Branch &branch) const
	{
		switch (branch.sb().s_magic) {
		case EXT4_SUPER_MAGIC: /* ext2 and ext3 as well */
		case F2FS_SUPER_MAGIC:
			return data_writer();
		default:
			return mounter();
		}
	}
	/*
	 * Runs a scope with the mounter's credentials. With @answers, servers are asked only for what is not there. Any
	 * context.
	 */
	AsMounter as_mounter(Answers *answers = nullptr) const
	{
		return AsMounter(mounter(), answers);
	}

	/* number_for() of one branch, for a caller that asks often. */
	class Numbering final
	{
	public:
		Numbering(const Super &super, const Branch &branch)
			: known_(branch.numbers_by_inode() ||
						 branch.filesystem() >= super.no_filesystem() ?
					 0 :
					 1ULL << (64 - super.index_bits_)),
			  factor_(1ULL << super.index_bits_), filesystem_(branch.filesystem())
		{
		}
		u64 operator()(u64 number) const
		{
			return number < known_ ? number * factor_ + filesystem_ : 0;
		}

	private:
		u64 known_; /* only numbers below it fit; index_bits_ is not 0 */
		u64 factor_;
		u64 filesystem_;
	};
	/*
	 * The union's number for the inode @number of @branch. 0 if it does not follow from @number: that is too large,
	 * or may belong to several inodes. Then fresh_number() gives one.
	 */
	u64 number_for(const Branch &branch, u64 number) const
	{
		return Numbering(*this, branch)(number);
	}
	/*
	 * Whether the numbers of all entries of @branch follow from those that it gives, unless one is too large. If
	 * not, those of its directories may.
	 */
	bool numbers_entries(const Branch &branch) const
	{
		return branch.filesystem() < no_filesystem() && branch.lists_numbers() &&
		       names_stay(branch);
	}
	u64 number_of(const IdentityKey &key) const
	{
		if (key.filesystem >= no_filesystem() || key.number >> (64 - index_bits_))
			return 0;
		return key.number << index_bits_ | key.filesystem;
	}
	/*
	 * The number of the filesystem that has @id (Branch::filesystem_id()). `none` if no filesystem of the branches
	 * has it, or more than one.
	 */
	static constexpr unsigned int none = ~0U;
	unsigned int filesystem_of(const unsigned char *id) const;
	/*
	 * Whether @branch may have copies of objects on @filesystem: if that is its own, or a lower branch's, as a copy
	 * lies above its original. The supplier of a branch that is not rw may claim anything. So such a branch may
	 * have none if a branch above it that is not rw lies on @filesystem.
	 */
	bool may_have_copies(const Branch &branch, unsigned int filesystem) const;
	/* The id of @filesystem; null if it has none, or if another filesystem has the same. */
	const unsigned char *id_of(unsigned int filesystem) const;

	/*
	 * Whether the names of the file @identity on @branch stay one file when it is copied up, whatever rw branch
	 * takes the copy. If not, they are shown as separate files from the beginning.
	 */
	bool names_stay(const Branch &branch, umode_t mode, const Identity &identity) const;
	/* Whether the names of every file on @branch do. */
	bool names_stay(const Branch &branch) const;

	/* A number that no inode of this mount has had. */
	u64 fresh_number()
	{
		return (fresh_.fetch_add(1) + 1) << index_bits_ | no_filesystem();
	}

	/* Whether the mount of some branch maps ids. */
	bool idmapped() const
	{
		return AtomicRef(idmapped_).load();
	}

	Volatility volatility() const
	{
		return AtomicRef(volatility_).load();
	}
	/* Whether the VFS asks before it believes a name that it knows, in every directory. */
	bool asks_everywhere() const
	{
		return volatility() == Volatility::anywhere || settings().udba != Udba::none;
	}
	/* Notes of each branch how it changes. Under ListChangeLock, or before other tasks have the union. */
	void note_volatility();

	/* The secret key by which names are hashed for filters (name_filters.hh). */
	const unsigned long *name_key() const
	{
		return name_key_;
	}

	/* Comes before udba=notify is set. -ENOMEM. */
	Result<void> prepare_watches(const UmountHeld &)
	{
		return watches_.prepare();
	}
	const Watches &watches() const
	{
		return watches_;
	}

	/* The largest stack depth of a branch. */
	int branch_depth() const;

	/*
	 * The settings that options can change; any context. During a remount some may be the old ones: no two of them
	 * need each other.
	 */
	Settings settings() const
	{
		u64 words[setting_words];

		for (unsigned int i = 0; i < setting_words; i++)
			words[i] = settings_[i].load();
		return __builtin_bit_cast(Settings, words);
	}
	void set_settings(const UmountHeld &, Settings settings)
	{
		u64 words[setting_words];

		__builtin_memcpy(words, &settings, sizeof(words));
		for (unsigned int i = 0; i < setting_words; i++)
			settings_[i].store(words[i]);
	}

	/* Logs, once, that @branch has @name, which is too long to be shown. */
	void note_hidden(const Branch &branch, StringView name) const;

	/* For policy.cc: another number each time. */
	unsigned int next_turn() const
	{
		return turn_.fetch_add(1);
	}

private:
	Super() = default;

	/* The number that no filesystem has, for fresh_number(). */
	unsigned int no_filesystem() const
	{
		return (1U << index_bits_) - 1;
	}
	void number(Branch &branch, const Branch *beside);
	void number_places();

	bool copies_keep_identity(const Branch &branch, umode_t mode) const;

	void exchange_branches(const ListChangeLock &, const ClaimsLock &,
			       Array<Own<Branch>> &next);
	Result<void> compare_with_others(const ClaimsLock &lock, struct fs_context *fc,
					 const Settings &settings, const Branch &branch, bool rw,
					 bool &warned) const;
	Result<void> claim(struct fs_context *fc);
	void note_claims(const ClaimsLock &lock);
	void release_claim();

	/* The unions whose branches are claimed; under ClaimsLock. */
	static Super *claimed;
	Super *next_claimed_ = nullptr;
	bool claims_ = false;

	/* Used while branches are added. */
	Placement placement_;
	mutable BranchListLock list_lock_;
	/* The list of branches, under list_lock_. */
	Array<Own<Branch>> branches_;
	const Branch *top_rw_ = nullptr;
	/*
	 * Bits for the number of a filesystem: enough for those of the mount, and for some that come later; others get
	 * fresh numbers. As few as possible: all other bits are for the branch's number.
	 */
	unsigned int index_bits_ = 7;
	unsigned int filesystems_ = 0; /* numbers given to filesystems */
	unsigned int numbers_given_ = 0; /* to branches */
	u64 id_ = 0;
	Ref<const struct cred> mounter_;
	Ref<const struct cred> limited_;
	Ref<const struct cred> nobody_;
	Atomic<u64> fresh_;
	static constexpr unsigned int setting_words = sizeof(Settings) / sizeof(u64);
	Atomic<u64> settings_[setting_words];
	mutable Atomic<unsigned int> turn_;
	mutable Atomic<bool> warned_of_hidden_;
	Atomic<bool> has_had_lone_;
	bool idmapped_ = false;
	Volatility volatility_ = Volatility::never;
	Watches watches_;
	unsigned long name_key_[2] = {};
	SysfsFiles files_;
};

} // namespace aufs
