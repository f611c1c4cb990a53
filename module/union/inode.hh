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
 * Two names are one inode if they are one file on a branch, and stay one. A lower file whose copy could not be found by
 * its other names (Super::names_stay) has an inode for each name. So what is written by one name is never shown by
 * another only because the inode is in memory.
 *
 * Invariants, from the end of get() until the inode is lone or destroyed:
 *  - a stack does not change. A copy-up puts another in its place, and the old one stays valid. When the list of
 *    branches changes, old stacks of a directory go after a grace period;
 *  - its top is positive and has h_inode() or had it before the last copy-up; all are pinned;
 *  - only a directory has lower parts, in the order of the branches;
 *  - i_ino does not change. key() does when the list of branches changes, and at a copy-up whose copy cannot store its
 *    origin: so a lookup of the copy finds this inode;
 *  - i_mode, i_uid, i_gid, i_flags and the times are copies of the branch's, taken when the inode was made and after
 *    each change through the union; sizes and link counts likewise. Owners are as the branch's mount maps them.
 * Code that needs the branch and the dentry takes both from one top().
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

	/* A new object is not being copied, and its directory may still be locked. */
	enum class Age : unsigned char { any, made_just_now };
	/*
	 * The union's inode for @found, from the cache or made new; @found is used up. Two names of one branch inode
	 * share it, if they stay one file. -ENOMEM, errors of branches. May sleep; takes a CopyLock unless @found was
	 * made_just_now.
	 */
	static Result<Ref<struct inode>> get(const AsMounter &mounter, struct super_block &sb,
					     Stack &&found, Age age = Age::any);

	/* The superblock's operations call these for memory that the cache gave or takes. */
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
	/* The largest stack depth of its branches. */
	int depth() const
	{
		return vfs.i_sb->s_stack_depth - 1;
	}
	const Stack &stack() const
	{
		return *AtomicRef(stack_).load_acquire();
	}
	/* The branch object that is shown: the uppermost part of a directory. */
	const Part &top() const
	{
		return stack().top;
	}
	/* The dentry and the inode of the top; borrowed. */
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
	/* The same for a directory, without the list's lock: as it was a moment ago. */
	bool is_on_rw() const
	{
		RcuReader reader;

		return on_rw();
	}
	/* Whether it shows a branch that changes by itself. Also without the list's lock, as it was a moment ago. */
	bool changes_by_itself() const
	{
		RcuReader reader;

		return branch().changes_by_itself();
	}
	/* Whether it can be opened and copied up, if it is a device (Branch::grants_devices()). */
	bool grants_devices() const
	{
		/* A branch may be a union itself. */
		for (const Inode *inode = this;;) {
			const Part &top = inode->top();

			if (!top.branch->grants_devices())
				return false;
			if (top.branch->sb().s_magic != Super::magic)
				return true;
			inode = &of(top.inode());
		}
	}
	bool merged() const
	{
		return stack().lower_count > 0;
	}
	/* The dentry of @h_inode, if that is or was the object behind this inode; else null. Borrowed. Any context. */
	struct dentry *h_dentry_of(const struct inode *h_inode) const;
	/* Whether @h_inode is the object behind this inode, or was it before a copy-up. */
	bool is_or_was(const struct inode *h_inode) const
	{
		return h_dentry_of(h_inode);
	}
	/*
	 * Whether the union has removed this inode's object, although the branches have @h_inode for it. Any context.
	 */
	bool is_removed(const struct inode &h_inode) const
	{
		return is_dir(vfs.i_mode) ? (vfs.i_flags & S_DEAD) != 0 :
					    vfs.i_nlink == 0 && h_inode.i_nlink > 0;
	}
	/*
	 * Whether its object, which was just looked up, has no name any more: somebody has removed it directly, or it
	 * was a copy whose pseudo-link was found, and the copy-up has failed. The VFS looks again after -ESTALE.
	 */
	bool is_lost() const
	{
		return vfs.i_nlink == 0 && !is_dir(vfs.i_mode) && !h_dentry().d_hash.pprev;
	}
	/*
	 * Whether users see @part as this inode, or as a part of it: now, before a copy-up, or as the original of a
	 * copy. If not, somebody has put it there directly. May sleep.
	 */
	bool shows(const AsMounter &mounter, PartRef part) const;
	/* Whether it has, or can get, a part on a rw branch. */
	bool may_change() const
	{
		const Branch *rw = super().top_rw();

		return rw && !branch().is_above(*rw);
	}

	const IdentityKey &key() const
	{
		return key_;
	}
	/* The identity that a copy stores. Its link count is that of the time when the inode was made. */
	const Identity &identity() const
	{
		return identity_;
	}
	/*
	 * Lookups find the inode by @key from now on, and by the old key no more. In between they do not find it: as a
	 * rule a dentry leads to it, so that nobody looks it up.
	 */
	void rehash(const CopyLock &, const IdentityKey &key);
	/* Whether it stands for one name of a lower file alone, and other names are other inodes. */
	bool has_one_name() const
	{
		return identity_.one_name;
	}
	/* Whether i_ino follows from the number on the branch (Super::number_for()). */
	bool has_natural_number() const
	{
		return vfs.i_ino == super().number_for(branch(), h_inode().i_ino);
	}

	/*
	 * The stack that this inode will have with @part. A directory gets it above its parts, or between them in the
	 * order of the branches; anything else has it alone. -ENOMEM.
	 */
	Result<Own<Stack>> stack_with(Part part) const;
	/* Makes @next the stack(). The old one stays, as older. */
	void publish(const CopyLock &, Own<Stack> next);

	/*
	 * Makes @next the stack(), in place of all that the inode had before. Those are added to the chain @retired,
	 * one of them as @spare, which is empty. The caller deletes them after a grace period.
	 */
	void replace_stack(const ListChangeLock &, Own<Stack> next, Own<Stack> spare,
			   Stack *&retired);
	/* Forgets, after that, what was known of a directory's old parts. */
	void forget_parts();
	/*
	 * For an inode that is no directory, when the list changes. If lookups found it by its identity, they go on to
	 * do so: the list decides which origins count. If the identity cannot be read, nothing changes.
	 */
	void follow_identity(const AsMounter &mounter, const ListChangeLock &);
	/*
	 * With udba=notify the kernel tells from now on when somebody changes a part of this directory. Gives what
	 * Watches::changes_of() says of it then, else 0. Called before its names are looked up. -ENOMEM, -EINTR. Takes
	 * a CopyLock.
	 */
	Result<unsigned long> watch(const ListLock &);
	/* Sets whether the VFS asks before it believes @entry, which was looked up in this directory. */
	void set_asked(struct dentry &entry) const;
	/*
	 * The part by which a lone inode is looked up again: the first one whose branch has not left the list, and does
	 * not go. Null if there is none; borrowed.
	 */
	const Part *part_that_stays(FunctionRef<bool(const Branch &)> goes) const;
	/*
	 * For an inode without a dentry, which somebody watches, when the list changes. It lets all its parts go, and
	 * gets new ones when its name is looked up again. A part whose branch @goes() is not looked up any more.
	 */
	void become_lone(const AsMounter &mounter, const ListChangeLock &,
			 FunctionRef<bool(const Branch &)> goes);
	/*
	 * Lookups do not find the inode any more. Under ListChangeLock, or if it is of no use to the lookup that calls
	 * this.
	 */
	void unhash()
	{
		__remove_inode_hash(&vfs);
	}
	/* Sets its operations: which ones depends on the branches. */
	void choose_operations();
	/* How many parts on @branch it has, in stack() and the older stacks. */
	unsigned int parts_on(const Branch &branch) const;

	/*
	 * @dentry is renamed on its branch, and only then in the VFS. Until both are done it has two names, and a
	 * directory gets no further part, which would have only one of them.
	 */
	void begin_move(const CopyLock &, const struct dentry &dentry)
	{
		moved_from_ = sequence_of(dentry);
		AtomicRef(moving_).store_release(&dentry);
	}
	/* The rename has failed. */
	void cancel_move(const CopyLock &)
	{
		AtomicRef(moving_).store(nullptr);
	}
	/* Whether @dentry, one of its names, is being renamed. */
	bool is_moving(const struct dentry &dentry) const
	{
		if (AtomicRef(moving_).load_acquire() != &dentry)
			return false;

		unsigned int sequence = sequence_of(dentry);

		/* The sequence is odd while the VFS renames it. */
		return sequence == moved_from_ || sequence % 2;
	}
	/* @dentry is being looked up, or made. Another dentry at that address may have been renamed once. */
	void forget_move_of(const struct dentry &dentry)
	{
		if (AtomicRef(moving_).load() == &dentry)
			AtomicRef(moving_).store(nullptr);
	}
	/* Changes each time that @dentry is renamed, modulo 2^32. Odd while it is. */
	static unsigned int sequence_of(const struct dentry &dentry)
	{
		return AtomicRef(dentry.d_seq.seqcount.sequence).load_acquire();
	}

	/* Whether entries of a directory on rw branches have other numbers than the branch gives. */
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
	 * The branch on which this directory was last marked as impure. Each part needs a mark of its own: the next
	 * mount may have only some of the branches.
	 */
	const Branch *impure_on() const
	{
		return AtomicRef(impure_on_).load();
	}
	void set_impure_on(const Branch *branch)
	{
		AtomicRef(impure_on_).store(branch);
	}
	/*
	 * The copy of a regular file that has just got its name, until a sync has brought the name to disk as well:
	 * null as a rule. It is only compared. An inode that is made anew does not know of it.
	 */
	const struct inode *unsynced() const
	{
		return AtomicRef(unsynced_).load();
	}
	/* Comes before publish(): whoever finds the copy knows of it. */
	void note_unsynced(const CopyLock &, const struct inode &copy)
	{
		AtomicRef(unsynced_).store(&copy);
	}
	void note_synced(const struct inode *copy)
	{
		AtomicRef(unsynced_).replace(copy, nullptr);
	}
	/* Sets purity() to what the caller has read, unless it is known by now. Gives what it is then. */
	Purity learn_purity(Purity purity)
	{
		Purity known = Purity::unknown;

		return AtomicRef(purity_).replace(known, purity) ? purity : known;
	}

	/*
	 * For a copy that has a pseudo-link: 1 and the number of names that are still on lower branches alone. Else 0.
	 */
	unsigned int links() const
	{
		return AtomicRef(links_).load();
	}
	void set_links(const CopyLock &, unsigned int links)
	{
		AtomicRef(links_).store(links);
	}
	/* The number of names that users see if the branch counts @h_links. */
	unsigned int visible_links(unsigned int h_links) const
	{
		unsigned int more = this->links();
		unsigned int links = more ? h_links + more - 2 : h_links;

		if (on_rw())
			return links;

		unsigned int gone = AtomicRef(gone_).load();

		return has_one_name() || links <= gone ? 1 : links - gone;
	}

	/*
	 * Users see @flags (S_APPEND, S_IMMUTABLE) although the copy does not have them yet: it gets them after its
	 * name, as they would stop the rename. 0 ends that.
	 */
	void set_late_flags(const CopyLock &, unsigned int flags);

	/* Copies all that the union shows without asking the branch, except for the links. Any context. */
	void copy_attributes();
	/* Copies what a write of data changes. Any context. */
	void copy_written();
	/* To be called when the branch has been asked. Copies what it has, if it changes by itself. Any context. */
	void learn()
	{
		if (branch().changes_by_itself())
			copy_attributes();
	}
	/*
	 * Copies the number of links as well. For a file this is under a CopyLock, as names come and go under that, or
	 * while nobody else knows the inode.
	 */
	void copy_links();
	/* A name is gone that was only on branches that are not rw. They learn neither of that nor of the new ctime. */
	void drop_link(const CopyLock &);
	/* Sets @ctime, the branch's, to the time of the last drop_link() if that is later. */
	void correct_ctime(struct timespec64 &ctime);
	/* The directory has been removed. */
	void note_removed();

	/* Filters of the names that the parts of a directory do not have (name_filters.hh). */
	friend class CopyLock;
	friend class FilteredLookup;
	void make_filters(const AsMounter &mounter, const Stack &parts, unsigned int most) const;

