// SPDX-License-Identifier: GPL-2.0-only
//
// The loop of the server, the faults in it, and the objects that the kernel knows.

#include "passthrough_server.hh"

#include <algorithm>

#include <poll.h>
#include <sys/resource.h>
#include <sys/uio.h>

PassthroughServer::PassthroughServer(Passthrough &control, const string &dir, unsigned lifetime)
	: device_(control.device_), commands_(control.commands_.read),
	  answers_(control.answers_.write), shared_(*control.shared_), lifetime_(lifetime)
{
	/* Each object that the kernel knows takes a descriptor. */
	rlimit limit = {1 << 16, 1 << 16};
	(void)setrlimit(RLIMIT_NOFILE, &limit);
	umask(0);
	Fd root(OK(::open(dir.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)));
	struct stat is = fstat_of(root);
	Key key(is.st_dev, is.st_ino);
	ids_[key] = FUSE_ROOT_ID;
	nodes_[FUSE_ROOT_ID] = {std::move(root), key, 1};
}

void PassthroughServer::serve()
{
	pollfd ready[] = {{device_, POLLIN, 0}, {commands_, POLLIN, 0}};
	for (;;) {
		if (poll(ready, 2, -1) < 0) {
			if (errno == EINTR)
				continue;
			return;
		}
		/* Requests that came before a command are answered before it. */
		if (ready[0].revents) {
			if (!take_request())
				return;
			continue;
		}
		/* An end of file: the program that gave the commands is gone. */
		Command command;
		if (::read(commands_, &command, 1) != 1)
			return;
		obey(command);
	}
}

/* Returns false if it was unmounted. */
bool PassthroughServer::take_request()
{
	alignas(8) static char request[1 << 18];
	ssize_t length = ::read(device_, request, sizeof(request));
	if (length < 0)
		return errno == EAGAIN || errno == EINTR || errno == ENOENT;
	receive(*reinterpret_cast<fuse_in_header *>(request));
	return true;
}

void PassthroughServer::reply(const Incoming &asked, int error, const void *data, size_t size,
			      const void *more, size_t more_size) const
{
	if (error)
		size = more_size = 0;
	fuse_out_header header = {uint32_t(sizeof(header) + size + more_size), -error,
				  asked.in.unique};
	iovec parts[] = {{&header, sizeof(header)},
			 {const_cast<void *>(data), size},
			 {const_cast<void *>(more), more_size}};
	/* The kernel may have given up the request in the meantime, or all of them. */
	(void)!writev(device_, parts, 3);
}

// ---- faults -----------------------------------------------------------------------------------

void PassthroughServer::obey(Command command)
{
	switch (command) {
	case Command::count:
		std::fill(std::begin(shared_.counts), std::end(shared_.counts), 0);
		is_counting_ = true;
		break;
	case Command::stop_counting:
		is_counting_ = false;
		break;
	case Command::fail:
	case Command::hold:
		shared_.was_hit = false;
		is_armed_ = true;
		holds_ = command == Command::hold;
		break;
	case Command::end:
		is_armed_ = false;
		break;
	case Command::release:
		break;
	}
	if ((command == Command::release || command == Command::end) && !held_.empty()) {
		std::vector<char> held = std::exchange(held_, {});
		Incoming asked = read_name(*reinterpret_cast<fuse_in_header *>(held.data()));
		shared_.is_held = false;
		if (shared_.error)
			reply(asked, shared_.error);
		else
			answer(asked);
	}
	(void)!::write(answers_, &command, 1);
}

/* Whether this request goes wrong. */
bool PassthroughServer::is_chosen(const Incoming &asked)
{
	if (!is_armed_ || asked.in.opcode != shared_.opcode)
		return false;
	if (shared_.name[0] && (!asked.name || strcmp(asked.name, shared_.name)))
		return false;
	if (--shared_.nth)
		return false;
	is_armed_ = false;
	shared_.was_hit = true;
	return true;
}

void PassthroughServer::receive(const fuse_in_header &in)
{
	Incoming asked = read_name(in);
	if (is_counting_ && in.opcode < Passthrough::opcodes)
		shared_.counts[in.opcode]++;
	if (in.opcode == shared_.slow_opcode)
		usleep(shared_.milliseconds * 1000);
	if (!is_chosen(asked)) {
		answer(asked);
		return;
	}
	if (!holds_) {
		reply(asked, shared_.error);
		return;
	}
	auto *from = reinterpret_cast<const char *>(&in);
	held_.assign(from, from + in.len);
	shared_.is_held = true;
}

// ---- opcodes -----------------------------------------------------------------------------------

