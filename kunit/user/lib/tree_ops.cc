// SPDX-License-Identifier: GPL-2.0-only

#include "tree_ops.hh"

#include <algorithm>
#include <ctime>
#include <memory>

#include <dirent.h>
#include <sys/xattr.h>

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
	if (given && *given)
		return strtoul(given, nullptr, 0);
	return getenv("AUFS_QUICK") ? normal / 2 : normal;
}

string value_for(const string &name, unsigned length, unsigned seed)
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
	std::copy(content.begin(), content.end(), at + offset);
	int error = result(msync(at, size, MS_SYNC));
	munmap(at, size);
	if (error)
		return error;
	/* Filesystems change the times at different moments after a store through a mapping. */
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
	/* The name may be a pipe's or a device's by now. */
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
	/* The tree does not get deeper and deeper. */
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
	/* In an order that does not depend on the filesystem. */
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

void expect_listed_numbers(const string &dir)
{
	for (const Entry &entry : entries_in(dir))
		if (entry.name != "." && entry.name != "..")
			EXPECT_EQ(entry.number, lstat_of(dir + "/" + entry.name).st_ino);
}

std::vector<std::pair<string, string>> xattrs_in(const string &path)
{
	std::vector<std::pair<string, string>> found;
	char names[4096], value[4096];
	ssize_t length = llistxattr(path.c_str(), names, sizeof(names));
	for (ssize_t at = 0; at < length; at += strlen(names + at) + 1) {
		/* XFS shows ACLs in a form of its own, too. */
		if (string(names + at).rfind("trusted.SGI_ACL_", 0) == 0)
			continue;
		ssize_t size = lgetxattr(path.c_str(), names + at, value, sizeof(value));
		found.emplace_back(names + at,
				   size < 0 ? ktap::errno_name(errno) : string(value, size));
	}
	std::sort(found.begin(), found.end());
	return found;
}

string describe(const string &path)
{
	struct stat is;
	if (lstat(path.c_str(), &is))
		return path + ": " + ktap::errno_name(errno);
	string text = ktap::format("%s: mode=%o links=%lu inode=%lu size=%lld", path.c_str(),
				   is.st_mode, (unsigned long)is.st_nlink, (unsigned long)is.st_ino,
				   (long long)is.st_size);
	for (const auto &[attribute, value] : xattrs_in(path))
		text += " " + attribute;
	if (S_ISDIR(is.st_mode))
		for (const Entry &entry : entries_in(path))
			text += " '" + entry.name + "'";
	return text;
}
