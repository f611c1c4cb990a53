/* SPDX-License-Identifier: GPL-2.0-only */
/* Objects of a rw branch that have no name that users see: not yet, or no longer. */
#pragma once

#include "entry.hh"
#include "housekeeping.hh"

namespace aufs
{

/*
 * Removes @dentry from the orphan directory, with all in it that users do not see. -ENOTEMPTY if users see something in
 * it: then all is as it was. After -ENOMEM it is tried once more, as nobody else removes it before the next mount.
 */
Result<void> remove_orphan(const Writer &writer, struct dentry &orphans, struct dentry &dentry);
/* Logs that an orphan stays. */
void warn_of_orphan(const Branch &branch, int error);
/* The kind of an object in the orphan directory, by its @name: unfinished, to be removed, or not of this filesystem. */
enum class OrphanKind : unsigned char { other, work, grave };
OrphanKind orphan_kind(StringView name);

/*
 * A free name, as a negative dentry, in the directory of @lock. That is the orphan directory, or with @nested a
 * directory in it. A nested name is reserved, so that it goes with its directory.
 */
Result<Ref<struct dentry>> free_work_name(const DirLock &lock, bool nested = false);

/*
 * An object in the orphan directory, without a name that users see, or a file without any name. It gets one, or is
 * removed with its scope. The destructor takes write access by itself: at that point there may be no Writer.
 */
class Workfile final
{
public:
	/*
	 * Makes an empty regular file that has no name, and opens it to be written to, as @opener. It inherits what the
	 * orphan directory hands down: nothing. Nobody else finds it, and the filesystem removes it after a crash; fsck
	 * does where there is no journal. -EOPNOTSUPP without Branch::has_unnamed_files(). Takes write access, and lets
	 * it go.
	 */
	static Result<Workfile> create_unnamed(const AsMounter &mounter, const Branch &branch,
					       const struct cred &opener);
	/*
	 * Makes @object as a workfile. If @shop is not null, it is made there: in the directory of another workfile,
	 * which outlives it. Takes write access, and lets it go.
	 */
	static Result<Workfile> create(const AsMounter &mounter, const Branch &branch,
				       const NewObject &object, struct dentry *shop = nullptr);

	Workfile(Workfile &&other)
		: mounter_(other.mounter_), branch_(other.branch_), dir_(move(other.dir_)),
		  dentry_(move(other.dentry_)), file_(move(other.file_))
	{
	}
	Workfile &operator=(Workfile &&) = delete;
	~Workfile();

	/* Not after keep(), and neither is part(). */
	struct dentry &dentry() const
	{
		return *dentry_;
	}
	/* Not if it is_unnamed(). */
	struct dentry &dir() const
	{
		return *dir_;
	}
	bool is_unnamed() const
	{
		return !dir_;
	}
	/* The open file of create_unnamed(), which the caller has to put_writer_now(). Empty for other workfiles. */
	Ref<struct file> take_file()
	{
		return move(file_);
	}
	PartRef part() const
	{
		return {branch_, *dentry_};
	}
	/* The object has its name: it stays. */
	void keep()
	{
		dentry_ = {};
	}

private:
	Workfile(const AsMounter &mounter, const Branch &branch, Ref<struct dentry> dir,
		 Ref<struct dentry> dentry, Ref<struct file> file = {})
		: mounter_(mounter), branch_(branch), dir_(move(dir)), dentry_(move(dentry)),
		  file_(move(file))
	{
	}

	const AsMounter &mounter_;
	const Branch &branch_;
	Ref<struct dentry> dir_; /* empty if it is_unnamed() */
	Ref<struct dentry> dentry_;
	Ref<struct file> file_;
};

/*
 * An object of a rw branch that was taken away in one step, by a rename into the orphan directory; a directory with all
 * in it that users do not see. The task that has the grave removes the object or puts it back, maybe with another
 * Writer than the one that buried it: no task has write access to two branches at a time. Else it stays until
 * Housekeeping::clean().
 */
class Grave final
{
public:
	Grave() = default;
	/*
	 * Buries @victim, which is @name in @h_dir. -ESTALE if it is no longer there, -ENOTEMPTY if users see something
	 * in it. Takes the locks of both directories.
	 */
	static Result<Grave> bury(const Writer &writer, struct dentry &h_dir, StringView name,
				  struct dentry &victim);
	explicit operator bool() const
	{
		return static_cast<bool>(object_);
	}

	/* Removes the object. Logs a failure. */
	void remove(const Writer &writer);
	/* Removes the object now. If a task that has it open made something in it, it is put back: -ENOTEMPTY. */
	Result<void> close(const Writer &writer, struct dentry &parent, StringView name);
	/* Puts the object back. Logs a failure. */
	void exhume(const Writer &writer, struct dentry &parent, StringView name);

private:
	static Result<Grave> dig(const Writer &writer, struct dentry &h_dir, StringView name,
				 struct dentry &victim);

	Grave(Ref<struct dentry> orphans, Ref<struct dentry> object)
		: orphans_(move(orphans)), object_(move(object))
	{
	}

	Ref<struct dentry> orphans_;
	Ref<struct dentry> object_;
};

} // namespace aufs
