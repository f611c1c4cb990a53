// SPDX-License-Identifier: GPL-2.0-only
#include "listing.hh"
#include "name_filters.hh"
#include "branch/entries.hh"
#include "branch/lookup.hh"
#include "branch/overlay.hh"
#include "branch/whiteout.hh"
#include "kernel/inodes.hh"

namespace aufs
{

namespace
{

/* The listing that readers of @dir may share, or null; not counted. The lock is @dir's. */
Listing *shared(const InodeSpinLock &, const Inode &dir)
{
	return static_cast<Listing *>(dir.vfs.i_private);
}

/* The change time of @part in ns; `none` if it says nothing of changes. */
constexpr s64 none = -1;

s64 change_time(const Part &part)
{
	struct path path = part.path();
	struct kstat stat = {};

	/* An encrypted directory has other names as soon as its key is there. */
	if (!part.branch->tells_changes() || part.inode().i_flags & S_ENCRYPTED ||
	    vfs_getattr_nosec(&path, &stat, STATX_CTIME, 0) != 0)
		return none;
	if (stat.ctime.tv_sec < 0 || stat.ctime.tv_sec >= S64_MAX / NSEC_PER_SEC)
		return none;
	return stat.ctime.tv_sec * NSEC_PER_SEC + stat.ctime.tv_nsec;
}

/*
 * The change times of all parts of @found. Null if one says nothing, or if a change from @now on might get the same
 * time.
 */
Own<s64[]> change_times(const Stack &found, s64 now)
{
	auto times = Own<s64[]>::adopt(new (Gfp{GFP_KERNEL_ACCOUNT}) s64[found.parts()]);
	s64 *next = times.get();

	if (!times)
		return times;
	for (const Part &part : found) {
		s64 time = change_time(part);

		if (time == none || time + part.branch->sb().s_time_gran > now)
			return {};
		*next++ = time;
	}
	return times;
}

} // namespace

/* Common to all entries of one part. */
struct Listing::Source {
	const Branch &branch;
	unsigned short part; /* its place in stack_ */
	bool numbered; /* the numbers of all its entries follow from those of the branch */
	bool directories_numbered; /* the numbers of directories do */
	Super::Numbering number_for;
};

/* Notes in @found what @source has by its name: an object, or if that is not @visible, a whiteout of it. */
[[gnu::always_inline]] inline void Listing::note(const Source &source, NameTable::Found found,
						 u64 number, unsigned int type, bool visible)
{
	NameTable::Entry &known = *found.entry;

	/* A whiteout hides the name in later parts, not in its own. */
	if (!found.added && (!visible || known.visible || known.part != source.part))
		return;
	known.part = source.part;
	known.visible = visible;
	known.type = static_cast<unsigned char>(type);
	if (source.numbered || (source.directories_numbered && type == DT_DIR))
		known.number = source.number_for(number);
	else
		known.number = 0;
}

/* Adds the name of a whiteout itself, as any other name. */
Result<void> Listing::add_whiteout(const Source &source, const BranchEntry &entry)
{
	auto [known, added] = TRY(names_.find_or_add(entry.name));

	if (added) {
		known->number = 0;
		known->part = source.part;
		known->visible = true;
		known->type = static_cast<unsigned char>(entry.type);
	}
	return {};
}

Result<void> Listing::add(const Super &super, const Source &source, const BranchEntry &entry)
{
	const Branch &branch = source.branch;
	StringView name = entry.name;
	bool whiteout = is_reserved(name);

	/* Overlayfs hides the whiteout itself: it hides nothing. */
	if (whiteout && branch.has_overlay_whiteouts() && entry.type == DT_CHR)
		return {};
	if (whiteout) {
		if (super.settings().show_whiteouts && is_whiteout_name(name))
			TRY(add_whiteout(source, entry));
		name = name.substr(whiteout_prefix.size());
		/* The format's own names: .wh..wh..opq and its like. */
		if (is_reserved(name))
			return {};
	}

	if (name.size() > max_name) {
		super.note_hidden(branch, name);
		has_hidden_on_rw_ = has_hidden_on_rw_ || branch.writable();
		return {};
	}
	note(source, TRY(names_.find_or_add(name)), entry.number, entry.type, !whiteout);
	return {};
}

/*
 * Takes the entries of one part. Most names are neither special nor need memory: for them no function is called, and
 * their cost is a figure of the benchmarks (readdir, two branches).
 */
struct Listing::Reader : EntryTaker {
	using Length = NameTable::Length;

	Listing &listing;
	const Super &super;
	const Source &source;

	Reader(Listing &l, const Super &of, const Source &s)
		: EntryTaker(take), listing(l), super(of), source(s)
	{
	}

