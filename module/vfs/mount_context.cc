// SPDX-License-Identifier: GPL-2.0-only
/* The options of a mount or remount, as they come. */
#include "mount_context.hh"
#include "mount_data.hh"
#include "union/new_branch.hh"
#include "kernel/inodes.hh"

namespace aufs
{

Result<Own<MountContext>> MountContext::create(const struct fs_context &fc)
{
	bool remount = fc.purpose == FS_CONTEXT_FOR_RECONFIGURE;
	MountKind kind = remount ? MountKind::remount : MountKind::first;
	auto context = Own<MountContext>::adopt(new (Gfp{GFP_KERNEL}) MountContext(kind));

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
Result<void> MountContext::same_branch(struct fs_context *fc, const BranchItem &item)
{
	{
		ListLock list(*mounted_);

		const Branch *branch = mounted_->branch_at(given_);

		if (branch && branch->used_as(item) && branch->name() == item.path)
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

		const Branch *branch = mounted_->branch_at(given_);

		same = branch && branch->used_as(item) && &branch->root() == path.dentry;
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

namespace
{

void note_ignored(struct fs_context *fc, const BranchItem &item)
{
	char text[256];

	describe_ignored(item, text, sizeof(text));
	mount_warning(fc, "branch '%s': without effect: %s", item.path.data(), text);
}

} // namespace

Result<void> MountContext::parse_list(struct fs_context *fc, StringView list)
{
	auto buffer = Own<char[]>::adopt(new (Gfp{GFP_KERNEL}) char[path_size]);

	if (!buffer)
		return Error{-ENOMEM};

	BranchList items(list, given_);
	BranchFinder finder;

	while (items.more()) {
		OptionError error;
		auto item = items.next(buffer.get(), path_size, error);

		if (!item.ok())
			return refuse(fc, error, item.error());
		if (mounted_)
			TRY(same_branch(fc, item.value()));
		else
			TRY(super_->add(fc, super_->count(), item.value(), finder));
		if (!mounted_ && item.value().ignores)
			note_ignored(fc, item.value());
		given_++;
	}
	return {};
}

/* Takes an option by which branches come, go or are used in another way. */
Result<void> MountContext::parse_changes(struct fs_context *fc, OptionKey key, StringView value)
{
	auto buffer = Own<char[]>::adopt(new (Gfp{GFP_KERNEL}) char[BranchChanges::buffer_size]);

	if (!buffer)
		return Error{-ENOMEM};

	/* A mounted union has at least one branch. */
	BranchChanges changes(key, value, mounted_ ? 1 : super_->count());
	BranchFinder finder;

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
			TRY(add_first(fc, change.value(), finder));
	}
	return {};
}

/* The same for a first mount: only options that add branches come here. */
Result<void> MountContext::add_first(struct fs_context *fc, const BranchChange &change,
				     BranchFinder &finder)
{
	bool appends = change.kind == BranchChange::Kind::append;
	unsigned int place = appends ? super_->count() : change.place;

	if (place > super_->count()) {
		mount_error(fc, "branch '%s': there is no place %u: 0 to %u",
			    change.branch.path.data(), place, super_->count());
		return Error{-EINVAL};
	}
	TRY(super_->add(fc, place, change.branch, finder));
	given_++;
	return {};
}

/*
 * Refuses to go on after an option about branches has failed, as fsconfig(2) can: a part of that option may have been
 * taken, and nobody has asked for that part alone.
 */
Result<void> MountContext::refuse_part(struct fs_context *fc) const
{
	if (!is_part_)
		return {};
	mount_error(fc, "an option about branches has failed before: begin with a new context");
	return Error{-EINVAL};
}

Result<void> MountContext::parse_branches(struct fs_context *fc, OptionKey key, StringView value)
{
	bool repeats = key == OptionKey::branches;

	TRY(refuse_part(fc));
	/*
	 * A remount may repeat the branches, as mount(8) does. An append after br repeats the next branch, if the
	 * union has one there.
	 */
	if (key == OptionKey::append && mounted_ && given_) {
		ListLock list(*mounted_);

		repeats = mounted_->branch_at(given_);
	}

	auto parsed = repeats ? parse_list(fc, value) : parse_changes(fc, key, value);

	is_part_ = !parsed.ok();
	return parsed;
}

Result<void> MountContext::parse_option(struct fs_context *fc, const RawOption &option)
{
	OptionError error;
	auto accepted = options_.accept(option, settings_, error);

	if (!accepted.ok())
		return refuse(fc, error, accepted.error());

	OptionKey key = accepted.value();

	if (key == OptionKey::branches || changes_branches(key))
		return parse_branches(fc, key, option.value);

	looks_again_ |= mounted_ && key == OptionKey::udba;
	return {};
}

/*
 * mount(8) may have cut the option at the first `=` although its name ends at a `:` before that: `br:/a=rw:/b`.
 */
Result<void> MountContext::parse(struct fs_context *fc, RawOption option, StringView tail)
{
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

/* Refuses options that do not go together, in whatever order they came. */
Result<void> MountContext::finish(struct fs_context *fc, bool read_only)
{
	OptionError error;
	auto finished = options_.finish(read_only, settings_, error);

	return finished.ok() ? finished : refuse(fc, error, finished.error());
}

} // namespace aufs
