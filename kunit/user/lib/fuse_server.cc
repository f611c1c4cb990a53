// SPDX-License-Identifier: GPL-2.0-only

#include "fuse_server.hh"

#include <dirent.h>

#include <linux/capability.h>

enum : uint64_t { root_node = 1, file_node = 2, dir_node = 3 };

Server::Server(const string &path, const string &disk, unsigned long flags, size_t size,
	       void (*prepare)(Faults &))
	: path_(path)
{
	faults = static_cast<Faults *>(OK(mmap(nullptr, sizeof(Faults), PROT_READ | PROT_WRITE,
					       MAP_SHARED | MAP_ANONYMOUS, -1, 0)));
	faults->file_mode = 0644;
	faults->dir_mode = 0755;
	faults->size = size;
	prepare(*faults);
	device_ = Fd(open("/dev/fuse", O_RDWR | O_CLOEXEC));
	if (device_ < 0)
		SKIP("no FUSE here: %s", strerrorname_np(errno));
	make_dir(path);
	mounted_ = Mounted(disk.empty() ? "served" : disk, path, disk.empty() ? "fuse" : "fuseblk",
			   flags,
			   ktap::format("fd=%d,rootmode=40755,user_id=0,group_id=0,allow_other,"
					"default_permissions",
					int(device_)));
	pid_ = spawn([this] {
		while (serve())
			;
	});
	device_.reset();
}

Server::~Server()
{
	ktap::guarded([this] {
		mounted_.unmount();
		if (pid_)
			die();
	});
	munmap(faults, sizeof(Faults));
}

void Server::die()
{
	kill(pid_, SIGKILL);
	wait_for(std::exchange(pid_, 0));
}

string Server::capability()
{
	vfs_cap_data data = {};
	data.magic_etc = VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE;
	data.data[0].permitted = 1U << CAP_SETUID;
	return string(reinterpret_cast<const char *>(&data), sizeof(data));
}

fuse_attr Server::attributes(uint64_t node) const
{
	fuse_attr attr = {};
	attr.ino = node;
	attr.mode = S_IFDIR | 0755;
	if (node == file_node) {
		attr.mode = S_IFREG | faults->file_mode;
		attr.uid = faults->file_uid;
	} else if (node == dir_node) {
		attr.mode = S_IFDIR | faults->dir_mode;
		attr.uid = faults->dir_uid;
	}
	attr.nlink = 1;
	attr.size = node == file_node ? faults->size : 0;
	attr.blksize = 4096;
	return attr;
}

void Server::reply(uint64_t unique, int error, const void *data, size_t size)
{
	std::vector<char> out(sizeof(fuse_out_header) + size);
	fuse_out_header header = {uint32_t(out.size()), -error, unique};
	memcpy(out.data(), &header, sizeof(header));
	if (size)
		memcpy(out.data() + sizeof(header), data, size);
	/* The kernel may have given up the request in the meantime. */
	if (write(device_, out.data(), out.size()) < 0 && errno != ENOENT)
		_exit(0);
}

/* Answers with the value, or with its size if there is no room for it. */
void Server::answer_getxattr(const fuse_in_header &in, const char *body)
{
	auto *get = reinterpret_cast<const fuse_getxattr_in *>(body);
	string value = capability();
	fuse_getxattr_out out = {};
	bool there = in.nodeid == file_node && faults->capability &&
		     !strcmp(body + sizeof(*get), "security.capability");
	out.size = value.size();
	if (!there)
		reply(in.unique, ENODATA);
	else if (!get->size)
		reply(in.unique, 0, &out, sizeof(out));
	else if (get->size < value.size())
		reply(in.unique, ERANGE);
	else
		reply(in.unique, 0, value.data(), value.size());
}

void Server::answer_listxattr(const fuse_in_header &in, const char *body)
{
	auto *get = reinterpret_cast<const fuse_getxattr_in *>(body);
	string names;
	fuse_getxattr_out out = {};
	if (in.nodeid == file_node && faults->capability)
		names = string("security.capability") + '\0';
	out.size = names.size();
	if (!get->size)
		reply(in.unique, 0, &out, sizeof(out));
	else if (get->size < names.size())
		reply(in.unique, ERANGE);
	else
		reply(in.unique, 0, names.data(), names.size());
}