	static bool take(struct dir_context *ctx, const char *name, int size, loff_t offset,
			 u64 number, unsigned int type)
	{
		StringView view(name, static_cast<StringView::Size>(size));

		if (NameTable::length_of(view) == Length::is_long)
			return take_long(ctx, name, size, offset, number, type);
		return take_plain<Length::is_short>(ctx, view, number, type);
	}

	/* A function of its own: take() then needs fewer registers, and saves fewer. */
	[[gnu::noinline]] static bool take_long(struct dir_context *ctx, const char *name, int size,
						loff_t, u64 number, unsigned int type)
	{
		StringView view(name, static_cast<StringView::Size>(size));

		return take_plain<Length::is_long>(ctx, view, number, type);
	}

	template <Length length>
	[[gnu::always_inline]] static bool take_plain(struct dir_context *ctx, StringView name,
						      u64 number, unsigned int type)
	{
		auto &self = static_cast<Reader &>(*ctx);
		NameTable &names = self.listing.names_;

		if (name.empty() || name[0] == '.' || name.size() > max_name ||
		    !names.has_room_for<length>(name)) [[unlikely]]
			return take_any(self, name, number, type);

		auto found = names.find_or_put<length>(name);

		if (length == Length::is_long && !found.entry) [[unlikely]]
			return take_any(self, name, number, type);
		self.called = true;
		note(self.source, found, number, type, true);
		return true;
	}

	[[gnu::noinline]] static bool take_any(Reader &self, StringView name, u64 number,
					       unsigned int type)
	{
		self.called = true;
		if (is_dot_or_dotdot(name))
			return true;
		self.error =
			self.listing.add(self.super, self.source, {name, number, type, 0}).error();
		return self.error == 0;
	}
};

/*
 * Hides the whiteouts of overlayfs among the names from @first on, which @from gave. They are looked up, which is not
 * possible while the branch's directory is read.
 */
Result<void> Listing::hide_overlay_whiteouts(const AsMounter &mounter, const Part &from,
					     unsigned long first)
{
	bool files = TRY(has_overlay_whiteout_files(mounter, from));

	for (unsigned long i = first; i < names_.count(); i++) {
		NameTable::Entry &entry = names_[i];

		if (entry.visible && (entry.type == DT_CHR || entry.type == DT_UNKNOWN || files) &&
		    TRY(find_overlay_whiteout(mounter, from, entry.view())))
			entry.visible = false;
	}
	return {};
}

Result<void> Listing::read_parts(const AsMounter &mounter, Inode &dir)
{
	const Stack &found = dir.stack();
	s64 now = coarse_time();
	unsigned short place = 0;

	const Super &super = dir.super();

	impure_ = is_impure(mounter, dir);
	stack_ = &found;
	changed_ = change_times(found, now);
	names_.expect(estimate_names(found));
	for (const Part &from : found) {
		/* Copies have the numbers of their originals. */
		const Source source = {
			.branch = *from.branch,
			.part = place++,
			.numbered = !impure_ && super.numbers_entries(*from.branch),
			.directories_numbered = !impure_ && from.branch->lists_numbers(),
			.number_for = {super, *from.branch},
		};
		unsigned long first = names_.count();

		Reader reader(*this, super, source);

		TRY(take_entries(mounter, from, 0, reader));
		if (from.branch->has_overlay_whiteouts())
			TRY(hide_overlay_whiteouts(mounter, from, first));
	}
	names_.complete();
	return {};
}

Result<Own<Listing>> Listing::read(const AsMounter &mounter, Inode &dir)
{
	auto listing = Own<Listing>::adopt(new (Gfp{GFP_KERNEL_ACCOUNT}) Listing);

	if (!listing)
		return Error{-ENOMEM};
	TRY(listing->read_parts(mounter, dir));
	return listing;
}

Result<Listing *> Listing::get(const AsMounter &mounter, Inode &dir)
{
	Listing *listing;
	{
		InodeSpinLock lock(dir.vfs);

		listing = shared(lock, dir);
		if (listing)
			listing->users_++;
	}
	if (listing) {
		const Stack &found = dir.stack();
		/* The directory may be known as impure since. */
		bool same = listing->stack_ == &found &&
			    listing->impure_ == is_impure(mounter, dir);
		const s64 *changed = listing->changed_.get();

		for (const Part &part : found)
			same = same && change_time(part) == *changed++;
		if (same)
			return listing;
		put(dir, listing);
	}

	listing = TRY(read(mounter, dir)).leak();
	if (listing->changed_) {
		InodeSpinLock lock(dir.vfs);

		dir.vfs.i_private = listing;
	}
	return listing;
}

void Listing::put(Inode &dir, Listing *listing)
{
	{
		InodeSpinLock lock(dir.vfs);

		if (--listing->users_)
			return;
		if (shared(lock, dir) == listing)
			dir.vfs.i_private = nullptr;
	}
	delete listing;
}

} // namespace aufs
