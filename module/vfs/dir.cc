// SPDX-License-Identifier: GPL-2.0-only
#include "copy_up/copy_up.hh"
#include "dir.hh"
#include "method.hh"
#include "union/holders.hh"
#include "union/listing.hh"
#include "branch/whiteout.hh"
#include "kernel/dcache.hh"
#include "kernel/files.hh"

namespace aufs
{

namespace
{

/* Opens the directory @part as the mounter. Reading leaves the access times of a branch that is not written to. */
Result<Ref<struct file>> open_directory(const Super &super, const Part &part)
{
	struct path path = part.path();

	return adopt_or_error(
		dentry_open(&path, O_RDONLY | O_DIRECTORY | O_LARGEFILE, &super.mounter()));
}

/*
 * An open directory of the union. If it has one part alone, on a branch whose readdir gives the numbers that the union
 * shows, it is read through, entry by entry. Else it has a listing from the first read on, and another one after a
 * rewind: a position is an index into the listing.
 */
class DirFile final : public DirReader
{
public:
	static Result<Own<DirFile>> create(Inode &dir);

	static DirFile &of(const struct file &file)
	{
		return static_cast<DirFile &>(DirReader::of(file));
	}

	~DirFile()
	{
		if (listing_)
			Listing::put(dir_, listing_);
		if (h_file_)
			put_now(move(h_file_));
	}

	Result<void> iterate(struct file &file, struct dir_context &ctx);
	Result<loff_t> seek(struct file &file, loff_t offset, int whence);

private:
	explicit DirFile(Inode &dir) : dir_(dir)
	{
		init_mutex(lock_, AUFS_MUTEX_DIR_FILE, dir.depth());
	}

	Result<void> choose(const AsMounter &mounter, Inode &dir);
	Result<void> prepare(Inode &dir, const struct dir_context &ctx);
	Result<void> read_through(Inode &dir, struct dentry &dentry, struct dir_context &ctx);
	Result<void> read_anew(const AsMounter &mounter, Inode &dir);
	Result<void> emit_merged(Inode &dir, struct dentry &dentry, struct dir_context &ctx);

	/* Keeps iterate and seek of one open directory apart, whether f_pos_lock does so or not. */
	struct mutex lock_;
	Ref<struct file> h_file_;
	Part through_; /* the part that h_file_ was opened of */
	Inode &dir_;
	Listing *listing_ = nullptr;
	bool current_ = false; /* no rewind has come since the listing was made */
};

Result<Own<DirFile>> DirFile::create(Inode &dir)
{
	auto self = Own<DirFile>::adopt(new (Gfp{GFP_KERNEL_ACCOUNT}) DirFile(dir));

	if (!self)
		return Error{-ENOMEM};

	ListLock list(dir.super());
	AsMounter mounter = dir.super().as_mounter();

	TRY(self->choose(mounter, dir));
	return self;
}

/* Chooses how the directory is read, from its beginning: it may have got a second part. */
Result<void> DirFile::choose(const AsMounter &mounter, Inode &dir)
{
	/* Read once: a copy-up puts another stack in its place. */
	const Stack &found = dir.stack();
	const Super &super = dir.super();
	bool through = found.lower_count == 0 && super.numbers_entries(*found.top.branch) &&
		       !is_impure(mounter, dir) && !super.settings().show_whiteouts &&
		       !found.top.branch->has_overlay_whiteouts();

	if (!through) {
		note_branch(nullptr);
		h_file_ = {};
		through_.release();
	} else if (!h_file_ || through_.dentry.get() != found.top.dentry.get()) {
		h_file_ = TRY(open_directory(super, found.top));
		through_ = found.top.clone();
		note_branch(through_.branch);
	}
	return {};
}

/* Makes a listing of what the directory has now, in place of the listing before. */
Result<void> DirFile::read_anew(const AsMounter &mounter, Inode &dir)
{
	Listing *old = listing_;

	listing_ = TRY(Listing::get(mounter, dir));
	if (old)
		Listing::put(dir, old);
	current_ = true;
	return {};
}

/* The number of an entry if nobody knows it: the same as FUSE's FUSE_UNKNOWN_INO. */
constexpr u64 unknown_number = 0xffffffff;

u64 parent_number(struct dentry &dentry)
{
	auto parent = parent_of(dentry);

	return parent->d_inode->i_ino;
}

/* Passes on the entries of the one branch, with the union's numbers and without the reserved names. */
struct PassThrough : dir_context {
	struct dir_context &outer;
	const Super &super;
	const Branch &branch;
	const Super::Numbering number_for;
	const Inode &dir;
	struct dentry &dentry;

