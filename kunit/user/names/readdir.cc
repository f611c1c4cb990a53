// SPDX-License-Identifier: GPL-2.0-only
//
// Reading merged directories.
//
// Combinations: tmpfs ext4

#include "fixture.hh"

#include <algorithm>
#include <map>
#include <set>

#include <dirent.h>

struct Entry {
	string name;
	ino_t inode;
	unsigned char type;
	off_t next;
};

struct RawEntry {
	uint64_t inode;
	int64_t next;
	unsigned short length;
	unsigned char type;
	char name[];
};

/* The entries of one getdents64() of @size bytes. */
static std::vector<Entry> get_entries(int dir, size_t size)
{
	std::vector<Entry> entries;
	std::vector<uint64_t> buffer(size / 8);
	long length = OK(syscall(SYS_getdents64, dir, buffer.data(), size));
	for (long at = 0; at < length;) {
		const auto *raw = reinterpret_cast<const RawEntry *>(
			reinterpret_cast<char *>(buffer.data()) + at);
		entries.push_back({raw->name, raw->inode, raw->type, raw->next});
		at += raw->length;
	}
	return entries;
}

static std::vector<Entry> all_entries(int dir, size_t size = 32768)
{
	std::vector<Entry> all;
	for (;;) {
		std::vector<Entry> some = get_entries(dir, size);
		if (some.empty())
			return all;
		all.insert(all.end(), some.begin(), some.end());
	}
}

static std::vector<Entry> all_entries(const string &path)
{
	Fd dir = open_file(path, O_RDONLY | O_DIRECTORY);
	return all_entries(dir);
}

static std::vector<string> sorted_names(const std::vector<Entry> &entries)
{
	std::vector<string> names;
	for (const Entry &entry : entries)
		names.push_back(entry.name);
	std::sort(names.begin(), names.end());
	return names;
}

CASE(merged_without_duplicates)
{
	Union u;
	for (const string &branch : {u.top, u.low, u.low2}) {
		write_file(branch + "/everywhere", "");
		make_dir(branch + "/dir");
	}
	write_file(u.top + "/t", "");
	write_file(u.top + "/.wh.gone", "");
	write_file(u.low + "/gone", "");
	write_file(u.low + "/l", "");
	write_file(u.low2 + "/gone", "");
	write_file(u.low2 + "/l2", "");
	u.mount(u.options() + ":" + u.low2);
	EXPECT_EQ(sorted_names(all_entries(u.mnt)),
		  (std::vector<string>{".", "..", "dir", "everywhere", "l", "l2", "t"}));
}

/* A directory on one branch is not merged. It shows no whiteouts either. */
PARAM_CASE(whiteouts_on_one_branch, "top", "low")
{
	Union u;
	string dir = (ktap::param() == "top" ? u.top : u.low) + "/dir";
	make_dir(dir);
	for (const char *name : {"a", "z", ".wh.gone", ".wh..wh..opq", ".whx"})
		write_file(dir + "/" + name, "");
	u.mount();
	EXPECT_EQ(sorted_names(all_entries(u.at("dir"))),
		  (std::vector<string>{".", "..", ".whx", "a", "z"}));
}

static unsigned char type_of(const struct stat &st)
{
	return IFTODT(st.st_mode);
}

