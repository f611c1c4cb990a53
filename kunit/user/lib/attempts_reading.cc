// SPDX-License-Identifier: GPL-2.0-only
//
// Attempts to read: names, attributes and data.

#include "acl.hh"
#include "attempt_parts.hh"

#include <dirent.h>
#include <linux/aio_abi.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

// ---- names -------------------------------------------------------------------------------------

static int look_for(const char *path, off_t size)
{
	struct stat is;
	if (stat(path, &is))
		return errno;
	return is.st_size == size ? 0 : wrong_answer;
}

static int read_link(const Scene &s)
{
	ssize_t got = readlink(s.file.c_str(), buffer, sizeof(buffer));
	if (got < 0)
		return errno;
	return got == 6 && !memcmp(buffer, "target", 6) ? 0 : wrong_answer;
}

/* Reads a directory: it has to give each of @expected once, and nothing else. */
static int expect_names(int fd, std::span<const char *const> expected)
{
	unsigned seen = 0;
	for (;;) {
		long got = syscall(SYS_getdents64, fd, buffer, sizeof(buffer));
		if (got < 0)
			return errno;
		if (!got)
			return seen == (1U << expected.size()) - 1 ? 0 : wrong_answer;
		for (long at = 0; at < got;) {
			auto *entry = reinterpret_cast<const dirent64 *>(buffer + at);
			unsigned which = 0;
			at += entry->d_reclen;
			if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
				continue;
			while (which < expected.size() && strcmp(entry->d_name, expected[which]))
				which++;
			if (which == expected.size() || (seen & 1U << which))
				return wrong_answer;
			seen |= 1U << which;
		}
	}
}

/* Reads the directory twice, each time from the beginning. */
static int read_names(const char *path, std::span<const char *const> expected)
{
	return with_file(open(path, O_RDONLY | O_DIRECTORY), [expected](int fd) {
		int error = expect_names(fd, expected);
		if (!error)
			error = result_of(lseek(fd, 0, SEEK_SET));
		return error ? error : expect_names(fd, expected);
	});
}

static int read_merged(const Scene &s)
{
	static constexpr const char *names[] = {"above", "below", "both"};
	return read_names(s.dir.c_str(), names);
}

static int read_one_part(const Scene &s)
{
	static constexpr const char *names[] = {"file", "other"};
	return read_names(s.sub.c_str(), names);
}

static void make_merged(const string &top, const string &low)
{
	write_file(top + "/above", "");
	write_file(top + "/both", "");
	write_file(top + "/.wh.hidden", "");
	for (const char *name : {"/below", "/both", "/hidden"})
		write_file(low + name, "");
}

static void make_one_part(const string &, const string &low)
{
	make_dir(low + "/sub");
	write_file(low + "/sub/file", "");
	write_file(low + "/sub/other", "");
}

// ---- data --------------------------------------------------------------------------------------

static int read_file_at(const char *path, int flags)
{
	return with_file(open(path, flags), [](int fd) { return expect_read(fd, attempt_text); });
}

static int read_direct(const Scene &s)
{
	return with_file(open(s.file.c_str(), O_RDONLY | O_DIRECT), [](int fd) {
		ssize_t got = pread(fd, buffer, block, 0);
		if (got < 0)
			return errno;
		return size_t(got) == strlen(attempt_text) &&
				       !memcmp(buffer, attempt_text, size_t(got)) ?
			       0 :
			       wrong_answer;
	});
}

static int map_and_read(int fd)
{
	return map_it(fd, PROT_READ, MADV_POPULATE_READ, [](char *at) {
		return memcmp(at, attempt_text, strlen(attempt_text)) ? wrong_answer : 0;
	});
}

static int splice_out(const Scene &s)
{
	off_t from = 0;
	size_t size = strlen(attempt_text);
	empty_pipe(s);
	ssize_t got = splice(s.fd, &from, s.pipe_out, nullptr, block, 0);
	if (got < 0)
		return errno;
	return size_t(got) == size && size_t(read(s.pipe_in, buffer, block)) == size &&
			       !memcmp(buffer, attempt_text, size) ?
		       0 :
		       wrong_answer;
}

// ---- questions ---------------------------------------------------------------------------------

static int seek_hole(const Scene &s)
{
	off_t size = static_cast<off_t>(strlen(attempt_text));
	off_t data = lseek(s.fd, 0, SEEK_DATA);
	off_t hole = data < 0 ? -1 : lseek(s.fd, 0, SEEK_HOLE);
	off_t end = hole < 0 ? -1 : lseek(s.fd, 0, SEEK_END);
	if (end < 0)
		return errno;
	return data == 0 && hole == size && end == size ? 0 : wrong_answer;
}

static int map_extents(const Scene &s)
{
	struct fiemap map = {};
	map.fm_length = FIEMAP_MAX_OFFSET;
	return result_of(ioctl(s.fd, FS_IOC_FIEMAP, &map));
}

static int get_version(const Scene &s)
{
	long version = 0;
	return result_of(ioctl(s.fd, FS_IOC_GETVERSION, &version));
}

static int take_lease(const Scene &s)
{
	int error = result_of(fcntl(s.fd, F_SETLEASE, F_RDLCK));
	return error ? error : result_of(fcntl(s.fd, F_SETLEASE, F_UNLCK));
}

