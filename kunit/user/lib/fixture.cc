// SPDX-License-Identifier: GPL-2.0-only

#include "fixture.hh"

#include <algorithm>

#include <dirent.h>
#include <grp.h>
#include <sys/prctl.h>
#include <sys/utsname.h>
#include <sys/xattr.h>

/* Names the path, where a plain OK() would show the name of a variable. */
template <typename T> static T on_path(T result, const char *what, const string &path)
{
	if (ktap::is_error(result)) {
		int error = errno;
		ktap::fail(__FILE__, __LINE__,
			   ktap::format("%s of %s works\n  it failed with %s", what, path.c_str(),
					ktap::errno_name(error).c_str()));
		throw ktap::Abort{};
	}
	return result;
}

Map::Map(size_t length, int prot, int flags, int fd, off_t offset, void *where) : length_(length)
{
	at_ = static_cast<char *>(OK(mmap(where, length, prot, flags, fd, offset)));
}

void Map::unmap()
{
	if (at_)
		munmap(at_, length_);
	at_ = nullptr;
}

void write_file(const string &path, const string &content, mode_t mode)
{
	Fd fd(on_path(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600),
		      "open for write", path));
	size_t done = 0;
	while (done < content.size())
		done += on_path(write(fd, content.data() + done, content.size() - done), "write",
				path);
	on_path(fchmod(fd, mode), "fchmod", path);
}

void write_control(const string &path, const string &text)
{
	Fd fd = open_file(path, O_WRONLY);
	on_path(write(fd, text.data(), text.size()), ("write of '" + text + "'").c_str(), path);
}

string read_file(const string &path)
{
	Fd fd = open_file(path, O_RDONLY);
	string content;
	char block[65536];
	while (ssize_t length = on_path(read(fd, block, sizeof(block)), "read", path))
		content.append(block, length);
	return content;
}

Setting::Setting(const string &path, const string &value) : path_(path)
{
	if (!exists(path))
		return;
	before_ = read_file(path);
	write_control(path, value);
}

Setting::~Setting()
{
	if (!before_.empty())
		ktap::guarded([this] { write_control(path_, before_); });
}

void make_dir(const string &path, mode_t mode)
{
	on_path(mkdir(path.c_str(), 0700), "mkdir", path);
	on_path(chmod(path.c_str(), mode), "chmod", path);
}

void make_dirs(const string &path)
{
	if (exists(path))
		return;
	make_dirs(path.substr(0, path.rfind('/')));
	make_dir(path);
}

void remove_tree(const string &path)
{
	if (unlink(path.c_str()) == 0 || errno == ENOENT)
		return;
	for (const string &name : names_in(path))
		remove_tree(path + "/" + name);
	on_path(rmdir(path.c_str()), "rmdir", path);
}

void copy_self(const string &path)
{
	write_file(path, read_file("/proc/self/exe"), 0755);
}

struct stat stat_of(const string &path)
{
	struct stat st = {};
	on_path(stat(path.c_str(), &st), "stat", path);
	return st;
}

struct stat lstat_of(const string &path)
{
	struct stat st = {};
	on_path(lstat(path.c_str(), &st), "lstat", path);
	return st;
}

struct stat fstat_of(int fd)
{
	struct stat st = {};
	OK(fstat(fd, &st));
	return st;
}

bool exists(const string &path)
{
	struct stat st;
	return lstat(path.c_str(), &st) == 0;
}

Fd open_file(const string &path, int flags, mode_t mode)
{
	return on_path(open(path.c_str(), flags | O_CLOEXEC, mode), "open", path);
}

string link_target(const string &path)
{
	char target[4097];
	ssize_t length = on_path(readlink(path.c_str(), target, sizeof(target)), "readlink", path);
	return string(target, length);
}

string pread_text(int fd, size_t length, off_t offset)
{
	string text(length, '\0');
	text.resize(OK(pread(fd, text.data(), length, offset)));
	return text;
}

