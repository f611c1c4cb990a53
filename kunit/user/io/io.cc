// SPDX-License-Identifier: GPL-2.0-only
//
// Reading and writing: all system calls for it, and positions.
//
// Combinations: tmpfs ext4+xfs

#include "fixture.hh"

#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

#include <linux/fs.h>

CASE(read_and_pread_on_every_branch)
{
	Union u;
	string content = pattern(300000);
	write_file(u.top + "/t", content);
	write_file(u.low + "/l", content);
	u.mount();
	for (const char *name : {"t", "l"}) {
		EXPECT(read_file(u.at(name)) == content);
		Fd file = open_file(u.at(name), O_RDONLY);
		for (off_t at : {0, 1, 4095, 4096, 100001, 299999})
			EXPECT(pread_text(file, 5000, at) == content.substr(at, 5000));
		EXPECT_EQ(pread_text(file, 10, 300000), "");
		EXPECT_EQ(pread_text(file, 10, 1LL << 40), "");
		EXPECT_EQ(lseek(file, 0, SEEK_CUR), 0);
	}
}

CASE(vectors)
{
	Union u;
	u.mount();
	Fd file = open_file(u.at("file"), O_RDWR | O_CREAT);
	char one[] = "one", two[] = "two", three[] = "three";
	iovec out[] = {{one, 3}, {two, 3}, {three, 5}};
	EXPECT_EQ(OK(writev(file, out, 3)), 11);
	EXPECT_EQ(OK(pwritev(file, out, 2, 11)), 6);
	char a[4] = "", b[20] = "";
	iovec in[] = {{a, 3}, {b, 19}};
	EXPECT_EQ(OK(preadv(file, in, 2, 0)), 17);
	EXPECT_EQ(string(a), "one");
	EXPECT_EQ(string(b), "twothreeonetwo");
	EXPECT_EQ(read_file(u.top + "/file"), "onetwothreeonetwo");
	OK(lseek(file, 3, SEEK_SET));
	EXPECT_EQ(OK(readv(file, in, 2)), 14);
}

/* The flags of preadv2/pwritev2 reach the branch: the union answers as the branch does. */
PARAM_CASE(rwf_flags, "HIPRI", "DSYNC", "SYNC", "NOWAIT", "APPEND")
{
	string p = ktap::param();
	int flag = p == "HIPRI"	 ? RWF_HIPRI :
		   p == "DSYNC"	 ? RWF_DSYNC :
		   p == "SYNC"	 ? RWF_SYNC :
		   p == "NOWAIT" ? RWF_NOWAIT :
				   RWF_APPEND;
	Union u;
	write_file(u.top + "/plain", "0123456789");
	write_file(u.top + "/file", "0123456789");
	u.mount();
	Fd plain = open_file(u.top + "/plain", O_RDWR), file = open_file(u.at("file"), O_RDWR);
	char text[] = "abcd";
	iovec vector = {text, 4};
	ssize_t expected = pwritev2(plain, &vector, 1, 2, flag);
	int expected_errno = errno;
	ssize_t result = pwritev2(file, &vector, 1, 2, flag);
	int result_errno = errno;
	if (p == "NOWAIT" && result < 0) {
		/* A file may refuse to promise that it does not wait. Then nothing was read or written. */
		EXPECT_EQ(ktap::errno_name(result_errno), "EOPNOTSUPP");
		EXPECT_EQ(read_file(u.at("file")), "0123456789");
		return;
	}
	EXPECT_EQ(result, expected);
	if (expected < 0)
		EXPECT_EQ(ktap::errno_name(result_errno), ktap::errno_name(expected_errno));
	EXPECT_EQ(read_file(u.at("file")), read_file(u.top + "/plain"));
	char in[16] = "";
	iovec back = {in, 4};
	expected = preadv2(plain, &back, 1, 0, flag & ~RWF_APPEND);
	EXPECT_EQ(preadv2(file, &back, 1, 0, flag & ~RWF_APPEND), expected);
	if (p == "APPEND")
		EXPECT_EQ(read_file(u.at("file")), "0123456789abcd");
	EXPECT_ERR(preadv2(file, &back, 1, 0, 0x40000000), EOPNOTSUPP);
}

