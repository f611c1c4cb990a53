// SPDX-License-Identifier: GPL-2.0-only

#include "layers.hh"

#include <algorithm>
#include <map>
#include <set>

#include <sys/xattr.h>

static void give_attributes(Random &random, const string &path, bool link)
{
	const char *p = path.c_str();
	if (random.one_in(3))
		OK(lchown(p, random.below(4), random.below(4)));
	if (!link && random.one_in(3))
		OK(chmod(p, random.pick(modes)));
	while (random.one_in(3)) {
		const char *name = random.pick(xattr_names);
		string value = value_for(name, random.below(200), random.below(1000));
		/* Some attributes are for directories alone, or not for links. */
		(void)!lsetxattr(p, name, value.data(), value.size(), 0);
	}
	timespec time = old_time(random.below(1 << 30)), times[2] = {time, time};
	OK(utimensat(AT_FDCWD, p, times, AT_SYMLINK_NOFOLLOW));
}

static void fill_name(Random &random, const string &root, const string &name, bool links)
{
	string path = root + name;
	bool dir = name.find("dir", name.rfind('/') + 1) != string::npos;
	unsigned kind = random.below(20);
	if (kind < (dir ? 2 : 15)) {
		write_file(path, pattern(random.below(random.one_in(5) ? largest : 500),
					 random.below(99)));
		if (random.one_in(8))
			OK(truncate(path.c_str(), random.below(3 * largest)));
	} else if (kind == 18) {
		OK(symlink(random.pick(file_names), path.c_str()));
	} else if (kind == 19) {
		OK(mkfifo(path.c_str(), 0640));
	} else {
		make_dir(path);
		return; /* its attributes come when it is full */
	}
	give_attributes(random, path, kind == 18);
	if (!links || !random.one_in(4))
		return;
	std::vector<string> dirs = known_in(root).dirs;
	for (unsigned i = 0; i < 2; i++) {
		string to = root + random.pick(dirs);
		const char *other = random.pick(file_names);
		/* In the format a name never stands beside its whiteout. */
		if (!exists(to + ".wh." + other) && !exists(to + other))
			OK(linkat(AT_FDCWD, path.c_str(), AT_FDCWD, (to + other).c_str(), 0));
	}
}

void Layers::fill_one(Random &random, unsigned layer, bool links) const
{
	string root = roots_[layer] + "/";
	/* Breadth first: the list grows on the way. */
	std::vector<string> dirs = {""};
	for (size_t i = 0; i < dirs.size(); i++) {
		string dir = dirs[i];
		auto below = parts(dir.substr(0, dir.empty() ? 0 : dir.size() - 1));
		bool hides = std::count(below.begin(), below.end(), layer) && below.back() > layer;
		auto fill_some = [&](const char *name) {
			string path = dir + name;
			if (random.one_in(hides && layer + 1 < roots_.size() ? 3 : 2)) {
				if (!exists(root + path))
					fill_name(random, root, path, links);
				if (S_ISDIR(lstat_of(root + path).st_mode))
					dirs.push_back(path + "/");
			} else if (hides && random.one_in(4) && !exists(root + path)) {
				write_file(root + dir + ".wh." + name, "", 0444);
			}
		};
		for (const char *name : file_names)
			fill_some(name);
		if (std::count(dir.begin(), dir.end(), '/') < 2)
			for (const char *name : dir_names)
				fill_some(name);
		if (!dir.empty() && hides && random.one_in(8))
			write_file(root + dir + ".wh..wh..opq", "", 0444);
	}
	for (size_t i = dirs.size(); i-- > 1;)
		give_attributes(random, root + dirs[i].substr(0, dirs[i].size() - 1), false);
}

void Layers::fill(Random &random, bool links) const
{
	for (unsigned layer = roots_.size(); layer-- > 0;)
		fill_one(random, layer, links);
}

std::vector<unsigned> Layers::lookup(const std::vector<unsigned> &dir_parts,
				     const string &path) const
{
	size_t slash = path.rfind('/');
	string dir = slash == string::npos ? "/" : "/" + path.substr(0, slash + 1);
	string name = slash == string::npos ? path : path.substr(slash + 1);
	std::vector<unsigned> found;
	for (unsigned layer : dir_parts) {
		string there = roots_[layer] + dir;
		struct stat st;
		if (lstat((there + name).c_str(), &st) == 0) {
			bool is_dir = S_ISDIR(st.st_mode);
			if (found.empty() || is_dir)
				found.push_back(layer);
			if (!is_dir || exists(there + name + "/.wh..wh..opq"))
				break;
		}
		if (exists(there + ".wh." + name))
			break;
	}
	return found;
}

