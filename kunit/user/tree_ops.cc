// SPDX-License-Identifier: GPL-2.0-only

#include "tree_ops.hh"

#include <algorithm>
#include <ctime>
#include <map>
#include <memory>
#include <set>

#include <dirent.h>
#include <sys/xattr.h>

static const char *const file_names[] = {"a", "b", "c", "d", "e", "f"};
static const char *const dir_names[] = {"dir0", "dir1", "dir2"};
static const char *const xattr_names[] = {"trusted.t0", "trusted.t1", "trusted.t2",
					  "system.posix_acl_default", "system.posix_acl_access"};
static const mode_t modes[] = {0644, 0600, 0755, 0444, 04755, 02755, 01777, 0};
static constexpr unsigned largest = 40000;

uint64_t chosen_seed()
{
	const char *given = getenv("AUFS_SEED");
	timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	uint64_t seed = given && *given ? strtoull(given, nullptr, 0) :
					  (now.tv_sec * 1000003u + now.tv_nsec) % 100000000;
	ktap::say(ktap::format("%s: AUFS_SEED=%llu", ktap::current_name.c_str(),
			       static_cast<unsigned long long>(seed)));
	return seed;
}

unsigned long chosen_steps(unsigned long normal)
{
	const char *given = getenv("AUFS_STEPS");
	return given && *given ? strtoul(given, nullptr, 0) : normal;
}

/* What the attribute @name may have: for an ACL, one that names a user. */
static string value_for(const string &name, unsigned length, unsigned seed)
{
	struct {
		uint32_t version;
		struct {
			uint16_t tag, perm;
			uint32_t id;
		} entries[5];
	} acl = {2,
		 {{0x01, 7, ~0U},
		  {0x02, uint16_t(seed % 8), 1000},
		  {0x04, 5, ~0U},
		  {0x10, 7, ~0U},
		  {0x20, uint16_t(seed / 8 % 8), ~0U}}};

	if (name.rfind("trusted", 0) == 0)
		return pattern(length % 200, seed);
	return string(reinterpret_cast<const char *>(&acl), sizeof(acl));
}

timespec old_time(unsigned which)
{
	return {1000000000 + static_cast<time_t>(which % 400000000), (which % 1000) * 1000000L};
}

/*
 * Doing one.
 */

static const char *const kind_names[] = {"create",  "mkdir",	"mknod",     "symlink",
					 "link",    "unlink",	"rmdir",     "rename",
					 "write",   "truncate", "ftruncate", "chmod",
					 "chown",   "utimens",	"setxattr",  "removexattr",
					 "tmpfile", "map_write"};

string Op::text() const
{
	string text = string(kind_names[kind]) + " " + a;
	if (!b.empty())
		text += " " + b;
	return text + ktap::format(" flags=%#o offset=%u length=%u", flags, offset, length);
}

static int result(long value)
{
	return value < 0 ? errno : 0;
}

static int write_at(const Op &op, int fd)
{
	string content = pattern(op.length, op.seed);
	ssize_t done = op.offset % 2 ? pwrite(fd, content.data(), op.length, op.offset) :
				       write(fd, content.data(), op.length);
	if (done < 0)
		return errno;
	return static_cast<size_t>(done) == content.size() ? 0 : ENODATA;
}

