// SPDX-License-Identifier: GPL-2.0-only
#include "copy_up.hh"
#include "dir.hh"
#include "whiteout.hh"

namespace aufs
{

namespace
{

bool is_dot_or_dotdot(StringView name) noexcept
{
	return name == StringView(".") || name == StringView("..");
}

/*
 * Opens the directory @dir of @branch as the mounter. Reading a branch that is not written leaves
 * its times.
 */
Result<Ref<struct file>> open_directory(const Super &super, const Branch &branch,
					struct dentry &dir) noexcept
{
	struct path path = branch.path_to(dir);

	return adopt_or_error(
		dentry_open(&path, O_RDONLY | O_DIRECTORY | O_LARGEFILE, &super.mounter()));
}

/* A visit of one branch directory, as the kernel calls it back. */
template <class Visit> struct Visitor : dir_context {
	Visit &visit;
	int error = 0;
	bool called = false;

	explicit Visitor(Visit &v) noexcept : dir_context{}, visit(v)
	{
		actor = act;
	}

	static bool act(struct dir_context *ctx, const char *name, int size, loff_t, u64 number,
			unsigned int type) noexcept
	{
		auto &self = static_cast<Visitor &>(*ctx);
		StringView view(name, static_cast<StringView::Size>(size));

		self.called = true;
		if (is_dot_or_dotdot(view))
			return true;
		self.error = self.visit(BranchEntry{view, number, type}).error();
		return self.error == 0;
	}
};

} // namespace

template <class Visit>
Result<void> for_each_entry(const Branch &branch, struct dentry &dir, Visit &&visit) noexcept
{
	struct path path = branch.path_to(dir);
	auto file = TRY(adopt_or_error(
		dentry_open(&path, O_RDONLY | O_DIRECTORY | O_LARGEFILE, aufs_current_cred())));
	Visitor<Visit> visitor(visit);

	/* A filesystem may stop after any number of entries; at the end it gives none. */
	do {
		visitor.called = false;
		TRY(check(iterate_dir(file.get(), &visitor)));
		TRY(check(visitor.error));
		if (aufs_signal_pending())
			return Error{-EINTR};
	} while (visitor.called);
	return {};
}

Result<NameList> NameList::read(const Branch &branch, struct dentry &dir) noexcept
{
	NameList list;

	TRY(for_each_entry(branch, dir, [&list](const BranchEntry &entry) -> Result<void> {
		NameTable::Entry *added = TRY(list.names_.add(entry.name));

		added->visible = !is_reserved(entry.name);
		return {};
	}));
	return list;
}

namespace
{

/*
 * An open directory of the union. One that has one part on a branch with numbers of its own is read
 * through, entry by entry. All others are merged into a table when they are first read, and again
 * after a rewind: a position is an index into it.
 */
class DirFile final
{
public:
	[[nodiscard]] static Result<Own<DirFile>> create(Inode &dir) noexcept;

	static DirFile &of(const struct file &file) noexcept
	{
		return *static_cast<DirFile *>(file.private_data);
	}

	/* Of no open file: to see what there is. */
	[[nodiscard]] static Result<bool> sees_nothing(Inode &dir) noexcept;

	[[nodiscard]] Result<void> iterate(struct file &file, struct dir_context &ctx) noexcept;
	[[nodiscard]] Result<loff_t> seek(struct file &file, loff_t offset, int whence) noexcept;

private:
	explicit DirFile(const Inode &dir) noexcept
	{
		aufs_mutex_init(&lock_, AUFS_MUTEX_DIR_FILE, dir.depth());
	}

	Result<void> choose(Inode &dir) noexcept;
	Result<void> read_through(Inode &dir, struct dentry &dentry,
				  struct dir_context &ctx) noexcept;
	Result<void> merge(Inode &dir) noexcept;
	Result<void> merge_entry(Inode &dir, unsigned int part, const BranchEntry &entry) noexcept;
	Result<void> emit_merged(Inode &dir, struct dentry &dentry,
				 struct dir_context &ctx) noexcept;