/* Two processes that append never overwrite each other. */
CASE(append_by_two_writers)
{
	Union u;
	u.mount();
	write_file(u.at("file"), "");
	std::vector<pid_t> writers;
	for (char letter : {'a', 'b'})
		writers.push_back(spawn([&] {
			Fd file = open_file(u.at("file"), O_WRONLY | O_APPEND);
			string line(99, letter);
			line += '\n';
			for (int i = 0; i < 500; i++)
				EXPECT_EQ(OK(write(file, line.data(), line.size())), 100);
		}));
	for (pid_t writer : writers)
		EXPECT_EQ(wait_for(writer), 0);
	string all = read_file(u.at("file"));
	EXPECT_EQ(all.size(), 100000u);
	for (size_t at = 0; at + 100 <= all.size(); at += 100)
		EXPECT_EQ(all.substr(at, 99), string(99, all[at]));
}

CASE(append_set_later)
{
	Union u;
	u.mount();
	write_file(u.at("file"), "0123456789");
	Fd file = open_file(u.at("file"), O_RDWR);
	OK(fcntl(file, F_SETFL, O_APPEND));
	EXPECT(OK(fcntl(file, F_GETFL)) & O_APPEND);
	OK(lseek(file, 0, SEEK_SET));
	OK(write(file, "x", 1));
	EXPECT_EQ(read_file(u.top + "/file"), "0123456789x");
	OK(fcntl(file, F_SETFL, 0));
	OK(lseek(file, 0, SEEK_SET));
	OK(write(file, "y", 1));
	EXPECT_EQ(read_file(u.top + "/file"), "y123456789x");
}

CASE(positions)
{
	Union u;
	write_file(u.low + "/low", "0123456789");
	u.mount();
	Fd file = open_file(u.at("low"), O_RDONLY);
	EXPECT_EQ(lseek(file, 4, SEEK_SET), 4);
	EXPECT_EQ(lseek(file, 2, SEEK_CUR), 6);
	char text[3];
	EXPECT_EQ(OK(read(file, text, 2)), 2);
	EXPECT_EQ(string(text, 2), "67");
	EXPECT_EQ(lseek(file, -3, SEEK_END), 7);
	EXPECT_ERR(lseek(file, -1, SEEK_SET), EINVAL);
	EXPECT_ERR(lseek(file, 0, 99), EINVAL);
	/* The position belongs to the open file: a duplicate and a child share it. */
	Fd twin(OK(dup(file)));
	OK(lseek(twin, 1, SEEK_SET));
	EXPECT_EQ(lseek(file, 0, SEEK_CUR), 1);
	Fd other = open_file(u.at("low"), O_RDONLY);
	EXPECT_EQ(lseek(other, 0, SEEK_CUR), 0);
	EXPECT_EQ(in_child([&] { OK(lseek(file, 5, SEEK_SET)); }), 0);
	EXPECT_EQ(lseek(file, 0, SEEK_CUR), 5);
}

/* SEEK_DATA and SEEK_HOLE find what the branch says. */
CASE(seek_data_and_hole)
{
	Union u;
	u.mount();
	Fd file = open_file(u.at("file"), O_RDWR | O_CREAT);
	OK(pwrite(file, "start", 5, 0));
	OK(pwrite(file, "middle", 6, 1 << 20));
	OK(ftruncate(file, 4 << 20));
	OK(fsync(file));
	Fd branch = open_file(u.top + "/file", O_RDONLY);
	for (off_t at : {0, 5000, 70000, 1 << 20, 2 << 20, (4 << 20) - 1})
		for (int whence : {SEEK_DATA, SEEK_HOLE}) {
			off_t expected = lseek(branch, at, whence);
			int expected_errno = expected < 0 ? errno : 0;
			off_t result = lseek(file, at, whence);
			int result_errno = result < 0 ? errno : 0;
			EXPECT_EQ(result, expected);
			EXPECT_EQ(result_errno, expected_errno);
			/* A seek sets the position; a failure leaves the old one. */
			EXPECT_EQ(lseek(file, 0, SEEK_CUR), lseek(branch, 0, SEEK_CUR));
		}
	EXPECT_EQ(lseek(file, 70000, SEEK_DATA), 1 << 20);
	EXPECT_ERR(lseek(file, 5 << 20, SEEK_DATA), ENXIO);
}

