// SPDX-License-Identifier: GPL-2.0-only
#include "entries.hh"
#include "inherited.hh"
#include "whiteout.hh"
#include "workfile.hh"
#include "attributes.hh"

namespace aufs
{

namespace
{

constexpr StringView base_name{".wh..wh.aufs"};
constexpr StringView plinks_name{".wh..wh.plnk"};
constexpr StringView orphans_name{".wh..wh.orph"};
/* What our own names in there begin with; the original's are left alone. */
constexpr StringView work_prefix{"cpup."};

StringView name_of(HousekeepingDir which)
{
	return which == HousekeepingDir::plinks ? plinks_name : orphans_name;
}

Error not_usable(const Branch &branch, StringView name)
{
	log_warning("branch '%s': '%.*s' is of the wrong kind or somebody else's; remove it",
		    branch.name().data(), static_cast<int>(name.size()), name.data());
	return Error{-EIO};
}

/*
 * Whether @dentry was made by who mounted the branch, now or earlier. Anybody may have written to what
 * is not, and of a directory moved what is made there, or put a name in its place.
 */
bool is_ours(const Branch &branch, const struct dentry &dentry, umode_t kind)
{
	const struct inode &inode = *dentry.d_inode;
	if ((inode.i_mode & S_IFMT) != kind)
		return false;
	if (is_dir(kind) && (inode.i_mode & (S_IWGRP | S_IWOTH)))
		return false;

	uid_t owner = owner_of(branch, inode).uid.val;

	return owner == 0 || owner == current_cred().fsuid.val;
}

/*
 * @name in the root of the branch, made as @object if it is not there. What is
 * made is ours, whoever the filesystem gives it to; an empty directory of somebody else's goes for it.
 */
Result<Ref<struct dentry>> find_or_make(const Writer &writer, StringView name, umode_t kind,
					const NewObject &object)
{
	const Branch &branch = writer.branch();
	auto lock = TRY(DirLock::get(writer, branch.root()));
	auto dentry = TRY(lookup_locked(lock, name));

	if (is_positive(*dentry)) {
		if (is_ours(branch, *dentry, kind))
			return dentry;
		if (!is_dir(kind) || !is_dir(dentry->d_inode->i_mode) || !lock.rmdir(*dentry).ok())
			return not_usable(branch, name);
		dentry = TRY(lookup_locked(lock, name));
		if (is_positive(*dentry))
			return Error{-EIO};
	}
	TRY(lock.make(*dentry, object));
	dentry = TRY(find_made(lock, move(dentry)));
	if (!is_positive(*dentry) || (dentry->d_inode->i_mode & S_IFMT) != kind)
		return Error{-EIO};
	return dentry;
}

unsigned int next_number()
{
	static constinit Atomic<unsigned int> last;

	return last.fetch_add(1) + 1;
}

/* Whether there is nothing in @dir but what users do not see; -ENOTEMPTY. */
Result<void> check_empty(const NameList &names)
{
	return names.for_each([](StringView name) -> Result<void> {
		return is_reserved(name) ? Result<void>() : Error{-ENOTEMPTY};
	});
}

/*
 * Removes @names from @dir, of which users see none: whiteouts, and what a broken branch has, one level
 * deep. -ENOTEMPTY, and nothing is done, where there is another one.
 */
Result<void> empty(const Writer &writer, struct dentry &dir, const NameList &names)
{
	TRY(check_empty(names));

	auto lock = TRY(DirLock::get(writer, dir));

	return names.for_each([&](StringView name) -> Result<void> {
		auto dentry = TRY(lookup_locked(lock, name));

		if (!is_positive(*dentry))
			return {};
		return remove_locked(lock, *dentry);
	});
}

/* Hides again in @dir what @names hid, as it was before empty(). */
Result<void> hide_again(const Writer &writer, struct dentry &dir, const NameList &names)
{
	return names.for_each([&](StringView name) -> Result<void> {
		if (!is_reserved(name))
			return {};

		StringView hidden = name.substr(whiteout_prefix.size());

		if (name == opaque_name)
			TRY(make_opaque(writer, dir));
		else if (!is_reserved(hidden))
			TRY(make_whiteout(writer, dir, hidden));
		return {};
	});
}

/* @names are those that were in it. */
Result<void> try_remove_orphan(const Writer &writer, struct dentry &orphans, struct dentry &dentry,
			       NameList &names)
{
	if (is_positive(dentry) && is_dir(dentry.d_inode->i_mode)) {
		names = TRY(NameList::read(writer, dentry));
		TRY(empty(writer, dentry, names));
	}

	auto lock = TRY(DirLock::get(writer, orphans));

	/* What somebody has moved or removed by now is theirs. */
	return lock.has(dentry) ? remove_locked(lock, dentry) : Result<void>();
}

/*
 * Removes @dentry of the directory for orphans, with what is in it but users do not see: -ENOTEMPTY, and
 * all is as it was, where they do. Once more where it was for want of memory: nobody else comes by before
 * the next mount.
 */
Result<void> remove_orphan(const Writer &writer, struct dentry &orphans, struct dentry &dentry)
{
	SignalsBlocked signals(SignalsBlocked::Which::all);
	NameList names;
	auto result = try_remove_orphan(writer, orphans, dentry, names);

	if (result.error() == -ENOMEM)
		result = try_remove_orphan(writer, orphans, dentry, names);
	/* Who has it open has made something in it meanwhile. */
	if (result.error() == -ENOTEMPTY) {
		if (auto hidden = hide_again(writer, dentry, names); !hidden.ok())
			log_warning("branch '%s': whiteouts in inode %llu are lost (errno %d)",
				    writer.branch().name().data(), number_of(*dentry.d_inode),
				    -hidden.error());
	}
	return result;
}

void warn_of_orphan(const Branch &branch, int error)
{
	log_warning("branch '%s': a workfile stays in .wh..wh.orph until the next mount (errno %d)",
		    branch.name().data(), -error);
}

} // namespace

bool Housekeeping::Kept::is_there(const Branch &branch, StringView name) const
{
	if (!dentry || !is_entry_of(*dentry, branch.root()))
		return false;

	const struct inode &inode = *dentry->d_inode;

	return !(inode.i_flags & S_DEAD) && inode.i_uid.val == owner && inode.i_mode == mode &&
	       NameSnapshot(*dentry).view() == name;
}

Own<Housekeeping> Housekeeping::create(int depth)
{
	return Own<Housekeeping>::adopt(new (Gfp{GFP_KERNEL}) Housekeeping(depth));
}

Result<void> Housekeeping::find(const AsMounter &mounter, const Branch &branch)
{
	constexpr HousekeepingDir all[] = {HousekeepingDir::plinks, HousekeepingDir::orphans};

	for (HousekeepingDir which : all) {
		auto dentry = TRY(lookup_in(mounter, branch, branch.root(), name_of(which)));

		if (!dentry || !is_dir(dentry->d_inode->i_mode))
			continue;
		note_used();
		if (is_ours(branch, *dentry, S_IFDIR))
			slot(which) = Kept(move(dentry));
	}
	if (!plinks_.dentry)
		return {};

	NameList names = TRY(NameList::read(mounter, branch, *plinks_.dentry));

	return names.for_each([this](StringView name) -> Result<void> {
		old_plinks_.note(name);
		if (name.starts_with(gone_prefix))
			note_gone_names();
		return {};
	});
}

/*
 * @workfile, which never got its name, may have a pseudo-link, and stays by that. The name that it was to get
 * is still on a lower branch alone: counted as such, so that the pseudo-link does not go too early.
 */
void Housekeeping::count_one_more(const Writer &writer, struct dentry &workfile)
{
	struct {
		u32 format;
		u32 links;
		char rest[56];
	} origin;

	if (is_dir(workfile.d_inode->i_mode) || workfile.d_inode->i_nlink <= 1)
		return;

	ssize_t size = aufs_getxattr(writer.mnt(), &workfile, origin_name, &origin, sizeof(origin));

	if (size < static_cast<ssize_t>(2 * sizeof(u32)) || !origin.links)
		return;
	origin.links++;
	if (int error = aufs_setxattr(writer.mnt(), &workfile, origin_name, &origin,
				      static_cast<size_t>(size), 0))
		warn_of_orphan(writer.branch(), error);
}

void Housekeeping::clean(const AsMounter &mounter, const Branch &branch)
{
	auto orphans = existing(branch, HousekeepingDir::orphans);

	if (!orphans)
		return;

	auto run = [&]() -> Result<void> {
		NameList names = TRY(NameList::read(mounter, branch, *orphans));

		return names.for_each([&](StringView name) -> Result<void> {
			if (!name.starts_with(work_prefix))
				return {};

			auto writer = TRY(branch.write(mounter));
			auto dentry = TRY(lookup_in(mounter, branch, *orphans, name));

			if (dentry)
				count_one_more(writer, *dentry);

			auto removed = dentry ? remove_orphan(writer, *orphans, *dentry) :
						Result<void>();

			/* Somebody has made something in it. */
			if (removed.error() != -ENOTEMPTY)
				return removed;
			warn_of_orphan(branch, removed.error());
			return {};
		});
	};

	if (auto result = run(); !result.ok())
		warn_of_orphan(branch, result.error());
}

Result<Ref<struct dentry>> Housekeeping::directory(const Writer &writer, HousekeepingDir which)
{
	MutexLock lock(lock_);
	Kept &dir = slot(which);

	if (!dir.is_there(writer.branch(), name_of(which))) {
		dir = Kept();
		dir = Kept(TRY(find_or_make(writer, name_of(which), S_IFDIR,
					    NewObject::directory(S_IRWXU))));
		note_used();
	}
	/* It may be an older one's, who let it hand down what the branch's root does. */
	if (!dir.hands_nothing_down) {
		hand_nothing_down(writer, *dir.dentry);
		/* That may have changed the mode, and existing() is to find it all the same. */
		dir.mode = dir.dentry->d_inode->i_mode;
	}
	dir.hands_nothing_down = true;
	return dir.dentry.clone();
}

Ref<struct dentry> Housekeeping::existing(const Branch &branch, HousekeepingDir which)
{
	if (!used())
		return {};

	MutexLock lock(lock_);
	const Kept &dir = slot(which);

	return dir.is_there(branch, name_of(which)) ? dir.dentry.clone() : Ref<struct dentry>();
}

Result<Ref<struct dentry>> Housekeeping::whiteout_base(const Writer &writer)
{
	MutexLock lock(lock_);

	if (!base_.is_there(writer.branch(), base_name)) {
		base_ = Kept();
		base_ = Kept(TRY(find_or_make(writer, base_name, S_IFREG,
					      NewObject::file(S_IRUSR | S_IRGRP | S_IROTH))));
		/* Whiteouts are links of it. */
		TRY(remove_acl(writer, *base_.dentry, ACL_TYPE_ACCESS));
	}
	return base_.dentry.clone();
}

void Housekeeping::retire_whiteout_base(const Writer &writer, struct dentry &base)
{
	MutexLock lock(lock_);

	if (base_.dentry.get() != &base)
		return;
	base_ = Kept();

	/* Its other names are whiteouts, and stay. Where links cannot be, it is tried once more. */
	auto dir_lock = DirLock::get(writer, writer.branch().root());

	if (dir_lock.ok() && base.d_inode->i_nlink > 1)
		(void)dir_lock.value().unlink(base).ok();
}

namespace
{

/* How often a name is tried that somebody may have put there. */
constexpr int max_tries = 100;

/* A name in the directory for orphans; in one of these @nested. */
class WorkName final
{
public:
	explicit WorkName(bool nested = false)
	{
		size_ = snprintf(text_, sizeof(text_), "%s%s%x",
				 nested ? whiteout_prefix.data() : "", work_prefix.data(),
				 next_number());
	}
	StringView view() const
	{
		return {text_, static_cast<StringView::Size>(size_)};
	}

private:
	char text_[24];
	int size_;
};

} // namespace

Result<Ref<struct dentry>> free_work_name(const DirLock &lock, bool nested)
{
	for (int tries = 0; tries < max_tries; tries++) {
		auto dentry = TRY(lookup_locked(lock, WorkName(nested).view()));

		if (!is_positive(*dentry))
			return dentry;
	}
	return Error{-EEXIST};
}

Result<Workfile> Workfile::create(const AsMounter &mounter, const Branch &branch,
				  const NewObject &object, struct dentry *shop)
{
	auto writer = TRY(branch.write(mounter));
	auto dir = shop ? Ref<struct dentry>::retain(shop) :
			  TRY(branch.housekeeping().directory(writer, HousekeepingDir::orphans));
	auto lock = TRY(DirLock::get(writer, *dir));
	auto dentry = TRY(free_work_name(lock, shop != nullptr));

	TRY(lock.make(*dentry, object));
	dentry = TRY(find_made(lock, move(dentry)));
	if (!is_positive(*dentry))
		return Error{-EIO};
	return Workfile(mounter, branch, move(dir), move(dentry));
}

Workfile::~Workfile()
{
	if (!dentry_)
		return;

	auto run = [this]() -> Result<void> {
		auto writer = TRY(branch_.write(mounter_));

		return remove_orphan(writer, *dir_, *dentry_);
	};

	if (auto result = run(); !result.ok())
		warn_of_orphan(branch_, result.error());
}

Result<Grave> Grave::dig(const Writer &writer, struct dentry &h_dir, StringView name,
			 struct dentry &victim)
{
	auto orphans =
		TRY(writer.branch().housekeeping().directory(writer, HousekeepingDir::orphans));

