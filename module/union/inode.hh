/* SPDX-License-Identifier: GPL-2.0-only */
/* An inode of the union, and the branch dentries behind it. */
#pragma once

#include "stack.hh"
#include "super.hh"

namespace aufs
{

class CopyLock;
class ListChangeLock;
class ListLock;

/*
 * Two names are one inode where they are one file on a branch, and stay it: a lower file whose copy
 * could not be found by its other names (Super::names_stay) is an inode of its own by each name, so
 * that what is written by one name is never shown by another from memory alone.
 *
 * Invariants, from the end of get() until the inode is destroyed:
 *  - what stack() gives does not change and stays valid; a copy-up puts another in its place;
 *  - its top is positive and has h_inode() or had it before the last copy-up; all are pinned;
 *  - only a directory has lower parts, in the order of the branches;
 *  - i_ino does not change; key() does at a copy-up that cannot be noted on the copy, so that a
 *    lookup of the copy finds this inode;
 *  - i_mode, i_uid, i_gid, i_flags and the times are copies of the branch's, taken when the inode
 *    was made and after each change through the union; sizes and link counts likewise. Owners are
 *    as the branch's mount maps them.
 * Whoever needs the branch and the dentry takes both from one top().
 */
class Inode final
{
public:
	/* The VFS's part: first, so that one address serves both. */
	struct inode vfs;

	static Inode &of(struct inode &vfs_inode)
	{
		return reinterpret_cast<Inode &>(vfs_inode);
	}
	static const Inode &of(const struct inode &vfs_inode)
	{
		return reinterpret_cast<const Inode &>(vfs_inode);
	}

	/* What has just been made is not being copied, and its directory may still be locked. */
	enum class Age : unsigned char { any, made_just_now };
	/*
	 * The union's inode for @found, from the cache or made new; @found is used up. Two names of
	 * one branch inode share one. -ENOMEM. May sleep; takes a CopyLock unless @found is
	 * made_just_now.
	 */
	static Result<Ref<struct inode>> get(const AsMounter &mounter, struct super_block &sb,
					     Stack &&found, Age age = Age::any);

	/* Called by the superblock's operations for memory that the cache gave or takes. */
	void init_once();
	void alloc();
	void destroy()
	{
		release_parts();
	}
	void free();

	Inode() = delete;

	Super &super() const
	{
		return Super::of(*vfs.i_sb);
	}
	/* How often its branches are stacked, at most. */
	int depth() const
	{
		return vfs.i_sb->s_stack_depth - 1;
	}
	const Stack &stack() const
	{
		return *AtomicRef(stack_).load_acquire();
	}
	/* The branch object that is shown; of a directory the uppermost. */
	const Part &top() const
	{
		return stack().top;
	}
	/* Its dentry and its inode; borrowed. */
	struct dentry &h_dentry() const
	{
		return *top().dentry;
	}
	struct inode &h_inode() const
	{
		return *AtomicRef(h_inode_).load_acquire();
	}
	const Branch &branch() const
	{
		return *top().branch;
	}
	struct path h_path() const
	{
		return top().path();
	}
	/* Whether the object lies where the union may write. */
	bool on_rw() const
	{
		return branch().writable();
	}
	/* The same of a directory for who does not hold the list: as it was a moment ago. */
	bool is_on_rw() const
	{
		RcuReader reader;

		return on_rw();
	}
	bool merged() const
	{
		return stack().lower_count > 0;
	}
	/* The dentry of @h_inode, which is or was behind this inode; else null. Borrowed. Any context. */
	struct dentry *h_dentry_of(const struct inode *h_inode) const;
	/* Whether @h_inode is the object behind this inode, or was it before a copy-up. */
	bool is_or_was(const struct inode *h_inode) const
	{
		return h_dentry_of(h_inode);
	}
	/* Whether the union has removed it, and what its branches have as @h_inode is there again. Any context. */
	bool is_removed(const struct inode &h_inode) const
	{
		return is_dir(vfs.i_mode) ? (vfs.i_flags & S_DEAD) != 0 :
					    vfs.i_nlink == 0 && h_inode.i_nlink > 0;
	}
	/*
	 * Whether users see @part as this inode, or as a part of it: by now, before a copy-up, or as the
	 * original of a copy. Else somebody has put it there directly. May sleep.
	 */
	bool shows(const AsMounter &mounter, PartRef part) const;
	/* Whether there is, or could be, a part on a branch that the union may write to. */
	bool may_change() const
	{
		const Branch *rw = super().top_rw();

		return rw && !branch().is_above(*rw);
	}

