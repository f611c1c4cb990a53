// SPDX-License-Identifier: GPL-2.0-only
/* Mounting and remounting: from options to a superblock. */
#include "mount_context.hh"
#include "union/new_branch.hh"
#include "method.hh"
#include "mount_data.hh"
#include "branch/whiteout.hh"
#include "kernel/inodes.hh"

namespace aufs
{

extern const struct super_operations super_operations;

/* Says once which options were accepted although they change nothing. */
void MountContext::note_options(struct fs_context *fc) const
{
	constexpr StringView::Size size =
		900; /* a line of the kernel's log has 1,000 bytes or so */
	auto text = Own<char[]>::adopt(new (Gfp{GFP_KERNEL}) char[size]);

	if (!options_.has_notes() || !text)
		return;
	options_.describe_notes(text.get(), size);
	mount_note(fc, "%s", text.get());
}

namespace
{

/* Removes what copies and removals had not finished when the branches were used last. */
void clean(const Super &super)
{
	AsMounter mounter = super.as_mounter();

	for (const Branch &branch : super.branches()) {
		if (branch.writable())
			branch.housekeeping().clean(mounter, branch);
	}
}

/* The members of @sb that the VFS looks at, but for the root. */
void set_up(struct super_block &sb, Super &super)
{
	const struct super_block &main = super.main_branch().sb();

	sb.s_fs_info = &super;
	sb.s_stack_depth = super.branch_depth() + 1;
	annotate(sb, super.branch_depth());
	sb.s_magic = Super::magic;
	sb.s_maxbytes = MAX_LFS_FILESIZE;
	sb.s_time_gran = 1;
	/* For FIGETBSZ. */
	sb.s_blocksize = main.s_blocksize;
	sb.s_blocksize_bits = main.s_blocksize_bits;
	sb.s_flags |= SB_POSIXACL;
	/* sync(2) comes to the branches by itself. */
	sb.s_iflags |= SB_I_SKIP_SYNC;
#ifdef HAVE_SB_I_EVM_HMAC_UNSUPPORTED
	/* EVM would store its HMAC of the union's inode on the branch's file, in place of that of the file itself. */
	sb.s_iflags |= SB_I_EVM_HMAC_UNSUPPORTED;
#endif
	if (!super.top_rw())
		sb.s_flags |= SB_RDONLY;
	sb.s_op = &super_operations;
	set_dentry_operations(sb, dentry_operations);
	sb.s_xattr = const_cast<decltype(sb.s_xattr)>(xattr_handlers);
}

Result<void> make_root(struct super_block &sb, const Super &super, struct fs_context *fc)
{
	AsMounter mounter = super.as_mounter();
	Array<const Branch *> branches;

	for (const Branch &branch : super.branches())
		TRY(branches.push(Gfp{GFP_KERNEL}, &branch));

	Stack found = TRY(find_root(mounter, fc, branches, nullptr));
	auto root = TRY(Inode::get(mounter, sb, move(found)));

	sb.s_root = d_make_root(root.leak());
	if (!sb.s_root)
		return Error{-ENOMEM};
	Inode::of(*sb.s_root->d_inode).set_asked(*sb.s_root);
	return {};
}

} // namespace

Result<void> MountContext::fill(struct fs_context *fc, const UmountHeld &held)
{
	struct super_block &sb = held.sb();

	TRY(refuse_part(fc));
	if (!super_->count()) {
		mount_error(fc, "no branches: give them as br=/top=rw:/lower=ro");
		return Error{-EINVAL};
	}
	TRY(super_->end_adding(fc));
	TRY(finish(fc, (sb.s_flags & SB_RDONLY) != 0 || !super_->top_rw()));
	super_->set_settings(held, settings_);
	TRY(super_->attach(fc));
	{
		AsMounter mounter = super_->as_mounter();

		for (const Branch &branch : super_->branches())
			TRY(refuse_locked(mounter, fc, branch));
		super_->note_volatility();
		if (settings_.udba == Udba::notify)
			TRY(super_->prepare_watches(held));
	}

	/* With share_rw, what another union has not finished yet looks the same. */
	if (!(sb.s_flags & SB_RDONLY) && !super_->settings().share_rw)
		clean(*super_);
	TRY(super_->publish());

	/* From here on ->kill_sb frees it. */
	Super &super = *super_.leak();

	set_up(sb, super);
	TRY(make_root(sb, super, fc));
	note_options(fc);
	return {};
}

/* @now with the settings that the options have changed: another task may have remounted since fspick(2). */
Settings MountContext::changed_from(Settings now) const
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
	take(&Settings::udba);
	static_assert(sizeof(Settings) == 24, "a new member is to be looked at here");
	return now;
}

