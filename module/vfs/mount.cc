// SPDX-License-Identifier: GPL-2.0-only
/* Mounting and remounting: from options to a superblock. */
#include "union/changes.hh"
#include "union/new_branch.hh"
#include "method.hh"
#include "mount_data.hh"
#include "options/option_table.hh"
#include "branch/whiteout.hh"
#include "kernel/inodes.hh"

namespace aufs
{

extern const struct super_operations super_operations;

namespace
{

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
	explicit Context(MountKind kind) : options_(kind, Branches::changing)
	{
	}

	Result<void> parse_option(struct fs_context *fc, const RawOption &option);
	Result<void> finish(struct fs_context *fc, bool read_only);
	void note_options(struct fs_context *fc) const;
	Settings changed_from(Settings now) const;
	Result<void> parse_list(struct fs_context *fc, StringView list);
	Result<void> same_branch(struct fs_context *fc, const BranchItem &item);
	Result<void> parse_changes(struct fs_context *fc, OptionKey key, StringView value);
	Result<void> add_first(struct fs_context *fc, const BranchChange &change);

	Own<Super> super_; /* being filled; empty in a remount */
	ListChange change_; /* in a remount: of the branches */
	Super *mounted_ = nullptr; /* in a remount: what is mounted */
	OptionSet options_;
	Settings settings_; /* in a remount: what is not given stays */
	Settings before_; /* what it was then */
	unsigned int given_ = 0; /* branches so far */
	bool looks_again_ = false; /* in a remount: at all that is cached */
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

/* A remount may repeat the branches, as mount(8) does; br does not change them. */
Result<void> Context::same_branch(struct fs_context *fc, const BranchItem &item)
{
	{
		ListLock list(*mounted_);

		if (given_ < mounted_->count() && mounted_->branch_at(given_).used_as(item) &&
		    mounted_->branch_at(given_).name() == item.path)
			return {};
	}

	struct path path;
	int error = kern_path(item.path.data(), LOOKUP_FOLLOW, &path);

	if (error) {
		mount_error(fc, "branch '%s' cannot be opened (errno %d)", item.path.data(),
			    -error);
		return Error{error};
	}

	bool within = path.dentry->d_sb == fc->root->d_sb;
	bool same;
	{
		ListLock list(*mounted_);

		same = given_ < mounted_->count() && mounted_->branch_at(given_).used_as(item) &&
		       &mounted_->branch_at(given_).root() == path.dentry;
	}

	path_put(&path);
	if (same)
		return {};
	if (within)
		mount_error(fc, "branch '%s' lies within the mount itself", item.path.data());
	else
		mount_error(
			fc,
			"branch '%s' is not mounted in this place: branches come and go by add, append, prepend, mod and del",
			item.path.data());
	return Error{-EINVAL};
}

void note_ignored(struct fs_context *fc, const BranchItem &item)
{
	char text[256];

	describe_ignored(item, text, sizeof(text));
	mount_warning(fc, "branch '%s': attributes without effect: %s", item.path.data(), text);
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
			TRY(super_->add(fc, super_->count(), item.value()));
		if (!mounted_ && item.value().ignores)
			note_ignored(fc, item.value());
		given_++;
	}
	return {};
}

/* What comes, goes or is used in another way. */
Result<void> Context::parse_changes(struct fs_context *fc, OptionKey key, StringView value)
{
	auto buffer = Own<char[]>::adopt(new (Gfp{GFP_KERNEL}) char[BranchChanges::buffer_size]);
	unsigned int count = mounted_ ? mounted_->count() : super_->count();

	if (!buffer)
		return Error{-ENOMEM};

	BranchChanges changes(key, value, count);

	while (changes.more()) {
		OptionError error;
		auto change = changes.next(buffer.get(), BranchChanges::buffer_size, error);

		if (!change.ok())
			return refuse(fc, error, change.error());
		if (change.value().branch.ignores)
			note_ignored(fc, change.value().branch);
		if (mounted_)
			TRY(change_.add(fc, change.value()));
		else
			TRY(add_first(fc, change.value()));
	}
	return {};
}

/* The same of a first mount: only what adds branches comes here. */
Result<void> Context::add_first(struct fs_context *fc, const BranchChange &change)
{
	bool appends = change.kind == BranchChange::Kind::append;
	unsigned int place = appends ? super_->count() : change.place;

	if (place > super_->count()) {
		mount_error(fc, "branch '%s': there is no place %u: 0 to %u",
			    change.branch.path.data(), place, super_->count());
		return Error{-EINVAL};
	}
	given_++;
	return super_->add(fc, place, change.branch);
}

Result<void> Context::parse_option(struct fs_context *fc, const RawOption &option)
{
	OptionError error;
	auto accepted = options_.accept(option, error);

	if (!accepted.ok())
		return refuse(fc, error, accepted.error());

	OptionKey key = accepted.value();

	/* A remount may repeat the branches, as mount(8) does: with br, and then append means the next. */
	if (key == OptionKey::branches ||
	    (key == OptionKey::append && mounted_ && given_ && given_ < mounted_->count()))
		return parse_list(fc, option.value);
	if (changes_branches(key))
		return parse_changes(fc, key, option.value);

	auto applied = apply(settings_, key, option.value, error);

	/* Whatever its value was. */
	looks_again_ |= mounted_ && key == OptionKey::udba;
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
	mount_note(fc, "%s", text.get());
}

/* What copies and removals had not finished when the branches were used last goes. */
void clean(const Super &super)
{
	AsMounter mounter = super.as_mounter();

	for (const Branch &branch : super.branches()) {
		if (branch.writable())
			branch.housekeeping().clean(mounter, branch);
	}
}

Result<void> Context::fill(struct fs_context *fc, struct super_block &sb)
{
	if (!given_) {
		mount_error(fc, "no branches: give them as br=/top=rw:/lower=ro");
		return Error{-EINVAL};
	}
	TRY(super_->end_adding(fc));
	TRY(finish(fc, (sb.s_flags & SB_RDONLY) != 0 || !super_->top_rw()));
	super_->set_settings(settings_);
	TRY(super_->attach(fc));
	{
		AsMounter mounter = super_->as_mounter();

		for (const Branch &branch : super_->branches())
			TRY(refuse_locked(mounter, fc, branch));
		super_->note_volatility();
		if (settings_.udba == Udba::notify)
			TRY(super_->prepare_watches());
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
	if (!super.top_rw())
		sb.s_flags |= SB_RDONLY;
	sb.s_op = &super_operations;
	set_dentry_operations(sb, dentry_operations);
	sb.s_xattr = const_cast<decltype(sb.s_xattr)>(xattr_handlers);

	Ref<struct inode> root;
	{
		AsMounter mounter = super.as_mounter();
		auto branch_at = [&super](unsigned int index) -> const Branch & {
			return super.branch_at(index);
		};
		Stack found = TRY(find_root(mounter, super.count(),
					    FunctionRef<const Branch &(unsigned int)>(branch_at),
					    nullptr));

		root = TRY(Inode::get(mounter, sb, move(found)));
	}

	sb.s_root = d_make_root(root.leak());
	if (!sb.s_root)
		return Error{-ENOMEM};
	Inode::of(*sb.s_root->d_inode).set_asked(*sb.s_root);
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
	take(&Settings::udba);
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
	/* mount(8) repeats what is so already: then it is not asked for. */
	bool only_looks = looks_again_ && change_.empty() && settings == mounted_->settings();
	bool changes = !change_.empty() || (looks_again_ && !(only_looks && turns_read_only));
	Super::Numbers numbers = mounted_->numbers();
	ScopeExit give_back([&] { mounted_->take_back(numbers); });

	if (changes)
		TRY(change_.plan(fc, sb));
	if (!(changes ? change_.has_rw() : mounted_->top_rw() != nullptr) && !read_only) {
		mount_error(fc, "cannot be writable: no branch is rw");
		return Error{-EROFS};
	}
	if (settings.udba == Udba::notify)
		TRY(mounted_->prepare_watches());
	if (turns_read_only)
		TRY(check(sync_filesystem(&sb)));
	if (changes) {
		auto applied = change_.apply(fc, sb, settings);

		if (!applied.ok() && !only_looks)
			return applied;
		if (!applied.ok())
			mount_warning(fc, "not all that is cached could be looked at (errno %d)",
				      -applied.error());
	} else {
		mounted_->set_settings(settings);
	}
	give_back.dismiss();
	note_options(fc);
	return {};
}

Result<void> parse_param(struct fs_context *fc, struct fs_parameter *param)
{
	StringView key = StringView::from_c_string(param->key);

	/* The VFS keeps it. */
	if (key == StringView("source"))
		return Error{-ENOPARAM};
	if (param->type != fs_value_is_string && param->type != fs_value_is_flag) {
		mount_error(fc, "option '%s' is not text", param->key);
		return Error{-EINVAL};
	}
	return Context::of(*fc).parse(fc, key,
				      param->type == fs_value_is_string ? param->string : nullptr);
}

Result<void> fill_super(struct super_block *sb, struct fs_context *fc)
{
	return Context::of(*fc).fill(fc, *sb);
}

Result<void> get_tree(struct fs_context *fc)
{
	return check(get_tree_nodev(fc, vfs<fill_super>));
}

Result<void> reconfigure(struct fs_context *fc)
{
	return Context::of(*fc).reconfigure(fc);
}

void free_context(struct fs_context *fc)
{
	delete static_cast<Context *>(fc->fs_private);
}

constinit const struct fs_context_operations context_operations = {
	.free = free_context,
	.parse_param = vfs<parse_param>,
	.parse_monolithic = vfs<parse_monolithic>,
	.get_tree = vfs<get_tree>,
	.reconfigure = vfs<reconfigure>,
};

/*
 * Whoever may not mount is told so at once: a user namespace lets anybody come as far as the options,
 * which look up paths, take memory and write to the log.
 */
Result<void> init_context(struct fs_context &fc)
{
	if (!may_mount())
		return Error{-EPERM};
	fc.fs_private = TRY(Context::create(fc)).leak();
	fc.ops = &context_operations;
	return {};
}

} // namespace

} // namespace aufs

int aufs_init_fs_context(struct fs_context *fc)
{
	return aufs::to_errno(aufs::init_context(*fc));
}