	const IdentityKey &key() const
	{
		return key_;
	}
	/* What is told a copy of it. Its links are those of when the inode was made. */
	const Identity &identity() const
	{
		return identity_;
	}
	/*
	 * Lookups find it by @key from now on, and by the old one no more. The caller has a dentry
	 * through which nobody looks it up anew.
	 */
	void rehash(const CopyLock &, const IdentityKey &key);
	/* Whether it stands for one name of a lower file alone, and other names are other inodes. */
	bool has_one_name() const
	{
		return identity_.one_name;
	}
	/* Whether i_ino is what the branch's readdir and the position of the branch give. */
	bool has_natural_number() const
	{
		return vfs.i_ino == super().number_for(branch(), h_inode().i_ino);
	}

	/*
	 * What stack() becomes when @part comes to stand behind this inode: in front
	 * of the parts of a directory, or between them as the branches are ordered; alone for all
	 * else. -ENOMEM.
	 */
	Result<Own<Stack>> stack_with(Part part) const;
	/* Makes @next, by stack_with(), what stack() is. */
	void publish(const CopyLock &, Own<Stack> next);

	/*
	 * Makes @next what stack() is, in the place of all that it was before; that is added to @retired, a
	 * chain of older ones, with @spare, an empty one. The caller deletes them after a grace period.
	 */
	void replace_stack(const ListChangeLock &, Own<Stack> next, Own<Stack> spare,
			   Stack *&retired);
	/* After that, for a directory: what was known of its old parts. */
	void forget_parts();
	/*
	 * With udba=notify the kernel tells from now on when somebody changes this directory in any of its
	 * parts; what Watches::changes_of() says of it then, else 0. Before its names are looked up. -ENOMEM. Takes
	 * a CopyLock.
	 */
	Result<unsigned long> watch(const ListLock &);
	/* Whether the VFS asks before it believes @entry of this directory, which has been looked up. */
	void set_asked(struct dentry &entry) const;
	/*
	 * No dentry leads to it; somebody watches it. When the list changes it lets its parts go, those on
	 * @goes(branch) for good, and waits for who looks its name up again.
	 */
	void become_lone(const AsMounter &mounter, const ListChangeLock &,
			 FunctionRef<bool(const Branch &)> goes);
	/* Lookups do not find it any more. Under ListChangeLock, or while the inode is of no use to who looks. */
	void unhash()
	{
		__remove_inode_hash(&vfs);
	}
	/* Sets its operations, by what the branches are like. */
	void choose_operations();
	/* Whether an older one or stack() has a part on @branch, and how many there are. */
	unsigned int parts_on(const Branch &branch) const;

	/*
	 * It is renamed on its branch, and only then in the VFS. Until both are done its names differ, and a
	 * directory gets no further part, which would have a name of its own.
	 */
	void begin_move(const CopyLock &, const struct dentry &dentry)
	{
		moved_from_ = sequence_of(dentry);
		AtomicRef(moving_).store_release(&dentry);
	}
	/* It was not moved after all. */
	void cancel_move(const CopyLock &)
	{
		AtomicRef(moving_).store(nullptr);
	}
	/* By @dentry, one of its names. */
	bool is_moving(const struct dentry &dentry) const
	{
		if (AtomicRef(moving_).load_acquire() != &dentry)
			return false;

		unsigned int sequence = sequence_of(dentry);

		/* Odd while it happens. */
		return sequence == moved_from_ || sequence % 2;
	}
	/* @dentry is being looked up, or made: another one, at that address, may have been moved once. */
	void forget_move_of(const struct dentry &dentry)
	{
		if (AtomicRef(moving_).load() == &dentry)
			AtomicRef(moving_).store(nullptr);
	}
	/* Another one, modulo 2^32, each time that @dentry is renamed. Odd while it is. */
	static unsigned int sequence_of(const struct dentry &dentry)
	{
		return AtomicRef(dentry.d_seq.seqcount.sequence).load_acquire();
	}

	/* A directory: whether entries on rw branches have other numbers than the branch gives. */
	enum class Purity : unsigned char { unknown, pure, impure };
	Purity purity() const
	{
		return AtomicRef(purity_).load();
	}
	void set_purity(Purity purity)
	{
		AtomicRef(purity_).store(purity);
	}

	/*
	 * The branch whose part of it has been told last that it is: others have not, whether they
	 * are mounted beside it the next time or not.
	 */
	const Branch *impure_on() const
	{
		return AtomicRef(impure_on_).load();
	}
	void set_impure_on(const Branch *branch)
	{
		AtomicRef(impure_on_).store(branch);
	}
	/* Sets purity() for who has looked, unless it is known by now; what it is then. */
	Purity learn_purity(Purity purity)
	{
		Purity known = Purity::unknown;

		return AtomicRef(purity_).replace(known, purity) ? purity : known;
	}