/* The type and the number of each entry, dots included, are those of stat(). */
CASE(types_and_inode_numbers)
{
	Union u;
	for (const string &branch : {u.top, u.low}) {
		string own = branch == u.top ? "t_" : "l_";
		for (const string &dir : {branch, branch + "/dir"}) {
			if (dir != branch)
				make_dir(dir);
			write_file(dir + "/" + own + "file", "");
			make_dir(dir + "/" + own + "dir");
			OK(symlink("x", (dir + "/" + own + "symlink").c_str()));
			OK(mkfifo((dir + "/" + own + "fifo").c_str(), 0644));
			OK(mknod((dir + "/" + own + "socket").c_str(), S_IFSOCK | 0644, 0));
			OK(mknod((dir + "/" + own + "char").c_str(), S_IFCHR | 0644,
				 makedev(1, 3)));
			OK(mknod((dir + "/" + own + "block").c_str(), S_IFBLK | 0644,
				 makedev(7, 99)));
			write_file(dir + "/both", "");
		}
	}
	u.mount();
	/* Before any name was looked up, and after it. */
	for (int round = 0; round < 2; round++)
		for (const string &dir : {u.mnt, u.at("dir")}) {
			std::vector<Entry> entries = all_entries(dir);
			EXPECT_EQ(entries.size(), dir == u.mnt ? 18u : 17u);
			for (const Entry &entry : entries) {
				/* `..` of a mount's root leads out of the mount, but its d_ino does not. */
				string path = dir + "/" + entry.name;
				if (dir == u.mnt && entry.name == "..")
					path = dir;
				struct stat st = lstat_of(path);
				EXPECT_EQ(entry.name + " " + std::to_string(entry.inode),
					  entry.name + " " + std::to_string(st.st_ino));
				EXPECT_EQ(entry.name + " " + std::to_string(entry.type),
					  entry.name + " " + std::to_string(type_of(st)));
			}
		}
}

CASE(dots_come_first_and_once)
{
	Union u;
	make_dir(u.top + "/dir");
	make_dir(u.low + "/dir");
	write_file(u.low + "/dir/file", "");
	u.mount();
	std::vector<Entry> entries = all_entries(u.at("dir"));
	ASSERT_EQ(entries.size(), 3u);
	EXPECT_EQ(entries[0].name, ".");
	EXPECT_EQ(entries[1].name, "..");
	EXPECT_EQ(entries[1].inode, stat_of(u.mnt).st_ino);
}

static void fill(const Union &u, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		write_file(ktap::format("%s/name%u", i % 3 ? u.low.c_str() : u.top.c_str(), i), "");
}

/* The rest is the same from each position of telldir(). */
CASE(seekdir_to_every_position)
{
	Union u;
	fill(u, 60);
	u.mount();
	DIR *dir = OK(opendir(u.mnt.c_str()));
	std::vector<long> positions;
	std::vector<string> names;
	for (;;) {
		long position = telldir(dir);
		dirent *entry = readdir(dir);
		positions.push_back(position);
		if (!entry)
			break;
		names.push_back(entry->d_name);
	}
	ASSERT_EQ(names.size(), 62u);
	for (size_t start = positions.size(); start-- > 0;) {
		seekdir(dir, positions[start]);
		std::vector<string> rest;
		while (dirent *entry = readdir(dir))
			rest.push_back(entry->d_name);
		EXPECT_EQ(rest, std::vector<string>(names.begin() + start, names.end()));
	}
	closedir(dir);
}

/* Another descriptor of the directory can use the positions, as NFS servers do. */
CASE(positions_hold_across_descriptors)
{
	Union u;
	fill(u, 40);
	u.mount();
	Fd dir = open_file(u.mnt, O_RDONLY | O_DIRECTORY);
	std::vector<Entry> all = all_entries(dir);
	ASSERT_EQ(all.size(), 42u);
	for (size_t i = 0; i < all.size(); i += 5) {
		Fd other = open_file(u.mnt, O_RDONLY | O_DIRECTORY);
		OK(lseek(other, all[i].next, SEEK_SET));
		std::vector<Entry> rest = all_entries(other);
		EXPECT_EQ(rest.size(), all.size() - i - 1);
		if (!rest.empty())
			EXPECT_EQ(rest[0].name, all[i + 1].name);
	}
}

