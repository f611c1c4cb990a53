// SPDX-License-Identifier: GPL-2.0-only
//
// The answers of a Passthrough to each request: those of the directory's filesystem.

#include "passthrough_server.hh"

#include <algorithm>

#include <dirent.h>
#include <sys/ioctl.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>

void PassthroughServer::init(const Incoming &asked)
{
	fuse_init_out out = {};
	out.major = FUSE_KERNEL_VERSION;
	out.minor = 31;
	out.max_readahead = 65536;
	out.max_write = 65536;
	out.time_gran = 1;
	out.flags = FUSE_POSIX_ACL | FUSE_BIG_WRITES;
	tell(asked, 0, out);
}

void PassthroughServer::forget(const Incoming &asked)
{
	forget_node(asked.in.nodeid, asked.as<fuse_forget_in>().nlookup);
}

void PassthroughServer::batch_forget(const Incoming &asked)
{
	auto &batch = asked.as<fuse_batch_forget_in>();
	auto *one = reinterpret_cast<const fuse_forget_one *>(&batch + 1);
	for (uint32_t i = 0; i < batch.count; i++)
		forget_node(one[i].nodeid, one[i].nlookup);
}

// ---- names -------------------------------------------------------------------------------------

void PassthroughServer::mknod(const Incoming &asked)
{
	auto &make = asked.as<fuse_mknod_in>();
	made(asked, mknodat(at(asked.in.nodeid), asked.name, make.mode, make.rdev));
}

void PassthroughServer::mkdir(const Incoming &asked)
{
	made(asked, mkdirat(at(asked.in.nodeid), asked.name, asked.as<fuse_mkdir_in>().mode));
}

void PassthroughServer::symlink(const Incoming &asked)
{
	made(asked, symlinkat(asked.behind(), at(asked.in.nodeid), asked.name));
}

void PassthroughServer::link(const Incoming &asked)
{
	int object = at(asked.as<fuse_link_in>().oldnodeid);
	made(asked, linkat(object, "", at(asked.in.nodeid), asked.name, AT_EMPTY_PATH));
}

void PassthroughServer::unlink(const Incoming &asked)
{
	done(asked, unlinkat(at(asked.in.nodeid), asked.name, 0));
}

void PassthroughServer::rmdir(const Incoming &asked)
{
	done(asked, unlinkat(at(asked.in.nodeid), asked.name, AT_REMOVEDIR));
}

void PassthroughServer::rename(const Incoming &asked)
{
	int to = at(asked.as<fuse_rename_in>().newdir);
	done(asked, renameat(at(asked.in.nodeid), asked.name, to, asked.behind()));
}

void PassthroughServer::rename2(const Incoming &asked)
{
	auto &move = asked.as<fuse_rename2_in>();
	done(asked, renameat2(at(asked.in.nodeid), asked.name, at(move.newdir), asked.behind(),
			      move.flags));
}

// ---- attributes --------------------------------------------------------------------------------

void PassthroughServer::getattr(const Incoming &asked)
{
	fuse_attr_out out = {};
	out.attr_valid = lifetime_;
	int error = attributes(asked.in.nodeid, out.attr);
	tell(asked, error, out);
}

void PassthroughServer::setattr(const Incoming &asked)
{
	auto &set = asked.as<fuse_setattr_in>();
	string path = path_of(asked);
	timespec times[] = {{time_t(set.atime), long(set.atimensec)},
			    {time_t(set.mtime), long(set.mtimensec)}};
	bool ok = true;
	if (set.valid & FATTR_MODE)
		ok = !chmod(path.c_str(), set.mode & 07777);
	if (ok && (set.valid & (FATTR_UID | FATTR_GID)))
		ok = !fchownat(at(asked.in.nodeid), "", set.valid & FATTR_UID ? set.uid : -1U,
			       set.valid & FATTR_GID ? set.gid : -1U, AT_EMPTY_PATH);
	if (ok && (set.valid & FATTR_SIZE))
		ok = !(set.valid & FATTR_FH ? ftruncate(int(set.fh), off_t(set.size)) :
					      truncate(path.c_str(), off_t(set.size)));
	if (!(set.valid & FATTR_ATIME))
		times[0].tv_nsec = UTIME_OMIT;
	else if (set.valid & FATTR_ATIME_NOW)
		times[0].tv_nsec = UTIME_NOW;
	if (!(set.valid & FATTR_MTIME))
		times[1].tv_nsec = UTIME_OMIT;
	else if (set.valid & FATTR_MTIME_NOW)
		times[1].tv_nsec = UTIME_NOW;
	if (ok && (set.valid & (FATTR_ATIME | FATTR_MTIME)))
		ok = !utimensat(AT_FDCWD, path.c_str(), times, 0);
	if (ok)
		getattr(asked);
	else
		done(asked, -1);
}

