// SPDX-License-Identifier: GPL-2.0-only
/*
 * The files are binary attributes, which sysfs reads piece by piece: a path can be longer than a page, and other
 * attributes cannot.
 */
#include "sysfs.hh"
#include "super.hh"
#include "kernel/inodes.hh"

namespace aufs
{

using Size = StringView::Size;

namespace
{

/* /sys/fs/aufs, while the module is loaded. */
constinit struct kobject *all_unions;

/* Takes a text piece by piece, and keeps the part that one read asks for. */
class Window final
{
public:
	Window(char *out, loff_t offset, Size size)
		: out_(out), skip_(static_cast<Size>(offset)), room_(size)
	{
	}
	void put(StringView piece)
	{
		Size skipped = cxxrt::min(skip_, piece.size());
		Size size = cxxrt::min(room_, piece.size() - skipped);

		__builtin_memcpy(out_, piece.data() + skipped, size);
		skip_ -= skipped;
		room_ -= size;
		out_ += size;
		used_ += static_cast<ssize_t>(size);
	}
	ssize_t used() const
	{
		return used_;
	}

private:
	char *out_;
	Size skip_;
	Size room_;
	ssize_t used_ = 0;
};

/* Puts @path. A character that a line cannot have becomes `\ooo`, as in /proc/mounts. */
void put_escaped(Window &window, StringView path)
{
	for (char c : path) {
		auto byte = static_cast<unsigned char>(c);

		if (byte > ' ' && byte != '\\' && byte != 0x7f) {
			window.put(StringView(&c, 1));
			continue;
		}

		const char octal[] = {'\\', static_cast<char>('0' + byte / 64),
				      static_cast<char>('0' + byte / 8 % 8),
				      static_cast<char>('0' + byte % 8)};

		window.put(StringView(octal, sizeof(octal)));
	}
}

void show_branch(Window &window, const Branch &branch)
{
	put_escaped(window, branch.name());
	branch.use().write_use([&window](StringView piece) { window.put(piece); });
	window.put("\n");
}

void show_number(Window &window, const Branch &branch)
{
	char text[16];
	int size = snprintf(text, sizeof(text), "%u\n", branch.number());

	window.put(StringView(text, static_cast<Size>(size)));
}

using ReadFile = decltype(bin_attribute::read);

/* Makes @file, which is filled with zeroes, one that anybody may read. */
void describe(struct bin_attribute &file, const char *name, void *about, ReadFile read)
{
	init_attribute(file);
	file.attr.name = name;
	file.attr.mode = 0444;
	file.private_ = about;
	file.read = read;
}

template <class Attribute>
ssize_t read_nothing(struct file *, struct kobject *, Attribute *, char *, loff_t, size_t)
{
	return 0;
}

constinit struct bin_attribute xi_path{};

constexpr Size name_size = 16;

/* Makes @name of @prefix and @number. A mount makes two of these for each branch, so this is not left to snprintf(). */
void make_name(char (&name)[name_size], StringView prefix, unsigned int number)
{
	char digits[10];
	char *digit = digits;
	char *at = name;

	do {
		*digit++ = static_cast<char>('0' + number % 10);
		number /= 10;
	} while (number);
	for (char c : prefix)
		*at++ = c;
	while (digit != digits)
		*at++ = *--digit;
	*at = '\0';
}

} // namespace

/* The files of one place. */
struct SysfsFiles::Place {
	using Show = void (*)(Window &window, const Branch &branch);

	const Super *super;
	unsigned int index;
	char branch_name[name_size];
	char number_name[name_size];
	struct bin_attribute branch;
	struct bin_attribute number;

	template <Show show, class Attribute>
	static ssize_t read(struct file *, struct kobject *, Attribute *attribute, char *buffer,
			    loff_t offset, size_t size)
	{
		const auto &place = *static_cast<const Place *>(attribute->private_);
		Window window(buffer, offset, size);

		ClaimsLock lock;

		if (const Branch *branch = place.super->branch_at(place.index))
			show(window, *branch);
		return window.used();
	}
};

/* Room for the places from @first on, which came together. */
struct SysfsFiles::Places {
	Places(Places *last, unsigned int count, KvArray<Place> room)
		: before(last), first(count), places(move(room))
	{
	}
	Places *before;
	unsigned int first;
	KvArray<Place> places;
};

Result<void> SysfsFiles::create(const Super &super)
{
	char name[32];

	snprintf(name, sizeof(name), "si_%016llx", super.id());

	auto directory = Own<struct kobject>::adopt(kobject_create_and_add(name, all_unions));

	if (!directory)
		return Error{-ENOMEM};
	TRY(check(sysfs_create_bin_file(directory.get(), &xi_path)));
	directory_ = move(directory);
	super_ = &super;
	return {};
}

Result<void> SysfsFiles::make_room(unsigned int count)
{
	auto places = KvArray<Place>::allocate_zeroed(count);

	if (!places.data)
		return Error{-ENOMEM};

	auto room = Own<Places>::adopt(new (Gfp{GFP_KERNEL}) Places(last_, count_, move(places)));

	if (!room)
		return Error{-ENOMEM};
	last_ = room.leak();
	return {};
}

void SysfsFiles::free_room()
{
	while (last_ && last_->first >= count_)
		delete cxxrt::exchange(last_, last_->before);
}

/* Makes the files of one more place, for which there is room. */
Result<void> SysfsFiles::add()
{
	struct kobject *directory = directory_.get();
	Place &place = last_->places.data[count_ - last_->first];

	place.super = super_;
	place.index = count_;
	make_name(place.branch_name, "br", count_);
	make_name(place.number_name, "brid", count_);
	describe(place.branch, place.branch_name, &place, Place::read<show_branch>);
	describe(place.number, place.number_name, &place, Place::read<show_number>);
	TRY(check(sysfs_create_bin_file(directory, &place.branch)));
	if (int error = sysfs_create_bin_file(directory, &place.number)) {
		sysfs_remove_bin_file(directory, &place.branch);
		return Error{error};
	}
	count_++;
	return {};
}

/* Removes the files of all places but the first @count, and waits for their readers. */
void SysfsFiles::shrink(unsigned int count)
{
	while (count_ > count) {
		Place &place = last_->places.data[--count_ - last_->first];

		sysfs_remove_bin_file(directory_.get(), &place.number);
		sysfs_remove_bin_file(directory_.get(), &place.branch);
		free_room();
	}
	free_room();
}

Result<void> SysfsFiles::set_count(unsigned int count)
{
	unsigned int before = count_;

	if (count > before)
		TRY(make_room(count - before));
	while (count_ < count) {
		auto added = add();

		if (added.ok())
			continue;
		shrink(before);
		return added;
	}
	shrink(count);
	return {};
}

void SysfsFiles::remove()
{
	/* All files go with it, after their readers. */
	directory_ = {};
	count_ = 0;
	free_room();
}

} // namespace aufs

int aufs_sysfs_init()
{
	using namespace aufs;

	describe(xi_path, "xi_path", nullptr, read_nothing);
	all_unions = kobject_create_and_add("aufs", fs_kobj);
	return all_unions ? 0 : -ENOMEM;
}

void aufs_sysfs_exit()
{
	kobject_del(aufs::all_unions);
	kobject_put(aufs::all_unions);
}