PARAM_CASE(small_buffers, "24", "64", "280", "1000")
{
	Union u;
	fill(u, 100);
	make_dir(u.low + "/" + string(200, 'n'));
	u.mount();
	Fd dir = open_file(u.mnt, O_RDONLY | O_DIRECTORY);
	size_t size = std::stoul(ktap::param());
	if (size < 280) {
		/* The buffer is too small for the longest name: an error, not an early end. */
		std::vector<string> seen;
		for (;;) {
			std::vector<uint64_t> buffer(size / 8);
			long length = syscall(SYS_getdents64, int(dir), buffer.data(), size);
			if (length < 0) {
				EXPECT_EQ(ktap::errno_name(errno), "EINVAL");
				break;
			}
			ASSERT_GT(length, 0);
		}
		OK(lseek(dir, 0, SEEK_SET));
		EXPECT_EQ(all_entries(dir).size(), 103u);
		return;
	}
	std::vector<string> names = sorted_names(all_entries(dir, size));
	EXPECT_EQ(names, sorted_names(all_entries(u.mnt)));
	EXPECT_EQ(names.size(), 103u);
}

CASE(rewinddir_sees_changes)
{
	Union u;
	write_file(u.low + "/one", "");
	u.mount();
	Fd dir = open_file(u.mnt, O_RDONLY | O_DIRECTORY);
	EXPECT_EQ(all_entries(dir).size(), 3u);
	write_file(u.at("two"), "");
	OK(lseek(dir, 0, SEEK_SET));
	EXPECT_EQ(sorted_names(all_entries(dir)), (std::vector<string>{".", "..", "one", "two"}));
	OK(unlink(u.at("two").c_str()));
	OK(lseek(dir, 0, SEEK_SET));
	EXPECT_EQ(sorted_names(all_entries(dir)), (std::vector<string>{".", "..", "one"}));
}

/* Entries are removed while the directory is read, as by `rm -r`: each entry comes once. */
CASE(remove_while_reading)
{
	Union u;
	make_dir(u.top + "/dir");
	for (int i = 0; i < 500; i++)
		write_file(ktap::format("%s/dir/f%d", u.top.c_str(), i), "");
	u.mount();
	Fd dir = open_file(u.at("dir"), O_RDONLY | O_DIRECTORY);
	size_t removed = 0;
	for (;;) {
		std::vector<Entry> some = get_entries(dir, 512);
		if (some.empty())
			break;
		for (const Entry &entry : some) {
			if (entry.name[0] == '.')
				continue;
			EXPECT_OK(unlinkat(dir, entry.name.c_str(), 0));
			removed++;
		}
	}
	EXPECT_EQ(removed, 500u);
	EXPECT_OK(rmdir(u.at("dir").c_str()));
}

/* A directory that was removed while it was open is at its end. */
CASE(read_a_removed_directory)
{
	Union u;
	make_dir(u.top + "/dir");
	u.mount();
	Fd dir = open_file(u.at("dir"), O_RDONLY | O_DIRECTORY);
	OK(rmdir(u.at("dir").c_str()));
	char buffer[1024];
	long length = syscall(SYS_getdents64, int(dir), buffer, sizeof(buffer));
	EXPECT(length == 0 || (length < 0 && errno == ENOENT));
}

CASE(several_readers)
{
	Union u;
	fill(u, 300);
	u.mount();
	std::vector<pid_t> readers;
	for (int i = 0; i < 4; i++)
		readers.push_back(spawn([&] {
			for (int round = 0; round < 10; round++)
				EXPECT_EQ(all_entries(u.mnt).size(), 302u);
		}));
	for (pid_t reader : readers)
		EXPECT_EQ(wait_for(reader), 0);
}

/* Two processes share a descriptor: together they see each entry once. */
CASE(shared_descriptor)
{
	Union u;
	fill(u, 300);
	u.mount();
	Fd dir = open_file(u.mnt, O_RDONLY | O_DIRECTORY);
	size_t first = get_entries(dir, 1024).size();
	Pipe pipe;
	pid_t child = spawn([&] {
		size_t count = all_entries(dir, 1024).size();
		OK(write(pipe.write, &count, sizeof(count)));
	});
	EXPECT_EQ(wait_for(child), 0);
	size_t rest = 0;
	OK(read(pipe.read, &rest, sizeof(rest)));
	EXPECT_EQ(first + rest, 302u);
	EXPECT_EQ(get_entries(dir, 1024).size(), 0u);
}

