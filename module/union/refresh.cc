// SPDX-License-Identifier: GPL-2.0-only
#include "copy_lock.hh"
#include "find.hh"
#include "presence.hh"
#include "refresh.hh"
#include "branch/answers.hh"
#include "kernel/dcache.hh"
#include "kernel/inodes.hh"

namespace aufs
{

namespace
{

Result<Own<Stack>> empty_stack()
{
	auto found = Own<Stack>::adopt(new (Gfp{GFP_KERNEL_ACCOUNT}) Stack);

	if (!found)
		return Error{-ENOMEM};
	return found;
}

/*
 * All that @get(array, size) has. It puts counted references into the array, as far as there is room, and gives their
 * number. By the time that there is room for all, there may be more.
 */
template <class T, class Get> Result<Array<Ref<T>>> collect(Get &&get)
{
	constexpr unsigned int more = 16;

	for (unsigned int count = get(nullptr, 0);;) {
		Array<Ref<T>> all;
		/* Other tasks may add to it all the time. */
		unsigned int room = count + count / 2 + more;
		auto found = KvArray<T *>::allocate(room);
		bool kept = static_cast<bool>(found.data);

		if (!kept)
			return Error{-ENOMEM};
		if (is_being_killed())
			return Error{-EINTR};
		count = get(found.data, room);
		for (unsigned int i = 0; i < cxxrt::min(count, room); i++) {
			kept &= all.push(Gfp{GFP_KERNEL_ACCOUNT}, Ref<T>::adopt(found.data[i])).ok();
		}
		if (!kept)
			return Error{-ENOMEM};
		if (count <= room)
			return all;
	}
}

} // namespace

bool has_same_parts(const Inode &inode, const Stack &found)
{
	const Stack &known = inode.stack();

	if (known.parts() != found.parts())
		return false;

	auto other = found.begin();

	for (const Part &part : known) {
		if (part.dentry.get() != (*other).dentry.get())
			return false;
		++other;
	}
	return true;
}

bool is_same_directory(const AsMounter &mounter, const Inode &inode, const Stack &next)
{
	return next.exists() && is_dir(next.top.inode().i_mode) &&
	       cxxrt::any_of(next, [&](const Part &part) { return inode.shows(mounter, part); });
}

Refresh::~Refresh()
{
	if (retired_)
		wait_for_rcu_readers();
	while (retired_)
		delete cxxrt::exchange(retired_, retired_->older);
}

namespace
{

/* Whether all parts of @inode are on branches that go. */
bool goes_as_a_whole(const Inode &inode, Refresh::Goes goes)
{
	return !cxxrt::any_of(inode.stack(),
			      [goes](const Part &part) { return !goes(*part.branch); });
}

/* Whether the file @inode is what @found is, or the copy of that, to which further names lead by its pseudo-link. */
bool is_same_file(const AsMounter &mounter, const Super &super, const Inode &inode,
		  const Stack &found, Refresh::Goes goes)
{
	if (!found.exists())
		return false;
	if (&found.top.inode() == &inode.h_inode())
		return true;
	if (inode.links() == 0 || goes(inode.branch()) || !inode.shows(mounter, found.top))
		return false;
	/* Only on a branch that is in the list already: one that comes may have a copy of its own. */
	return cxxrt::any_of(super.branches(), [&found](const Branch &branch) {
		return &branch == found.top.branch;
	});
}

} // namespace

/* Looks up what the name of @item will lead to when @dir, its directory, has the parts of @parent. */
Result<void> Refresh::look_at(const AsMounter &mounter, Item &item, const struct dentry &dir,
			      const Stack &parent, Goes goes) const
{
	struct dentry &dentry = *item.dentry;

	if (!dentry.d_inode) {
		item.stale = true;
		return {};
	}

	Inode &inode = Inode::of(*dentry.d_inode);

	/*
	 * It is asked first: if it is not moving, the name is the one that it has on the branch, and the VFS is not
	 * just taking it out of the dcache to put it in again.
	 */
	bool moves = inode.is_moving(dentry);

	/* No lookup finds an unhashed dentry. */
	if (!moves && !dentry.d_hash.pprev)
		return {};

	NameSnapshot name(dentry);

	/* The dentry is being renamed, or was renamed to another directory meanwhile. */
	if (moves || AtomicRef(dentry.d_parent).load() != &dir) {
		item.is_left = errors_ == Errors::look_on;
		return item.is_left ? Result<void>() : Result<void>(Error{-EAGAIN});
	}

	auto looked = find(mounter, parent, name.view());

	item.is_left = errors_ != Errors::end && looked.error() < 0 && looked.error() != -ENOMEM &&
		       looked.error() != -EINTR;
	if (item.is_left)
		return {};

	Stack found = TRY(move(looked));

	if (!is_dir(inode.vfs.i_mode)) {
		item.stale = !is_same_file(mounter, Super::of(sb_), inode, found, goes);
		/* The same file, but by another branch, which is another mount of it. */
		if (!item.stale && &found.top.inode() == &inode.h_inode() &&
		    found.top.branch != inode.top().branch)
			item.next = TRY(Stack::create(found));
		return {};
	}
	/*
	 * If the whole directory goes and another one has the name then, tasks that are in the old one continue in the
	 * new one.
	 */
	item.stale = !is_same_directory(mounter, inode, found) &&
		     !(found.exists() && is_dir(found.top.inode().i_mode) &&
		       goes_as_a_whole(inode, goes));
	if (item.stale)
		return {};
	item.next = TRY(Stack::create(found));
	item.spare = TRY(empty_stack());
	return {};
}

namespace
{

/* commit() needs the identity of @part, which depends on the list. What a server knows of it is asked for here. */
void ask_for_identity(const AsMounter &mounter, PartRef part)
{
	if (part.branch.is_served())
		(void)has_origin(mounter, part);
}

} // namespace

/* Adds an item for @dentry, an entry of @dir, which will have the parts of @parent; null if @dir gets none. */
Result<void> Refresh::add(const AsMounter &mounter, const struct dentry &dir,
			  Ref<struct dentry> dentry, const Stack *parent, Goes goes)
{
	Item item;

	item.dentry = move(dentry);
	if (!parent) {
		item.stale = true;
	} else if (auto looked = look_at(mounter, item, dir, *parent, goes); !looked.ok()) {
		failed_ = move(item.dentry);
		return looked;
	}
	if (const struct inode *vfs_inode = item.dentry->d_inode;
	    vfs_inode && !is_dir(vfs_inode->i_mode)) {
		const Part &top = item.next ? item.next->top : Inode::of(*vfs_inode).top();

		if (!goes(*top.branch) && !top.branch->has_left())
			ask_for_identity(mounter, top);
	}
	return items_.push(Gfp{GFP_KERNEL_ACCOUNT}, move(item));
}

Result<void> Refresh::add_children(const AsMounter &mounter, Array<Item>::Size index, Goes goes)
{
	struct dentry &dir = *items_[index].dentry;
	/* Dentries that come meanwhile are still to be looked up, by tasks that wait for the list. */
	auto children =
		TRY(collect<struct dentry>([&dir](struct dentry **array, unsigned int size) {
			return dcache_children(dir, array, size);
		}));

	if (items_[index].next)
		ask_for_identity(mounter, items_[index].next->top);
	items_[index].has_users_of_its_own = references_to(dir) >
					     1 + static_cast<unsigned int>(children.size());
	for (Ref<struct dentry> &child : children) {
		/* The array moves as it grows; what it points to does not. */
		const Stack *parent = items_[index].next.get();

		TRY(add(mounter, dir, move(child), parent, goes));
	}
	return {};
}

Result<void> Refresh::find_lone(const AsMounter &mounter, Goes goes)
{
	lone_ = TRY(collect<struct inode>([this](struct inode **array, unsigned int size) {
		return lone_inodes(sb_, array, size);
	}));
	for (const Ref<struct inode> &vfs_inode : lone_) {
		if (is_being_killed())
			return Error{-EINTR};
		if (const Part *part = Inode::of(*vfs_inode).part_that_stays(goes))
			ask_for_identity(mounter, *part);
	}
	return {};
}

Result<void> Refresh::prepare(const AsMounter &mounter, struct dentry &dir, Own<Stack> next,
			      Goes goes)
{
	Item item;

	item.dentry = Ref<struct dentry>::retain(&dir);
	item.next = move(next);
	item.spare = TRY(empty_stack());
	TRY(items_.push(Gfp{GFP_KERNEL_ACCOUNT}, move(item)));
	for (Array<Item>::Size i = 0; i < items_.size(); i++) {
		struct dentry &dentry = *items_[i].dentry;

		if (is_being_killed())
			return Error{-EINTR};
		if (items_[i].is_left)
			continue;
		if (dentry.d_inode && is_dir(dentry.d_inode->i_mode))
			TRY(add_children(mounter, i, goes));
	}
	return &dir == sb_.s_root ? find_lone(mounter, goes) : Result<void>();
}

unsigned int Refresh::users_of(const ListChangeLock &, const Branch &branch, BranchUse use,
			       Span<struct dentry *> holders) const
{
	unsigned int count = 0;

	for (const Item &item : items_) {
		struct dentry &dentry = *item.dentry;

		if (!dentry.d_inode)
			continue;

		const Inode &inode = Inode::of(*dentry.d_inode);
		bool uses = use == BranchUse::any ?
				    !item.next && inode.parts_on(branch) > 0 :
				    &inode.branch() == &branch && is_reg(inode.vfs.i_mode) &&
					    is_written_to(inode.h_inode());

		if (!uses)
			continue;
		/* A file may have been opened since the item was made: an open takes no lock. */
		bool has_users = is_dir(inode.vfs.i_mode) ? item.has_users_of_its_own :
							    references_to(dentry) > 1;

		if (has_users && count < holders.size())
			holders[count] = &dentry;
		count += has_users;
	}
	return count;
}

unsigned int Refresh::parts_on(const ListChangeLock &, const Branch &branch) const
{
	unsigned int count = 0;

	for (const Item &item : items_) {
		if (item.dentry->d_inode)
			count += Inode::of(*item.dentry->d_inode).parts_on(branch);
	}
	for (const Ref<struct inode> &vfs_inode : lone_)
		count += Inode::of(*vfs_inode).parts_on(branch);
	return count;
}

void Refresh::commit_parts(const AsMounter &mounter, const ListChangeLock &list, Item &item,
			   Inode &inode)
{
	const Super &super = Super::of(sb_);
	CopyLock lock(list);

	/* A task that uses a file does not lock the list: it may have looked at the old parts. */
	if (!is_dir(inode.vfs.i_mode)) {
		inode.publish(lock, move(item.next));
		return;
	}
	inode.replace_stack(list, move(item.next), move(item.spare), retired_);
	inode.forget_parts();
	/* If its identity cannot be read, the inode keeps its key. */
	if (auto identity = find_identity(mounter, super, inode.top()); identity.ok())
		inode.rehash(lock, identity.value().key);
	inode.copy_links();
	/* A readdir of the parent gives another number than the inode has. */
	if (!inode.has_natural_number() && item.dentry.get() != sb_.s_root)
		Inode::of(*parent_of(*item.dentry)->d_inode).set_purity(Inode::Purity::impure);
}

void Refresh::commit(const AsMounter &mounter, const ListChangeLock &list, Goes goes)
{
	for (const Ref<struct inode> &vfs_inode : lone_)
		Inode::of(*vfs_inode).become_lone(mounter, list, goes);
	for (Item &item : items_) {
		struct dentry &dentry = *item.dentry;

		/* Mounts there go as well. */
		if (item.stale)
			d_invalidate(&dentry);
		Inode::of(*parent_of(dentry)->d_inode).set_asked(dentry);
		if (!dentry.d_inode)
			continue;

		Inode &inode = Inode::of(*dentry.d_inode);

		if (item.next)
			commit_parts(mounter, list, item, inode);
		/* Other names of the file, which nobody uses, have to lead to this inode when they are looked up. */
		if (!is_dir(inode.vfs.i_mode) && !inode.branch().has_left())
			inode.follow_identity(mounter, list);
		inode.choose_operations();
		/* Whether set-user-ID bits count may have changed. */
		inode.copy_attributes();
	}
}

namespace
{

/* Looks up the name of @dentry on the branches. -EAGAIN if that is being renamed. */
Result<Stack> find_now(const AsMounter &mounter, struct dentry &dentry)
{
	const Inode &inode = Inode::of(*dentry.d_inode);
	unsigned int sequence = Inode::sequence_of(dentry);
	auto parent = parent_of(dentry);
	NameSnapshot name(dentry);
	/* All other tasks may be waiting: this is not the time to make filters. */
	Stack found = TRY(find(mounter, Inode::of(*parent->d_inode).stack(), name.view()));

	if (inode.is_moving(dentry) || sequence % 2 || Inode::sequence_of(dentry) != sequence)
		return Error{-EAGAIN};
	return found;
}

} // namespace

Result<bool> refresh_directory(struct dentry &dentry)
{
	using Asks = Answers::Asks;

	const Super &super = Super::of(*dentry.d_sb);
	const Inode &inode = Inode::of(*dentry.d_inode);
	auto goes = [](const Branch &) {
		return false;
	};
	/*
	 * All other tasks wait while one has the list alone. So names that nobody uses are dropped before, and the
	 * others are looked up once. A server is not asked again for them.
	 */
	Answers answers;
	auto prepare = [&](Refresh &refresh) -> Result<bool> {
		AsMounter mounter = super.as_mounter(&answers);
		Stack found = TRY(find_now(mounter, dentry));

		if (!is_same_directory(mounter, inode, found))
			return false;
		/* Another task was faster. */
		if (has_same_parts(inode, found))
			return true;
		TRY(refresh.prepare(mounter, dentry, TRY(Stack::create(found)),
				    Refresh::Goes(goes)));
		return true;
	};

	for (int round = 1;; round++) {
		answers.choose(Asks::all);
		shrink_dcache_parent(&dentry);
		{
			Refresh warm(*dentry.d_sb, Refresh::Errors::look_on);
			ListLock lock(super);

			(void)prepare(warm).ok();
		}

		Refresh refresh(*dentry.d_sb, Refresh::Errors::leave);
		auto lock = TRY(ListChangeLock::get_soon(super));

		answers.choose(round < Answers::most_rounds ? Asks::nothing : Asks::missing);

		auto prepared = prepare(refresh);

		if (answers.lacks_some())
			continue;
		answers.choose(Asks::missing);

		bool is = TRY(move(prepared));

		if (is)
			refresh.commit(super.as_mounter(&answers), lock, Refresh::Goes(goes));
		return is;
	}
}

} // namespace aufs