std::vector<unsigned> Layers::parts(const string &path) const
{
	std::vector<unsigned> found;
	for (unsigned layer = 0; layer < roots_.size(); layer++)
		found.push_back(layer);
	for (size_t end = 0; !path.empty() && end != string::npos;) {
		end = path.find('/', end + 1);
		found = lookup(found, path.substr(0, end));
	}
	return found;
}

static void copy_object(const string &from, const struct stat &is, const string &to)
{
	const char *t = to.c_str();
	if (S_ISREG(is.st_mode))
		write_file(to, read_file(from));
	else if (S_ISLNK(is.st_mode))
		OK(symlink(link_target(from).c_str(), t));
	else if (S_ISDIR(is.st_mode))
		make_dir(to);
	else
		OK(mknod(t, is.st_mode, is.st_rdev));
	OK(lchown(t, is.st_uid, is.st_gid));
	if (!S_ISLNK(is.st_mode))
		OK(chmod(t, is.st_mode & 07777));
}

static void copy_the_rest(const string &from, const struct stat &is, const string &to)
{
	for (const auto &[name, value] : xattrs_in(from))
		OK(lsetxattr(to.c_str(), name.c_str(), value.data(), value.size(), 0));
	timespec times[2] = {is.st_atim, is.st_mtim};
	OK(utimensat(AT_FDCWD, to.c_str(), times, AT_SYMLINK_NOFOLLOW));
}

void Layers::merge_into(const string &model, const string &hidden) const
{
	using Object = std::pair<unsigned, ino_t>;
	std::map<Object, std::vector<string>> names; /* of all but directories */
	std::vector<string> dirs = {""};
	for (size_t i = 0; i < dirs.size(); i++) {
		string dir = dirs[i];
		std::set<string> here;
		for (unsigned layer : parts(dir.substr(0, dir.empty() ? 0 : dir.size() - 1)))
			for (const string &name : names_in(roots_[layer] + "/" + dir))
				if (name.rfind(".wh.", 0) != 0)
					here.insert(name);
		for (const string &name : here) {
			auto found = parts(dir + name);
			if (found.empty())
				continue;
			string from = roots_[found[0]] + "/" + dir + name, to = model + dir + name;
			struct stat is = lstat_of(from);
			if (S_ISDIR(is.st_mode))
				dirs.push_back(dir + name + "/");
			auto &known = names[{found[0], is.st_ino}];
			if (!known.empty()) {
				OK(linkat(AT_FDCWD, known[0].c_str(), AT_FDCWD, to.c_str(), 0));
			} else {
				copy_object(from, is, to);
				/* New entries would inherit a directory's ACL, and change its times. */
				if (!S_ISDIR(is.st_mode))
					copy_the_rest(from, is, to);
			}
			if (!S_ISDIR(is.st_mode))
				known.push_back(to);
		}
	}

	unsigned number = 0;
	for (const auto &[object, known] : names) {
		if (known.empty())
			continue; /* a directory */
		nlink_t links = lstat_of(known[0]).st_nlink;
		string original = known[0].substr(model.size());
		original = roots_[object.first] + "/" + original;
		for (; links < lstat_of(original).st_nlink; links++) {
			string extra = hidden + std::to_string(number++);
			OK(linkat(AT_FDCWD, known[0].c_str(), AT_FDCWD, extra.c_str(), 0));
		}
	}
	for (size_t i = dirs.size(); i-- > 1;) {
		string dir = dirs[i].substr(0, dirs[i].size() - 1);
		string from = roots_[parts(dir)[0]] + "/" + dir;
		copy_the_rest(from, lstat_of(from), model + dir);
	}
}

void follow_exchange(const string &from, const string &to)
{
	struct stat is = lstat_of(from);
	if (!S_ISDIR(is.st_mode) || !strstr(ktap::env("AUFS_COMBO"), "xfs"))
		return;
	timespec times[] = {is.st_atim, is.st_mtim};
	OK(utimensat(AT_FDCWD, to.c_str(), times, 0));
}