/* Nothing is timed: with work that is not linear the case would exceed its limit. */
CASE(a_hundred_thousand_entries, 900)
{
	Union u;
	/* The union's work has to be linear. Disks of the test machine take minutes for theirs. */
	const bool quick = on("tmpfs") && on("tmpfs", true);
	const unsigned total = !quick				    ? 6000 :
			       exists("/sys/kernel/debug/kmemleak") ? 15000 :
								      100000,
		       on_top = total * 45 / 100, both = total / 10;
	for (unsigned i = 0; i < on_top; i++)
		OK(mknod(ktap::format("%s/entry%u", u.top.c_str(), i).c_str(), S_IFREG | 0644, 0));
	for (unsigned i = on_top - both; i < total; i++)
		OK(mknod(ktap::format("%s/entry%u", u.low.c_str(), i).c_str(), S_IFREG | 0644, 0));
	u.mount();
	Fd dir = open_file(u.mnt, O_RDONLY | O_DIRECTORY);
	std::vector<bool> seen(total);
	std::vector<Entry> entries = all_entries(dir);
	EXPECT_EQ(entries.size(), total + 2);
	unsigned missing = total, wrong = 0;
	std::set<ino_t> inodes;
	for (const Entry &entry : entries) {
		unsigned number;
		inodes.insert(entry.inode);
		if (sscanf(entry.name.c_str(), "entry%u", &number) != 1 || number >= total)
			wrong += entry.name != "." && entry.name != "..";
		else if (seen[number])
			wrong++;
		else
			seen[number] = true, missing--;
	}
	EXPECT_EQ(missing, 0u);
	EXPECT_EQ(wrong, 0u);
	/* `..` of the root has the number of the root. */
	EXPECT_EQ(inodes.size(), total + 1);
	for (size_t i = 0; i < entries.size(); i += 997)
		if (entries[i].name[0] != '.')
			EXPECT_EQ(entries[i].inode, lstat_of(u.at(entries[i].name)).st_ino);
	/* The second half, and then all again. */
	OK(lseek(dir, entries[total / 2].next, SEEK_SET));
	EXPECT_EQ(all_entries(dir).size(), entries.size() - total / 2 - 1);
	OK(lseek(dir, 0, SEEK_SET));
	EXPECT_EQ(all_entries(dir).size(), entries.size());
}

/* Whiteouts by the thousand hide as many names. */
CASE(many_whiteouts, 300)
{
	Union u;
	for (unsigned i = 0; i < 5000; i++) {
		OK(mknod(ktap::format("%s/f%u", u.low.c_str(), i).c_str(), S_IFREG | 0644, 0));
		if (i % 2)
			OK(mknod(ktap::format("%s/.wh.f%u", u.top.c_str(), i).c_str(),
				 S_IFREG | 0644, 0));
	}
	u.mount();
	std::vector<string> names = sorted_names(all_entries(u.mnt));
	EXPECT_EQ(names.size(), 2502u);
	for (const string &name : names)
		if (name[0] == 'f')
			EXPECT_EQ(std::stoul(name.substr(1)) % 2, 0u);
}

CASE(not_a_directory)
{
	Union u;
	write_file(u.low + "/file", "");
	u.mount();
	EXPECT_ERR(open(u.at("file").c_str(), O_RDONLY | O_DIRECTORY), ENOTDIR);
	EXPECT_ERR(open(u.mnt.c_str(), O_RDWR), EISDIR);
	Fd dir = open_file(u.mnt, O_RDONLY | O_DIRECTORY);
	char byte;
	EXPECT_ERR(read(dir, &byte, 1), EISDIR);
	EXPECT_ERR(lseek(dir, -1, SEEK_SET), EINVAL);
	EXPECT_OK(fsync(dir));
}
