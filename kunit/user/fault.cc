// SPDX-License-Identifier: GPL-2.0-only
//
// Branches that are served from user space: by a filesystem that answers with errors, or not at all
// any more, or whose files come and go.

#include "proc.hh"

#include <dirent.h>
#include <sys/ioctl.h>

#include <linux/fuse.h>
#include <linux/loop.h>

static constexpr size_t file_size = 5 * 4096;

/* What the served filesystem does wrong; in memory that is shared with the server. */
struct Faults {
	int lookup, getattr, open, read, readdir; /* errno of each, 0 for none */
	bool direct_io; /* opens with FOPEN_DIRECT_IO, with which shared mappings are ENODEV */
	bool short_attributes; /* nothing is cached by the kernel */
	int reads, releases;
};

/*
 * A FUSE filesystem with one file, "file", and one directory, "dir", as a branch: just enough of the
 * protocol to be read.
 */
class Server
{
public:
	/* With @disk, a block device, it is one that keeps its files there (fuseblk). */
	explicit Server(const string &path, const string &disk = "") : path_(path)
	{
		faults = static_cast<Faults *>(
			OK(mmap(nullptr, sizeof(Faults), PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_ANONYMOUS, -1, 0)));
		device_ = Fd(open("/dev/fuse", O_RDWR | O_CLOEXEC));
		if (device_ < 0)
			SKIP("no FUSE here: %s", strerrorname_np(errno));
		make_dir(path);
		mounted_ = Mounted(
			disk.empty() ? "served" : disk, path, disk.empty() ? "fuse" : "fuseblk", 0,
			ktap::format("fd=%d,rootmode=40755,user_id=0,group_id=0,allow_other,"
				     "default_permissions",
				     int(device_)));
		pid_ = spawn([this] {
			while (serve())
				;
		});
		device_.reset();
	}
	~Server()
	{
		ktap::guarded([this] {
			mounted_.unmount();
			if (pid_)
				die();
		});
	}
	void die()
	{
		kill(pid_, SIGKILL);
		wait_for(std::exchange(pid_, 0));
	}
	Faults *faults;

private:
	bool serve();
	void reply(uint64_t unique, int error, const void *data = nullptr, size_t size = 0);
	static fuse_attr attributes(uint64_t node);

	string path_;
	Fd device_;
	Mounted mounted_;
	pid_t pid_ = 0;
};

enum : uint64_t { root_node = 1, file_node = 2, dir_node = 3 };