CASE(far_offsets)
{
	Union u;
	u.mount();
	off_t far = 5LL << 30;
	Fd file = open_file(u.at("file"), O_RDWR | O_CREAT);
	EXPECT_EQ(OK(pwrite(file, "far", 3, far)), 3);
	EXPECT_EQ(fstat_of(file).st_size, far + 3);
	EXPECT_EQ(stat_of(u.top + "/file").st_size, far + 3);
	EXPECT_LT(stat_of(u.at("file")).st_blocks * 512, 1 << 20);
	EXPECT_EQ(pread_text(file, 10, far), "far");
	EXPECT_EQ(pread_text(file, 3, far - 100), string(3, '\0'));
	Map map(page_size(), PROT_READ, MAP_SHARED, file, far);
	EXPECT_EQ(map.text(3), "far");
	EXPECT_EQ(lseek(file, 0, SEEK_END), far + 3);
}

CASE(splice_both_ways)
{
	Union u;
	string content = pattern(40000);
	write_file(u.low + "/source", content);
	u.mount();
	Fd source = open_file(u.at("source"), O_RDONLY),
	   target = open_file(u.at("target"), O_RDWR | O_CREAT);
	Pipe pipe;
	size_t moved = 0;
	while (moved < content.size()) {
		ssize_t in = OK(splice(source, nullptr, pipe.write, nullptr, 16384, 0));
		ASSERT_GT(in, 0);
		for (ssize_t left = in; left > 0;)
			left -= OK(
				splice(pipe.read, nullptr, target, nullptr, left, SPLICE_F_MOVE));
		moved += in;
	}
	EXPECT(read_file(u.top + "/target") == content);
	off_t offset = 100;
	EXPECT_EQ(OK(splice(source, &offset, pipe.write, nullptr, 50, 0)), 50);
	EXPECT_EQ(offset, 150);
	char text[64];
	EXPECT_EQ(OK(read(pipe.read, text, sizeof(text))), 50);
	EXPECT_EQ(string(text, 50), content.substr(100, 50));
	offset = 0;
	OK(write(pipe.write, "XYZ", 3));
	EXPECT_EQ(OK(splice(pipe.read, nullptr, target, &offset, 3, 0)), 3);
	EXPECT_EQ(read_file(u.at("target")).substr(0, 4), "XYZ" + content.substr(3, 1));
	Fd appending = open_file(u.at("target"), O_WRONLY | O_APPEND);
	OK(write(pipe.write, "x", 1));
	EXPECT_ERR(splice(pipe.read, nullptr, appending, nullptr, 1, 0), EINVAL);
}

CASE(sendfile_and_copy)
{
	Union u;
	string content = pattern(100000);
	write_file(u.low + "/source", content);
	u.mount();
	Fd source = open_file(u.at("source"), O_RDONLY),
	   target = open_file(u.at("target"), O_RDWR | O_CREAT);
	off_t offset = 10;
	size_t sent = 0;
	while (sent < 99990)
		sent += OK(sendfile(target, source, &offset, 99990 - sent));
	EXPECT(read_file(u.top + "/target") == content.substr(10));
}

