// SPDX-License-Identifier: GPL-2.0-only
#include "branch_finder.hh"

namespace aufs
{

using Size = StringView::Size;

Result<void> BranchName::set(StringView text, StringView end)
{
	char *to = short_;

	size_ = text.size() + end.size();
	if (size_ >= sizeof(short_)) {
		long_ = Own<char[]>::adopt(new (Gfp{GFP_KERNEL}) char[size_ + 1]);
		if (!long_)
			return Error{-ENOMEM};
		to = long_.get();
	}
	__builtin_memcpy(to, text.data(), text.size());
	__builtin_memcpy(to + text.size(), end.data(), end.size());
	to[size_] = '\0';
	return {};
}

namespace
{

Result<HeldPath> walk(const char *path)
{
	HeldPath found;
	int error = kern_path(path, LOOKUP_FOLLOW, &found.path);

	if (!error)
		return found;
	found.path = {};
	return Error{error};
}

/* @name becomes the absolute path of @path, which was given as @given, as the caller sees it. */
Result<void> take_absolute(const struct path &path, StringView given, BranchName &name)
{
	/* Most paths fit into the first one. The other is a page, which the kernel clears for each branch. */
	char few[256];
	Own<char[]> many;
	const char *text = d_path(&path, few, sizeof(few));

	if (text == error_pointer<char>(-ENAMETOOLONG)) {
		many = Own<char[]>::adopt(new (Gfp{GFP_KERNEL}) char[PATH_MAX]);
		if (!many)
			return Error{-ENOMEM};
		text = d_path(&path, many.get(), PATH_MAX);
	}
	/* A path that has no name here ("(unreachable)", too long) is shown as it was given. */
	return name.set(is_error(text) || text[0] != '/' ? given : StringView::from_c_string(text));
}

/* The size of the part of @path that leads to the directory of its last name, with the slash. 0 if it has none. */
Size size_above(StringView path)
{
	Size size = path.size();

	while (size && path[size - 1] != '/')
		size--;
	return size;
}

/* Whether a directory can have an entry of that name. */
bool is_entry(StringView name)
{
	return !name.empty() && name != "." && name != "..";
}

} // namespace

/* Finds the directory of given_, and its absolute path. Gives it no name if that cannot be used. */
Result<void> BranchFinder::find_above()
{
	char buffer[room];

	above_ = TRY(walk(given_));

	const char *text = d_path(&above_.path, buffer, sizeof(buffer));
	StringView name = is_error(text) || text[0] != '/' ? StringView() :
							     StringView::from_c_string(text);

	name_size_ = 0;
	if (name.empty() || name.size() + 1 >= room)
		return {};
	__builtin_memcpy(name_, name.data(), name.size());
	name_size_ = name.size();
	/* The root's path has its slash. */
	if (name_size_ > 1)
		name_[name_size_++] = '/';
	return {};
}

Result<HeldPath> BranchFinder::find_beside(StringView entry, BranchName &name)
{
	HeldPath found;

	if (!above_)
		TRY(find_above());
	if (!name_size_)
		return Error{-EAGAIN};

	int error = aufs_step_down(&above_.path, entry.data(), static_cast<int>(entry.size()),
				   &found.path);

	if (error) {
		found.path = {};
		return Error{error};
	}
	TRY(name.set({name_, name_size_}, entry));
	return found;
}

Result<HeldPath> BranchFinder::find(StringView path, BranchName &name)
{
	StringView above = path.substr(0, size_above(path));
	StringView entry = path.substr(above.size());

	if (is_entry(entry) && above == StringView(given_, given_size_) && !above.empty()) {
		/* Whatever keeps it from being found so, a walk of the whole path says what is right. */
		if (auto found = find_beside(entry, name); found.ok())
			return found;
	} else {
		above_ = {};
		given_size_ = above.size() < room ? above.size() : 0;
		__builtin_memcpy(given_, above.data(), given_size_);
		given_[given_size_] = '\0';
	}

	HeldPath found = TRY(walk(path.data()));

	TRY(take_absolute(found.path, path, name));
	return found;
}

} // namespace aufs
