// SPDX-License-Identifier: GPL-2.0-only
//
// Attempts to change attributes: in place, and with the copy-up of a lower file.

#include "acl.hh"
#include "attempt_parts.hh"
#include "tree_ops.hh"

#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/xattr.h>

static int change_mode(const Scene &s)
{
	return result_of(chmod(s.file.c_str(), 0600));
}

static int change_owner(const Scene &s)
{
	return result_of(lchown(s.file.c_str(), bob.uid, bob.gid));
}

static int set_times(const Scene &s)
{
	timespec times[] = {old_time(3), old_time(4)};
	return result_of(utimensat(AT_FDCWD, s.file.c_str(), times, 0));
}

static int set_attribute(const Scene &s, int flags)
{
	return result_of(setxattr(s.file.c_str(), attempt_attribute, "another", 7, flags));
}

static int set_attribute_anyhow(const Scene &s)
{
	return set_attribute(s, 0);
}

static int replace_attribute(const Scene &s)
{
	return set_attribute(s, XATTR_REPLACE);
}

static int remove_attribute(const Scene &s)
{
	return result_of(removexattr(s.file.c_str(), attempt_attribute));
}

/* The ACL that attempt_acl() makes, in memory that needs no allocation. */
struct Acl {
	uint32_t version;
	AclEntry entries[5];
};

static constexpr Acl new_acl = {POSIX_ACL_XATTR_VERSION,
				{{ACL_USER_OBJ, 6, no_id},
				 {ACL_USER, 6, 1000},
				 {ACL_GROUP_OBJ, 4, no_id},
				 {ACL_MASK, 6, no_id},
				 {ACL_OTHER, 4, no_id}}};
static_assert(sizeof(Acl) == sizeof(uint32_t) + 5 * sizeof(AclEntry));

static int set_acl(const char *path, const char *type)
{
	return result_of(setxattr(path, type, &new_acl, sizeof(new_acl), 0));
}

static int set_access_acl(const Scene &s)
{
	return set_acl(s.file.c_str(), access_acl);
}

static int remove_access_acl(const Scene &s)
{
	return result_of(removexattr(s.file.c_str(), access_acl));
}

/* Sets a flag that no other attempt looks at, and checks that it is set. */
static int set_flags(const Scene &s)
{
	int flags = 0;
	if (ioctl(s.fd, FS_IOC_GETFLAGS, &flags))
		return errno;
	flags |= FS_NODUMP_FL;
	if (ioctl(s.fd, FS_IOC_SETFLAGS, &flags))
		return errno;
	flags = 0;
	if (ioctl(s.fd, FS_IOC_GETFLAGS, &flags))
		return errno;
	return flags & FS_NODUMP_FL ? 0 : wrong_answer;
}

std::span<const Attempt> attempts_at_attributes()
{
	static constexpr Attempt list[] = {
		{"chmod", "setattr", upper_file, change_mode, Effect::change},
		{"chown", "setattr", upper_file, change_owner, Effect::change},
		{"set_times", "setattr", upper_file, set_times, Effect::change},
		{"fchmod", "setattr", upper_file,
		 [](const Scene &s) { return result_of(fchmod(s.fd, 0600)); }, Effect::change,
		 open_to_write},
		{"setxattr", "set of the xattr handler", upper_file, set_attribute_anyhow,
		 Effect::change},
		{"removexattr", "set of the xattr handler", upper_file, remove_attribute,
		 Effect::change},
		{"set_acl", "set_acl", upper_file, set_access_acl, Effect::change},
		{"remove_acl", "set_acl", upper_file, remove_access_acl, Effect::change},
		{"set_default_acl", "set_acl of a directory",
		 [](const string &top, const string &) { make_dir(top + "/sub"); },
		 [](const Scene &s) { return set_acl(s.sub.c_str(), default_acl); },
		 Effect::change},
		{.name = "set_flags",
		 .methods = "fileattr_get fileattr_set",
		 .prepare = upper_file,
		 .run = set_flags,
		 .open = open_to_read,
		 .refusal = ENOTTY},
		{.name = "set_flags_of_a_directory",
		 .methods = "fileattr_get fileattr_set of a directory",
		 .prepare = upper_file,
		 .run = set_flags,
		 .open = [](Scene &s) { s.fd = open_file(s.dir, O_RDONLY | O_DIRECTORY); },
		 .refusal = ENOTTY},
	};
	return list;
}

