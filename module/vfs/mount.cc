// SPDX-License-Identifier: GPL-2.0-only
/* Mounting and remounting: from options to a superblock. */
#include "union/find.hh"
#include "mount_data.hh"
#include "options/option_table.hh"
#include "branch/whiteout.hh"

namespace aufs
{

extern const struct super_operations super_operations;

namespace
{

/* What the dentries of a superblock get; its name in there is not for us on later kernels. */
template <class Sb> const struct dentry_operations *dentry_operations_of(const Sb &sb)
{
	if constexpr (requires { sb.s_d_op; })
		return sb.s_d_op;
	else
		return sb.__s_d_op;
}

template <class Sb> void set_dentry_operations(Sb &sb, const struct dentry_operations &operations)
{
	if constexpr (requires { sb.s_d_op; })
		sb.s_d_op = &operations;
	else
		set_default_d_op(&sb, &operations);
}

/* What one mount or remount was asked for. */
class Context final
{
public:
	static Context &of(struct fs_context &fc)
	{
		return *static_cast<Context *>(fc.fs_private);
	}

	static Result<Own<Context>> create(const struct fs_context &fc);

	Result<void> parse(struct fs_context *fc, StringView key, const char *value);
	Result<void> fill(struct fs_context *fc, struct super_block &sb);
	Result<void> reconfigure(struct fs_context *fc);

private:
	explicit Context(MountKind kind) : options_(kind)
	{
	}

	Result<void> parse_option(struct fs_context *fc, const RawOption &option);
	Result<void> finish(struct fs_context *fc, bool read_only);
	void note_options(struct fs_context *fc) const;
	Settings changed_from(Settings now) const;
	Result<void> parse_list(struct fs_context *fc, StringView list);
	Result<void> same_branch(struct fs_context *fc, const BranchItem &item);