	/* iterate and seek of one open directory do not overlap, whatever holds f_pos_lock. */
	struct mutex lock_;
	Ref<struct file> h_file_;
	NameTable table_;
	bool merged_ = false;
};

Result<Own<DirFile>> DirFile::create(Inode &dir) noexcept
{
	auto self = Own<DirFile>::adopt(new (Gfp{GFP_KERNEL_ACCOUNT}) DirFile(dir));

	if (!self)
		return Error{-ENOMEM};

	ScopedCreds creds(dir.super().mounter());

	TRY(self->choose(dir));
	return self;
}

/* How the directory is read, from its beginning: it may have got a second part. */
Result<void> DirFile::choose(Inode &dir) noexcept
{
	bool through = !dir.merged() && !dir.branch().numbers_by_inode() && !is_impure(dir);

	if (!through)
		h_file_ = {};
	else if (!h_file_)
		h_file_ = TRY(open_directory(dir.super(), dir.branch(), dir.h_dentry()));
	return {};
}

Result<bool> DirFile::sees_nothing(Inode &dir) noexcept
{
	auto self = Own<DirFile>::adopt(new (Gfp{GFP_KERNEL_ACCOUNT}) DirFile(dir));

	if (!self)
		return Error{-ENOMEM};
	TRY(self->merge(dir));
	for (unsigned long i = 0; i < self->table_.count(); i++) {
		if (self->table_[i].visible)
			return false;
	}
	return true;
}

u64 parent_number(struct dentry &dentry) noexcept
{
	auto parent = parent_of(dentry);

	return parent->d_inode->i_ino;
}

/* Passes the entries of the one branch on, with the union's numbers and without its whiteouts. */
struct Through : dir_context {
	struct dir_context &outer;
	const Super &super;
	unsigned int branch;
	u64 self_number;
	u64 parent_number;
	int error = 0;

	Through(struct dir_context &o, Inode &dir, struct dentry &dentry) noexcept
		: dir_context{}, outer(o), super(dir.super()), branch(dir.top().branch),
		  self_number(dir.vfs.i_ino), parent_number(aufs::parent_number(dentry))
	{
		actor = act;
	}

	static bool act(struct dir_context *ctx, const char *name, int size, loff_t offset,
			u64 number, unsigned int type) noexcept
	{
		auto &self = static_cast<Through &>(*ctx);
		StringView view(name, static_cast<StringView::Size>(size));

		if (is_reserved(view))
			return true;
		if (view == StringView("."))
			number = self.self_number;
		else if (view == StringView(".."))
			number = self.parent_number;
		else
			number = self.super.number_for(self.branch, number);
		if (!number) {
			self.error = -EOVERFLOW;
			return false;
		}
		return self.outer.actor(&self.outer, name, size, offset, number, type);
	}
};

Result<void> DirFile::read_through(Inode &dir, struct dentry &dentry,
				   struct dir_context &ctx) noexcept
{
	Through through(ctx, dir, dentry);

	h_file_->f_pos = ctx.pos;

	int error = iterate_dir(h_file_.get(), &through);