/* copy_file_range(2) within the union, from the rw branch, from a lower one, and from one on another filesystem. */
PARAM_CASE(copy_file_range_within_the_union, "top", "low", "other")
{
	Union u;
	string content = pattern(100000), p = ktap::param();
	Mounted other = mount_tmpfs("other");
	write_file((p == "top" ? u.top : p == "low" ? u.low : other.path()) + "/source", content);
	u.mount(u.options() + ":" + other.path() + "=ro");
	Fd source = open_file(u.at("source"), O_RDONLY),
	   target = open_file(u.at("target"), O_RDWR | O_CREAT);
	off_t from = 1000, to = 5;
	size_t copied = 0;
	while (copied < 50000) {
		ssize_t length = OK(copy_file_range(source, &from, target, &to, 50000 - copied, 0));
		ASSERT_GT(length, 0);
		copied += length;
	}
	EXPECT_EQ(from, 51000);
	EXPECT_EQ(to, 50005);
	EXPECT(read_file(u.at("target")) == string(5, '\0') + content.substr(1000, 50000));
	Fd reader = open_file(u.at("target"), O_RDONLY);
	EXPECT_ERR(copy_file_range(source, nullptr, reader, nullptr, 10, 0), EBADF);
	EXPECT_EQ(copy_file_range(source, nullptr, target, nullptr, 0, 0), 0);
}

/* FICLONE and FIDEDUPERANGE go to the branch: the union can do what the branch can. */
CASE(clone)
{
	Union u;
	string content = pattern(65536);
	write_file(u.top + "/source", content);
	u.mount();
	Fd plain_source = open_file(u.top + "/source", O_RDONLY);
	Fd plain = open_file(u.top + "/plain", O_RDWR | O_CREAT);
	Fd source = open_file(u.at("source"), O_RDONLY),
	   target = open_file(u.at("target"), O_RDWR | O_CREAT);
	int expected = ioctl(plain, FICLONE, int(plain_source)) ? errno : 0;
	int result = ioctl(target, FICLONE, int(source)) ? errno : 0;
	ktap::say("the branch answers " + (expected ? ktap::errno_name(expected) : "success"));
	EXPECT_EQ(ktap::errno_name(result), ktap::errno_name(expected));
	EXPECT(read_file(u.at("target")) == (expected ? "" : content));
}

/* The flags of chattr(1) are those of the branch, and can be set through the union. */
CASE(inode_flags)
{
	Union u;
	write_file(u.top + "/file", "");
	write_file(u.low + "/low", "");
	unsigned flags = 0, expected = 0;
	Fd plain = open_file(u.top + "/file", O_RDONLY);
	int answer = ioctl(plain, FS_IOC_GETFLAGS, &expected) ? errno : 0;
	if (answer)
		SKIP("%s has no inode flags: %s", ktap::env("AUFS_COMBO"),
		     ktap::errno_name(answer).c_str());
	u.mount();
	{
		Fd file = open_file(u.at("file"), O_RDWR);
		EXPECT_OK(ioctl(file, FS_IOC_GETFLAGS, &flags));
		EXPECT_EQ(flags, expected);
		flags |= FS_NODUMP_FL;
		EXPECT_OK(ioctl(file, FS_IOC_SETFLAGS, &flags));
		OK(ioctl(plain, FS_IOC_GETFLAGS, &expected));
		EXPECT(expected & FS_NODUMP_FL);
		fsxattr extended = {};
		EXPECT_OK(ioctl(file, FS_IOC_FSGETXATTR, &extended));
		EXPECT(extended.fsx_xflags & FS_XFLAG_NODUMP);
	}
	{
		Fd lower = open_file(u.at("low"), O_RDONLY);
		EXPECT_OK(ioctl(lower, FS_IOC_GETFLAGS, &flags));
		unsigned before = flags;
		/* Other flags that ext4 shows are unknown to tmpfs, on which the copy may be. */
		flags = (flags & FS_FL_USER_MODIFIABLE) | FS_NODUMP_FL;
		EXPECT_OK(ioctl(lower, FS_IOC_SETFLAGS, &flags));
		Fd copy = open_file(u.top + "/low", O_RDONLY),
		   old = open_file(u.low + "/low", O_RDONLY);
		OK(ioctl(copy, FS_IOC_GETFLAGS, &flags));
		EXPECT(flags & FS_NODUMP_FL);
		OK(ioctl(old, FS_IOC_GETFLAGS, &flags));
		EXPECT_EQ(flags, before);
	}
	as_user(alice, [&] {
		Fd file = open_file(u.at("file"), O_RDONLY);
		unsigned none = 0;
		EXPECT_ERR(ioctl(file, FS_IOC_SETFLAGS, &none), EPERM);
	});
}