	Own<Super> super_; /* being filled; empty in a remount */
	Super *mounted_ = nullptr; /* in a remount: what is mounted */
	OptionSet options_;
	Settings settings_; /* in a remount: what is not given stays */
	Settings before_; /* what it was then */
	unsigned int given_ = 0; /* branches so far */
};

Result<Own<Context>> Context::create(const struct fs_context &fc)
{
	bool remount = fc.purpose == FS_CONTEXT_FOR_RECONFIGURE;
	MountKind kind = remount ? MountKind::remount : MountKind::first;
	auto context = Own<Context>::adopt(new (Gfp{GFP_KERNEL}) Context(kind));

	if (!context)
		return Error{-ENOMEM};
	if (remount) {
		context->mounted_ = &Super::of(*fc.root->d_sb);
		context->settings_ = context->before_ = context->mounted_->settings();
		return context;
	}
	context->super_ = Super::create();
	if (!context->super_)
		return Error{-ENOMEM};
	return context;
}

/* A remount may repeat the branches, as mount(8) does, but not change them. */
Result<void> Context::same_branch(struct fs_context *fc, const BranchItem &item)
{
	if (given_ < mounted_->count()) {
		const Branch &branch = mounted_->branch_at(given_);

		if (branch.used_as(item) && branch.name() == item.path)
			return {};
	}

	struct path path;
	int error = kern_path(item.path.data(), LOOKUP_FOLLOW, &path);

	if (error) {
		aufs_errorf(fc, "branch '%s' cannot be opened (errno %d)", item.path.data(),
			    -error);
		return Error{error};
	}

	bool within = path.dentry->d_sb == fc->root->d_sb;
	bool same = given_ < mounted_->count() && mounted_->branch_at(given_).used_as(item) &&
		    &mounted_->branch_at(given_).root() == path.dentry;

	path_put(&path);
	if (same)
		return {};
	if (within)
		aufs_errorf(fc, "branch '%s' lies within the mount itself", item.path.data());
	else
		aufs_errorf(fc, "branch '%s': branches cannot be changed while mounted",
			    item.path.data());
	return Error{-EINVAL};
}

void note_ignored(struct fs_context *fc, const BranchItem &item)
{
	char text[256];

	describe_ignored(item, text, sizeof(text));
	aufs_warnf(fc, "branch '%s': attributes without effect: %s", item.path.data(), text);
}

Result<void> Context::parse_list(struct fs_context *fc, StringView list)
{
	auto buffer = Own<char[]>::adopt(new (Gfp{GFP_KERNEL}) char[path_size]);

	if (!buffer)
		return Error{-ENOMEM};

	BranchList items(list, given_);

	while (items.more()) {
		OptionError error;
		auto item = items.next(buffer.get(), path_size, error);

		if (!item.ok())
			return refuse(fc, error, item.error());
		if (mounted_)
			TRY(same_branch(fc, item.value()));
		else
			TRY(super_->add(fc, item.value()));
		if (!mounted_ && item.value().ignores)
			note_ignored(fc, item.value());
		given_++;
	}
	return {};
}

Result<void> Context::parse_option(struct fs_context *fc, const RawOption &option)
{
	OptionError error;
	auto accepted = options_.accept(option, error);

	if (!accepted.ok())
		return refuse(fc, error, accepted.error());

	OptionKey key = accepted.value();

	if (key == OptionKey::branches || key == OptionKey::append)
		return parse_list(fc, option.value);

	auto applied = apply(settings_, key, option.value, error);

	return applied.ok() ? applied : refuse(fc, error, applied.error());
}

/*
 * One of fsconfig(2), which a mount(8) may have cut at the first `=` although its name ends at a `:`
 * before that: `br:/a=rw:/b`.
 */
Result<void> Context::parse(struct fs_context *fc, StringView key, const char *value)
{
	RawOption option(key);

	if (!value)
		return parse_option(fc, option);

	StringView tail = StringView::from_c_string(value);

	if (!option.has_value) {
		option.has_value = true;
		option.value = tail;
		return parse_option(fc, option);
	}

	StringView head = option.value;
	StringView::Size size = head.size() + 1 + tail.size();
	auto joined = Own<char[]>::adopt(new (Gfp{GFP_KERNEL}) char[size]);

	if (!joined)
		return Error{-ENOMEM};
	__builtin_memcpy(joined.get(), head.data(), head.size());
	joined[head.size()] = '=';
	__builtin_memcpy(joined.get() + head.size() + 1, tail.data(), tail.size());
	option.value = StringView(joined.get(), size);
	return parse_option(fc, option);
}

/* Refuses what does not go together, whatever its order was. */
Result<void> Context::finish(struct fs_context *fc, bool read_only)
{
	OptionError error;
	auto finished = options_.finish(read_only, settings_, error);

	return finished.ok() ? finished : refuse(fc, error, finished.error());
}

/* Says once which options were accepted although they change nothing. */
void Context::note_options(struct fs_context *fc) const
{
	constexpr StringView::Size size =
		900; /* a line of the kernel's log has 1,000 bytes or so */
	auto text = Own<char[]>::adopt(new (Gfp{GFP_KERNEL}) char[size]);

	if (!options_.has_notes() || !text)
		return;
	options_.describe_notes(text.get(), size);
	aufs_infof(fc, "%s", text.get());
}

/* The root: the roots of all branches, down to one that is opaque. */
Result<Found> find_root(const Super &super)
{
	ScopedCreds creds(super.mounter());
	Found found;

	if (super.count() > 1) {
		found.lower =
			Own<Part[]>::adopt(new (Gfp{GFP_KERNEL_ACCOUNT}) Part[super.count() - 1]);
		if (!found.lower)
			return Error{-ENOMEM};
	}
	for (const Branch &branch : super.branches()) {
		Part part = Part::of(branch, branch.root());

		if (!found.exists())
			found.top = move(part);
		else
			found.lower[found.lower_count++] = move(part);
		if (branch.index() + 1 < super.count() && TRY(is_opaque(branch, branch.root())))
			break;
	}
	return found;
}

/* Whether there may be encrypted directories in it. */
template <class Sb> bool can_encrypt(const Sb &sb)
{
	if constexpr (requires { sb.s_cop; })
		return sb.s_cop;
	return false;
}

/* How @branch changes although nobody writes to it. */
Changes changes_of(const Branch &branch)
{
	const struct super_block &sb = branch.sb();
	const struct dentry &root = branch.root();
	const struct dentry_operations *ops = nullptr;

	/*
	 * The root of a filesystem may have nothing to ask where all else has, as FUSE's. Overlayfs
	 * has the operation for all, and its root's flags say whether there is a use for it.
	 */
	if (root.d_flags & (DCACHE_OP_REVALIDATE | DCACHE_OP_WEAK_REVALIDATE))
		ops = root.d_op;
	else if (sb.s_magic != OVERLAYFS_SUPER_MAGIC)
		ops = dentry_operations_of(sb);
	if (ops && (ops->d_revalidate || ops->d_weak_revalidate) && !aufs_asks_for_key(ops))
		return Changes::anywhere;
	return can_encrypt(sb) ? Changes::where_encrypted : Changes::never;
}

/* Without its key a branch has none of the names that it was written with. */
Result<void> refuse_locked(struct fs_context *fc, const Branch &branch)
{
	struct inode &root = *branch.root().d_inode;

	if (!(root.i_flags & S_ENCRYPTED))
		return {};
	/* A filesystem looks for the key when it is asked for a name. */
	TRY(lookup_in(branch, branch.root(), opaque_name));
	if (aufs_has_key(&root))
		return {};
	aufs_errorf(fc, "branch '%s' is encrypted and its key is not there: add it first",
		    branch.name().data());
	return Error{-ENOKEY};
}

/* What copies and removals had not finished when the branches were used last goes. */
void clean(const Super &super)
{
	ScopedCreds creds(super.mounter());

	for (const Branch &branch : super.branches()) {
		if (branch.writable())
			branch.reserved().clean(branch);
	}
}

Result<void> Context::fill(struct fs_context *fc, struct super_block &sb)
{
	if (!given_) {
		aufs_errorf(fc, "no branches: give them as br=/top=rw:/lower=ro");
		return Error{-EINVAL};
	}
	TRY(finish(fc, (sb.s_flags & SB_RDONLY) != 0 || !super_->top_rw()));
	super_->set_settings(settings_);
	TRY(super_->attach(fc));
	{
		ScopedCreds creds(super_->mounter());

		TRY(super_->note_changes([fc](const Branch &branch) -> Result<Changes> {
			TRY(refuse_locked(fc, branch));
			return changes_of(branch);
		}));
	}

	const Super &super = *super_;
	const struct super_block &main = super.main_branch().sb();

	/* What others that share a branch have not finished yet looks the same. */
	if (!(sb.s_flags & SB_RDONLY) && !super.settings().share_rw)
		clean(super);
	TRY(super_->publish());
	/* From here on ->kill_sb frees it. */
	sb.s_fs_info = super_.leak();
	sb.s_stack_depth = super.branch_depth() + 1;
	aufs_annotate_super(&sb, super.branch_depth());
	sb.s_magic = Super::magic;
	sb.s_maxbytes = MAX_LFS_FILESIZE;
	sb.s_time_gran = 1;
	/* For FIGETBSZ. */
	sb.s_blocksize = main.s_blocksize;
	sb.s_blocksize_bits = main.s_blocksize_bits;
	sb.s_flags |= SB_POSIXACL;
	/* sync(2) comes to the branches by itself. */
	sb.s_iflags |= SB_I_SKIP_SYNC;
	if (!super.top_rw())
		sb.s_flags |= SB_RDONLY;
	sb.s_op = &super_operations;
	/* Whether the VFS must ask before it believes its cache. */
	set_dentry_operations(sb, super.changes() == Changes::never ? dentry_operations :
								      remote_dentry_operations);
	sb.s_xattr = const_cast<decltype(sb.s_xattr)>(xattr_handlers);

	auto root = TRY(Inode::get(sb, TRY(find_root(super))));

	sb.s_root = d_make_root(root.leak());
	if (!sb.s_root)
		return Error{-ENOMEM};
	note_options(fc);
	return {};
}

/* @now with what the options have changed: another may have remounted since fspick(2). */
Settings Context::changed_from(Settings now) const
{
	auto take = [&](auto member) {
		if (settings_.*member != before_.*member)
			now.*member = settings_.*member;
	};

	take(&Settings::watermark);
	take(&Settings::mfs_seconds);
	take(&Settings::create);
	take(&Settings::copy_up);
	take(&Settings::sum);
	take(&Settings::share_rw);
	take(&Settings::always_opaque);
	take(&Settings::show_whiteouts);
	static_assert(sizeof(Settings) == 24, "a new member is to be looked at here");
	return now;
}

Result<void> Context::reconfigure(struct fs_context *fc)
{
	struct super_block &sb = *fc->root->d_sb;
	/* What is not said stays: fspick(2) begins with nothing. */
	unsigned int flags = (sb.s_flags & ~fc->sb_flags_mask) | (fc->sb_flags & fc->sb_flags_mask);
	bool read_only = (flags & SB_RDONLY) != 0;

	TRY(finish(fc, read_only));
	/* What is cached would be wrong. */
	if (settings_.show_whiteouts != mounted_->settings().show_whiteouts) {
		aufs_errorf(fc, "shwh and noshwh cannot be changed while mounted");
		return Error{-EINVAL};
	}
	if (given_ && given_ != mounted_->count()) {
		aufs_errorf(fc, "branches cannot be changed while mounted: %u given, %u mounted",
			    given_, mounted_->count());
		return Error{-EINVAL};
	}
	if (!mounted_->top_rw() && !read_only) {
		aufs_errorf(fc, "cannot become writable: no branch is rw");
		return Error{-EROFS};
	}
	TRY(check(sync_filesystem(&sb)));
	mounted_->set_settings(changed_from(mounted_->settings()));
	note_options(fc);
	return {};
}

int parse_param(struct fs_context *fc, struct fs_parameter *param)
{
	StringView key = StringView::from_c_string(param->key);

	/* The VFS keeps it. */
	if (key == StringView("source"))
		return -ENOPARAM;
	if (param->type != fs_value_is_string && param->type != fs_value_is_flag) {
		aufs_errorf(fc, "option '%s' is not text", param->key);
		return -EINVAL;
	}
	return to_errno(Context::of(*fc).parse(
		fc, key, param->type == fs_value_is_string ? param->string : nullptr));
}

int fill_super(struct super_block *sb, struct fs_context *fc)
{
	return to_errno(Context::of(*fc).fill(fc, *sb));
}

int get_tree(struct fs_context *fc)
{
	return get_tree_nodev(fc, fill_super);
}

int reconfigure(struct fs_context *fc)
{
	return to_errno(Context::of(*fc).reconfigure(fc));
}

void free_context(struct fs_context *fc)
{
	delete static_cast<Context *>(fc->fs_private);
}

constinit const struct fs_context_operations context_operations = {
	.free = free_context,
	.parse_param = parse_param,
	.parse_monolithic = parse_monolithic,
	.get_tree = get_tree,
	.reconfigure = reconfigure,
};

} // namespace

} // namespace aufs

/*
 * Whoever may not mount is told so at once: a user namespace lets anybody come as far as the options,
 * which look up paths, take memory and write to the log.
 */
int aufs_init_fs_context(struct fs_context *fc)
{
	if (!aufs_may_mount())
		return -EPERM;

	auto context = aufs::Context::create(*fc);

	if (!context.ok())
		return context.error();
	fc->fs_private = context.value().leak();
	fc->ops = &aufs::context_operations;
	return 0;
}