static int map_and_write(const Op &op, int fd)
{
	size_t size = fstat_of(fd).st_size;
	if (!size)
		return 0;
	char *at =
		static_cast<char *>(mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	if (at == MAP_FAILED)
		return errno;
	size_t offset = op.offset % size;
	string content = pattern(std::min<size_t>(op.length, size - offset), op.seed);
	memcpy(at + offset, content.data(), content.size());
	int error = result(msync(at, size, MS_SYNC));
	munmap(at, size);
	if (error)
		return error;
	/* Filesystems differ in when a store through a mapping is seen in the times. */
	timespec times[2] = {old_time(op.seed), old_time(op.seed)};
	return result(futimens(fd, times));
}

static int make_without_name(const Op &op, const string &root)
{
	size_t slash = op.a.rfind('/');
	string dir = root + (slash == string::npos ? "" : op.a.substr(0, slash));
	Fd fd(open(dir.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, op.flags));
	if (fd < 0)
		return errno;
	if (int error = write_at(op, fd))
		return error;
	if (fstat_of(fd).st_nlink != 0)
		return ENODATA;
	string self = ktap::format("/proc/self/fd/%d", int(fd));
	return result(
		linkat(AT_FDCWD, self.c_str(), AT_FDCWD, (root + op.a).c_str(), AT_SYMLINK_FOLLOW));
}

static int with_open(const Op &op, const string &path, int flags, int (*body)(const Op &, int))
{
	Fd fd(open(path.c_str(), flags | O_CLOEXEC | O_NONBLOCK, 0644));
	/* A pipe or a device may be there by now. */
	if (fd < 0)
		return errno;
	if (!S_ISREG(fstat_of(fd).st_mode))
		return EBADF;
	return body(op, fd);
}

int Op::apply(const string &root) const
{
	string path = root + a, other = root + b;
	const char *p = path.c_str(), *o = other.c_str();
	timespec times[2] = {old_time(seed), old_time(seed)};
	const char *attribute = xattr_names[seed % std::size(xattr_names)];
	string value = value_for(attribute, length, seed);

	switch (kind) {
	case create:
		return result(Fd(open(
			p, O_CREAT | O_WRONLY | O_CLOEXEC | O_NONBLOCK | (seed % 2 ? O_EXCL : 0),
			flags)));
	case mkdir:
		return result(::mkdir(p, flags));
	case mknod:
		return result(::mknod(p, (seed % 3 ? S_IFIFO : S_IFCHR) | flags,
				      seed % 2 ? 0 : makedev(1, 3)));
	case symlink:
		return result(::symlink(b.c_str(), p));
	case link:
		return result(::link(p, o));
	case unlink:
		return result(::unlink(p));
	case rmdir:
		return result(::rmdir(p));
	case rename:
		return result(renameat2(AT_FDCWD, p, AT_FDCWD, o, flags));
	case write:
		return with_open(*this, path, flags, write_at);
	case truncate:
		return result(::truncate(p, offset));
	case ftruncate:
		return with_open(*this, path, O_RDWR, [](const Op &op, int fd) {
			return result(::ftruncate(fd, op.offset));
		});
	case chmod:
		return result(::chmod(p, flags));
	case chown:
		return result(lchown(p, flags / 16, flags % 16));
	case utimens:
		return result(utimensat(AT_FDCWD, p, times, AT_SYMLINK_NOFOLLOW));
	case setxattr:
		return result(lsetxattr(p, attribute, value.data(), value.size(), 0));
	case removexattr:
		return result(lremovexattr(p, attribute));
	case tmpfile:
		return make_without_name(*this, root);
	case map_write:
		return with_open(*this, path, O_RDWR, map_and_write);
	case kinds:
		break;
	}
	return EINVAL;
}

/*
 * Choosing one.
 */

static string new_name(Random &random, const Known &known, bool dir)
{
	const string &parent = random.pick(known.dirs);
	/* Not ever deeper. */
	bool deep = std::count(parent.begin(), parent.end(), '/') > 2;
	return (deep ? "" : parent) + (dir ? random.pick(dir_names) : random.pick(file_names));
}

static string some_name(Random &random, const Known &known)
{
	if (known.all.empty() || random.one_in(8))
		return new_name(random, known, random.one_in(3));
	return random.pick(known.all);
}

Op random_op(Random &random, const Known &known)
{
	static const Op::Kind often[] = {Op::create, Op::mkdir, Op::link,   Op::unlink,
					 Op::unlink, Op::rmdir, Op::rename, Op::rename,
					 Op::rename, Op::write, Op::write,  Op::rename};
	Op op = {};
	op.kind = random.one_in(2) ? random.pick(often) :
				     static_cast<Op::Kind>(random.below(Op::kinds));
	op.a = some_name(random, known);
	op.offset = random.below(largest);
	op.length = 1 + random.below(random.one_in(4) ? 9000 : 300);
	op.seed = random.below(1 << 20);
	op.flags = random.pick(modes);
	switch (op.kind) {
	case Op::create:
	case Op::mknod:
	case Op::tmpfile:
		op.a = new_name(random, known, random.one_in(10));
		break;
	case Op::mkdir:
		op.a = new_name(random, known, !random.one_in(6));
		break;
	case Op::symlink:
		op.a = new_name(random, known, random.one_in(10));
		op.b = random.one_in(3) ? random.pick(dir_names) : random.pick(file_names);
		break;
	case Op::rmdir:
		if (known.dirs.size() > 1) {
			op.a = known.dirs[1 + random.below(known.dirs.size() - 1)];
			op.a.pop_back();
		}
		break;
	case Op::link:
		op.b = new_name(random, known, random.one_in(10));
		break;
	case Op::rename: {
		static const unsigned flags[] = {0, 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE};
		op.b = random.one_in(2) ? some_name(random, known) :
					  new_name(random, known, random.one_in(3));
		op.flags = random.pick(flags);
		break;
	}
	case Op::write: {
		static const unsigned flags[] = {O_WRONLY, O_RDWR, O_RDWR | O_APPEND,
						 O_WRONLY | O_TRUNC, O_WRONLY | O_CREAT};
		op.flags = random.pick(flags);
		break;
	}
	case Op::chown:
		op.flags = random.below(64);
		break;
	default:
		break;
	}
	return op;
}

static void find_below(const string &root, const string &dir, Known &known)
{
	known.dirs.push_back(dir);
	for (const Entry &entry : entries_in(root + dir)) {
		if (entry.name == "." || entry.name == "..")
			continue;
		known.all.push_back(dir + entry.name);
		if (entry.type == DT_DIR)
			find_below(root, dir + entry.name + "/", known);
	}
}

Known known_in(const string &root)
{
	Known known;
	find_below(root, "", known);
	/* Whatever order the filesystem has. */
	std::sort(known.dirs.begin(), known.dirs.end());
	std::sort(known.all.begin(), known.all.end());
	return known;
}

/*
 * Looking.
 */

std::vector<Entry> entries_in(const string &path)
{
	std::vector<Entry> entries;
	std::unique_ptr<DIR, int (*)(DIR *)> dir(opendir(path.c_str()), closedir);
	while (dirent *entry = dir ? readdir(dir.get()) : nullptr)
		entries.push_back({entry->d_name, entry->d_ino, entry->d_type});
	return entries;
}

std::vector<std::pair<string, string>> xattrs_in(const string &path)
{
	std::vector<std::pair<string, string>> found;
	char names[4096], value[4096];
	ssize_t length = llistxattr(path.c_str(), names, sizeof(names));
	for (ssize_t at = 0; at < length; at += strlen(names + at) + 1) {
		ssize_t size = lgetxattr(path.c_str(), names + at, value, sizeof(value));
		found.emplace_back(names + at,
				   size < 0 ? ktap::errno_name(errno) : string(value, size));
	}
	std::sort(found.begin(), found.end());
	return found;
}

/*
 * Branches.
 */

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
		/* Some are for directories alone, or not for links. */
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
		/* The format has no name beside its whiteout. */
		if (!exists(to + ".wh." + other) && !exists(to + other))
			OK(linkat(AT_FDCWD, path.c_str(), AT_FDCWD, (to + other).c_str(), 0));
	}
}

void Layers::fill_one(Random &random, unsigned layer, bool links) const
{
	string root = roots_[layer] + "/";
	/* Breadth first, as the list grows. */
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
	std::map<Object, std::vector<string>> names; /* of what is no directory */
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
				/* A directory's ACL would be inherited, and its times change. */
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
