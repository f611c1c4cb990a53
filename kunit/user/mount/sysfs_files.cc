// SPDX-License-Identifier: GPL-2.0-only
//
// The files in /sys/fs/aufs that show a union and its branches while it exists.

#include "modules.hh"

#include <algorithm>

#include <dirent.h>
#include <sys/socket.h>

static const string all_unions = "/sys/fs/aufs";

/* The names of the files of a union with @count branches. */
static Names file_names(unsigned count)
{
	Names names = {"xi_path"};
	for (unsigned i = 0; i < count; i++) {
		names.push_back("br" + std::to_string(i));
		names.push_back("brid" + std::to_string(i));
	}
	std::sort(names.begin(), names.end());
	return names;
}

/* Undoes `\ooo`. */
static string decoded(const string &text)
{
	string bytes;
	for (size_t i = 0; i < text.size(); i++) {
		if (text[i] != '\\') {
			bytes += text[i];
			continue;
		}
		ASSERT_GE(text.size(), i + 4);
		bytes += static_cast<char>(std::stoi(text.substr(i + 1, 3), nullptr, 8));
		i += 3;
	}
	return bytes;
}

CASE(names_and_contents)
{
	Union u;
	u.mount("br:" + u.top + ":" + u.low + ":" + u.low2 + "=rr+coo_reg");
	string dir = sysfs_of(u.mnt);
	EXPECT_EQ(names_in(dir), file_names(3));
	EXPECT_EQ(read_file(dir + "/br0"), u.top + "=rw\n");
	EXPECT_EQ(read_file(dir + "/br1"), u.low + "=ro\n");
	EXPECT_EQ(read_file(dir + "/br2"), u.low2 + "=rr+coo_reg\n");
	EXPECT_EQ(read_file(dir + "/xi_path"), "");
	std::vector<unsigned long> numbers;
	for (const char *name : {"/brid0", "/brid1", "/brid2"}) {
		char *end = nullptr;
		string text = read_file(dir + name);
		numbers.push_back(strtoul(text.c_str(), &end, 10));
		EXPECT_EQ(string(end), "\n");
	}
	std::sort(numbers.begin(), numbers.end());
	EXPECT(std::adjacent_find(numbers.begin(), numbers.end()) == numbers.end());
	EXPECT_HAS(read_file("/proc/filesystems"), "nodev\taufs\n");
}

/* The line in /proc/mounts is as short as this for any number of branches. */
CASE(proc_mounts_has_the_id_alone)
{
	Union u;
	u.mount();
	string options = shown_options(u.mnt);
	string id = sysfs_of(u.mnt).substr(all_unions.size() + 4);
	EXPECT_EQ(id.size(), 16U);
	EXPECT_EQ(id.find_first_not_of("0123456789abcdef"), string::npos);
	EXPECT_EQ(options, "rw,relatime,si=" + id);
}

/* Every user can read the files, from any position and in any pieces. Nobody can write. */
CASE(read_in_pieces)
{
	Union u;
	u.mount();
	string path = sysfs_of(u.mnt) + "/br1", whole = u.low + "=ro\n", pieces;
	as_user(alice, [&] { EXPECT_EQ(read_file(path), whole); });
	Fd file = open_file(path, O_RDONLY);
	char byte;
	while (OK(read(file, &byte, 1)) == 1)
		pieces += byte;
	EXPECT_EQ(pieces, whole);
	EXPECT_EQ(pread_text(file, 4096, 3), whole.substr(3));
	EXPECT_EQ(pread_text(file, 2, static_cast<off_t>(whole.size() - 1)), "\n");
	EXPECT_EQ(pread_text(file, 1, static_cast<off_t>(whole.size())), "");
	EXPECT_EQ(pread_text(file, 1, 1L << 62), "");
	EXPECT_EQ(OK(lseek(file, 1, SEEK_SET)), 1);
	EXPECT_EQ(OK(read(file, &byte, 1)), 1);
	EXPECT_EQ(byte, whole[1]);
	struct stat is = fstat_of(file);
	EXPECT_EQ(is.st_mode, S_IFREG | 0444U);
	EXPECT_EQ(is.st_uid, 0U);
	EXPECT_EQ(is.st_gid, 0U);
	EXPECT_ERR(open(path.c_str(), O_WRONLY), EACCES);
}

/* Paths that were given relative or through a symlink are shown absolute. */
CASE(absolute_paths)
{
	Union u;
	OK(symlink(u.low.c_str(), (u.tmp + "/link").c_str()));
	OK(chdir(u.top.c_str()));
	u.mount("br=.:" + u.tmp + "/link");
	OK(chdir("/"));
	EXPECT_EQ(shown_branches(u.mnt), u.top + "=rw:" + u.low + "=ro");
}