private:
	static int test(struct inode *vfs_inode, void *key);
	static int set(struct inode *vfs_inode, void *key);
	struct aufs_name_filters *filters_of(const CopyLock &, const Stack &parts) const;
	/* Under a CopyLock, or when nobody knows the inode. Readers under RCU may still look at the filters. */
	void drop_filters();
	Result<void> watch_parts();
	void end_watch();
	/* Lets the dentries of all parts go, now and before. Only readers under RCU look at them by then. */
	void release_parts();
	void become(Stack &found, const Identity &identity);
	static void find_lone(const AsMounter &mounter, struct super_block &sb, const Stack &found,
			      const IdentityKey &key);
	Result<bool> is_left_behind(const Stack &found);
	Result<void> take_up(Stack &found);
	Result<bool> adopt(Stack &found, const Identity &identity);
	void copy_attributes_of(const Part &top);
	void follow_mode(const Branch &branch, const struct inode &h);
	/* The inode with @key. A new one takes over @found. */
	static Result<Ref<struct inode>> get_by_key(struct super_block &sb, const IdentityKey &key,
						    const Identity &identity, Stack &found);

	/* The first stack of the inode, in its own memory. Readers under RCU may look at its branch until free(). */
	union {
		Stack first_;
	};
	Stack *stack_;
	/* The inode of stack().top, which permission checks ask under RCU. */
	struct inode *h_inode_;
	IdentityKey key_;
	Identity identity_;
	struct timespec64 name_gone_; /* the last drop_link(), under vfs.i_lock; 0: never */
	unsigned int links_;
	unsigned int gone_; /* at first that of identity_; drop_link() adds to it */
	Purity purity_;
	unsigned int late_flags_; /* set_late_flags() */
	union {
		const Branch *impure_on_; /* of a directory */
		const struct inode *unsynced_; /* of a regular file */
	};
	/* Watches of its parts, and what stack() was when they were made; under a CopyLock. */
	Watches::List watches_;
	const Stack *watched_;
	bool lone_;
	mutable struct aufs_name_filters *filters_;
	mutable unsigned int vain_; /* questions in vain since the filters were made */
	mutable unsigned int most_vain_; /* at so many filters are made; 0: not known yet */
	const struct dentry *moving_; /* that is being renamed; borrowed, and never looked into */
	unsigned int moved_from_; /* its sequence before the rename */
	mutable struct mutex copy_lock_;
};

/*
 * The tables of methods that the VFS calls, defined in vfs/: namei.cc, attr.cc, special.cc, dir.cc, file.cc, dentry.cc,
 * xattr.cc. The second of two tables is for unions in which some branch changes by itself. So the methods of the first
 * need not ask whether a branch does.
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