	/*
	 * A copy of what had several names, and has a pseudo-link: 1 and the names that are still
	 * on lower branches alone; else 0.
	 */
	unsigned int links() const
	{
		return AtomicRef(links_).load();
	}
	void set_links(const CopyLock &, unsigned int links)
	{
		AtomicRef(links_).store(links);
	}
	/* The names that users see of what has @h_links on its branch. */
	unsigned int visible_links(unsigned int h_links) const
	{
		unsigned int more = this->links();
		unsigned int links = more ? h_links + more - 2 : h_links;

		if (on_rw())
			return links;

		unsigned int gone = AtomicRef(gone_).load();

		return has_one_name() || links <= gone ? 1 : links - gone;
	}

	/* Copies what the union shows without asking the branch, but for the links. Any context. */
	void copy_attributes();
	/* Copies what a write of data changes. Any context. */
	void copy_written();
	/*
	 * The branch has been asked what it has: copies that, if it changes by itself. Any context.
	 */
	void learn()
	{
		if (branch().changes_by_itself())
			copy_attributes();
	}
	/*
	 * Copies the number of links as well: of a file under a CopyLock, under which names come
	 * and go, or while nobody else knows the inode.
	 */
	void copy_links();
	/*
	 * A name that lay on branches alone that are not written to is gone: the branch learns of
	 * neither that nor the new ctime.
	 */
	void drop_link(const CopyLock &);
	/* When that was last, if it is later than @ctime, the branch's. */
	void correct_ctime(struct timespec64 &ctime);
	/* It is a directory that has been removed. */
	void note_removed();

	/* A directory: what is known of names that its parts do not have (name_filters.hh). */
	friend class CopyLock;
	friend class FilteredLookup;
	void make_filters(const AsMounter &mounter, const Stack &parts) const;

private:
	static int test(struct inode *vfs_inode, void *key);
	static int set(struct inode *vfs_inode, void *key);
	struct aufs_name_filters *filters_of(const CopyLock &, const Stack &parts) const;
	/* Under a CopyLock, or nobody knows the inode. Others may just be looking at them. */
	void drop_filters();
	Result<void> watch_parts();
	void end_watch();
	/* Lets the dentries of all parts go, now and before; nobody but readers under RCU looks at them. */
	void release_parts();
	void become(Stack &found, const Identity &identity);
	static void find_lone(const AsMounter &mounter, struct super_block &sb, const Stack &found,
			      const IdentityKey &key);
	Result<bool> is_left_behind(const Stack &found);
	Result<void> take_up(Stack &found);
	Result<bool> adopt(Stack &found, const Identity &identity);
	void copy_attributes_of(const Part &top);
	void follow_mode(const Branch &branch, const struct inode &h);
	/* Takes @found for a new inode. */
	static Result<Ref<struct inode>> get_by_key(struct super_block &sb, const IdentityKey &key,
						    const Identity &identity, Stack &found);

	/*
	 * The first one that the inode had, in its own memory. Readers under RCU may look at its
	 * branch until free().
	 */
	union {
		Stack first_;
	};
	Stack *stack_;
	/* The inode of stack().top, which permission checks ask under RCU. */
	struct inode *h_inode_;
	IdentityKey key_;
	Identity identity_;
	struct timespec64 name_gone_; /* under vfs.i_lock; 0: never */
	unsigned int links_;
	unsigned int gone_; /* of identity_ at first; names that go are counted here */
	Purity purity_;
	const Branch *impure_on_;
	/* Of its parts, and what stack() was then; under a CopyLock. */
	Watches::List watches_;
	const Stack *watched_;
	bool lone_;
	mutable struct aufs_name_filters *filters_;
	mutable unsigned int vain_; /* how often a part was asked in vain since they were made */
	mutable unsigned int most_vain_; /* then they are made; 0: as name_filters.cc has it */
	const struct dentry *moving_; /* what is renamed; borrowed, and never looked into */
	unsigned int moved_from_; /* what its sequence was before */
	mutable struct mutex copy_lock_;
};

/*
 * inode.cc, namei.cc, xattr.cc, dir.cc, file.cc, dentry.cc: what the VFS calls. The second of two is for
 * unions in which some branch changes by itself, so that others need not ask whether theirs does.
 */
extern const struct ::inode_operations dir_inode_operations[2];
extern const struct ::inode_operations file_inode_operations[2];
extern const struct ::inode_operations symlink_inode_operations[2];
extern const struct ::inode_operations special_inode_operations[2];
extern const struct ::file_operations dir_operations;
extern const struct ::file_operations file_operations;
extern const struct ::dentry_operations dentry_operations;
extern const struct xattr_handler *const xattr_handlers[];

} // namespace aufs
