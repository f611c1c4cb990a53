// SPDX-License-Identifier: GPL-2.0-only
#include "copy_lock.hh"
#include "gone_names.hh"
#include "kernel/dcache.hh"
#include "kernel/inodes.hh"

namespace aufs
{

namespace
{

/*
 * Flags that the VFS obeys on the union's inode. S_NOSEC, S_DAX and the like are the branch's own
 * business.
 */
constexpr unsigned int copied_flags = S_SYNC | S_NOATIME | S_APPEND | S_IMMUTABLE | S_DIRSYNC;

/*
 * Users do not see these times, as getattr() asks the branch. By them the VFS only judges whether an access is noted.
 * So it does not matter if an older copy comes last.
 *
 * Some kernels have each time in one struct, others in two numbers.
 */
template <class I> void copy_times(I &to, const I &from)
{
	if constexpr (requires { to.i_atime_sec; }) {
		to.i_atime_sec = from.i_atime_sec;
		to.i_atime_nsec = from.i_atime_nsec;
		to.i_mtime_sec = from.i_mtime_sec;
		to.i_mtime_nsec = from.i_mtime_nsec;
		to.i_ctime_sec = from.i_ctime_sec;
		to.i_ctime_nsec = from.i_ctime_nsec;
	} else {
		to.i_atime = from.i_atime;
		to.i_mtime = from.i_mtime;
		to.i_ctime = from.i_ctime;
	}
}

/*
 * Makes @to equal to @now(), a value of the branch. Readers take no lock, and neither do writers, some in interrupts. A
 * task that has stored a value looks again, so that the last one to store has seen the last change. @to is written only
 * if it differs: in the common case its cache line stays shared.
 */
template <class T, class Now> void follow(T &to, Now &&now)
{
	for (T value = now(); AtomicRef(to).load() != value; value = now()) {
		AtomicRef(to).store(value);
		full_fence();
	}
}

/* The same for the bits of @mask in @to. Other tasks change the other bits: S_DEAD is not lost. */
template <class Now> void follow_bits(unsigned int &to, unsigned int mask, Now &&now)
{
	unsigned int old = AtomicRef(to).load();

	while (unsigned int wrong = (old ^ now()) & mask)
		AtomicRef(to).replace_in_order(old, old ^ wrong);
}

} // namespace

void Inode::init_once()
{
	inode_init_once(&vfs);
}

void Inode::alloc()
{
	new (static_cast<void *>(&first_)) Stack;
	stack_ = &first_;
	h_inode_ = nullptr;
	key_ = {};
	links_ = 0;
	gone_ = 0;
	purity_ = Purity::unknown;
	late_flags_ = 0;
	impure_on_ = nullptr;
	identity_ = {};
	name_gone_ = {};
	moving_ = nullptr;
	lone_ = false;
	watches_ = nullptr;
	watched_ = nullptr;
	filters_ = nullptr;
	vain_ = 0;
	most_vain_ = 0;
}

Result<Own<Stack>> Stack::create(Stack &found)
{
	auto created = Own<Stack>::adopt(new (Gfp{GFP_KERNEL_ACCOUNT}) Stack);

	if (!created)
		return Error{-ENOMEM};
	created->top = move(found.top);
	created->named = move(found.named);
	created->lower = move(found.lower);
	created->lower_count = found.lower_count;
	created->bottom = created->lowest().branch;
	return created;
}

void Inode::release_parts()
{
	end_watch();
	drop_filters();
	for (Stack *found = stack_; found; found = found->older) {
		found->top.release();
		/* The array stays: readers under RCU may still go through it. */
		for (Part &part : found->lower_parts())
			part.release();
		found->named.release();
	}
}

void Inode::free()
{
	while (stack_ != &first_)
		delete cxxrt::exchange(stack_, stack_->older);
	first_.lower = {};
}

struct dentry *Inode::h_dentry_of(const struct inode *h_inode) const
{
	for (const Stack *found = &this->stack(); found; found = found->older) {
		if (found->top.dentry && found->top.dentry->d_inode == h_inode)
			return found->top.dentry.get();
	}
	return nullptr;
}

bool Inode::shows(const AsMounter &mounter, PartRef part) const
{
	for (const Stack *found = &this->stack(); found; found = found->older) {
		for (const Part &mine : *found) {
			if (mine && &mine.inode() == &part.inode())
				return true;
		}
	}
	if (is_dir(vfs.i_mode) || !identity_.lasts())
		return false;

	Identity identity = identity_of(mounter, super(), part);

	/* A copy that an older version made does not know its generation. */
	return identity.key == identity_.key && (identity.generation == identity_.generation ||
						 identity.generation == Identity::unknown);
}

Result<Own<Stack>> Inode::stack_with(Part part) const
{
	const Stack &old = stack();
	auto next = Own<Stack>::adopt(new (Gfp{GFP_KERNEL_ACCOUNT}) Stack);

	if (!next)
		return Error{-ENOMEM};
	if (is_dir(vfs.i_mode)) {
		next->lower = Own<Part[]>::adopt(new (Gfp{GFP_KERNEL_ACCOUNT}) Part[old.parts()]);
		if (!next->lower)
			return Error{-ENOMEM};

		auto add = [&next](Part another) {
			if (next->exists())
				next->lower[next->lower_count++] = move(another);
			else
				next->top = move(another);
		};

		for (const Part &mine : old) {
			/* @part is empty when it has been added. */
			if (part && !mine.branch->is_above(*part.branch))
				add(move(part));
			add(mine.clone());
		}
		if (part)
			add(move(part));
	} else {
		next->top = move(part);
	}
	next->bottom = next->lowest().branch;
	return next;
}

void Inode::publish(const CopyLock &, Own<Stack> next)
{
	struct inode *h_inode = next->top.dentry->d_inode;

	next->older = stack_;
	AtomicRef(stack_).store_release(next.leak());
	AtomicRef(h_inode_).store_release(h_inode);
	/*
	 * The new part is not watched yet. So the next use of a name looks at the branches, and the part is watched
	 * then.
	 */
	if (watches_)
		Watches::note_change(vfs);
}

void Inode::set_late_flags(const CopyLock &, unsigned int flags)
{
	unsigned int before = late_flags_;

	AtomicRef(late_flags_).store_release(flags & (S_APPEND | S_IMMUTABLE));
	if (before)
		copy_attributes();
}

void Inode::copy_attributes()
{
	const Part *from;

	/* A copy-up may replace the top meanwhile: the last task to store has seen that as well. */
	do {
		from = &top();
		copy_attributes_of(*from);
	} while (from != &top());
}

void Inode::copy_attributes_of(const Part &top)
{
	const struct inode &h = top.inode();
	const Branch &branch = *top.branch;

	follow_mode(branch, h);
	follow(vfs.i_uid.val, [&] { return branch.shown_owner(h).uid.val; });
	follow(vfs.i_gid.val, [&] { return branch.shown_owner(h).gid.val; });
	follow_bits(vfs.i_flags, copied_flags, [&] {
		/* In this order: when they are no longer late, the copy has them. */
		unsigned int late = AtomicRef(late_flags_).load_acquire();

		return late | AtomicRef(h.i_flags).load();
	});
	AtomicRef(vfs.i_blkbits).store(AtomicRef(h.i_blkbits).load());
	copy_times(vfs, h);
	copy_size(vfs, h);
}

void Inode::follow_mode(const Branch &branch, const struct inode &h)
{
	/* A filesystem that gives an inode up may make a regular file of it. The union's keeps its type. */
	follow(vfs.i_mode, [&] {
		umode_t h_mode = branch.shown_mode(AtomicRef(h.i_mode).load());

		return static_cast<umode_t>((AtomicRef(vfs.i_mode).load() & S_IFMT) |
					    (h_mode & S_IALLUGO));
	});
}

void Inode::copy_written()
{
	const struct inode &h = h_inode();

	/* A write takes no other bits of a mode. */
	if (AtomicRef(vfs.i_mode).load() & (S_ISUID | S_ISGID))
		follow_mode(branch(), h);
	copy_times(vfs, h);
	copy_size(vfs, h);
}

int Inode::test(struct inode *vfs_inode, void *key)
{
	return of(*vfs_inode).key_ == *static_cast<const IdentityKey *>(key);
}

int Inode::set(struct inode *vfs_inode, void *key)
{
	of(*vfs_inode).key_ = *static_cast<const IdentityKey *>(key);
	return 0;
}

void Inode::rehash(const CopyLock &, const IdentityKey &key)
{
	if (key_ == key)
		return;

	bool found = vfs.i_hash.pprev;

	__remove_inode_hash(&vfs);
	key_ = key;
	/* An inode that was not in the hash stays out of it. */
	if (found)
		__insert_inode_hash(&vfs, key_.hash());
}

void Inode::choose_operations()
{
	bool asks = super().volatility() == Volatility::anywhere;
	const struct ::inode_operations *ops = &special_inode_operations[asks];

	switch (vfs.i_mode & S_IFMT) {
	case S_IFREG:
		ops = &file_inode_operations[asks];
		vfs.i_fop = &file_operations;
		break;
	case S_IFDIR:
		ops = &dir_inode_operations[asks];
		vfs.i_fop = &dir_operations;
		break;
	case S_IFLNK:
		ops = &symlink_inode_operations[asks];
		break;
	default:
		break;
	}
	AtomicRef(vfs.i_op).store(ops);
}

void Inode::set_asked(struct dentry &entry) const
{
	/* The names in such a directory change when a key comes or goes. */
	auto is_encrypted = [](const Part &part) -> bool {
		return part.inode().i_flags & S_ENCRYPTED;
	};
	bool asked = super().asks_everywhere() ||
		     (super().volatility() == Volatility::where_encrypted &&
		      cxxrt::any_of(stack(), is_encrypted));

	if (asked != static_cast<bool>(entry.d_flags & DCACHE_OP_REVALIDATE))
		set_revalidated(entry, asked);
}

void Inode::become(Stack &found, const Identity &identity)
{
	Super &super = this->super();
	u64 number = super.number_of(key_);

	links_ = identity.links;
	gone_ = identity.gone;
	identity_ = identity;
	first_.top = move(found.top);
	first_.named = move(found.named);
	first_.lower = move(found.lower);
	first_.lower_count = found.lower_count;
	first_.bottom = first_.lowest().branch;
	h_inode_ = first_.top.dentry->d_inode;

	umode_t mode = h_inode().i_mode;

	vfs.i_ino = number ? number : super.fresh_number();
	vfs.i_mode = mode;
	/* A file handle has number and generation: it must not be that of a later file. */
	vfs.i_generation = identity.lasts() ? static_cast<u32>(identity.generation) :
					      h_inode().i_generation;
	/* The branch is asked for ACLs each time, and caches them. */
	do_not_cache_acls(vfs);
	annotate(vfs, depth());
	init_mutex(copy_lock_, AUFS_MUTEX_COPY, depth());
	choose_operations();
	if (!is_reg(mode) && !is_dir(mode) && !is_lnk(mode))
		init_special_inode(&vfs, mode, h_inode().i_rdev);
	copy_links();
}

namespace
{

/* Later kernels have a struct around the state of an inode. */
template <class VfsInode> bool is_new(const VfsInode &vfs_inode)
{
	if constexpr (requires { vfs_inode.i_state & I_NEW; })
		return vfs_inode.i_state & I_NEW;
	else
		return vfs_inode.i_state.__state & I_NEW;
}

} // namespace

Result<Ref<struct inode>> Inode::get_by_key(struct super_block &sb, const IdentityKey &key,
					    const Identity &identity, Stack &found)
{
	IdentityKey wanted = key;
	struct inode *vfs_inode = iget5_locked(&sb, wanted.hash(), test, set, &wanted);

	if (!vfs_inode)
		return Error{-ENOMEM};
	if (is_new(*vfs_inode)) {
		of(*vfs_inode).become(found, identity);
		unlock_new_inode(vfs_inode);
	}
	return Ref<struct inode>::adopt(vfs_inode);
}

namespace
{

/* Whether the names of @top, the object @identity, would stay one inode only while that is in memory. */
bool names_part(const Super &super, const Part &top, const Identity &identity)
{
	const struct inode &h_inode = top.inode();

	/* If nothing is known of a branch's numbers, it may not know all names, either. */
	if (is_dir(h_inode.i_mode) ||
	    (h_inode.i_nlink <= 1 && identity.links <= 1 && !top.branch->numbers_by_inode()))
		return false;
	return !super.names_stay(*top.branch, h_inode.i_mode, identity);
}

} // namespace

Result<Ref<struct inode>> Inode::get(const AsMounter &mounter, struct super_block &sb,
				     Stack &&found, Age age)
{
	struct inode *h_inode = found.top.dentry->d_inode;
	auto pinned = found.top.dentry.clone();
	const Super &super = Super::of(sb);
	Identity identity = TRY(find_identity(mounter, super, found.top));
	IdentityKey key = identity.key;

	if (identity.generation == Identity::unknown)
		identity.generation = found.generation;
	if (names_part(super, found.top, identity)) {
		key = IdentityKey::of_pointer((found.named ? found.named : found.top).dentry.get());
		identity = {.one_name = true};
	} else if (!found.top.branch->writable() && !is_dir(h_inode->i_mode) &&
		   (h_inode->i_nlink > 1 || identity.links > 1)) {
		identity.gone = TRY(count_gone_names(mounter, super, *found.top.branch, identity));
	}

	if (super.has_had_lone())
		find_lone(mounter, sb, found, key);

	auto vfs_inode = TRY(get_by_key(sb, key, identity, found));

	/* The union has removed its object: that is there again, or another one has its number. */
	if (found.exists() && of(*vfs_inode).is_removed(*h_inode)) {
		of(*vfs_inode).unhash();
		vfs_inode = TRY(get_by_key(sb, key, identity, found));
	}
	if (age == Age::any && found.exists() && TRY(of(*vfs_inode).is_left_behind(found))) {
		of(*vfs_inode).unhash();
		vfs_inode = TRY(get_by_key(sb, key, identity, found));
	}
	if (of(*vfs_inode).is_or_was(h_inode)) {
		if (found.exists())
			TRY(of(*vfs_inode).take_up(found));
		return vfs_inode;
	}
	if (TRY(of(*vfs_inode).adopt(found, identity)))
		return vfs_inode;
	/*
	 * A copy may have its name on the branch already, and the inode not know it yet: then a copy-up is under way.
	 */
	if (age == Age::any) {
		CopyLock lock(of(*vfs_inode));

		if (of(*vfs_inode).is_or_was(h_inode))
			return vfs_inode;
	}
	/*
	 * Two objects have one number. Either one got it after the other, whose copy remembers it; or somebody copied
	 * an object with its attributes on the branch itself. They are two inodes, and in the second case the copied
	 * attribute says nothing.
	 */
	if (of(*vfs_inode).identity().generation == identity.generation)
		identity = {.one_name = identity.one_name};
	vfs_inode = {};
	return get_by_key(sb, IdentityKey::of_pointer(h_inode), identity, found);
}

} // namespace aufs

void aufs_inode_init_once(void *object)
{
	static_cast<aufs::Inode *>(object)->init_once();
}

void aufs_inode_free_stacks(struct inode *vfs_inode)
{
	aufs::Inode::of(*vfs_inode).free();
}

const unsigned int aufs_inode_size = sizeof(aufs::Inode);