/* Each file has one line. Only bytes that would break the line are escaped. */
PARAM_CASE(escaped_names, "plain", "space", "newline", "backslash", "octal_look_alike", "controls",
	   "separators", "utf8")
{
	string p = ktap::param();
	struct Name {
		string name, shown;
	} n = p == "space"	      ? Name{"a b\tc", "a\\040b\\011c"} :
	      p == "newline"	      ? Name{"\na=rw\n", "\\012a=rw\\012"} :
	      p == "backslash"	      ? Name{"a\\b", "a\\134b"} :
	      p == "octal_look_alike" ? Name{"a\\054b", "a\\134054b"} :
	      p == "controls"	      ? Name{"\x01\x1b[2J\x7f", "\\001\\033[2J\\177"} :
	      p == "separators"	      ? Name{"a,b:c=ro", "a,b:c=ro"} :
	      p == "utf8"	      ? Name{"\xc3\xa4", "\xc3\xa4"} :
					Name{"plain", "plain"};
	Union u;
	make_dir(u.low + "/" + n.name);
	u.mount("br=" + u.top + "=rw:" + u.low + "/" + as_option(n.name) + "=ro");
	string line = read_file(sysfs_of(u.mnt) + "/br1");
	EXPECT_EQ(line, u.low + "/" + n.shown + "=ro\n");
	EXPECT_EQ(decoded(line), u.low + "/" + n.name + "=ro\n");
}

/* A path that is longer than a page when it is shown. */
CASE(long_name)
{
	Union u;
	string path = u.low;
	OK(chdir(path.c_str()));
	for (int i = 0; i < 17; i++) {
		string name = string(210, '\n') + std::to_string(i);
		OK(mkdir(name.c_str(), 0755));
		OK(chdir(name.c_str()));
		path += "/" + name;
	}
	u.mount("br=" + u.top + "=rw:.=ro");
	OK(chdir("/"));
	string line = read_file(sysfs_of(u.mnt) + "/br1");
	EXPECT_GT(line.size(), 3 * page_size());
	EXPECT_EQ(decoded(line), path + "=ro\n");
	EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1);
}

CASE(many_branches)
{
	constexpr unsigned count = 127;
	Union u;
	string list, shown;
	for (unsigned i = 0; i < count; i++) {
		make_dir(ktap::format("%s/b%u", u.tmp.c_str(), i));
		list += ktap::format("%sb%u", i ? ":" : "", i);
		shown +=
			ktap::format("%s%s/b%u=r%c", i ? ":" : "", u.tmp.c_str(), i, i ? 'o' : 'w');
	}
	OK(chdir(u.tmp.c_str()));
	u.mount("br=" + list);
	OK(chdir("/"));
	EXPECT_EQ(names_in(sysfs_of(u.mnt)), file_names(count));
	EXPECT_EQ(shown_branches(u.mnt), shown);
	EXPECT_LT(shown_options(u.mnt).size(), 64U);
}

/* Each mount has files of its own, which go with it. */
CASE(two_unions)
{
	Union u;
	u.mount("br=" + u.low + "=ro");
	string first = sysfs_of(u.mnt);
	{
		Mounted second("none", u.tmp, "aufs", 0, "br=" + u.low2 + "=ro:" + u.low + "=ro");
		string other = sysfs_of(u.tmp);
		EXPECT_NE(other, first);
		EXPECT_EQ(names_in(all_unions).size(), 2U);
		EXPECT_EQ(shown_branches(u.tmp), u.low2 + "=ro:" + u.low + "=ro");
		EXPECT_EQ(shown_branches(u.mnt), u.low + "=ro");
	}
	EXPECT_EQ(all_unions + "/" + names_in(all_unions).at(0), first);
	EXPECT_EQ(shown_branches(u.mnt), u.low + "=ro");
	u.unmount();
	EXPECT_EQ(names_in(all_unions), Names{});
}

/* The id is random, and no address. */
CASE(random_id)
{
	Union u;
	Names ids;
	bool high = false, low = false;
	for (int i = 0; i < 40; i++) {
		u.mount();
		ids.push_back(sysfs_of(u.mnt));
		bool top_bit = strchr("89abcdef", ids.back()[all_unions.size() + 4]);
		(top_bit ? high : low) = true;
		u.unmount();
	}
	std::sort(ids.begin(), ids.end());
	EXPECT(std::adjacent_find(ids.begin(), ids.end()) == ids.end());
	EXPECT(high && low);
}

