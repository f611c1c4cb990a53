// SPDX-License-Identifier: GPL-2.0-only
#include "new_branch.hh"
#include "super.hh"
#include "branch/whiteout.hh"
#include "kernel/inodes.hh"

namespace aufs
{

Own<Super> Super::create()
{
	auto super = Own<Super>::adopt(new (Gfp{GFP_KERNEL}) Super);

	if (!super)
		return {};

	unsigned long random[2];

	make_random(random);
	super->id_ = random[0] ^ static_cast<u64>(random[1]) << 32;
	make_random(super->name_key_);
	return super;
}

Super::~Super()
{
	struct vfsmount *few[16];
	auto many = KvArray<struct vfsmount *>::allocate(cxxrt::max(count(), 1U));
	struct vfsmount **mnts = many.data ? many.data : few;
	unsigned int room = many.data ? count() : sizeof(few) / sizeof(few[0]);
	unsigned int held = 0;

	/* Readers of these files look at the branches. */
	files_.remove();
	release_claim();
	/*
	 * A path walk under RCU (permission(), get_acl()) may have come to an inode of the union before the union was
	 * killed, and still look at the table of branches. Its memory goes after this body. The unmounts in the body
	 * wait for a grace period, and a union that was never attached has no inode. No reader under RCU looks at a
	 * branch's mount.
	 */

	/* An unmount waits for a grace period: all branches go in one. */
	for (Own<Branch> &branch : branches_) {
		while (struct vfsmount *mnt = branch->detach()) {
			mnts[held++] = mnt;
			if (held == room)
				kern_unmount_array(mnts, cxxrt::exchange(held, 0U));
		}
	}
	/* Also if a branch that has left the list before has the last of the mounts. */
	if (mounter_)
		kern_unmount_array(mnts, held);
	/* The filesystems of branches that have left the list before are free then as well. */
	Branch::wait_for_released();
}

Result<void> Super::add(struct fs_context *fc, unsigned int place, const BranchItem &item,
			BranchFinder &finder)
{
	if (count() == max_branches) {
		mount_error(fc, "branch '%s': more than %u branches", item.path.data(),
			    max_branches);
		return Error{-E2BIG};
	}

	auto branch = TRY(Branch::create(fc, item, finder));

	TRY(placement_.check(fc, *branch, item.path.data()));
	number(*branch, placement_.beside(*branch));
	TRY(placement_.add(*branch));
	return branches_.insert(Gfp{GFP_KERNEL}, place, move(branch));
}

Result<void> Super::end_adding(struct fs_context *fc)
{
	TRY(placement_.check_all(fc, branches()));
	placement_.clear();
	number_places();
	return {};
}

void Super::number(Branch &branch, const Branch *beside)
{
	branch.set_number(numbers_given_++);
	branch.set_filesystem(beside ? beside->filesystem() : filesystems_++);
}

void Super::number_places()
{
	const Branch *top = nullptr;
	unsigned int place = 0;

	for (Own<Branch> &branch : branches_) {
		branch->set_index(place++);
		if (branch->writable() && !top)
			top = branch.get();
		if (branch->idmapped())
			AtomicRef(idmapped_).store(true);
	}
	AtomicRef(top_rw_).store(top);
}

void Super::note_volatility()
{
	/* Each branch counts as one that changes by itself. */
	bool all = settings().udba == Udba::reval;
	Volatility most = Volatility::never;

	for (Own<Branch> &branch : branches_) {
		Volatility volatility = volatility_of(*branch);

		branch->set_served(volatility == Volatility::anywhere);
		if (all)
			volatility = Volatility::anywhere;
		branch->set_changes_by_itself(volatility == Volatility::anywhere);
		most = cxxrt::max(most, volatility);
	}
	AtomicRef(volatility_).store(most);
}

void Super::exchange_branches(const ListChangeLock &, const ClaimsLock &, Array<Own<Branch>> &next)
{
	Array<Own<Branch>> old = move(branches_);

	branches_ = move(next);
	next = move(old);
	number_places();
	for (Own<Branch> &branch : next) {
		if (branch_at(branch->index()) != branch.get())
			branch->leave();
	}
	note_volatility();
}

Result<void> Super::publish()
{
	TRY(files_.create(*this));
	return files_.set_count(count());
}

void Super::note_hidden(const Branch &branch, StringView name) const
{
	if (warned_of_hidden_.exchange(true))
		return;
	log_warning("branch '%s' has names of more than %u bytes, which are not shown, as '%.*s'",
		    branch.name().data(), static_cast<unsigned int>(max_name),
		    static_cast<int>(name.size()), name.data());
}

unsigned int Super::filesystem_of(const unsigned char *id) const
{
	unsigned int found = none;

	for (const Branch &branch : branches()) {
		const unsigned char *other = branch.filesystem_id();

		if (!other || __builtin_memcmp(other, id, UUID_SIZE) != 0)
			continue;
		/* Copies of one image have one id. */
		if (found != none && found != branch.filesystem())
			return none;
		found = branch.filesystem();
	}
	return found;
}

bool Super::may_have_copies(const Branch &branch, unsigned int filesystem) const
{
	bool may = branch.filesystem() == filesystem;

	for (const Branch &other : branches()) {
		if (other.filesystem() != filesystem)
			continue;
		/* A user who writes to a rw branch gains nothing by a claim. */
		if (other.is_above(branch) && !other.writable() && !branch.writable())
			return false;
		may = may || branch.is_above(other);
	}
	return may;
}

const unsigned char *Super::id_of(unsigned int filesystem) const
{
	if (filesystem == IdentityKey::pointer)
		return nullptr;

	for (const Branch &branch : branches()) {
		const unsigned char *id = branch.filesystem_id();

		if (branch.filesystem() == filesystem)
			return id && filesystem_of(id) == filesystem ? id : nullptr;
	}
	return nullptr;
}

/* Whether copies of objects on @branch keep their identity, on each rw branch that may take them. */
bool Super::copies_keep_identity(const Branch &branch, umode_t mode) const
{
	for (const Branch *rw = rw_above(branch); rw; rw = rw_above(*rw)) {
		if (!rw->keeps_identity(mode))
			return false;
	}
	return true;
}

bool Super::names_stay(const Branch &branch, umode_t mode, const Identity &identity) const
{
	/* A file that is never copied stays one file. */
	if (branch.writable() || !rw_above(branch))
		return true;
	return identity.lasts() && id_of(identity.key.filesystem) &&
	       copies_keep_identity(branch, mode);
}

bool Super::names_stay(const Branch &branch) const
{
	if (branch.writable() || !rw_above(branch))
		return true;
	return !branch.numbers_by_inode() && id_of(branch.filesystem()) &&
	       copies_keep_identity(branch, S_IFREG) && copies_keep_identity(branch, S_IFLNK);
}

/*
 * Compares each branch with the first one on its filesystem, or else with the first one whose filesystem has the same
 * id.
 */
Result<void> Super::tell_filesystems_apart(struct fs_context *fc)
{
	cxxrt::PointerTable<const Branch *> by_filesystem;
	cxxrt::PointerTable<const Branch *> by_id;
	constexpr Gfp kernel{GFP_KERNEL};

	for (Own<Branch> &branch : branches_) {
		if (const Branch *const *same = by_filesystem.find(&branch->sb())) {
			(void)aufs::tell_filesystems_apart(fc, *branch, **same);
			continue;
		}
		TRY(by_filesystem.add(kernel, &branch->sb(), branch.get()));
		if (!branch->filesystem_id())
			continue;

		const void *slot = slot_of_id(branch->filesystem_id());
		const Branch *const *taken = by_id.find(slot);

		if (!taken) {
			TRY(by_id.add(kernel, slot, branch.get()));
			continue;
		}
		if (aufs::tell_filesystems_apart(fc, *branch, **taken))
			continue;
		/* Two ids have one key, which does not happen by chance: compares with all. */
		for (const Branch &above : branches()) {
			if (&above == branch.get() ||
			    aufs::tell_filesystems_apart(fc, *branch, above))
				break;
		}
	}
	return {};
}

Result<void> Super::attach(struct fs_context *fc)
{
	mounter_ = Ref<const struct cred>::retain(&current_cred());
	limited_ = limited_creds();
	nobody_ = limited_creds_of_nobody();
	if (!limited_ || !nobody_)
		return Error{-ENOMEM};
	while (2 * filesystems_ > no_filesystem())
		index_bits_++;
	list_lock_.init(branch_depth());
	for (unsigned int place = 0; place < count(); place++) {
		const Branch *before = place ? branch_at(place - 1) : nullptr;

		TRY(branches_[place]->attach(fc, before, branch_at(place + 1)));
	}
	TRY(tell_filesystems_apart(fc));
	number_places();
	TRY(claim(fc));

	/* The branches are claimed: from now on no other union makes anything there. */
	AsMounter mounter = as_mounter();

	for (Own<Branch> &branch : branches_)
		TRY(explained(fc, *branch, "its housekeeping directories cannot be looked up",
			      branch->housekeeping().find(mounter, *branch)));
	return {};
}

int Super::branch_depth() const
{
	int depth = 0;

	for (const Branch &branch : branches())
		depth = cxxrt::max(depth, branch.sb().s_stack_depth);
	return depth;
}

} // namespace aufs