static int get_attribute(const Scene &s, const char *name, size_t size)
{
	ssize_t got = getxattr(s.file.c_str(), name, buffer, sizeof(buffer));
	return got < 0 ? errno : size_t(got) == size ? 0 : wrong_answer;
}

static int list_attributes(const Scene &s)
{
	ssize_t got = listxattr(s.file.c_str(), buffer, sizeof(buffer));
	if (got < 0)
		return errno;
	for (ssize_t at = 0; at < got; at += static_cast<ssize_t>(strlen(buffer + at)) + 1)
		if (!strcmp(buffer + at, attempt_attribute))
			return 0;
	return wrong_answer;
}

static int read_mounts(const Scene &)
{
	return with_file(open("/proc/self/mounts", O_RDONLY), [](int fd) {
		ssize_t got;
		while ((got = read(fd, buffer, sizeof(buffer))) > 0)
			;
		return result_of(got);
	});
}

/* In the order of the tables: methods of a directory, of a file, and of both. */
std::span<const Attempt> attempts_to_read()
{
	static constexpr Attempt list[] = {
		{"stat", "lookup permission getattr alloc_inode", lower_file,
		 [](const Scene &s) {
			 return look_for(s.file.c_str(), strlen(attempt_text));
		 }},
		{"stat_of_what_is_known", "d_revalidate getattr", lower_file,
		 [](const Scene &s) { return look_for(s.file.c_str(), strlen(attempt_text)); },
		 Effect::none,
		 [](Scene &s) {
			 stat_of(s.file);
		 }},
		{"stat_of_nothing", "lookup", lower_file,
		 [](const Scene &s) {
			 int error = look_for(s.to.c_str(), 0);
			 return error == ENOENT ? 0 : error ? error : wrong_answer;
		 }},
		{"access", "permission", lower_file,
		 [](const Scene &s) {
			 return result_of(access(s.file.c_str(), R_OK | W_OK));
		 }},
		{"readlink", "get_link",
		 [](const string &, const string &low) {
			 OK(symlink("target", (low + "/file").c_str()));
		 },
		 read_link},
		{"statfs", "statfs", lower_file,
		 [](const Scene &s) {
			 struct statfs is;
			 return result_of(statfs(s.dir.c_str(), &is));
		 }},
		{"readdir", "open iterate_shared llseek release of a directory", make_merged,
		 read_merged},
		{"readdir_of_one_part", "open iterate_shared llseek release of a directory",
		 make_one_part, read_one_part},
		{"read", "open read_iter flush release", lower_file,
		 [](const Scene &s) {
			 return read_file_at(s.file.c_str(), O_RDONLY);
		 }},
		{"read_of_a_copy", "open read_iter update_time", upper_file,
		 [](const Scene &s) {
			 return read_file_at(s.file.c_str(), O_RDONLY);
		 }},
		{"read_after_a_copy_up", "read_iter", lower_file,
		 [](const Scene &s) { return expect_read(s.fd, attempt_text); }, Effect::none,
		 [](Scene &s) {
			 open_to_read(s);
			 OK(chmod(s.file.c_str(), 0640));
		 }},
		{.name = "read_direct",
		 .methods = "open read_iter",
		 .prepare = lower_file,
		 .run = read_direct,
		 .refusal = EINVAL},
		{.name = "read_by_aio",
		 .methods = "read_iter",
		 .prepare = lower_file,
		 .run =
			 [](const Scene &s) {
				 return ask_aio(s.fd, IOCB_CMD_PREAD, strlen(attempt_text));
			 },
		 .open = open_to_read,
		 .shortage = EAGAIN},
		{"splice_read", "splice_read", lower_file, splice_out, Effect::none,
		 [](Scene &s) {
			 open_to_read(s);
			 open_pipe(s);
		 }},
		{"mapped_read", "open mmap get_unmapped_area d_real", lower_file,
		 [](const Scene &s) {
			 return with_file(open(s.file.c_str(), O_RDONLY), map_and_read);
		 }},
		{"seek_hole", "llseek", lower_file, seek_hole, Effect::none, open_to_read},
		{"fadvise", "fadvise", lower_file,
		 [](const Scene &s) { return posix_fadvise(s.fd, 0, 0, POSIX_FADV_WILLNEED); },
		 Effect::none, open_to_read},
		{.name = "get_version",
		 .methods = "unlocked_ioctl",
		 .prepare = lower_file,
		 .run = get_version,
		 .open = open_to_read,
		 .refusal = ENOTTY},
		{.name = "fiemap",
		 .methods = "fiemap",
		 .prepare = lower_file,
		 .run = map_extents,
		 .open = open_to_read,
		 .refusal = EOPNOTSUPP},
		{"lease", "setlease", lower_file, take_lease, Effect::none, open_to_read},
		{"getxattr", "get of the xattr handler", lower_file,
		 [](const Scene &s) {
			 return get_attribute(s, attempt_attribute, 5);
		 }},
		{"listxattr", "listxattr", lower_file, list_attributes},
		{"get_acl", "get_acl get_inode_acl", lower_file,
		 [](const Scene &s) {
			 constexpr size_t size = sizeof(uint32_t) + 5 * sizeof(AclEntry);
			 return get_attribute(s, access_acl, size);
		 }},
		{"options", "show_options", lower_file, read_mounts},
	};
	return list;
}