CASE(refused_mount_leaves_nothing)
{
	Union u;
	EXPECT_EQ(try_mount(u.mnt, "br=" + u.top + ":" + u.low + "/missing"), ENOENT);
	EXPECT_EQ(try_mount(u.mnt, u.options() + ",nonsense"), EINVAL);
	Mounted rw("none", u.tmp, "aufs", 0, u.options());
	EXPECT_EQ(try_mount(u.mnt, u.options()), EBUSY);
	EXPECT_EQ(names_in(all_unions).size(), 1U);
}

/* The files exist as long as the union, which lives while it is used. */
CASE(lazily_unmounted)
{
	Union u;
	u.mount();
	string dir = sysfs_of(u.mnt);
	Fd held = open_file(u.mnt, O_RDONLY | O_DIRECTORY);
	u.unmount_lazily();
	EXPECT_EQ(read_file(dir + "/br0"), u.top + "=rw\n");
	held.reset();
	EXPECT(!exists(dir));
}

/* A descriptor of such a file keeps neither the union nor the module. Reads are ENODEV when the union has gone. */
CASE(open_after_the_unmount)
{
	Union u;
	u.mount();
	string dir = sysfs_of(u.mnt);
	std::vector<Fd> files;
	for (const char *name : {"/br0", "/br1", "/brid1", "/xi_path"})
		files.push_back(open_file(dir + name, O_RDONLY));
	Fd open_dir = open_file(dir, O_RDONLY | O_DIRECTORY);
	EXPECT_EQ(pread_text(files[1], 4096, 0), u.low + "=ro\n");
	u.unmount();
	auto all_gone = [&] {
		char text[64];
		for (const Fd &file : files)
			EXPECT_ERR(pread(file, text, sizeof(text), 0), ENODEV);
		EXPECT_ERR(openat(open_dir, "br0", O_RDONLY), ENOENT);
	};
	all_gone();
	u.mount();
	all_gone();
	u.unmount();
	unload_module();
	all_gone();
	load_module("");
	all_gone();
}

/* Reads @path; returns "" if the file or its union has gone. Any other error is wrong. */
static string read_if_there(const string &path)
{
	char text[4096];
	Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
	ssize_t size = file < 0 ? -1 : pread(file, text, sizeof(text), 0);
	if (size >= 0)
		return string(text, size);
	if (errno != ENODEV)
		EXPECT_EQ(ktap::errno_name(errno), "ENOENT");
	return "";
}