bool Server::serve()
{
	static char request[1 << 18];
	ssize_t length = read(device_, request, sizeof(request));
	if (length < 0)
		return errno == EINTR || errno == ENOENT;
	auto *in = reinterpret_cast<fuse_in_header *>(request);
	const char *body = request + sizeof(*in);
	uint64_t lifetime = faults->short_attributes ? 0 : 3600;
	switch (in->opcode) {
	case FUSE_INIT: {
		fuse_init_out out = {};
		out.major = FUSE_KERNEL_VERSION;
		out.minor = 31;
		out.max_readahead = 65536;
		out.max_write = 65536;
		out.flags = (faults->truncates_at_open ? FUSE_ATOMIC_O_TRUNC : 0) |
			    (faults->clears_rights ? FUSE_HANDLE_KILLPRIV_V2 : 0);
		reply(in->unique, 0, &out, sizeof(out));
		break;
	}
	case FUSE_LOOKUP: {
		fuse_entry_out out = {};
		bool file = !strcmp(body, "file"), dir = !strcmp(body, "dir");
		out.nodeid = file ? file_node : dir_node;
		out.entry_valid = out.attr_valid = lifetime;
		out.attr = attributes(out.nodeid);
		int error = faults->lookup			       ? faults->lookup :
			    in->nodeid != root_node || (!file && !dir) ? ENOENT :
									 0;
		reply(in->unique, error, &out, error ? 0 : sizeof(out));
		break;
	}
	case FUSE_GETATTR: {
		fuse_attr_out out = {};
		out.attr_valid = lifetime;
		out.attr = attributes(in->nodeid);
		reply(in->unique, faults->getattr, &out, faults->getattr ? 0 : sizeof(out));
		break;
	}
	case FUSE_OPEN:
	case FUSE_OPENDIR: {
		fuse_open_out out = {};
		out.open_flags = faults->direct_io && in->opcode == FUSE_OPEN ? FOPEN_DIRECT_IO : 0;
		int error = in->opcode == FUSE_OPEN ? faults->open : 0;
		if (in->opcode == FUSE_OPEN && !error) {
			faults->open_flags = reinterpret_cast<const fuse_open_in *>(body)->flags;
			if (faults->open_flags & O_TRUNC)
				faults->size = 0;
		}
		reply(in->unique, error, &out, error ? 0 : sizeof(out));
		break;
	}
	case FUSE_READ: {
		auto *read_in = reinterpret_cast<const fuse_read_in *>(body);
		__atomic_fetch_add(&faults->reads, 1, __ATOMIC_SEQ_CST);
		string content = pattern(faults->size);
		string part = read_in->offset < content.size() ?
				      content.substr(read_in->offset, read_in->size) :
				      "";
		usleep(faults->read_delay);
		reply(in->unique, faults->read, part.data(), faults->read ? 0 : part.size());
		break;
	}
	case FUSE_WRITE: {
		auto *write_in = reinterpret_cast<const fuse_write_in *>(body);
		fuse_write_out out = {};
		out.size = write_in->size;
		faults->write_flags = write_in->flags;
		faults->size = std::max(faults->size, write_in->offset + write_in->size);
		reply(in->unique, 0, &out, sizeof(out));
		break;
	}
	case FUSE_SETATTR: {
		auto *set = reinterpret_cast<const fuse_setattr_in *>(body);
		fuse_attr_out out = {};
		faults->setattr_valid |= set->valid;
		if (set->valid & FATTR_SIZE)
			faults->size = set->size;
		if (set->valid & FATTR_MODE)
			faults->file_mode = set->mode & 07777;
		if (set->valid & FATTR_KILL_SUIDGID)
			faults->file_mode &= 01777;
		out.attr_valid = lifetime;
		out.attr = attributes(in->nodeid);
		reply(in->unique, 0, &out, sizeof(out));
		break;
	}
	case FUSE_READDIR: {
		auto *read_in = reinterpret_cast<const fuse_read_in *>(body);
		string list;
		uint64_t count = faults->long_name ? 3 : 2;
		if (in->nodeid == root_node)
			for (uint64_t at = read_in->offset; at < count; at++) {
				string name = at == 0 ? "file" :
					      at == 1 ? "dir" :
							string(faults->long_name, 'x');
				fuse_dirent entry = {};
				/* "Unknown", as in libfuse: many servers do not give the number here. */
				entry.ino = 0xffffffff;
				entry.off = at + 1;
				entry.namelen = name.size();
				entry.type = at ? DT_DIR : DT_REG;
				list.append(reinterpret_cast<char *>(&entry), FUSE_NAME_OFFSET);
				list += name +
					string(FUSE_DIRENT_ALIGN(name.size()) - name.size(), '\0');
			}
		reply(in->unique, faults->readdir, list.data(), faults->readdir ? 0 : list.size());
		break;
	}
	case FUSE_GETXATTR:
		faults->xattr_reader = in->uid;
		answer_getxattr(*in, body);
		break;
	case FUSE_SETXATTR:
	case FUSE_REMOVEXATTR:
		faults->xattr_writer = in->uid;
		faults->xattr_writes++;
		reply(in->unique, 0);
		break;
	case FUSE_LISTXATTR:
		answer_listxattr(*in, body);
		break;
	case FUSE_STATFS: {
		fuse_statfs_out out = {};
		out.st.namelen = 255;
		reply(in->unique, 0, &out, sizeof(out));
		break;
	}
	case FUSE_RELEASE:
		__atomic_fetch_add(&faults->releases, 1, __ATOMIC_SEQ_CST);
		reply(in->unique, 0);
		break;
	case FUSE_RELEASEDIR:
	case FUSE_FLUSH:
		reply(in->unique, 0);
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		break;
	case FUSE_DESTROY:
		reply(in->unique, 0);
		return false;
	default:
		reply(in->unique, ENOSYS);
	}
	return true;
}