const std::vector<PassthroughServer::Opcode> &PassthroughServer::known()
{
	using Self = PassthroughServer;
	static const std::vector<Opcode> opcodes = {
		{FUSE_LOOKUP, "LOOKUP", &Self::lookup, 0},
		{FUSE_GETATTR, "GETATTR", &Self::getattr},
		{FUSE_SETATTR, "SETATTR", &Self::setattr},
		{FUSE_READLINK, "READLINK", &Self::readlink},
		{FUSE_SYMLINK, "SYMLINK", &Self::symlink, 0},
		{FUSE_MKNOD, "MKNOD", &Self::mknod, sizeof(fuse_mknod_in)},
		{FUSE_MKDIR, "MKDIR", &Self::mkdir, sizeof(fuse_mkdir_in)},
		{FUSE_UNLINK, "UNLINK", &Self::unlink, 0},
		{FUSE_RMDIR, "RMDIR", &Self::rmdir, 0},
		{FUSE_RENAME, "RENAME", &Self::rename, sizeof(fuse_rename_in)},
		{FUSE_RENAME2, "RENAME2", &Self::rename2, sizeof(fuse_rename2_in)},
		{FUSE_LINK, "LINK", &Self::link, sizeof(fuse_link_in)},
		{FUSE_OPEN, "OPEN", &Self::open},
		{FUSE_TMPFILE, "TMPFILE", &Self::tmpfile},
		{FUSE_READ, "READ", &Self::read},
		{FUSE_WRITE, "WRITE", &Self::write},
		{FUSE_STATFS, "STATFS", &Self::statfs},
		{FUSE_FSYNC, "FSYNC", &Self::fsync},
		{FUSE_SETXATTR, "SETXATTR", &Self::setxattr, FUSE_COMPAT_SETXATTR_IN_SIZE},
		{FUSE_GETXATTR, "GETXATTR", &Self::getxattr, sizeof(fuse_getxattr_in)},
		{FUSE_LISTXATTR, "LISTXATTR", &Self::listxattr},
		{FUSE_REMOVEXATTR, "REMOVEXATTR", &Self::removexattr, 0},
		{FUSE_FLUSH, "FLUSH", &Self::flush},
		{FUSE_OPENDIR, "OPENDIR", &Self::open},
		{FUSE_READDIR, "READDIR", &Self::readdir},
		{FUSE_FSYNCDIR, "FSYNCDIR", &Self::fsync},
		{FUSE_IOCTL, "IOCTL", &Self::ioctl},
		{FUSE_FALLOCATE, "FALLOCATE", &Self::fallocate},
		{FUSE_LSEEK, "LSEEK", &Self::lseek},
		{FUSE_COPY_FILE_RANGE, "COPY_FILE_RANGE", &Self::copy_file_range},
		{FUSE_INIT, "INIT", &Self::init, -1, false},
		{FUSE_RELEASE, "RELEASE", &Self::release, -1, false},
		{FUSE_RELEASEDIR, "RELEASEDIR", &Self::release, -1, false},
		{FUSE_FORGET, "FORGET", &Self::forget, -1, false},
		{FUSE_BATCH_FORGET, "BATCH_FORGET", &Self::batch_forget, -1, false},
		{FUSE_INTERRUPT, "INTERRUPT", &Self::nothing, -1, false},
	};
	return opcodes;
}

const PassthroughServer::Opcode *PassthroughServer::find(uint32_t number)
{
	for (const Opcode &opcode : known())
		if (opcode.number == number)
			return &opcode;
	return nullptr;
}

Incoming PassthroughServer::read_name(const fuse_in_header &in)
{
	const Opcode *opcode = find(in.opcode);
	auto *body = reinterpret_cast<const char *>(&in + 1);
	return {in, opcode && opcode->before_name >= 0 ? body + opcode->before_name : nullptr};
}

void PassthroughServer::answer(const Incoming &asked)
{
	if (const Opcode *opcode = find(asked.in.opcode))
		(this->*opcode->answer)(asked);
	else
		reply(asked, ENOSYS);
}

// ---- objects -----------------------------------------------------------------------------------

int PassthroughServer::attributes(uint64_t node, fuse_attr &attr) const
{
	struct stat is;
	if (fstat(at(node), &is))
		return errno;
	attr.ino = is.st_ino;
	attr.size = is.st_size;
	attr.blocks = is.st_blocks;
	attr.atime = is.st_atim.tv_sec;
	attr.atimensec = is.st_atim.tv_nsec;
	attr.mtime = is.st_mtim.tv_sec;
	attr.mtimensec = is.st_mtim.tv_nsec;
	attr.ctime = is.st_ctim.tv_sec;
	attr.ctimensec = is.st_ctim.tv_nsec;
	attr.mode = is.st_mode;
	attr.nlink = is.st_nlink;
	attr.uid = is.st_uid;
	attr.gid = is.st_gid;
	/* Small numbers have the same form in the kernel's protocol. */
	attr.rdev = is.st_rdev;
	attr.blksize = is.st_blksize;
	return 0;
}

/* Notes that the kernel gets to know the object of @fd, until it forgets it. */
int PassthroughServer::learn(Fd fd, fuse_entry_out &out)
{
	struct stat is;
	if (fstat(fd, &is))
		return errno;
	Key key(is.st_dev, is.st_ino);
	/* While the node exists, its descriptor keeps other objects from getting the number. */
	auto [found, is_new] = ids_.try_emplace(key, last_id_ + 1);
	out.nodeid = found->second;
	if (is_new)
		nodes_[++last_id_] = {std::move(fd), key, 0};
	nodes_[out.nodeid].lookups++;
	out.entry_valid = out.attr_valid = lifetime_;
	return attributes(out.nodeid, out.attr);
}

void PassthroughServer::tell_entry(const Incoming &asked)
{
	fuse_entry_out out = {};
	Fd fd(openat(at(asked.in.nodeid), asked.name, O_PATH | O_NOFOLLOW | O_CLOEXEC));
	int error = fd < 0 ? errno : learn(std::move(fd), out);
	tell(asked, error, out);
}

void PassthroughServer::made(const Incoming &asked, long returned)
{
	if (returned < 0)
		done(asked, returned);
	else
		tell_entry(asked);
}

void PassthroughServer::forget_node(uint64_t id, uint64_t lookups)
{
	auto found = nodes_.find(id);
	if (id == FUSE_ROOT_ID || found == nodes_.end())
		return;
	Node &node = found->second;
	node.lookups -= std::min(lookups, node.lookups);
	if (node.lookups)
		return;
	ids_.erase(node.key);
	nodes_.erase(found);
}