Result<void> MountContext::reconfigure(struct fs_context *fc, const UmountHeld &held)
{
	struct super_block &sb = held.sb();
	/* Flags that are not given stay: fspick(2) begins with none. */
	unsigned int flags = (sb.s_flags & ~fc->sb_flags_mask) | (fc->sb_flags & fc->sb_flags_mask);
	bool read_only = (flags & SB_RDONLY) != 0;

	TRY(refuse_part(fc));
	TRY(finish(fc, read_only));
	/* Cached names would be wrong. */
	if (settings_.show_whiteouts != mounted_->settings().show_whiteouts) {
		mount_error(fc, "shwh and noshwh cannot be changed while mounted");
		return Error{-EINVAL};
	}
	if (given_ && given_ != mounted_->count()) {
		mount_error(
			fc,
			"%u branches given, %u mounted: they come and go by add, append, prepend, mod and del",
			given_, mounted_->count());
		return Error{-EINVAL};
	}

	Settings settings = changed_from(mounted_->settings());
	bool turns_read_only = read_only && !(sb.s_flags & SB_RDONLY);
	/*
	 * mount(8) repeats the options of the mount. If that is all, a remount to read-only does not ask to look at
	 * the branches.
	 */
	bool only_looks = looks_again_ && change_.empty() && settings == mounted_->settings();
	bool changes = !change_.empty() || (looks_again_ && !(only_looks && turns_read_only));
	Super::Numbers numbers = mounted_->numbers();
	ScopeExit give_back([&] { mounted_->take_back(numbers); });

	if (changes)
		TRY(change_.plan(fc, held));
	if (!(changes ? change_.has_rw() : mounted_->top_rw() != nullptr) && !read_only) {
		mount_error(fc, "cannot be writable: no branch is rw");
		return Error{-EROFS};
	}
	if (settings.udba == Udba::notify)
		TRY(mounted_->prepare_watches(held));
	if (turns_read_only)
		TRY(check(sync_filesystem(&sb)));
	if (changes) {
		auto applied = change_.apply(fc, held, settings);

		if (!applied.ok() && !only_looks)
			return applied;
		if (!applied.ok())
			mount_warning(fc, "not all that is cached could be looked at (errno %d)",
				      -applied.error());
	} else {
		mounted_->set_settings(held, settings);
	}
	give_back.dismiss();
	/* Nothing was tidied up while the union was read-only. */
	if (!read_only && (sb.s_flags & SB_RDONLY) && !settings.share_rw)
		clean(*mounted_);
	note_options(fc);
	return {};
}

namespace
{

Result<void> parse_param(struct fs_context *fc, struct fs_parameter *param)
{
	StringView key = StringView::from_c_string(param->key);

	/* The VFS keeps the source. */
	if (key == StringView("source"))
		return Error{-ENOPARAM};
	if (param->type != fs_value_is_string && param->type != fs_value_is_flag) {
		mount_error(fc, "option '%s' is not text", param->key);
		return Error{-EINVAL};
	}

	MountContext &context = MountContext::of(*fc);

	if (param->type == fs_value_is_flag)
		return context.parse(fc, RawOption(key));
	return context.parse(fc, RawOption(key), StringView(param->string, param->size));
}

Result<void> fill_super(struct super_block *sb, struct fs_context *fc)
{
	return MountContext::of(*fc).fill(fc, UmountHeld(*sb));
}

Result<void> get_tree(struct fs_context *fc)
{
	auto filled = check(get_tree_nodev(fc, vfs<fill_super>));

	/* A program that mounts by fsconfig(2) may keep the context: the branches go now. */
	if (!filled.ok())
		MountContext::of(*fc).give_up();
	return filled;
}

Result<void> reconfigure(struct fs_context *fc)
{
	return MountContext::of(*fc).reconfigure(fc, UmountHeld(*fc->root->d_sb));
}

void free_context(struct fs_context *fc)
{
	delete static_cast<MountContext *>(fc->fs_private);
}

constinit const struct fs_context_operations context_operations = {
	.free = free_context,
	.parse_param = vfs<parse_param>,
	.parse_monolithic = vfs<parse_monolithic>,
	.get_tree = vfs<get_tree>,
	.reconfigure = vfs<reconfigure>,
};

/*
 * A task that may not mount is refused at once. In a user namespace anybody can come as far as the options, which look
 * up paths, take memory and write to the log.
 */
Result<void> init_context(struct fs_context &fc)
{
	if (!may_mount())
		return Error{-EPERM};
	fc.fs_private = TRY(MountContext::create(fc)).leak();
	fc.ops = &context_operations;
	return {};
}

} // namespace

} // namespace aufs

int aufs_init_fs_context(struct fs_context *fc)
{
	return aufs::to_errno(aufs::init_context(*fc));
}
