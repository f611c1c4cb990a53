// SPDX-License-Identifier: GPL-2.0-only

#include "attempt_parts.hh"

#include "acl.hh"
#include "tree_ops.hh"

#include <algorithm>

#include <dirent.h>
#include <linux/aio_abi.h>
#include <sys/xattr.h>

Scene::Scene(const Union &u, const string &name, const Attempt &attempt)
	: dir(u.at(name)), file(dir + "/file"), to(dir + "/to"), sub(dir + "/sub"),
	  deep(sub + "/file")
{
	string top = u.top + "/" + name, low = u.low + "/" + name;
	make_dir(top);
	make_dir(low);
	attempt.prepare(top, low);
	if (attempt.open)
		attempt.open(*this);
}

Area area_of(const string &name)
{
	size_t which = std::find(std::begin(area_names), std::end(area_names), name) - area_names;
	ASSERT(which < std::size(area_names));
	return static_cast<Area>(which);
}

std::span<const Attempt> attempts_in(Area area)
{
	switch (area) {
	case Area::reading:
		return attempts_to_read();
	case Area::writing:
		return attempts_to_write();
	case Area::attributes:
		return attempts_at_attributes();
	case Area::copying:
		return attempts_to_copy_up();
	case Area::making:
		return attempts_to_make();
	case Area::removing:
		return attempts_to_remove();
	case Area::renaming:
		return attempts_to_rename();
	}
	return {};
}

const Attempt &attempt_named(const string &name)
{
	for (size_t area = 0; area < std::size(area_names); area++)
		for (const Attempt &attempt : attempts_in(static_cast<Area>(area)))
			if (attempt.name == name)
				return attempt;
	ktap::fail(__FILE__, __LINE__, "an attempt that is called " + name);
	throw ktap::Abort{};
}

std::vector<const char *> attempt_names()
{
	std::vector<const char *> names;
	for (size_t area = 0; area < std::size(area_names); area++)
		for (const Attempt &attempt : attempts_in(static_cast<Area>(area)))
			names.push_back(attempt.name);
	return names;
}

string attempt_acl(unsigned user)
{
	return acl({{ACL_USER_OBJ, 6, no_id},
		    {ACL_USER, uint16_t(user), alice.uid},
		    {ACL_GROUP_OBJ, 4, no_id},
		    {ACL_MASK, 4, no_id},
		    {ACL_OTHER, 4, no_id}});
}

void make_dressed(const string &path, const string &content)
{
	string rights = attempt_acl(4);
	timespec times[] = {old_time(1), old_time(2)};
	write_file(path, content);
	OK(setxattr(path.c_str(), attempt_attribute, "value", 5, 0));
	OK(setxattr(path.c_str(), access_acl, rights.data(), rights.size(), 0));
	OK(utimensat(AT_FDCWD, path.c_str(), times, 0));
}

void lower_file(const string &, const string &low)
{
	make_dressed(low + "/file");
}

void upper_file(const string &top, const string &)
{
	make_dressed(top + "/file");
}

void two_lower_names(const string &, const string &low)
{
	make_dressed(low + "/file");
	OK(link((low + "/file").c_str(), (low + "/other").c_str()));
}

void open_to_read(Scene &scene)
{
	scene.fd = open_file(scene.file, O_RDONLY);
}

void open_to_write(Scene &scene)
{
	scene.fd = open_file(scene.file, O_RDWR);
}

int expect_read(int fd, const char *text)
{
	static char content[1 << 12];
	size_t size = strlen(text);
	ssize_t got = pread(fd, content, sizeof(content), 0);
	if (got < 0)
		return errno;
	return size_t(got) == size && !memcmp(content, text, size) ? 0 : wrong_answer;
}

// ---- parts -------------------------------------------------------------------------------------