std::vector<string> names_in(const string &path)
{
	std::vector<string> names;
	DIR *dir = on_path(opendir(path.c_str()), "opendir", path);
	while (dirent *entry = (errno = 0, readdir(dir)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			names.push_back(entry->d_name);
	/* The directory ended, or a read failed. */
	int error = errno;
	closedir(dir);
	errno = error;
	on_path(error ? -1 : 0, "readdir", path);
	std::sort(names.begin(), names.end());
	return names;
}

string pattern(size_t length, unsigned seed)
{
	string text(length, '\0');
	for (size_t i = 0; i < length; i++)
		text[i] = static_cast<char>('a' + (i / 61 + i / 4096 + i + seed * 7) % 26);
	return text;
}

static string xattrs_of(const string &path)
{
	char names[4096], value[4096];
	string text;
	ssize_t length = llistxattr(path.c_str(), names, sizeof(names));
	for (ssize_t at = 0; at < length; at += strlen(names + at) + 1) {
		ssize_t size = lgetxattr(path.c_str(), names + at, value, sizeof(value));
		text += string(" ") + (names + at) + "=" +
			ktap::quote(string(value, size > 0 ? size : 0));
	}
	return text;
}

static void snapshot_below(const string &root, const string &name, string &text)
{
	string path = root + name;
	struct stat st = lstat_of(path);
	text += ktap::format(
		"%s mode=%o uid=%u gid=%u links=%lu size=%lld rdev=%lx mtime=%lld.%ld ctime=%lld.%ld",
		name.c_str(), st.st_mode, st.st_uid, st.st_gid, (unsigned long)st.st_nlink,
		S_ISDIR(st.st_mode) ? 0LL : (long long)st.st_size, (unsigned long)st.st_rdev,
		(long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec, (long long)st.st_ctim.tv_sec,
		st.st_ctim.tv_nsec);
	text += xattrs_of(path);
	if (S_ISLNK(st.st_mode))
		text += " -> " + link_target(path);
	if (S_ISREG(st.st_mode)) {
		string content = read_file(path);
		text += ktap::format(" hash=%zx", std::hash<string>()(content));
	}
	text += "\n";
	if (S_ISDIR(st.st_mode))
		for (const string &entry : names_in(path))
			snapshot_below(root, name + "/" + entry, text);
}

string snapshot(const string &dir)
{
	string text;
	snapshot_below(dir, "", text);
	return text;
}

Mounted::Mounted(const string &source, const string &target, const string &type,
		 unsigned long flags, const string &data)
{
	int result = ::mount(source.c_str(), target.c_str(), type.c_str(), flags, data.c_str());
	on_path(result, ("mount -t " + type + " -o " + data).c_str(), target);
	target_ = target;
}

Mounted &Mounted::operator=(Mounted &&other)
{
	if (!target_.empty())
		unmount();
	target_ = std::exchange(other.target_, "");
	return *this;
}

void Mounted::unmount()
{
	string target = std::exchange(target_, "");
	if (umount2(target.c_str(), UMOUNT_NOFOLLOW) == 0)
		return;
	int error = errno;
	ktap::fail(__FILE__, __LINE__,
		   ktap::format("umount of %s works\n  it failed with %s", target.c_str(),
				ktap::errno_name(error).c_str()));
	umount2(target.c_str(), MNT_DETACH);
}

Mounted::~Mounted()
{
	if (!target_.empty())
		unmount();
}

/* The case's name as a directory's name: parameters may be paths. */
static string dir_name()
{
	string name = ktap::current_name;
	std::replace(name.begin(), name.end(), '/', '_');
	return name;
}

Mounted mount_tmpfs(const string &name, const string &data)
{
	string dir = string(ktap::env("AUFS_TMP")) + "/" + dir_name() + "." + name;
	make_dirs(dir);
	return Mounted("none", dir, "tmpfs", 0, data.empty() ? "mode=755" : "mode=755," + data);
}

static string own_dir(const char *variable)
{
	string dir = string(ktap::env(variable)) + "/" + dir_name();
	/* An earlier run of the same case left this when it crashed. */
	if (exists(dir))
		remove_tree(dir);
	make_dir(dir);
	return dir;
}

Union::Union()
	: top(own_dir("AUFS_TOP")), low(own_dir("AUFS_LOW")), low2(own_dir("AUFS_LOW2")),
	  mnt(own_dir("AUFS_MNT")), tmp(own_dir("AUFS_TMP"))
{
}

Union::~Union()
{
	/* The case may have ended early, with its cwd in the union. */
	if (chdir("/"))
		abort();
	if (mounted_)
		mounted_.unmount();
	for (const string *dir : {&top, &low, &low2, &mnt, &tmp})
		ktap::guarded([&] { remove_tree(*dir); });
}

void Union::mount(const string &data, unsigned long flags)
{
	mounted_ = Mounted("none", mnt, "aufs", flags, data);
}

int try_mount(const string &target, const string &data, unsigned long flags)
{
	if (::mount("none", target.c_str(), "aufs", flags, data.c_str()))
		return errno;
	EXPECT_OK(umount2(target.c_str(), 0));
	return 0;
}

string context_log(int context)
{
	string text;
	char message[4096];
	ssize_t length;
	while ((length = read(context, message, sizeof(message))) > 0)
		if (message[0] == 'e')
			text += string(message, length) + "\n";
	return text;
}

string shown_options(const string &point)
{
	string text = read_file("/proc/self/mounts"), place = " " + point + " ";
	size_t at = text.rfind(place);
	ASSERT_NE(at, string::npos);
	size_t type = at + place.size();
	size_t options = text.find(' ', type) + 1;
	return text.substr(options, text.find(' ', options) - options);
}

string sysfs_of(const string &point)
{
	string options = shown_options(point);
	size_t at = options.find(",si=");
	ASSERT_NE(at, string::npos);
	at += strlen(",si=");
	return "/sys/fs/aufs/si_" + options.substr(at, options.find(',', at) - at);
}

std::vector<string> without_flags(const string &options)
{
	std::vector<string> rest;
	size_t at = 0;
	while (at <= options.size()) {
		size_t end = at;
		while (end < options.size() && options[end] != ',')
			end += options[end] == '\\' && end + 1 < options.size() ? 2 : 1;
		string one = options.substr(at, end - at);
		at = end + 1;
		if (one != "rw" && one != "ro" && one != "relatime")
			rest.push_back(one);
	}
	return rest;
}

string joined(const std::vector<string> &words)
{
	string text;
	for (const string &word : words)
		text += (text.empty() ? "" : ",") + word;
	return text;
}

string shown_branches(const string &point)
{
	string dir = sysfs_of(point), text;
	for (unsigned i = 0; exists(dir + "/br" + std::to_string(i)); i++) {
		string line = read_file(dir + "/br" + std::to_string(i));
		ASSERT(line.ends_with("\n"));
		text += (i ? ":" : "") + line.substr(0, line.size() - 1);
	}
	return text;
}

string as_option(const string &path)
{
	string written;
	for (char c : path) {
		if (strchr(",:=\\", c))
			written += '\\';
		written += c;
	}
	return written;
}

void unload_module()
{
	OK(syscall(SYS_delete_module, "aufs", O_NONBLOCK));
}

void load_module(const string &parameters)
{
	Fd file = open_file(ktap::env("AUFS_MODULE"), O_RDONLY | O_CLOEXEC);
	OK(syscall(SYS_finit_module, static_cast<int>(file), parameters.c_str(), 0));
}

void become(const User &user)
{
	OK(setgroups(user.groups.size(), user.groups.data()));
	OK(setresgid(user.gid, user.gid, user.gid));
	OK(setresuid(user.uid, user.uid, user.uid));
	/* A change of credentials makes a process undumpable. Then root owns its /proc files. */
	OK(prctl(PR_SET_DUMPABLE, 1));
}

KernelLog::KernelLog() : fd_(open_file("/dev/kmsg", O_RDONLY | O_NONBLOCK))
{
	OK(lseek(fd_, 0, SEEK_END));
}

string KernelLog::read()
{
	string lines;
	char record[8192];
	for (;;) {
		ssize_t length = ::read(fd_, record, sizeof(record));
		if (length < 0 && errno == EPIPE)
			continue; /* records were overwritten before we came */
		if (length <= 0)
			return lines;
		string text(record, length);
		size_t start = text.find(';');
		size_t end = text.find('\n');
		if (start != string::npos && end != string::npos)
			lines += text.substr(start + 1, end - start);
	}
}

Output run(const std::vector<string> &command, const string &root)
{
	Pipe pipe;
	pid_t pid = spawn([&] {
		std::vector<char *> args;
		for (const string &arg : command)
			args.push_back(const_cast<char *>(arg.c_str()));
		args.push_back(nullptr);
		dup2(pipe.write, STDOUT_FILENO);
		dup2(pipe.write, STDERR_FILENO);
		if (!root.empty() && (chroot(root.c_str()) || chdir("/")))
			_exit(126);
		execv(args[0], args.data());
		dprintf(STDERR_FILENO, "cannot execute %s: %s", args[0], strerrorname_np(errno));
		_exit(127);
	});
	pipe.write.reset();
	Output output = {};
	char block[4096];
	for (ssize_t length; (length = read(pipe.read, block, sizeof(block))) > 0;)
		output.text.append(block, length);
	output.status = wait_for(pid);
	return output;
}

Output run_helper(const string &path, const string &name, const std::vector<string> &args)
{
	std::vector<string> command = {path, "--helper", name};
	command.insert(command.end(), args.begin(), args.end());
	return run(command);
}

Pipe::Pipe()
{
	int fds[2];
	OK(pipe2(fds, O_CLOEXEC));
	read = fds[0];
	write = fds[1];
}

bool wait_byte(int fd)
{
	char byte;
	return OK(read(fd, &byte, 1)) == 1;
}

void send_byte(int fd)
{
	OK(write(fd, "x", 1));
}

KernelVersion kernel()
{
	utsname name;
	KernelVersion version = {};
	OK(uname(&name));
	ASSERT_EQ(sscanf(name.release, "%d.%d", &version.major, &version.minor), 2);
	return version;
}

void expect_no_debris(const string &top)
{
	if (exists(top + "/.wh..wh.orph"))
		EXPECT_EQ(names_in(top + "/.wh..wh.orph"), std::vector<string>{});
}

bool on(const string &name, bool low)
{
	string combo = ktap::env("AUFS_COMBO");
	size_t plus = combo.find('+');
	return (low && plus != string::npos ? combo.substr(plus + 1) : combo.substr(0, plus)) ==
	       name;
}
