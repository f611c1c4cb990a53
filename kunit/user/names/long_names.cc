// SPDX-License-Identifier: GPL-2.0-only
//
// The union has no names that are too long for a whiteout, whatever call asks.
//
// Combinations: tmpfs ext4+xfs

#include "fuse_server.hh"

constexpr size_t longest = 251; /* 255 without `.wh.` */

static string name(char letter, size_t length)
{
	return string(length, letter);
}

/* The lower branch has names around the limit. */
struct Setup : Union {
	Setup()
	{
		for (size_t length : {longest, longest + 1, size_t(255)}) {
			write_file(low + "/" + name('f', length), "low");
			make_dir(low + "/" + name('d', length));
			write_file(low + "/" + name('d', length) + "/inside", "");
			OK(symlink("x", (low + "/" + name('l', length)).c_str()));
		}
	}
};

CASE(the_longest)
{
	Setup u;
	u.mount();
	EXPECT_EQ(pathconf(u.mnt.c_str(), _PC_NAME_MAX), long(longest));
	string file = u.at(name('f', longest)), dir = u.at(name('d', longest));
	EXPECT_EQ(read_file(file), "low");
	write_file(file, "written");
	EXPECT_EQ(read_file(u.top + "/" + name('f', longest)), "written");
	OK(rename(file.c_str(), u.at("short").c_str()));
	EXPECT(!exists(file));
	OK(rename(u.at("short").c_str(), file.c_str()));
	OK(unlink(file.c_str()));
	EXPECT(!exists(file));
	OK(unlink((dir + "/inside").c_str()));
	OK(rmdir(dir.c_str()));
	OK(unlink(u.at(name('l', longest)).c_str()));
	EXPECT_EQ(names_in(u.mnt), std::vector<string>());
}

PARAM_CASE(longer, "252", "255", "255_absent", "256")
{
	Setup u;
	string p = ktap::param();
	size_t length = std::stoul(p);
	char letter = p == "255_absent" ? 'a' : 'f';
	u.mount();
	string file = u.at(name(letter, length)),
	       dir = u.at(name(letter == 'f' ? 'd' : 'a', length));
	string before = snapshot(u.low);
	struct stat st;
	EXPECT_ERR(stat(file.c_str(), &st), ENAMETOOLONG);
	EXPECT_ERR(open(file.c_str(), O_RDONLY), ENAMETOOLONG);
	EXPECT_ERR(open(file.c_str(), O_RDWR | O_CREAT, 0644), ENAMETOOLONG);
	EXPECT_ERR(mkdir(file.c_str(), 0755), ENAMETOOLONG);
	EXPECT_ERR(symlink("x", file.c_str()), ENAMETOOLONG);
	EXPECT_ERR(mknod(file.c_str(), S_IFIFO | 0644, 0), ENAMETOOLONG);
	EXPECT_ERR(unlink(file.c_str()), ENAMETOOLONG);
	EXPECT_ERR(rmdir(dir.c_str()), ENAMETOOLONG);
	EXPECT_ERR(open((dir + "/inside").c_str(), O_RDONLY), ENAMETOOLONG);
	EXPECT_ERR(rename(file.c_str(), u.at("short").c_str()), ENAMETOOLONG);
	write_file(u.at("short"), "");
	EXPECT_ERR(rename(u.at("short").c_str(), file.c_str()), ENAMETOOLONG);
	EXPECT_ERR(link(u.at("short").c_str(), file.c_str()), ENAMETOOLONG);
	EXPECT_EQ(snapshot(u.low), before);
}

/* They are not listed, neither in a merged directory nor in one that is read through. The log says so once. */
PARAM_CASE(listed, "merged", "one_part")
{
	Setup u;
	if (ktap::param() == "merged")
		u.mount();
	else
		u.mount("br=" + u.low + "=ro");
	KernelLog log;
	std::vector<string> wanted = {name('d', longest), name('f', longest), name('l', longest)};
	EXPECT_EQ(names_in(u.mnt), wanted);
	EXPECT_HAS(log.read(), u.low + "' has names of more than 251 bytes");
	EXPECT_EQ(names_in(u.mnt), wanted);
	EXPECT_EQ(log.read(), "");
}

/* The whiteout of the longest name is longer than the limit. The log does not mention it. */
CASE(whiteout_of_the_longest)
{
	Setup u;
	u.mount();
	KernelLog log;
	OK(unlink(u.at(name('f', longest)).c_str()));
	EXPECT_EQ(names_in(u.top),
		  (std::vector<string>{".wh..wh.aufs", ".wh." + name('f', longest)}));
	u.unmount();
	u.mount("br=" + u.top + "=rw");
	EXPECT_EQ(names_in(u.mnt), std::vector<string>());
	EXPECT_EQ(log.read(), "");
}

/* A directory that seems empty is removed only if the rw branch loses nothing with it. */
PARAM_CASE(directory_that_looks_empty, "low", "top")
{
	Union u;
	bool low = ktap::param() == "low";
	string dir = (low ? u.low : u.top) + "/dir", hidden = dir + "/" + name('f', 255);
	make_dir(dir);
	make_dir(u.low + "/other");
	write_file(hidden, "text");
	u.mount();
	EXPECT_EQ(names_in(u.at("dir")), std::vector<string>());
	if (low) {
		EXPECT_OK(rmdir(u.at("dir").c_str()));
	} else {
		EXPECT_ERR(rmdir(u.at("dir").c_str()), ENOTEMPTY);
		make_dir(u.at("new"));
		EXPECT_ERR(rename(u.at("new").c_str(), u.at("dir").c_str()), ENOTEMPTY);
		/* The hidden file moves with its directory. */
		OK(rename(u.at("dir").c_str(), u.at("moved").c_str()));
		hidden = u.top + "/moved/" + name('f', 255);
	}
	EXPECT_EQ(read_file(hidden), "text");
}

/* A server may list names that are longer than on any disk. */
PARAM_CASE(names_of_a_server, "252", "256", "260", "1000")
{
	Union u;
	Server server(u.tmp + "/served");
	server.faults->long_name = std::stoul(ktap::param());
	write_file(u.top + "/mine", "");
	u.mount("br=" + u.top + "=rw:" + u.tmp + "/served=ro");
	EXPECT_EQ(names_in(u.mnt), (std::vector<string>{"dir", "file", "mine"}));
	u.unmount();
}