CASE(immutable_file)
{
	Union u;
	write_file(u.top + "/file", "text");
	u.mount();
	Fd file = open_file(u.at("file"), O_RDONLY);
	unsigned flags = 0;
	if (ioctl(file, FS_IOC_GETFLAGS, &flags))
		SKIP("%s has no inode flags", ktap::env("AUFS_COMBO"));
	unsigned immutable = flags | FS_IMMUTABLE_FL;
	OK(ioctl(file, FS_IOC_SETFLAGS, &immutable));
	EXPECT_ERR(open((u.top + "/file").c_str(), O_WRONLY), EPERM);
	EXPECT_ERR(open(u.at("file").c_str(), O_WRONLY), EPERM);
	EXPECT_ERR(unlink(u.at("file").c_str()), EPERM);
	EXPECT_ERR(chmod(u.at("file").c_str(), 0600), EPERM);
	EXPECT_EQ(read_file(u.at("file")), "text");
	OK(ioctl(file, FS_IOC_SETFLAGS, &flags));
	EXPECT_OK(chmod(u.at("file").c_str(), 0600));
	EXPECT_OK(unlink(u.at("file").c_str()));
}

/* An ioctl that only reads has the branch's answer. An ioctl that changes something is not passed on. */
CASE(ioctls_that_only_read)
{
	Union u;
	write_file(u.top + "/file", "text");
	u.mount();
	Fd file = open_file(u.at("file"), O_RDWR), plain = open_file(u.top + "/file", O_RDWR);
	for (unsigned long request : {FS_IOC_GETVERSION, FS_IOC_GETFSLABEL}) {
		char wanted[FSLABEL_MAX] = "", got[FSLABEL_MAX] = "";
		int expected = ioctl(plain, request, wanted), expected_errno = errno;
		int result = ioctl(file, request, got), result_errno = errno;
		EXPECT_EQ(result, expected);
		if (expected < 0)
			EXPECT_EQ(result_errno, expected_errno);
		EXPECT(string(got, sizeof(got)) == string(wanted, sizeof(wanted)));
	}
	int version = 7;
	EXPECT_ERR(ioctl(file, FS_IOC_SETVERSION, &version), ENOTTY);
	EXPECT_ERR(ioctl(file, FS_IOC_SETFSLABEL, "label"), ENOTTY);
}

CASE(unknown_ioctl)
{
	Union u;
	write_file(u.top + "/file", "text");
	u.mount();
	Fd file = open_file(u.at("file"), O_RDWR);
	EXPECT_ERR(ioctl(file, 0xdeadbeef, 0), ENOTTY);
	int available = 0;
	EXPECT_OK(ioctl(file, FIONREAD, &available));
	EXPECT_EQ(available, 4);
	OK(pwrite(file, " and more", 9, 4));
	EXPECT_OK(ioctl(file, FIONREAD, &available));
	EXPECT_EQ(available, 13);
}