/* Answers with a value or a list of names, of @got bytes; or with that number, if there is no @room. */
void PassthroughServer::tell_value(const Incoming &asked, ssize_t got, size_t room,
				   const char *value) const
{
	fuse_getxattr_out out = {};
	if (got < 0) {
		done(asked, got);
		return;
	}
	out.size = got;
	if (room)
		reply(asked, 0, value, got);
	else
		tell(asked, 0, out);
}

void PassthroughServer::getxattr(const Incoming &asked)
{
	static char value[1 << 16];
	size_t room = std::min<size_t>(asked.as<fuse_getxattr_in>().size, sizeof(value));
	ssize_t got = ::getxattr(path_of(asked).c_str(), asked.name, value, room);
	tell_value(asked, got, room, value);
}

void PassthroughServer::listxattr(const Incoming &asked)
{
	static char names[1 << 16];
	size_t room = std::min<size_t>(asked.as<fuse_getxattr_in>().size, sizeof(names));
	ssize_t got = ::listxattr(path_of(asked).c_str(), names, room);
	tell_value(asked, got, room, names);
}

void PassthroughServer::setxattr(const Incoming &asked)
{
	auto &set = asked.as<fuse_setxattr_in>();
	done(asked, ::setxattr(path_of(asked).c_str(), asked.name, asked.behind(), set.size,
			       int(set.flags)));
}

void PassthroughServer::removexattr(const Incoming &asked)
{
	done(asked, ::removexattr(path_of(asked).c_str(), asked.name));
}

void PassthroughServer::statfs(const Incoming &asked)
{
	fuse_statfs_out out = {};
	struct statvfs is = {};
	int error = fstatvfs(at(asked.in.nodeid), &is) ? errno : 0;
	out.st.blocks = is.f_blocks;
	out.st.bfree = is.f_bfree;
	out.st.bavail = is.f_bavail;
	out.st.files = is.f_files;
	out.st.ffree = is.f_ffree;
	out.st.bsize = is.f_bsize;
	out.st.namelen = is.f_namemax;
	out.st.frsize = is.f_frsize;
	tell(asked, error, out);
}

// ---- open files --------------------------------------------------------------------------------

/* Opens a file or a directory. The kernel sees to all other flags. */
void PassthroughServer::open(const Incoming &asked)
{
	fuse_open_out out = {};
	int flags = asked.in.opcode == FUSE_OPENDIR ?
			    O_RDONLY | O_DIRECTORY :
			    int(asked.as<fuse_open_in>().flags) & O_ACCMODE;
	int fd = ::open(path_of(asked).c_str(), flags | O_CLOEXEC);
	int error = fd < 0 ? errno : 0;
	out.fh = fd;
	shared_.handles += fd >= 0;
	tell(asked, error, out);
}

void PassthroughServer::tmpfile(const Incoming &asked)
{
	struct {
		fuse_entry_out entry;
		fuse_open_out opened;
	} out = {};
	Fd file(openat(at(asked.in.nodeid), ".", O_TMPFILE | O_RDWR | O_CLOEXEC,
		       asked.as<fuse_create_in>().mode & 07777));
	int error = errno;
	if (file >= 0) {
		string path = ktap::format("/proc/self/fd/%d", int(file));
		Fd object(::open(path.c_str(), O_PATH | O_CLOEXEC));
		error = object < 0 ? errno : learn(std::move(object), out.entry);
	}
	if (!error) {
		out.opened.fh = file.release();
		shared_.handles++;
	}
	tell(asked, error, out);
}

void PassthroughServer::flush(const Incoming &asked)
{
	reply(asked, 0);
}

