// SPDX-License-Identifier: GPL-2.0-only

#include "caller.hh"

#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/statfs.h>
#include <sys/uio.h>
#include <sys/xattr.h>

#include <linux/fs.h>

namespace
{

constexpr int open_flags[] = {
	O_RDONLY,
	O_RDWR,
	O_WRONLY | O_CREAT,
	O_RDWR | O_CREAT | O_EXCL,
	O_WRONLY | O_TRUNC,
	O_RDWR | O_APPEND,
	O_RDONLY | O_DIRECTORY,
	O_PATH,
	O_RDWR | O_DIRECT,
	O_RDONLY | O_NOFOLLOW | O_NOATIME,
	O_RDWR | O_CREAT | O_TRUNC | O_SYNC,
	O_RDONLY | O_TRUNC,
};
constexpr mode_t call_modes[] = {0644, 0600, 0755, 0, 04755, 02755, 01777, 0222};
constexpr int fallocate_modes[] = {0,
				   FALLOC_FL_KEEP_SIZE,
				   FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				   FALLOC_FL_ZERO_RANGE,
				   FALLOC_FL_COLLAPSE_RANGE,
				   FALLOC_FL_INSERT_RANGE,
				   FALLOC_FL_UNSHARE_RANGE,
				   0x4000};
constexpr unsigned rename_flags[] = {0, 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT};
constexpr const char *attributes[] = {"trusted.t0",
				      "trusted.t1",
				      "user.u0",
				      "security.capability",
				      "system.posix_acl_access",
				      "system.posix_acl_default",
				      "trusted.aufs.origin",
				      "trusted.overlay.opaque",
				      "nonsense"};
constexpr int whences[] = {SEEK_SET, SEEK_CUR, SEEK_END, SEEK_DATA, SEEK_HOLE, 99};
constexpr int advices[] = {MADV_NORMAL, MADV_WILLNEED, MADV_DONTNEED, MADV_REMOVE,
			   MADV_COLD,	MADV_PAGEOUT,  MADV_DONTFORK};
/* No flag that keeps a file from being removed. */
constexpr int inode_flags[] = {0, FS_NODUMP_FL, FS_NOATIME_FL, FS_SYNC_FL,
			       FS_NODUMP_FL | FS_DIRSYNC_FL};

/* The errnos that these arguments can lead to, of those in the manual pages. */
constexpr Errnos on_path = {EACCES, ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR};
/* Errnos of a change, or of the copy-up before it. */
constexpr Errnos on_change = {EPERM, EROFS, ENOSPC, EDQUOT};
constexpr Errnos on_fd = {EBADF};
constexpr Errnos on_open = on_path + on_change + Errnos{EEXIST,	 EISDIR,     EINVAL,	ENXIO,
							ETXTBSY, EOPNOTSUPP, EOVERFLOW, EFBIG};
constexpr Errnos on_read = {EBADF, EINVAL, EISDIR, EAGAIN, ESPIPE, EOVERFLOW};
constexpr Errnos on_write = {EBADF, EINVAL, EFBIG,  EAGAIN, ESPIPE,
			     EPERM, EPIPE,  ENOSPC, EDQUOT, EOVERFLOW};
constexpr Errnos on_name = on_path + on_change + Errnos{EEXIST, EINVAL, EMLINK};
constexpr Errnos on_xattr = {ENODATA, EOPNOTSUPP, ERANGE, E2BIG};
constexpr Errnos on_setxattr = on_xattr + on_change + Errnos{EACCES, EEXIST, EINVAL};
constexpr Errnos on_ioctl = {EBADF, ENOTTY, EINVAL, EOPNOTSUPP};

constexpr Kind all[] = {
	{"open", on_open,
	 [](Caller &c, const Call &o) {
		 int flags = chosen(open_flags, o.y) | O_NONBLOCK | O_CLOEXEC;
		 return c.put(o.z, open(c.path(o.x).c_str(), flags, 0644));
	 }},
	{"tmpfile", on_open,
	 [](Caller &c, const Call &o) {
		 return c.put(o.z, open(c.path(o.x).c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC,
					chosen(call_modes, o.y)));
	 }},
	{"close", {ENOSPC, EDQUOT}, [](Caller &c, const Call &o) { return c.take(o.x); }},
	{"read", on_read,
	 [](Caller &c, const Call &o) -> long {
		 return read(c.fd(o.x), c.buffer() + o.z % 2, chosen(lengths, o.y));
	 }},
	{"pread", on_read,
	 [](Caller &c, const Call &o) -> long {
		 return pread(c.fd(o.x), c.buffer(), chosen(lengths, o.y), chosen(offsets, o.z));
	 }},
	{"write", on_write,
	 [](Caller &c, const Call &o) -> long {
		 return write(c.fd(o.x), c.buffer() + o.z % 2, chosen(lengths, o.y));
	 }},
	{"pwrite", on_write,
	 [](Caller &c, const Call &o) -> long {
		 return pwrite(c.fd(o.x), c.buffer(), chosen(lengths, o.y), chosen(offsets, o.z));
	 }},
	{"pwritev2", on_write + Errnos{EOPNOTSUPP},
	 [](Caller &c, const Call &o) -> long {
		 static constexpr int flags[] = {RWF_APPEND, RWF_DSYNC, RWF_NOWAIT, RWF_HIPRI};
		 iovec part = {c.buffer(), chosen(lengths, o.y)};
		 return pwritev2(c.fd(o.x), &part, 1, -1, chosen(flags, o.z));
	 }},
	{"lseek", {EBADF, EINVAL, ENXIO, EOVERFLOW, ESPIPE},
	 [](Caller &c, const Call &o) -> long {
		 return lseek(c.fd(o.x), chosen(offsets, o.y), chosen(whences, o.z));
	 }},
	{"truncate", on_path + on_change + Errnos{EFBIG, EINVAL, EISDIR, ETXTBSY},
	 [](Caller &c, const Call &o) -> long {
		 return truncate(c.path(o.x).c_str(), chosen(offsets, o.y));
	 }},
	{"ftruncate", on_fd + on_change + Errnos{EFBIG, EINVAL},
	 [](Caller &c, const Call &o) -> long {
		 return ftruncate(c.fd(o.x), chosen(offsets, o.y));
	 }},
	{"fallocate", {EBADF, EFBIG, EINVAL, ENODEV, ENOSPC, EDQUOT, EOPNOTSUPP, EPERM, ESPIPE},
	 [](Caller &c, const Call &o) -> long {
		 return fallocate(c.fd(o.x), chosen(fallocate_modes, o.y), chosen(offsets, o.z),
				  chosen(lengths, o.z / 16));
	 }},
	{"fsync", on_fd + Errnos{EINVAL, EROFS, ENOSPC, EDQUOT},
	 [](Caller &c, const Call &o) -> long {
		 return o.y % 2 ? fsync(c.fd(o.x)) : fdatasync(c.fd(o.x));
	 }},
	{"syncfs", on_fd + Errnos{ENOSPC, EDQUOT},
	 [](Caller &c, const Call &o) -> long { return syncfs(c.fd(o.x)); }},
	{"sync_file_range", on_fd + Errnos{EINVAL, ESPIPE, ENOSPC},
	 [](Caller &c, const Call &o) -> long {
		 return sync_file_range(c.fd(o.x), 0, chosen(lengths, o.y), o.z % 8);
	 }},
	{"chmod", on_path + on_change,
	 [](Caller &c, const Call &o) -> long {
		 return chmod(c.path(o.x).c_str(), chosen(call_modes, o.y));
	 }},
	{"fchmod", on_fd + on_change,
	 [](Caller &c, const Call &o) -> long {
		 return fchmod(c.fd(o.x), chosen(call_modes, o.y));
	 }},
	{"lchown", on_path + on_change,
	 [](Caller &c, const Call &o) -> long {
		 return lchown(c.path(o.x).c_str(), o.y % 2 * alice.uid, o.z % 2 * alice.gid);
	 }},
	{"fchown", on_fd + on_change,
	 [](Caller &c, const Call &o) -> long {
		 return fchown(c.fd(o.x), o.y % 2 * alice.uid, o.z % 2 * alice.gid);
	 }},
	{"utimensat", on_path + on_change + Errnos{EINVAL},
	 [](Caller &c, const Call &o) -> long {
		 timespec times[] = {old_time(o.y), {o.z, o.z % 2 ? UTIME_OMIT : UTIME_NOW}};
		 return utimensat(AT_FDCWD, c.path(o.x).c_str(), times,
				  o.y % 2 * AT_SYMLINK_NOFOLLOW);
	 }},
	{"futimens", on_fd + on_change + Errnos{EACCES},
	 [](Caller &c, const Call &o) -> long { return futimens(c.fd(o.x), nullptr); }},
	{"mkdir", on_name,
	 [](Caller &c, const Call &o) -> long {
		 return mkdir(c.path(o.x).c_str(), chosen(call_modes, o.y));
	 }},
	{"mknod", on_name,
	 [](Caller &c, const Call &o) -> long {
		 static constexpr mode_t what[] = {S_IFIFO, S_IFCHR, S_IFSOCK, S_IFREG, S_IFDIR};
		 return mknod(c.path(o.x).c_str(), chosen(what, o.y) | 0644, makedev(1, 3));
	 }},
	{"symlink", on_name,
	 [](Caller &c, const Call &o) -> long {
		 return symlink(Caller::name(o.y).c_str(), c.path(o.x).c_str());
	 }},
	{"link", on_name + Errnos{EXDEV},
	 [](Caller &c, const Call &o) -> long {
		 return linkat(AT_FDCWD, c.path(o.x).c_str(), AT_FDCWD, c.path(o.y).c_str(),
			       o.z % 2 * AT_SYMLINK_FOLLOW);
	 }},
	{"link_open", on_name + Errnos{EXDEV, EBADF},
	 [](Caller &c, const Call &o) -> long {
		 return linkat(AT_FDCWD, ktap::format("/proc/self/fd/%d", c.fd(o.x)).c_str(),
			       AT_FDCWD, c.path(o.y).c_str(), AT_SYMLINK_FOLLOW);
	 }},
	{"unlink", on_path + on_change + Errnos{EBUSY, EISDIR},
	 [](Caller &c, const Call &o) -> long { return unlink(c.path(o.x).c_str()); }},
	{"rmdir", on_path + on_change + Errnos{EBUSY, EINVAL, ENOTEMPTY},
	 [](Caller &c, const Call &o) -> long { return rmdir(c.path(o.x).c_str()); }},
	{"rename", on_name + Errnos{EBUSY, EISDIR, ENOTEMPTY, EXDEV},
	 [](Caller &c, const Call &o) -> long {
		 return renameat2(AT_FDCWD, c.path(o.x).c_str(), AT_FDCWD, c.path(o.y).c_str(),
				  chosen(rename_flags, o.z));
	 }},
	{"readlink", on_path + Errnos{EINVAL},
	 [](Caller &c, const Call &o) -> long {
		 return readlink(c.path(o.x).c_str(), c.buffer(), chosen(lengths, o.y) + 1);
	 }},
	{"statx", on_path + Errnos{EINVAL},
	 [](Caller &c, const Call &o) -> long {
		 static constexpr int flags[] = {0, AT_SYMLINK_NOFOLLOW, AT_STATX_FORCE_SYNC,
						 AT_STATX_DONT_SYNC};
		 struct statx is;
		 return statx(AT_FDCWD, c.path(o.x).c_str(), chosen(flags, o.y), STATX_ALL, &is);
	 }},
	{"fstat", on_fd,
	 [](Caller &c, const Call &o) -> long {
		 struct stat is;
		 return fstat(c.fd(o.x), &is);
	 }},
	{"access", on_path + Errnos{EPERM, EROFS, ETXTBSY},
	 [](Caller &c, const Call &o) -> long {
		 return syscall(SYS_faccessat2, AT_FDCWD, c.path(o.x).c_str(), o.y % 8, AT_EACCESS);
	 }},
	{"statfs", on_path,
	 [](Caller &c, const Call &o) -> long {
		 struct statfs is;
		 return statfs(c.path(o.x).c_str(), &is);
	 }},
	{"getdents", {EBADF, EINVAL, ENOENT, ENOTDIR},
	 [](Caller &c, const Call &o) -> long {
		 return syscall(SYS_getdents64, c.fd(o.x), c.buffer(), chosen(lengths, o.y));
	 }},
	{"setxattr", on_path + on_setxattr,
	 [](Caller &c, const Call &o) -> long {
		 const char *name = chosen(attributes, o.y);
		 string value = strncmp(name, "system", 6) ? pattern(o.z % 100, o.z) :
							     value_for(name, 0, o.z);
		 return lsetxattr(c.path(o.x).c_str(), name, value.data(), value.size(), o.z / 100);
	 }},
	{"fsetxattr", on_fd + on_setxattr,
	 [](Caller &c, const Call &o) -> long {
		 return fsetxattr(c.fd(o.x), chosen(attributes, o.y), c.buffer(), o.z * 16, 0);
	 }},
	{"getxattr", on_path + on_xattr,
	 [](Caller &c, const Call &o) -> long {
		 return lgetxattr(c.path(o.x).c_str(), chosen(attributes, o.y), c.buffer(), o.z);
	 }},
	{"listxattr", on_path + on_xattr,
	 [](Caller &c, const Call &o) -> long {
		 return llistxattr(c.path(o.x).c_str(), c.buffer(), chosen(lengths, o.y));
	 }},
	{"removexattr", on_path + on_setxattr,
	 [](Caller &c, const Call &o) -> long {
		 return lremovexattr(c.path(o.x).c_str(), chosen(attributes, o.y));
	 }},
	{"mmap", {EACCES, EBADF, EINVAL, ENODEV, ENOMEM, EOVERFLOW, EPERM},
	 [](Caller &c, const Call &o) { return c.map(o.x, o.y, o.z); }},
	{"touch", {EFAULT}, [](Caller &c, const Call &o) { return c.touch(o.x, o.y, o.z); }},
	{"msync", {EBUSY, EINVAL, ENOMEM},
	 [](Caller &c, const Call &o) -> long {
		 char *at = c.mapping(o.x);
		 return at ? msync(at, 2 * page_size(), o.y % 2 ? MS_SYNC : MS_ASYNC) : 0;
	 }},
	{"mremap", {EFAULT, EINVAL, ENOMEM, EAGAIN},
	 [](Caller &c, const Call &o) -> long {
		 char *&at = c.mapping(o.x);
		 if (!at)
			 return 0;
		 void *moved = mremap(at, 2 * page_size(), 3 * page_size(), MREMAP_MAYMOVE);
		 if (moved == MAP_FAILED)
			 return -1;
		 /* All mappings have two pages. */
		 at = static_cast<char *>(moved);
		 return munmap(at + 2 * page_size(), page_size());
	 }},
	{"mprotect", {EACCES, EINVAL, ENOMEM},
	 [](Caller &c, const Call &o) -> long {
		 char *at = c.mapping(o.x);
		 return at ? mprotect(at + o.z % 2 * page_size(), page_size(), o.y % 8) : 0;
	 }},
	{"madvise", {EACCES, EAGAIN, EBADF, EINVAL, EIO, ENOMEM, EPERM},
	 [](Caller &c, const Call &o) -> long {
		 char *at = c.mapping(o.x);
		 return at ? madvise(at, page_size() * (1 + o.z % 2), chosen(advices, o.y)) : 0;
	 }},
	{"setfl", {EBADF, EPERM, EINVAL},
	 [](Caller &c, const Call &o) -> long {
		 static constexpr int flags[] = {0, O_APPEND, O_DIRECT, O_NOATIME, O_NONBLOCK};
		 return fcntl(c.fd(o.x), F_SETFL, chosen(flags, o.y) | O_NONBLOCK);
	 }},
	{"lock", {EBADF, EACCES, EAGAIN, EINVAL, ENOLCK},
	 [](Caller &c, const Call &o) -> long {
		 static constexpr short types[] = {F_RDLCK, F_WRLCK, F_UNLCK};
		 struct flock lock = {};
		 lock.l_type = chosen(types, o.y);
		 lock.l_start = o.z;
		 return fcntl(c.fd(o.x), o.z % 2 ? F_OFD_SETLK : F_SETLK, &lock);
	 }},
	{"flock", {EBADF, EINVAL, EWOULDBLOCK, ENOLCK},
	 [](Caller &c, const Call &o) -> long {
		 static constexpr int operations[] = {LOCK_SH, LOCK_EX, LOCK_UN};
		 return flock(c.fd(o.x), chosen(operations, o.y) | LOCK_NB);
	 }},
	{"dup", on_fd,
	 [](Caller &c, const Call &o) { return c.put(o.y, fcntl(c.fd(o.x), F_DUPFD_CLOEXEC, 0)); }},
	{"setflags", on_ioctl + on_change + Errnos{EACCES},
	 [](Caller &c, const Call &o) -> long {
		 int flags = chosen(inode_flags, o.y);
		 return ioctl(c.fd(o.x), FS_IOC_SETFLAGS, &flags);
	 }},
	{"ioctl", on_ioctl,
	 [](Caller &c, const Call &o) -> long {
		 static constexpr unsigned long questions[] = {FS_IOC_GETFLAGS, FS_IOC_GETVERSION,
							       FS_IOC_FSGETXATTR, FIGETBSZ};
		 return ioctl(c.fd(o.x), chosen(questions, o.y), c.buffer());
	 }},
	{"clone", {EBADF, EINVAL, EISDIR, EOPNOTSUPP, EPERM, ETXTBSY, EXDEV, ENOSPC},
	 [](Caller &c, const Call &o) -> long { return ioctl(c.fd(o.x), FICLONE, c.fd(o.y)); }},
	{"copy_file_range",
	 {EBADF, EFBIG, EINVAL, EISDIR, ENOSPC, EDQUOT, EOPNOTSUPP, EOVERFLOW, EPERM, ETXTBSY,
	  EXDEV},
	 [](Caller &c, const Call &o) -> long {
		 return copy_file_range(c.fd(o.x), nullptr, c.fd(o.y), nullptr,
					chosen(lengths, o.z), 0);
	 }},
	{"sendfile", on_read + on_write,
	 [](Caller &c, const Call &o) -> long {
		 return sendfile(c.fd(o.x), c.fd(o.y), nullptr, chosen(lengths, o.z));
	 }},
	{"splice_from", on_read, [](Caller &c, const Call &o) { return c.to_pipe(o.x, o.y); }},
	{"splice_to", on_write, [](Caller &c, const Call &o) { return c.from_pipe(o.x, o.y); }},
	{"fadvise", {EBADF, EINVAL, ESPIPE},
	 [](Caller &c, const Call &o) -> long {
		 int error = posix_fadvise(c.fd(o.x), 0, chosen(lengths, o.y), o.z % 6);
		 errno = error;
		 return error ? -1 : 0;
	 }},
	{"chdir", on_path,
	 [](Caller &c, const Call &o) -> long { return chdir(c.path(o.x).c_str()); }},
	{"fchdir", on_fd + Errnos{EACCES, ENOTDIR},
	 [](Caller &c, const Call &o) -> long { return fchdir(c.fd(o.x)); }},
	{"handle", on_path + Errnos{EOPNOTSUPP, EOVERFLOW, EINVAL},
	 [](Caller &c, const Call &o) -> long {
		 auto *handle = reinterpret_cast<file_handle *>(c.buffer());
		 int mount;
		 handle->handle_bytes = o.y;
		 return name_to_handle_at(AT_FDCWD, c.path(o.x).c_str(), handle, &mount,
					  o.z % 2 ? 0x200 /* AT_HANDLE_FID */ : 0);
	 }},
	{"watch", on_path + Errnos{EINVAL, ENOSPC},
	 [](Caller &c, const Call &o) { return c.watch(o.x, o.y); }},
	{"user", {}, [](Caller &c, const Call &o) { return c.become(o.x); }},
};

} // namespace

std::span<const Kind> kinds()
{
	return all;
}