	ctx.pos = h_file_->f_pos;
	TRY(check(error));
	return check(through.error);
}

Result<void> DirFile::merge_entry(Inode &dir, unsigned int part, const BranchEntry &entry) noexcept
{
	StringView name = entry.name;
	bool whiteout = is_reserved(name);

	if (whiteout) {
		name = name.substr(whiteout_prefix.size());
		/* The format's own: .wh..wh.opq and its like. */
		if (is_reserved(name))
			return {};
	}

	NameTable::Entry *known = table_.find(name);

	/* A whiteout hides the name in later parts, not in its own. */
	if (known && (whiteout || known->visible || known->part != part))
		return {};
	if (!known)
		known = TRY(table_.add(name));
	known->part = static_cast<unsigned short>(part);
	known->visible = !whiteout;
	known->type = static_cast<unsigned char>(entry.type);
	/* Copies have the numbers of what they are copies of. */
	known->number = dir.purity() == Inode::Purity::impure ?
				0 :
				dir.super().number_for(dir.found().part(part).branch, entry.number);
	return {};
}

Result<void> DirFile::merge(Inode &dir) noexcept
{
	table_ = NameTable();
	is_impure(dir);

	const Found &found = dir.found();

	for (unsigned int part = 0; part < found.parts(); part++) {
		const BranchDentry &from = found.part(part);

		TRY(for_each_entry(dir.super().branch(from.branch), *from.dentry,
				   [&](const BranchEntry &entry) {
					   return merge_entry(dir, part, entry);
				   }));
	}
	merged_ = true;
	return {};
}

/*
 * The number of an entry whose branch cannot tell: that of its inode. 0 where the name has gone by
 * now.
 */
Result<u64> number_by_lookup(struct dentry &dir, StringView name) noexcept
{
	auto dentry = TRY(adopt_or_error(
		aufs_d_alloc_parallel(&dir, name.data(), static_cast<unsigned int>(name.size()))));

	return is_positive(*dentry) ? dentry->d_inode->i_ino : 0;
}

Result<void> DirFile::emit_merged(Inode &dir, struct dentry &dentry,
				  struct dir_context &ctx) noexcept
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
	for (; ctx.pos >= 2 && static_cast<unsigned long>(ctx.pos - 2) < table_.count();
	     ctx.pos++) {
		const NameTable::Entry &entry = table_[static_cast<unsigned long>(ctx.pos - 2)];
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

Result<void> DirFile::iterate(struct file &file, struct dir_context &ctx) noexcept
{
	Inode &dir = Inode::of(*file.f_inode);
	struct dentry &dentry = *aufs_file_dentry(&file);
	MutexLock lock(lock_);
	{
		ScopedCreds creds(dir.super().mounter());

		if (ctx.pos == 0 && !merged_)
			TRY(choose(dir));
		if (h_file_)
			return read_through(dir, dentry, ctx);
		if (!merged_)
			TRY(merge(dir));
	}
	return emit_merged(dir, dentry, ctx);
}

Result<loff_t> DirFile::seek(struct file &file, loff_t offset, int whence) noexcept
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
	/* A rewind shows what has changed since. */
	if (offset == 0 && (whence == SEEK_SET || file.f_pos != 0))
		merged_ = false;
	file.f_pos = offset;
	return offset;
}

int open(struct inode *inode, struct file *file) noexcept
{
	auto run = [&]() -> Result<Own<DirFile>> {
		TRY(copy_up_on_open(*file));
		return DirFile::create(Inode::of(*inode));
	};
	auto dir_file = run();

	if (!dir_file.ok())
		return dir_file.error();
	file->private_data = dir_file.value().leak();
	return 0;
}

int release(struct inode *, struct file *file) noexcept
{
	delete &DirFile::of(*file);
	return 0;
}

int iterate(struct file *file, struct dir_context *ctx) noexcept
{
	return to_errno(DirFile::of(*file).iterate(*file, *ctx));
}

loff_t llseek(struct file *file, loff_t offset, int whence) noexcept
{
	auto position = DirFile::of(*file).seek(*file, offset, whence);

	return position.ok() ? position.value() : position.error();
}

/* What was changed in a directory was changed on a rw branch. */
Result<void> sync_directory(Inode &dir, loff_t start, loff_t end, int datasync) noexcept
{
	ScopedCreds creds(dir.super().mounter());
	const Found &found = dir.found();

	for (unsigned int i = 0; i < found.parts(); i++) {
		const Branch &branch = dir.super().branch(found.part(i).branch);

		if (!branch.writable())
			continue;

		auto h_file = TRY(open_directory(dir.super(), branch, *found.part(i).dentry));

		TRY(check(vfs_fsync_range(h_file.get(), start, end, datasync)));
	}
	return {};
}

int fsync(struct file *file, loff_t start, loff_t end, int datasync) noexcept
{
	return to_errno(sync_directory(Inode::of(*file->f_inode), start, end, datasync));
}

template <class Ops> constexpr Ops for_dir_file(Ops ops) noexcept
{
	ops.open = open;
	ops.release = release;
	ops.llseek = llseek;
	ops.read = generic_read_dir;
	ops.iterate_shared = iterate;
	ops.fsync = fsync;
	return ops;
}

} // namespace

Result<bool> is_logically_empty(Inode &dir) noexcept
{
	auto nothing = DirFile::sees_nothing(dir);

	/* So a part says that somebody has removed it. */
	if (nothing.error() == -ENOENT)
		return Error{-ESTALE};
	return nothing;
}

constinit const struct ::file_operations dir_operations = for_dir_file(::file_operations{});

} // namespace aufs