fuse_attr Server::attributes(uint64_t node)
{
	fuse_attr attr = {};
	attr.ino = node;
	attr.mode = node == file_node ? S_IFREG | 0644 : S_IFDIR | 0755;
	attr.nlink = 1;
	attr.size = node == file_node ? file_size : 0;
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
	/* The kernel may have given the request up in the meantime. */
	if (write(device_, out.data(), out.size()) < 0 && errno != ENOENT)
		_exit(0);
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
		reply(in->unique, error, &out, error ? 0 : sizeof(out));
		break;
	}
	case FUSE_READ: {
		auto *read_in = reinterpret_cast<const fuse_read_in *>(body);
		__atomic_fetch_add(&faults->reads, 1, __ATOMIC_SEQ_CST);
		string content = pattern(file_size);
		string part = read_in->offset < content.size() ?
				      content.substr(read_in->offset, read_in->size) :
				      "";
		reply(in->unique, faults->read, part.data(), faults->read ? 0 : part.size());
		break;
	}
	case FUSE_READDIR: {
		auto *read_in = reinterpret_cast<const fuse_read_in *>(body);
		string list;
		if (in->nodeid == root_node && read_in->offset < 2)
			for (uint64_t at = read_in->offset; at < 2; at++) {
				string name = at ? "dir" : "file";
				fuse_dirent entry = {};
				/* "Unknown", as libfuse has it: many do not tell the number here. */
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

struct Setup : Union {
	Server server{tmp + "/served"};
	Faults *faults = server.faults;

	void mount_it()
	{
		mount("br=" + top + "=rw:" + tmp + "/served=ro");
	}
	~Setup()
	{
		ktap::guarded([this] { unmount(); });
	}
};

CASE(fuse_as_a_branch)
{
	Setup u;
	u.mount_it();
	EXPECT_EQ(names_in(u.mnt), (std::vector<string>{"dir", "file"}));
	EXPECT(read_file(u.at("file")) == pattern(file_size));
	Map map(file_size, PROT_READ, MAP_SHARED, open_file(u.at("file"), O_RDONLY));
	EXPECT(map.text(file_size) == pattern(file_size));
	expect_reported(map.at(), u.at("file"), stat_of(u.at("file")),
			stat_of(u.tmp + "/served/file"));
}

CASE(failing_lookup)
{
	Setup u;
	u.mount_it();
	u.faults->lookup = EIO;
	EXPECT_ERR(open(u.at("file").c_str(), O_RDONLY), EIO);
	EXPECT_ERR(open(u.at("other").c_str(), O_RDONLY), EIO);
	/* An error is not an answer: it is asked again. */
	u.faults->lookup = 0;
	EXPECT(read_file(u.at("file")) == pattern(file_size));
	EXPECT_ERR(open(u.at("other").c_str(), O_RDONLY), ENOENT);
	/* A name that could not be looked up below cannot be created above: it might exist. */
	u.faults->lookup = EIO;
	EXPECT_ERR(open(u.at("third").c_str(), O_WRONLY | O_CREAT, 0644), EIO);
	EXPECT_EQ(names_in(u.top).size(), 0u);
	u.faults->lookup = 0;
	write_file(u.at("third"), "x");
}

/* A server may change what it has by itself: the union's cache is no truer than the server's. */
CASE(names_come_and_go)
{
	Setup u;
	u.faults->short_attributes = true;
	u.mount_it();
	for (int i = 0; i < 3; i++) {
		u.faults->lookup = ENOENT;
		EXPECT(!exists(u.tmp + "/served/file"));
		EXPECT(!exists(u.at("file")));
		u.faults->lookup = 0;
		EXPECT(exists(u.tmp + "/served/file"));
		EXPECT(exists(u.at("file")));
	}
}

/* A block device that goes when nobody has it open any more. */
struct Disk {
	string name;
	Fd device;

	explicit Disk(const string &path)
	{
		write_file(path, string(1 << 20, '\0'));
		Fd file = open_file(path, O_RDWR), control = open_file("/dev/loop-control", O_RDWR);
		name = ktap::format("/dev/loop%d", OK(ioctl(control, LOOP_CTL_GET_FREE)));
		device = open_file(name, O_RDWR);
		loop_config config = {};
		config.fd = file;
		config.info.lo_flags = LO_FLAGS_AUTOCLEAR;
		OK(ioctl(device, LOOP_CONFIGURE, &config));
	}
};

/* readdir() and stat() agree on inode numbers, whatever the server's readdir says. */
PARAM_CASE(inode_numbers, "fuse", "fuseblk")
{
	Union u;
	Disk disk(u.tmp + "/disk");
	Server server(u.tmp + "/served", ktap::param() == "fuseblk" ? disk.name : "");
	u.mount("br=" + u.tmp + "/served=ro");
	DIR *dir = OK(opendir(u.mnt.c_str()));
	unsigned found = 0;
	while (dirent *entry = readdir(dir))
		if (entry->d_name[0] != '.') {
			EXPECT_EQ(entry->d_ino, lstat_of(u.at(entry->d_name)).st_ino);
			found++;
		}
	closedir(dir);
	EXPECT_EQ(found, 2u);
	u.unmount();
}

CASE(failing_open)
{
	Setup u;
	u.mount_it();
	for (int error : {EIO, EACCES, ENOMEM, EINTR}) {
		u.faults->open = error;
		EXPECT_ERR(open(u.at("file").c_str(), O_RDONLY), error);
	}
	u.faults->open = 0;
	EXPECT(read_file(u.at("file")) == pattern(file_size));
}

CASE(failing_getattr)
{
	Setup u;
	u.faults->short_attributes = true;
	u.mount_it();
	Fd file = open_file(u.at("file"), O_RDONLY);
	u.faults->getattr = EIO;
	struct stat st;
	EXPECT_ERR(stat(u.at("file").c_str(), &st), EIO);
	EXPECT_ERR(fstat(file, &st), EIO);
	u.faults->getattr = 0;
	EXPECT_EQ(stat_of(u.at("file")).st_size, file_size);
}

CASE(failing_read)
{
	Setup u;
	u.mount_it();
	Fd file = open_file(u.at("file"), O_RDONLY);
	u.faults->read = EIO;
	char byte;
	EXPECT_ERR(pread(file, &byte, 1, 0), EIO);
	Pipe pipe;
	EXPECT_ERR(splice(file, nullptr, pipe.write, nullptr, 100, 0), EIO);
	/* A page that cannot be read is SIGBUS, and can be read later. */
	{
		Map map(file_size, PROT_READ, MAP_SHARED, file);
		EXPECT_EQ(in_child([&] { map.touch(); }), 128 + SIGBUS);
		EXPECT_EQ(vma_at(map.at()).path, u.at("file"));
		u.faults->read = 0;
		EXPECT_EQ(map.text(100), pattern(100));
	}
	EXPECT_EQ(pread_text(file, 100, 0), pattern(100));
}

CASE(failing_readdir)
{
	Setup u;
	write_file(u.top + "/mine", "");
	u.mount_it();
	u.faults->readdir = EIO;
	Fd dir = open_file(u.mnt, O_RDONLY | O_DIRECTORY);
	char buffer[4096];
	/* Not a list with less in it than there is. */
	EXPECT_ERR(syscall(SYS_getdents64, int(dir), buffer, sizeof(buffer)), EIO);
	u.faults->readdir = 0;
	OK(lseek(dir, 0, SEEK_SET));
	EXPECT_EQ(names_in(u.mnt), (std::vector<string>{"dir", "file", "mine"}));
}

/* The branch's ->mmap refuses shared mappings and takes private ones (as 6.1 and 6.12 both do). */
CASE(branch_mmap_fails)
{
	Setup u;
	u.faults->direct_io = true;
	int expected = 0;
	{
		Fd plain = open_file(u.tmp + "/served/file", O_RDONLY);
		void *at = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, plain, 0);
		EXPECT_NE(at, MAP_FAILED);
		if (at != MAP_FAILED)
			munmap(at, 4096);
		at = mmap(nullptr, 4096, PROT_READ, MAP_SHARED, plain, 0);
		expected = at == MAP_FAILED ? errno : 0;
		ktap::say("the branch answers " + ktap::errno_name(expected) +
			  " to a shared mapping");
		if (!expected)
			munmap(at, 4096);
	}
	/* The kernel tells the server of a close a little later. */
	auto released = [&](int count) {
		for (int i = 0; i < 5000 && u.faults->releases < count; i++)
			usleep(1000);
		return u.faults->releases;
	};
	int before = released(1);
	ASSERT_EQ(before, 1);
	u.mount_it();
	{
		Fd file = open_file(u.at("file"), O_RDONLY);
		for (int i = 0; i < 50; i++) {
			void *at = mmap(nullptr, 4096, PROT_READ, MAP_SHARED, file, 0);
			EXPECT_EQ(ktap::errno_name(at == MAP_FAILED ? errno : 0),
				  ktap::errno_name(expected));
			if (at != MAP_FAILED)
				munmap(at, 4096);
		}
		Map map(4096, PROT_READ, MAP_PRIVATE, file);
		EXPECT_EQ(map.text(100), pattern(100));
		EXPECT_EQ(vma_at(map.at()).path, u.at("file"));
		EXPECT_EQ(u.faults->releases, before);
	}
	/* The branch's file is released once all is gone, and only once. */
	EXPECT_EQ(released(before + 1), before + 1);
}

/* The server dies: errors, and the union can still be unmounted. */
CASE(branch_dies)
{
	Setup u;
	u.mount_it();
	write_file(u.at("mine"), "mine");
	Fd file = open_file(u.at("file"), O_RDONLY);
	Map map(file_size, PROT_READ, MAP_SHARED, file);
	EXPECT_EQ(map.text(10), pattern(10));
	u.server.die();
	char byte;
	EXPECT_ERR(open(u.at("file").c_str(), O_RDONLY), ENOTCONN);
	EXPECT_ERR(open(u.at("new_name").c_str(), O_RDONLY), ENOTCONN);
	/* What is in memory may still be read; what is not, is an error. */
	if (pread(file, &byte, 1, 3 * 4096) < 0)
		EXPECT_EQ(ktap::errno_name(errno), "ENOTCONN");
	/* What lies on the other branch and is known can still be used. */
	EXPECT_EQ(read_file(u.at("mine")), "mine");
	EXPECT_EQ(vma_at(map.at()).path, u.at("file"));
}