CASE(inotify_sees_what_happens_on_the_union)
{
	Union u;
	write_file(u.low + "/low", "low");
	u.mount();
	Fd watch(OK(inotify_init1(IN_CLOEXEC | IN_NONBLOCK)));
	OK(inotify_add_watch(watch, u.mnt.c_str(), IN_ALL_EVENTS));
	write_file(u.at("new"), "text");
	EXPECT_EQ(read_file(u.at("low")), "low");
	OK(chmod(u.at("new").c_str(), 0600));
	OK(rename(u.at("new").c_str(), u.at("newer").c_str()));
	OK(unlink(u.at("newer").c_str()));
	string seen;
	alignas(inotify_event) char buffer[8192];
	ssize_t length;
	while ((length = read(watch, buffer, sizeof(buffer))) > 0)
		for (ssize_t at = 0; at < length;) {
			auto *event = reinterpret_cast<inotify_event *>(buffer + at);
			seen += ktap::format("%x:%s ", event->mask, event->len ? event->name : "");
			at += sizeof(*event) + event->len;
		}
	for (const auto &[mask, name] :
	     std::vector<std::pair<unsigned, string>>{{IN_CREATE, "new"},
						      {IN_OPEN, "new"},
						      {IN_MODIFY, "new"},
						      {IN_CLOSE_WRITE, "new"},
						      {IN_ATTRIB, "new"},
						      {IN_OPEN, "low"},
						      {IN_ACCESS, "low"},
						      {IN_CLOSE_NOWRITE, "low"},
						      {IN_MOVED_FROM, "new"},
						      {IN_MOVED_TO, "newer"},
						      {IN_DELETE, "newer"}})
		EXPECT_HAS(seen, ktap::format("%x:%s ", mask, name.c_str()));
	/* Each event comes once: the union does not report the branch's own events. */
	string modify = ktap::format("%x:new ", IN_MODIFY);
	EXPECT_EQ(seen.find(modify), seen.rfind(modify));
}

/* A use of the union's file is an event of that file, and not also of the branch's file. */
CASE(a_watch_of_the_branch_is_not_told)
{
	Union u;
	write_file(u.top + "/top", "top");
	write_file(u.low + "/low", "low");
	u.mount();
	Fd watch(OK(inotify_init1(IN_CLOEXEC | IN_NONBLOCK)));
	OK(inotify_add_watch(watch, (u.top + "/top").c_str(), IN_ALL_EVENTS));
	OK(inotify_add_watch(watch, (u.low + "/low").c_str(), IN_ALL_EVENTS));
	{
		Fd file = open_file(u.at("top"), O_RDWR);
		OK(pwrite(file, "TOP", 3, 0));
		EXPECT_EQ(pread_text(file, 3, 0), "TOP");
	}
	EXPECT_EQ(read_file(u.at("low")), "low");
	char buffer[4096];
	EXPECT_ERR(read(watch, buffer, sizeof(buffer)), EAGAIN);
	EXPECT_EQ(read_file(u.low + "/low"), "low");
	EXPECT(read(watch, buffer, sizeof(buffer)) > 0);
}

/* The same for a file that on 6.1 stands at its own path, since its filesystem is one of the kernel's own. */
CASE(a_watch_of_the_kernels_own_file_is_not_told)
{
	Union u;
	string name = "devices/system/cpu/possible";
	make_dir(u.tmp + "/branch");
	Mounted branch("none", u.tmp + "/branch", "sysfs", 0, "");
	u.mount("br=" + u.top + ":" + branch.path());
	{
		Fd watch(OK(inotify_init1(IN_CLOEXEC | IN_NONBLOCK)));
		OK(inotify_add_watch(watch, (branch.path() + "/" + name).c_str(), IN_ALL_EVENTS));
		string text = read_file(u.at(name));
		char buffer[4096];
		EXPECT_ERR(read(watch, buffer, sizeof(buffer)), EAGAIN);
		EXPECT_EQ(read_file(branch.path() + "/" + name), text);
		EXPECT(read(watch, buffer, sizeof(buffer)) > 0);
	}
	u.unmount();
	branch.unmount();
}

CASE(readahead_and_fadvise)
{
	Union u;
	string content = pattern(1 << 20);
	write_file(u.low + "/file", content);
	u.mount();
	Fd file = open_file(u.at("file"), O_RDONLY);
	EXPECT_OK(readahead(file, 0, 1 << 20));
	EXPECT_EQ(posix_fadvise(file, 0, 0, POSIX_FADV_WILLNEED), 0);
	EXPECT_EQ(posix_fadvise(file, 0, 0, POSIX_FADV_SEQUENTIAL), 0);
	EXPECT_EQ(posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED), 0);
	EXPECT(pread_text(file, content.size(), 0) == content);
}
