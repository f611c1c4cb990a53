// SPDX-License-Identifier: GPL-2.0-only
/* An inode's parts when the list of branches changes. */
#include "copy_lock.hh"
#include "branch/dir_lock.hh"

namespace aufs
{

void Inode::replace_stack(const ListChangeLock &, Own<Stack> next, Own<Stack> spare,
			  Stack *&retired)
{
	struct inode *h_inode = &next->top.inode();
	Stack *old = stack_;
	auto retire = [&retired](Stack *found) {
		found->older = retired;
		retired = found;
	};

	next->older = &first_;
	AtomicRef(stack_).store_release(next.leak());
	AtomicRef(h_inode_).store_release(h_inode);
	while (old != &first_)
		retire(cxxrt::exchange(old, old->older));
	/* first_ lies in the inode. Readers under RCU may still look at its branch. */
	spare->top = move(first_.top);
	spare->named = move(first_.named);
	spare->lower = move(first_.lower);
	spare->lower_count = cxxrt::exchange(first_.lower_count, 0U);
	retire(spare.leak());
}

Result<unsigned long> Inode::watch(const ListLock &)
{
	if (super().settings().udba != Udba::notify)
		return 0UL;
	if (AtomicRef(watched_).load_acquire() != &stack())
		TRY(watch_parts());
	return super().watches().changes_of(vfs);
}

Result<void> Inode::watch_parts()
{
	auto lock = TRY(CopyLock::get(*this));
	const Stack &now = stack();

	if (watched_ == &now)
		return {};
	for (const Part &part : now) {
		/* Watches of older parts stay until end_watch(): they only tell more often than necessary. */
		if (watched_ && watched_->has_part_on(*part.branch))
			continue;
		TRY(super().watches().add(part.inode(), vfs, watches_));
	}
	AtomicRef(watched_).store_release(&now);
	return {};
}

void Inode::end_watch()
{
	if (!watches_)
		return;
	Watches::end(cxxrt::exchange(watches_, nullptr));
	AtomicRef(watched_).store(nullptr);
	/* The counts that dentries have stored (d_time) say nothing any more. */
	Watches::note_change(vfs);
}

void Inode::forget_parts()
{
	end_watch();
	drop_filters();

	InodeSpinLock lock(vfs);

	/*
	 * A shared listing (listing.hh) knows by an address what it was read from, and another stack may get that
	 * address.
	 */
	vfs.i_private = nullptr;
	set_purity(Purity::unknown);
	set_impure_on(nullptr);
}

void Inode::follow_identity(const AsMounter &mounter, const ListChangeLock &list)
{
	/* Otherwise it has another key because it stands for one name, or because two objects have one number. */
	if (!(key_ == identity_.key) || !branch().has_origins())
		return;
	/* The union has removed all names: no lookup is to find it, and copy_links() would count one again. */
	if (vfs.i_nlink == 0)
		return;

	auto found = find_identity(mounter, super(), top());

	if (!found.ok() || found.value().key == key_)
		return;

	CopyLock lock(list);

	identity_ = found.release();
	rehash(lock, identity_.key);
	set_links(lock, identity_.links);
	copy_links();
}

unsigned int Inode::parts_on(const Branch &branch) const
{
	unsigned int count = 0;

	for (const Stack *found = &this->stack(); found; found = found->older) {
		for (const Part &part : *found)
			count += part && part.branch == &branch;
		count += found->named && found->named.branch == &branch;
	}
	return count;
}

const Part *Inode::part_that_stays(FunctionRef<bool(const Branch &)> goes) const
{
	for (const Part &part : stack()) {
		if (part && !goes(*part.branch) && !part.branch->has_left())
			return &part;
	}
	return nullptr;
}

void Inode::become_lone(const AsMounter &mounter, const ListChangeLock &list,
			FunctionRef<bool(const Branch &)> goes)
{
	Super &super = this->super();

	if (const Part *part = part_that_stays(goes))
		rehash(CopyLock(list), identity_of(mounter, super, *part).key);
	/* Another object may get the address, or the number of an object that the union has removed. */
	if (key_.filesystem == IdentityKey::pointer || vfs.i_nlink == 0)
		unhash();
	release_parts();
	forget_parts();
	lone_ = true;
	super.note_lone();
}

/* A lone directory may have the key of a part that is a lower one of @found by now. It gets @key, that of the top. */
void Inode::find_lone(const AsMounter &mounter, struct super_block &sb, const Stack &found,
		      const IdentityKey &key)
{
	const Super &super = Super::of(sb);

	for (const Part &part : found.lower_parts()) {
		IdentityKey wanted = identity_of(mounter, super, part).key;
		auto vfs_inode =
			Ref<struct inode>::adopt(ilookup5(&sb, wanted.hash(), test, &wanted));

		if (!vfs_inode)
			continue;

		if (!AtomicRef(of(*vfs_inode).lone_).load())
			continue;

		CopyLock lock(of(*vfs_inode));

		if (of(*vfs_inode).lone_)
			of(*vfs_inode).rehash(lock, key);
	}
}

/* If this inode is lone and stands for the object that was found, it takes over @found. Whether it did. */
Result<bool> Inode::adopt(Stack &found, const Identity &identity)
{
	/* The usual case. */
	if (!AtomicRef(lone_).load())
		return false;

	CopyLock lock(*this);

	if (!lone_ || (vfs.i_mode ^ found.top.inode().i_mode) & S_IFMT ||
	    vfs.i_rdev != found.top.inode().i_rdev ||
	    (!is_dir(vfs.i_mode) && identity_.generation != identity.generation))
		return false;

	auto next = TRY(Stack::create(found));

	lone_ = false;
	cancel_move(lock);
	identity_ = identity;
	AtomicRef(links_).store(identity.links);
	AtomicRef(gone_).store(identity.gone);
	publish(lock, move(next));
	choose_operations();
	copy_links();
	return true;
}

/*
 * Whether this inode shows a copy that is on a branch that has left, or that somebody has removed directly. Then @found
 * is what users see without the copy. Takes a CopyLock.
 */
Result<bool> Inode::is_left_behind(const Stack &found)
{
	auto is_same = [this, &found] {
		return &found.top.inode() == &h_inode();
	};

	if (AtomicRef(lone_).load() || is_dir(vfs.i_mode) || is_same())
		return false;

	/* @found may be older than a copy that has just been made. */
	auto lock = TRY(CopyLock::get(*this));
	const Part &top = this->top();

	if (lone_ || is_same())
		return false;
	return top.branch->has_left() || top.inode().i_nlink == 0 || !top.dentry->d_hash.pprev ||
	       !lies_on_branch(top);
}

/*
 * Takes over @found if the list of branches, or a branch, has changed while no name led to this inode: as far as @found
 * has more or newer parts. An inode that is being copied up knows better.
 */
Result<void> Inode::take_up(Stack &found)
{
	auto differs = [this, &found]() {
		const Stack &now = this->stack();
		auto is_missing = [&now](const Part &part) {
			return !now.has_part_on(*part.branch);
		};
		auto has_left = [](const Part &part) {
			return part.branch->has_left();
		};

		if (!is_dir(vfs.i_mode))
			return &found.top.inode() == &now.top.inode() &&
			       found.top.branch != now.top.branch;
		/* A part that is missing in @found may have just been made. */
		auto is_newer = [&found, &has_left](const Part &part) {
			return !found.has_part_on(*part.branch) && !has_left(part);
		};

		if (cxxrt::any_of(now, is_newer))
			return false;
		return cxxrt::any_of(now, has_left) || cxxrt::any_of(found, is_missing);
	};

	if (!differs())
		return {};

	auto lock = TRY(CopyLock::get(*this));

	if (!differs())
		return {};
	publish(lock, TRY(Stack::create(found)));
	if (is_dir(vfs.i_mode))
		forget_parts();
	choose_operations();
	copy_links();
	return {};
}

} // namespace aufs