int ask_aio(int fd, unsigned opcode, size_t size)
{
	aio_context_t context = 0;
	iocb request = {}, *list[] = {&request};
	io_event event = {};
	if (syscall(SYS_io_setup, 1, &context))
		return errno;
	request.aio_fildes = static_cast<unsigned>(fd);
	request.aio_lio_opcode = static_cast<uint16_t>(opcode);
	request.aio_buf = reinterpret_cast<uintptr_t>(buffer);
	request.aio_nbytes = size;
	int error = result_of(syscall(SYS_io_submit, context, 1, list));
	if (!error)
		error = result_of(syscall(SYS_io_getevents, context, 1, 1, &event, nullptr));
	if (!error && event.res < 0)
		error = static_cast<int>(-event.res);
	else if (!error && size_t(event.res) != size)
		error = wrong_answer;
	syscall(SYS_io_destroy, context);
	return error;
}

int map_it(int fd, int rights, int advice, int (*use)(char *at))
{
	void *map = mmap(nullptr, block, rights, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return errno;
	int error = result_of(madvise(map, block, advice));
	if (!error)
		error = use(static_cast<char *>(map));
	munmap(map, block);
	return error;
}

void open_pipe(Scene &s)
{
	Pipe pipe;
	s.pipe_in = std::move(pipe.read);
	s.pipe_out = std::move(pipe.write);
	OK(fcntl(s.pipe_in, F_SETFL, O_NONBLOCK));
}

void empty_pipe(const Scene &s)
{
	while (read(s.pipe_in, buffer, sizeof(buffer)) > 0)
		;
}

// ---- how objects look --------------------------------------------------------------------------

static string content_of(const string &path)
{
	string content = read_file(path);
	if (content.size() < 40)
		return ktap::quote(content);
	return ktap::format("hash=%zx", std::hash<string>()(content));
}

static void look_at(const string &path, const Entry &entry, const string &name, string &text)
{
	struct stat is = lstat_of(path);
	bool is_dir = S_ISDIR(is.st_mode);
	EXPECT_EQ(unsigned(entry.type), IFTODT(is.st_mode));
	text += ktap::format("%s mode=%o uid=%u gid=%u", name.c_str(), is.st_mode, is.st_uid,
			     is.st_gid);
	/* A directory's size, links and times are those of its parts, which may be several. */
	if (!is_dir)
		text += ktap::format(" links=%lu size=%lld mtime=%lld", (unsigned long)is.st_nlink,
				     (long long)is.st_size,
				     is_old(is.st_mtim) ? (long long)is.st_mtim.tv_sec : -1LL);
	if (S_ISCHR(is.st_mode))
		text += ktap::format(" rdev=%lx", (unsigned long)is.st_rdev);
	for (const auto &[attribute, value] : xattrs_in(path))
		text += " " + attribute + "=" + ktap::quote(value);
	if (S_ISLNK(is.st_mode))
		text += " -> " + link_target(path);
	if (S_ISREG(is.st_mode))
		text += " " + content_of(path);
	text += "\n";
}

static void look_below(const string &root, const string &below, string &text)
{
	std::vector<Entry> entries = entries_in(root + below);
	std::vector<string> names;
	std::sort(entries.begin(), entries.end(),
		  [](const Entry &a, const Entry &b) { return a.name < b.name; });
	for (const Entry &entry : entries) {
		if (entry.name == "." || entry.name == "..")
			continue;
		string name = below + "/" + entry.name;
		names.push_back(entry.name);
		EXPECT_HAS_NOT(entry.name, ".wh.");
		look_at(root + name, entry, name, text);
		if (entry.type == DT_DIR)
			look_below(root, name, text);
	}
	EXPECT(std::adjacent_find(names.begin(), names.end()) == names.end());
	/* A second reading, which reports errors, gives the same names. */
	EXPECT_EQ(names_in(root + below), names);
	/*
	 * If the union numbers inodes itself, a number lasts as long as the inode. If a branch's filesystem changes its
	 * answer about an inode, the next stat() gives another number.
	 */
	expect_listed_numbers(root + below);
}

string looks_of(const string &dir)
{
	string text;
	look_below(dir, "", text);
	return text;
}

string as_if_noted(const string &now, const string &wanted, const Attempt &attempt)
{
	string more = wanted;
	size_t at = more.find(" links=1 ");
	if (!attempt.has_two_names || at == string::npos)
		return now;
	return now == more.replace(at, strlen(" links=1 "), " links=2 ") ? wanted : now;
}