	for (int tries = 0; tries < max_tries; tries++) {
		WorkName free;
		auto lock = TRY(RenameLock::get(writer, h_dir, name, *orphans, free.view()));

		if (lock.from().d_inode != victim.d_inode)
			return Error{-ESTALE};
		if (is_positive(lock.to()))
			continue;
		TRY(lock.rename());
		return Grave(writer, move(orphans), Ref<struct dentry>::retain(&lock.from()));
	}
	return Error{-EEXIST};
}

Result<Grave> Grave::bury(const Writer &writer, struct dentry &h_dir, StringView name,
			  struct dentry &victim)
{
	auto dug = dig(writer, h_dir, name, victim);

	if (!dug.ok())
		return Error{dug.error()};

	Grave grave = dug.release();
	auto run = [&]() -> Result<void> {
		return check_empty(TRY(NameList::read(writer, *grave.dir_)));
	};

	/* Nobody finds it by its name any more, and before that somebody may have used it. */
	if (auto found = run(); !found.ok()) {
		grave.exhume(h_dir, name);
		return Error{found.error()};
	}
	return grave;
}

Result<void> Grave::close(struct dentry &parent, StringView name)
{
	auto removed = remove_orphan(writer_, *orphans_, *dir_);

	if (removed.error() == -ENOTEMPTY) {
		exhume(parent, name);
		return removed;
	}
	if (!removed.ok())
		warn_of_orphan(writer_.branch(), removed.error());
	dir_ = {};
	return {};
}

Grave::~Grave()
{
	if (!dir_)
		return;
	if (auto result = remove_orphan(writer_, *orphans_, *dir_); !result.ok())
		warn_of_orphan(writer_.branch(), result.error());
}

void Grave::exhume(struct dentry &parent, StringView name)
{
	auto dir = move(dir_);
	auto run = [&]() -> Result<void> {
		auto lock = TRY(RenameLock::get(writer_, *orphans_, *dir, parent, name));

		/* Somebody has taken the name meanwhile. */
		if (is_positive(lock.to()))
			return Error{-EEXIST};
		return lock.rename();
	};

	if (auto result = run(); !result.ok())
		log_warning("branch '%s': a directory stays in .wh..wh.orph instead of '%.*s' (%d)",
			    writer_.branch().name().data(), static_cast<int>(name.size()),
			    name.data(), -result.error());
}

} // namespace aufs
