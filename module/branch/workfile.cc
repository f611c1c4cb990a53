// SPDX-License-Identifier: GPL-2.0-only
#include "entries.hh"
#include "whiteout.hh"
#include "workfile.hh"
#include "kernel/dcache.hh"
#include "kernel/files.hh"

namespace aufs
{

namespace
{

/* The prefix of unfinished objects in the orphan directory. The original's names there are left alone. */
constexpr StringView work_prefix{"cpup."};
/* The prefix of graves: what is in one does not count any more. */
constexpr StringView grave_prefix{"gone."};

unsigned int next_number()
{
	static constinit Atomic<unsigned int> last;

	return last.fetch_add(1) + 1;
}

/* -ENOTEMPTY if users see one of @names. */
Result<void> check_empty(const NameList &names)
{
	return names.for_each([](StringView name) -> Result<void> {
		return is_reserved(name) ? Result<void>() : Error{-ENOTEMPTY};
	});
}

/*
 * Removes @names from @dir, none of which users see: whiteouts, and reserved names of a broken branch. Directories
 * among them must be empty. If users see one of the names, it does nothing and is -ENOTEMPTY.
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

/* Makes the whiteouts and the opaque mark among @names in @dir again, after empty(). */
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

/* @names becomes the names that @dentry had. */
Result<void> try_remove_orphan(const Writer &writer, struct dentry &orphans, struct dentry &dentry,
			       NameList &names)
{
	if (is_positive(dentry) && is_dir(dentry.d_inode->i_mode)) {
		names = TRY(NameList::read(writer, dentry));
		TRY(empty(writer, dentry, names));
	}

	auto lock = TRY(DirLock::get(writer, orphans));

	/* If somebody has moved or removed the object meanwhile, it is not ours to remove. */
	return lock.has(dentry) ? remove_locked(lock, dentry) : Result<void>();
}

} // namespace

Result<void> remove_orphan(const Writer &writer, struct dentry &orphans, struct dentry &dentry)
{
	SignalsBlocked signals(SignalsBlocked::Which::all);
	NameList names;
	auto result = try_remove_orphan(writer, orphans, dentry, names);

	if (result.error() == -ENOMEM)
		result = try_remove_orphan(writer, orphans, dentry, names);
	/* A task that has the directory open has made something in it meanwhile. */
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

OrphanKind orphan_kind(StringView name)
{
	if (name.starts_with(work_prefix))
		return OrphanKind::work;
	return name.starts_with(grave_prefix) ? OrphanKind::grave : OrphanKind::other;
}

namespace
{

/* How many names are tried: somebody may have taken some. */
constexpr int max_tries = 100;

/* A name in the orphan directory; with @nested, in a directory there. */
class WorkName final
{
public:
	explicit WorkName(bool nested = false, StringView prefix = work_prefix)
	{
		size_ = snprintf(text_, sizeof(text_), "%s%s%x",
				 nested ? whiteout_prefix.data() : "", prefix.data(),
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

Result<Workfile> Workfile::create_unnamed(const AsMounter &mounter, const Branch &branch,
					  const struct cred &opener)
{
	if (!branch.has_unnamed_files())
		return Error{-EOPNOTSUPP};

	auto writer = TRY(branch.write(mounter));
	auto orphans = TRY(branch.housekeeping().directory(writer, HousekeepingDir::orphans));
	PartRef dir(branch, *orphans);

	if (!is_live_directory(dir))
		return Error{-ESTALE};

	auto file = TRY(open_unnamed(dir.path(), S_IFREG | S_IRUSR | S_IWUSR,
				     O_WRONLY | O_LARGEFILE, opener));
	auto dentry = Ref<struct dentry>::retain(&file_dentry(*file));

	return Workfile(mounter, branch, {}, move(dentry), move(file));
}

Workfile::~Workfile()
{
	if (file_)
		put_writer_now(move(file_));
	if (!dentry_ || is_unnamed())
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
		WorkName free(false, grave_prefix);
		auto lock = TRY(RenameLock::get(writer, h_dir, name, *orphans, free.view()));

		if (lock.from().d_inode != victim.d_inode)
			return Error{-ESTALE};
		if (is_positive(lock.to()))
			continue;
		TRY(lock.rename());
		return Grave(move(orphans), Ref<struct dentry>::retain(&lock.from()));
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
		return check_empty(TRY(NameList::read(writer, *grave.object_)));
	};

	if (!is_dir(victim.d_inode->i_mode))
		return grave;
	/* From now on no task finds the directory by its name. Before that, a task may have made something in it. */
	if (auto found = run(); !found.ok()) {
		grave.exhume(writer, h_dir, name);
		return Error{found.error()};
	}
	return grave;
}

void Grave::remove(const Writer &writer)
{
	auto removed = remove_orphan(writer, *orphans_, *object_);

	if (!removed.ok())
		warn_of_orphan(writer.branch(), removed.error());
	object_ = {};
}

Result<void> Grave::close(const Writer &writer, struct dentry &parent, StringView name)
{
	auto removed = remove_orphan(writer, *orphans_, *object_);

	if (removed.error() == -ENOTEMPTY) {
		exhume(writer, parent, name);
		return removed;
	}
	if (!removed.ok())
		warn_of_orphan(writer.branch(), removed.error());
	object_ = {};
	return {};
}

void Grave::exhume(const Writer &writer, struct dentry &parent, StringView name)
{
	auto object = move(object_);
	SignalsBlocked signals(SignalsBlocked::Which::all);
	auto run = [&]() -> Result<void> {
		auto lock = TRY(RenameLock::get(writer, *orphans_, *object, parent, name));

		/* Somebody has taken the name meanwhile. */
		if (is_positive(lock.to()))
			return Error{-EEXIST};
		return lock.rename();
	};

	if (auto result = run(); !result.ok())
		log_warning("branch '%s': an object stays in .wh..wh.orph instead of '%.*s' (%d)",
			    writer.branch().name().data(), static_cast<int>(name.size()),
			    name.data(), -result.error());
}

} // namespace aufs