// ---- copy-up -----------------------------------------------------------------------------------

static void dress(const string &path)
{
	timespec times[] = {old_time(1), old_time(2)};
	OK(lsetxattr(path.c_str(), attempt_attribute, "value", 5, 0));
	OK(utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW));
}

static void lower_symlink(const string &, const string &low)
{
	OK(symlink("target", (low + "/file").c_str()));
	dress(low + "/file");
}

static void lower_fifo(const string &, const string &low)
{
	OK(mknod((low + "/file").c_str(), S_IFIFO | 0644, 0));
	dress(low + "/file");
}

static void lower_device(const string &, const string &low)
{
	OK(mknod((low + "/file").c_str(), S_IFCHR | 0644, makedev(1, 7)));
	dress(low + "/file");
}

static void lower_directory(const string &, const string &low)
{
	make_dir(low + "/sub");
	make_dressed(low + "/sub/file");
	dress(low + "/sub");
	OK(setxattr((low + "/sub").c_str(), default_acl, &new_acl, sizeof(new_acl), 0));
}

/* A file so large that it takes more than one request. */
static void lower_large(const string &, const string &low)
{
	constexpr size_t piece = 1 << 16;
	string content = pattern(3 * piece);
	make_dressed(low + "/file", content.substr(0, piece));
	Fd file = open_file(low + "/file", O_WRONLY);
	OK(pwrite(file, content.data() + 2 * piece, piece, 2 * piece));
}

static int open_it(const char *path, int flags)
{
	return with_file(open(path, flags), nothing_more);
}

std::span<const Attempt> attempts_to_copy_up()
{
	static constexpr Attempt list[] = {
		{"copy_up_by_open", "open", lower_file,
		 [](const Scene &s) {
			 return open_it(s.file.c_str(), O_RDWR);
		 }},
		{.name = "copy_up_by_direct_open",
		 .methods = "open",
		 .prepare = lower_file,
		 .run = [](const Scene &s) { return open_it(s.file.c_str(), O_RDWR | O_DIRECT); },
		 .refusal = EINVAL},
		{"copy_up_by_chmod", "setattr", lower_file, change_mode, Effect::change},
		{"copy_up_by_chown", "setattr", lower_file, change_owner, Effect::change},
		{"copy_up_by_times", "setattr", lower_file, set_times, Effect::change},
		{"copy_up_by_setxattr", "set of the xattr handler", lower_file, replace_attribute,
		 Effect::change},
		{"copy_up_by_removexattr", "set of the xattr handler", lower_file, remove_attribute,
		 Effect::change},
		{"copy_up_by_set_acl", "set_acl", lower_file, set_access_acl, Effect::change},
		{"copy_up_by_remove_acl", "set_acl", lower_file, remove_access_acl, Effect::change},
		{.name = "copy_up_by_set_flags",
		 .methods = "fileattr_get fileattr_set",
		 .prepare = lower_file,
		 .run = set_flags,
		 .open = open_to_read,
		 .refusal = ENOTTY},
		{"copy_up_of_a_symlink", "setattr of a symlink", lower_symlink, change_owner,
		 Effect::change},
		{"copy_up_of_a_fifo", "setattr of a special file", lower_fifo, change_mode,
		 Effect::change},
		{"copy_up_of_a_device", "setattr of a special file", lower_device, change_mode,
		 Effect::change},
		{"copy_up_of_a_directory", "setattr of a directory", lower_directory,
		 [](const Scene &s) { return result_of(chmod(s.sub.c_str(), 0700)); },
		 Effect::change},
		{"copy_up_below", "setattr", lower_directory,
		 [](const Scene &s) { return result_of(chmod(s.deep.c_str(), 0600)); },
		 Effect::change},
		{.name = "copy_up_of_one_of_two",
		 .methods = "setattr",
		 .prepare = two_lower_names,
		 .run = change_mode,
		 .effect = Effect::change,
		 .has_two_names = true},
		{"copy_up_with_a_hole", "open", lower_large,
		 [](const Scene &s) {
			 return open_it(s.file.c_str(), O_RDWR);
		 }},
	};
	return list;
}