void PassthroughServer::release(const Incoming &asked)
{
	close(int(asked.as<fuse_release_in>().fh));
	shared_.handles--;
	reply(asked, 0);
}

void PassthroughServer::tell_counted(const Incoming &asked, ssize_t count) const
{
	fuse_write_out out = {};
	int error = count < 0 ? errno : 0;
	out.size = count;
	tell(asked, error, out);
}

void PassthroughServer::read(const Incoming &asked)
{
	static char data[1 << 17];
	auto &from = asked.as<fuse_read_in>();
	ssize_t got = pread(int(from.fh), data, std::min<size_t>(from.size, sizeof(data)),
			    off_t(from.offset));
	reply(asked, got < 0 ? errno : 0, data, got);
}

void PassthroughServer::write(const Incoming &asked)
{
	auto &to = asked.as<fuse_write_in>();
	tell_counted(asked, pwrite(int(to.fh), &to + 1, to.size, off_t(to.offset)));
}

void PassthroughServer::copy_file_range(const Incoming &asked)
{
	auto &copy = asked.as<fuse_copy_file_range_in>();
	off_t from = off_t(copy.off_in), to = off_t(copy.off_out);
	tell_counted(asked,
		     ::copy_file_range(int(copy.fh_in), &from, int(copy.fh_out), &to, copy.len, 0));
}

void PassthroughServer::readlink(const Incoming &asked)
{
	static char target[PATH_MAX];
	ssize_t got = readlinkat(at(asked.in.nodeid), "", target, sizeof(target));
	reply(asked, got < 0 ? errno : 0, target, got);
}

void PassthroughServer::readdir(const Incoming &asked)
{
	alignas(8) static char raw[1 << 15];
	auto &from = asked.as<fuse_read_in>();
	int fd = int(from.fh);
	/* The positions are those of the directory's filesystem. */
	long got = ::lseek(fd, off_t(from.offset), SEEK_SET);
	if (got >= 0)
		got = syscall(SYS_getdents64, fd, raw, sizeof(raw));
	if (got < 0) {
		done(asked, got);
		return;
	}
	string list;
	for (long at = 0; at < got;) {
		auto *entry = reinterpret_cast<const dirent64 *>(raw + at);
		size_t size = strlen(entry->d_name);
		if (list.size() + FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + size) > from.size)
			break;
		fuse_dirent out = {};
		out.ino = entry->d_ino;
		out.off = entry->d_off;
		out.namelen = size;
		out.type = entry->d_type;
		list.append(reinterpret_cast<char *>(&out), FUSE_NAME_OFFSET);
		list.append(entry->d_name, size);
		list.resize(FUSE_DIRENT_ALIGN(list.size()));
		at += entry->d_reclen;
	}
	reply(asked, 0, list.data(), list.size());
}

void PassthroughServer::fsync(const Incoming &asked)
{
	done(asked, ::fsync(int(asked.as<fuse_fsync_in>().fh)));
}

void PassthroughServer::ioctl(const Incoming &asked)
{
	auto &ask = asked.as<fuse_ioctl_in>();
	alignas(8) char data[4096] = {};
	fuse_ioctl_out out = {};
	if (ask.in_size > sizeof(data) || ask.out_size > sizeof(data)) {
		reply(asked, EINVAL);
		return;
	}
	memcpy(data, &ask + 1, ask.in_size);
	out.result = ::ioctl(int(ask.fh), ask.cmd, data);
	if (out.result < 0)
		done(asked, -1);
	else
		reply(asked, 0, &out, sizeof(out), data, ask.out_size);
}

void PassthroughServer::fallocate(const Incoming &asked)
{
	auto &make = asked.as<fuse_fallocate_in>();
	done(asked,
	     ::fallocate(int(make.fh), int(make.mode), off_t(make.offset), off_t(make.length)));
}

void PassthroughServer::lseek(const Incoming &asked)
{
	auto &seek = asked.as<fuse_lseek_in>();
	fuse_lseek_out out = {};
	off_t found = ::lseek(int(seek.fh), off_t(seek.offset), int(seek.whence));
	int error = found < 0 ? errno : 0;
	out.offset = found;
	tell(asked, error, out);
}
