// SPDX-License-Identifier: GPL-2.0-only

#include "intruder.hh"

#include <algorithm>

#include <sys/xattr.h>

static constexpr const char *reserved_names[] = {".wh..wh.orph", ".wh..wh.plnk", ".wh..wh.aufs",
						 ".wh..wh..opq"};

/* The path of a directory by its descriptor: somebody else may put a link in its place. */
static string through(int dir)
{
	return ktap::format("/proc/self/fd/%d", dir);
}

static Fd open_dir(const string &path)
{
	return Fd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}

/* As rm -rf, but without complaints: others may be faster. */
static void run_rm(const string &path)
{
	if (unlink(path.c_str()) == 0 || errno != EISDIR)
		return;
	Fd dir = open_dir(path);
	if (dir < 0)
		return;
	for (const Entry &entry : entries_in(through(dir)))
		if (entry.name != "." && entry.name != "..")
			run_rm(through(dir) + "/" + entry.name);
	(void)!rmdir(path.c_str());
}

string Intruder::plain_name()
{
	return random_.one_in(3) ? random_.pick(dir_names) : random_.pick(file_names);
}

/* One of the union's own objects on a branch, or an object in it. */
string Intruder::reserved_path()
{
	string path = root_ + "/" + random_.pick(reserved_names);
	std::vector<string> inside;
	if (random_.one_in(2))
		return path;
	/* A step uses at most two names. */
	Fd &dir = housekeeping_[++turn_ % 2];
	dir = open_dir(path);
	if (dir < 0)
		return path;
	for (const Entry &entry : entries_in(through(dir)))
		if (entry.name != "." && entry.name != "..")
			inside.push_back(entry.name);
	return inside.empty() ? path : through(dir) + "/" + random_.pick(inside);
}

/* A name below the root of the branch. It may exist or not. There are few of them. */
string Intruder::path()
{
	string path = root_ + "/";
	if (random_.one_in(6))
		return reserved_path();
	for (unsigned depth = random_.below(4); depth > 0; depth--)
		path += string(random_.pick(dir_names)) + "/";
	if (random_.one_in(6))
		return path + (random_.one_in(3) ? ".wh..wh..opq" : ".wh." + plain_name());
	return path + plain_name();
}

string Intruder::somewhere()
{
	return random_.one_in(8) ? outside_ + "/" + plain_name() : path();
}

void Intruder::make_there(const string &path)
{
	const char *p = path.c_str();
	switch (random_.below(4)) {
	case 0:
		(void)!mkdir(p, random_.pick(modes));
		break;
	case 1:
		(void)!symlink((outside_ + "/a").c_str(),
			       (root_ + "/" + random_.pick(reserved_names)).c_str());
		break;
	default: {
		Fd fd(open(p, O_CREAT | O_WRONLY | O_TRUNC | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK,
			   0644));
		if (fd >= 0)
			(void)!write(fd, "direct", 6);
	}
	}
}

void Intruder::set_attribute(const string &path)
{
	static constexpr const char *names[] = {"trusted.aufs.origin", "trusted.aufs.impure",
						"trusted.t0"};
	string value = pattern(random_.one_in(2) ? 32 : random_.below(64), random_.below(9));
	if (random_.one_in(2))
		value.replace(0, std::min<size_t>(4, value.size()), "afs1", 4);
	(void)!lsetxattr(path.c_str(), random_.pick(names), value.data(), value.size(), 0);
}

void Intruder::unmount_one()
{
	(void)!umount2(mounts_.back().c_str(), MNT_DETACH);
	mounts_.pop_back();
}

void Intruder::mount_over(const string &path)
{
	if (mounts_.size() > 3)
		return unmount_one();
	if (!::mount((outside_ + "/mounted").c_str(), path.c_str(), "", MS_BIND, nullptr))
		mounts_.push_back(path);
}

/* Uses a directory that was opened before, wherever it is now. */
void Intruder::use_open_directory()
{
	if (dir_ < 0 || random_.one_in(4)) {
		dir_ = open_dir(path());
		return;
	}
	Fd(openat(dir_, plain_name().c_str(),
		  O_CREAT | O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0644));
}

void Intruder::step()
{
	root_ = random_.pick(roots_);
	string a = path(), b = somewhere();
	switch (random_.below(14)) {
	case 0:
	case 1:
	case 2:
	case 3:
		if (random_.one_in(4))
			std::swap(a, b);
		(void)!renameat2(AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(),
				 random_.one_in(4) ? RENAME_EXCHANGE : 0);
		break;
	case 4:
		(void)!rmdir(a.c_str());
		break;
	case 5:
		(void)!unlink(a.c_str());
		break;
	case 6:
		(void)!link(a.c_str(), b.c_str());
		break;
	case 7:
		if (random_.one_in(3))
			run_rm(a);
		break;
	case 8:
		(void)!lchown(a.c_str(), random_.below(2) * alice.uid, alice.gid);
		break;
	case 9:
		(void)!fchmodat(AT_FDCWD, a.c_str(), random_.pick(modes), AT_SYMLINK_NOFOLLOW);
		break;
	case 10:
		set_attribute(a);
		break;
	case 11:
		mount_over(a);
		break;
	case 12:
		use_open_directory();
		break;
	default:
		make_there(a);
	}
}

void Intruder::end()
{
	while (!mounts_.empty())
		unmount_one();
}

void Intruder::run(unsigned long steps)
{
	for (unsigned long i = 0; i < steps; i++)
		step();
	end();
}