/* Reads all files of all unions, again and again, until @stop is closed. */
static void read_all_until(int stop, const Union &u)
{
	const string top = u.top + "=rw\n", low = u.low + "=ro\n";
	unsigned told = 0;
	for (char byte; recv(stop, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN;) {
		DIR *dir = opendir(all_unions.c_str());
		while (dirent *entry = dir ? readdir(dir) : nullptr) {
			if (entry->d_name[0] == '.')
				continue;
			string path = all_unions + "/" + entry->d_name;
			string first = read_if_there(path + "/br0"),
			       second = read_if_there(path + "/br1");
			if (!first.empty())
				EXPECT_EQ(first, top);
			if (!second.empty())
				EXPECT_EQ(second, low);
			EXPECT_EQ(read_if_there(path + "/xi_path"), "");
			told += !read_if_there(path + "/brid1").empty();
		}
		if (dir)
			closedir(dir);
	}
	EXPECT_GT(told, 0U);
}

CASE(unmount_beside_readers)
{
	Union u;
	int ends[2];
	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
	std::vector<pid_t> readers;
	for (int i = 0; i < 3; i++)
		readers.push_back(spawn([&] {
			close(ends[1]);
			read_all_until(ends[0], u);
		}));
	for (int i = 0; i < 150; i++) {
		u.mount();
		if (i % 16 == 0)
			EXPECT_EQ(shown_branches(u.mnt), u.top + "=rw:" + u.low + "=ro");
		u.unmount();
		if (i % 50 == 49) {
			unload_module();
			load_module("");
		}
	}
	close(ends[1]);
	close(ends[0]);
	for (pid_t reader : readers)
		EXPECT_EQ(wait_for(reader), 0);
}

/* A place shows the branch that it has now. A branch keeps its number, which no other branch gets. */
CASE(the_files_follow_the_branches)
{
	Union u;
	u.mount();
	string dir = sysfs_of(u.mnt);
	string top = read_file(dir + "/brid0"), low = read_file(dir + "/brid1");
	EXPECT_EQ(remount(u, "add:1:" + u.low2 + "=rr"), 0);
	EXPECT_EQ(names_in(dir), file_names(3));
	EXPECT_EQ(read_file(dir + "/br1"), u.low2 + "=rr\n");
	EXPECT_EQ(read_file(dir + "/br2"), u.low + "=ro\n");
	string low2 = read_file(dir + "/brid1");
	EXPECT_EQ(read_file(dir + "/brid0"), top);
	EXPECT_EQ(read_file(dir + "/brid2"), low);
	EXPECT(low2 != top && low2 != low);
	EXPECT_EQ(remount(u, "mod:" + u.low2 + "=ro+coo_reg"), 0);
	EXPECT_EQ(read_file(dir + "/br1"), u.low2 + "=ro+coo_reg\n");
	EXPECT_EQ(read_file(dir + "/brid1"), low2);
	/* An open file belongs to the place, and ends with it. */
	Fd first = open_file(dir + "/br1", O_RDONLY), last = open_file(dir + "/br2", O_RDONLY);
	EXPECT_EQ(remount(u, "del:" + u.low2), 0);
	EXPECT_EQ(pread_text(first, 4096, 0), u.low + "=ro\n");
	char byte;
	EXPECT_ERR(pread(last, &byte, 1, 0), ENODEV);
	EXPECT_EQ(names_in(dir), file_names(2));
	EXPECT_EQ(read_file(dir + "/brid1"), low);
	EXPECT_EQ(remount(u, "append:" + u.low2), 0);
	string again = read_file(dir + "/brid2");
	EXPECT(again != top && again != low && again != low2);
	/* A remount that is refused changes nothing here. */
	EXPECT_EQ(remount(u, "append:" + u.tmp + ",append:/nowhere"), ENOENT);
	EXPECT_EQ(names_in(dir), file_names(3));
	EXPECT_EQ(read_file(dir + "/brid2"), again);
}

/* A branch that comes on top is rw in the original, if the union is not read-only. Here it is ro unless it says rw. */
CASE(without_a_permission_on_top)
{
	Union u;
	u.mount("br=" + u.top);
	string dir = sysfs_of(u.mnt);
	EXPECT_EQ(remount(u, "prepend:" + u.low), 0);
	EXPECT_EQ(read_file(dir + "/br0"), u.low + "=ro\n");
	EXPECT_EQ(remount(u, "add:0:" + u.low2), 0);
	EXPECT_EQ(shown_branches(u.mnt), u.low2 + "=ro:" + u.low + "=ro:" + u.top + "=rw");
	write_file(u.at("file"), "text");
	EXPECT_EQ(read_file(u.top + "/file"), "text");
	EXPECT_EQ(remount(u, "del:" + u.low2), 0);
	EXPECT_EQ(remount(u, "prepend:" + u.low2 + "=rw"), 0);
	EXPECT_EQ(read_file(dir + "/br0"), u.low2 + "=rw\n");
}

/* Tasks read all files while branches come and go: each line was right at some time. */
CASE(read_while_branches_change)
{
	constexpr int rounds = 100;
	Union u;
	u.mount();
	string dir = sysfs_of(u.mnt);
	Names right = {u.top + "=rw\n", u.low + "=ro\n", u.low2 + "=ro\n", u.low2 + "=rr\n"};
	Map stop(page_size(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1);
	std::vector<pid_t> readers;
	for (int i = 0; i < 3; i++)
		readers.push_back(spawn([&] {
			long lines = 0;
			while (!stop[0]) {
				for (const char *name : {"/br0", "/br1", "/br2", "/brid2"}) {
					char text[4096];
					Fd file(open((dir + name).c_str(), O_RDONLY | O_CLOEXEC));
					if (file < 0) {
						EXPECT(errno == ENOENT || errno == ENODEV);
						continue;
					}
					ssize_t size = read(file, text, sizeof(text));
					if (size <= 0) {
						/* The place exists, and its branch is just going. */
						EXPECT(size == 0 || errno == ENODEV);
						continue;
					}
					string line(text, size);
					EXPECT(name[3] == 'i' ||
					       std::find(right.begin(), right.end(), line) !=
						       right.end());
					lines++;
				}
			}
			EXPECT_GT(lines, 0);
		}));
	for (int i = 0; i < rounds; i++) {
		EXPECT_EQ(remount(u, (i % 2 ? "add:1:" : "append:") + u.low2 + "=ro"), 0);
		EXPECT_EQ(remount(u, "mod:" + u.low2 + "=rr"), 0);
		EXPECT_EQ(remount(u, "del:" + u.low2), 0);
	}
	stop[0] = 1;
	for (pid_t reader : readers)
		EXPECT_EQ(wait_for(reader), 0);
	EXPECT_EQ(names_in(dir), file_names(2));
	EXPECT_EQ(shown_branches(u.mnt), u.top + "=rw:" + u.low + "=ro");
}