	PassThrough(struct dir_context &o, const Inode &d, struct dentry &name, const Branch &on)
		: dir_context{}, outer(o), super(d.super()), branch(on), number_for(super, on),
		  dir(d), dentry(name)
	{
		actor = act;
	}

	/* Few names are special. The cost of the others is a figure of the benchmarks (readdir, one branch). */
	static bool act(struct dir_context *ctx, const char *name, int size, loff_t offset,
			u64 number, unsigned int type)
	{
		auto &self = static_cast<PassThrough &>(*ctx);

		if (name[0] == '.' || static_cast<StringView::Size>(size) > max_name) [[unlikely]]
			return act_on_special(self, name, size, offset, number, type);
		return self.pass_on(name, size, offset, self.number_for(number), type);
	}

	bool pass_on(const char *name, int size, loff_t offset, u64 known, unsigned int type)
	{
		/* The branch's number is 0 or too large. The directory is locked, so the name is not looked up. */
		if (!known) [[unlikely]]
			known = unknown_number;
		return outer.actor(&outer, name, size, offset, known, type);
	}

	[[gnu::noinline]] static bool act_on_special(PassThrough &self, const char *name, int size,
						     loff_t offset, u64 number, unsigned int type)
	{
		StringView view(name, static_cast<StringView::Size>(size));

		if (view.size() > max_name) {
			if (!is_reserved(view))
				self.super.note_hidden(self.branch, view);
			return true;
		}
		if (is_reserved(view))
			return true;
		if (view == StringView("."))
			number = self.dir.vfs.i_ino;
		else if (view == StringView(".."))
			number = parent_number(self.dentry);
		else
			number = self.number_for(number);
		return self.pass_on(name, size, offset, number, type);
	}
};

Result<void> DirFile::read_through(Inode &dir, struct dentry &dentry, struct dir_context &ctx)
{
	AsMounter mounter = dir.super().as_mounter();
	PassThrough through(ctx, dir, dentry, *through_.branch);

	h_file_->f_pos = ctx.pos;

	int error = iterate_dir(h_file_.get(), &through);

	ctx.pos = h_file_->f_pos;
	return check(error);
}

/*
 * The number of an entry for which the branch has given none: that of its inode. 0 if the name has gone by now. A name
 * that cannot be looked up is listed all the same, as a disk filesystem lists it.
 */
Result<u64> number_by_lookup(struct dentry &dir, StringView name)
{
	auto dentry = look_up_in_parallel(dir, name);

	if (dentry.ok()) {
		const struct dentry *found = dentry.value().get();

		return found && is_positive(*found) ? found->d_inode->i_ino : 0;
	}
	switch (dentry.error()) {
	case -ENOMEM:
	case -EINTR:
	case -ERESTARTSYS:
		return Error{dentry.error()};
	default:
		return unknown_number;
	}
}

Result<void> DirFile::emit_merged(Inode &dir, struct dentry &dentry, struct dir_context &ctx)
{
	if (ctx.pos == 0) {
		if (!ctx.actor(&ctx, ".", 1, ctx.pos, dir.vfs.i_ino, DT_DIR))
			return {};
		ctx.pos = 1;
	}
	if (ctx.pos == 1) {
		if (!ctx.actor(&ctx, "..", 2, ctx.pos, parent_number(dentry), DT_DIR))
			return {};
		ctx.pos = 2;
	}

	const NameTable &names = listing_->names();

	for (; ctx.pos >= 2 && static_cast<unsigned long>(ctx.pos - 2) < names.count(); ctx.pos++) {
		const NameTable::Entry &entry = names[static_cast<unsigned long>(ctx.pos - 2)];
		u64 number = entry.number;

		if (!entry.visible)
			continue;
		if (!number)
			number = TRY(number_by_lookup(dentry, entry.view()));
		if (number && !ctx.actor(&ctx, entry.name, entry.size, ctx.pos, number, entry.type))
			break;
	}
	return {};
}

/* Makes the listing that is to be given out, unless the directory is read through. */
Result<void> DirFile::prepare(Inode &dir, const struct dir_context &ctx)
{
	/* As a rule it is not the first read: then all is there. */
	if (current_ || (h_file_ && ctx.pos != 0))
		return {};

	ListLock list(dir.super());
	AsMounter mounter = dir.super().as_mounter();

	if (ctx.pos == 0)
		TRY(choose(mounter, dir));
	if (!h_file_)
		TRY(read_anew(mounter, dir));
	return {};
}

Result<void> DirFile::iterate(struct file &file, struct dir_context &ctx)
{
	Inode &dir = Inode::of(*file.f_inode);
	struct dentry &dentry = file_dentry(file);
	MutexLock lock(lock_);

	TRY(prepare(dir, ctx));
	/* The entries go to the user's memory, and a user can make that wait: so the list of branches is not locked. */
	return h_file_ ? read_through(dir, dentry, ctx) : emit_merged(dir, dentry, ctx);
}

Result<loff_t> DirFile::seek(struct file &file, loff_t offset, int whence)
{
	MutexLock lock(lock_);

	if (h_file_) {
		h_file_->f_pos = file.f_pos;
		offset = vfs_llseek(h_file_.get(), offset, whence);
		if (offset < 0)
			return Error{static_cast<int>(offset)};
		file.f_pos = offset;
		return offset;
	}
	if (whence == SEEK_CUR)
		offset += file.f_pos;
	else if (whence != SEEK_SET)
		return Error{-EINVAL};
	if (offset < 0)
		return Error{-EINVAL};
	/* A rewind shows the changes since the listing was made. */
	if (offset == 0 && (whence == SEEK_SET || file.f_pos != 0))
		current_ = false;
	file.f_pos = offset;
	return offset;
}

Result<void> open(struct inode *vfs_inode, struct file *file)
{
	TRY(copy_up_to_read(*file));
	DirReader *reader = TRY(DirFile::create(Inode::of(*vfs_inode))).leak();

	file->private_data = reader;
	return {};
}

Result<void> release(struct inode *, struct file *file)
{
	delete &DirFile::of(*file);
	return {};
}

Result<void> iterate(struct file *file, struct dir_context *ctx)
{
	return DirFile::of(*file).iterate(*file, *ctx);
}

Result<loff_t> llseek(struct file *file, loff_t offset, int whence)
{
	return DirFile::of(*file).seek(*file, offset, whence);
}

/* Changes of a directory were made on rw branches: their parts are synced. */
Result<void> fsync(struct file *file, loff_t start, loff_t end, int datasync)
{
	const Inode &dir = Inode::of(*file->f_inode);
	AsMounter mounter = dir.super().as_mounter();
	Array<Part> parts;
	{
		ListLock list(dir.super());

		for (const Part &part : dir.stack()) {
			if (part.branch->writable())
				TRY(parts.push(Gfp{GFP_KERNEL_ACCOUNT}, part.clone()));
		}
	}

	/* The list is not locked by now: a disk may take its time. */
	for (const Part &part : parts) {
		auto h_file = TRY(open_directory(dir.super(), part));

		TRY(check(vfs_fsync_range(h_file.get(), start, end, datasync)));
	}
	return {};
}

template <class Ops> constexpr Ops for_dir_file(Ops ops)
{
	ops.open = vfs<open>;
	ops.release = vfs<release>;
	ops.llseek = vfs<llseek>;
	ops.read = generic_read_dir;
	ops.iterate_shared = vfs<iterate>;
	ops.fsync = vfs<fsync>;
	ops.setlease = generic_setlease;
	return ops;
}

} // namespace

Result<bool> is_logically_empty(const AsMounter &mounter, Inode &dir)
{
	auto read = Listing::read(mounter, dir);

	/* -ENOENT: somebody has removed a part directly. */
	if (read.error() == -ENOENT)
		return Error{-ESTALE};

	auto listing = TRY(move(read));
	const NameTable &names = listing->names();

	for (unsigned long i = 0; i < names.count(); i++) {
		if (names[i].visible)
			return false;
	}
	/* Names that users do not see would be lost with the directory of a rw branch. */
	return !listing->has_hidden_on_rw();
}

constinit const struct ::file_operations dir_operations = for_dir_file(::file_operations{});

} // namespace aufs
