// SPDX-License-Identifier: GPL-2.0-only
//
// O_TMPFILE, fallocate, the bits that a write takes away, and full disks.
//
// Combinations: tmpfs ext4

#include "fixture.hh"

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <linux/falloc.h>

CASE(tmpfile_and_linkat)
{
	Union u;
	make_dir(u.top + "/dir");
	u.mount();
	Fd file = open_file(u.at("dir"), O_TMPFILE | O_RDWR, 0640);
	OK(write(file, "text", 4));
	EXPECT_EQ(fstat_of(file).st_nlink, 0u);
	EXPECT_EQ(fstat_of(file).st_mode & 07777, 0640u);
	EXPECT_EQ(names_in(u.top + "/dir").size(), 0u);
	EXPECT_EQ(pread_text(file, 10, 0), "text");
	Map map(page_size(), PROT_READ | PROT_WRITE, MAP_SHARED, file);
	map[0] = 'T';
	OK(linkat(AT_FDCWD, ktap::format("/proc/self/fd/%d", int(file)).c_str(), AT_FDCWD,
		  u.at("dir/name").c_str(), AT_SYMLINK_FOLLOW));
	EXPECT_EQ(read_file(u.at("dir/name")), "Text");
	EXPECT_EQ(read_file(u.top + "/dir/name"), "Text");
	EXPECT_EQ(fstat_of(file).st_ino, stat_of(u.at("dir/name")).st_ino);
	EXPECT_EQ(fstat_of(file).st_nlink, 1u);
}

CASE(tmpfile_exclusive_and_anonymous)
{
	Union u;
	u.mount();
	{
		Fd file = open_file(u.mnt, O_TMPFILE | O_RDWR | O_EXCL, 0600);
		EXPECT_ERR(linkat(AT_FDCWD, ktap::format("/proc/self/fd/%d", int(file)).c_str(),
				  AT_FDCWD, u.at("name").c_str(), AT_SYMLINK_FOLLOW),
			   ENOENT);
		OK(ftruncate(file, 1 << 20));
		EXPECT_EQ(OK(pwrite(file, "end", 3, (1 << 20) - 3)), 3);
	}
	EXPECT_EQ(names_in(u.top).size(), 0u);
	EXPECT_ERR(open(u.mnt.c_str(), O_TMPFILE | O_RDONLY, 0600), EINVAL);
	u.unmount();
}

CASE(tmpfile_belongs_to_its_user)
{
	Union u;
	make_dir(u.top + "/tmp", 01777);
	u.mount();
	as_user(alice, [&] {
		Fd file = open_file(u.at("tmp"), O_TMPFILE | O_RDWR, 0600);
		EXPECT_EQ(fstat_of(file).st_uid, alice.uid);
		OK(linkat(AT_FDCWD, ktap::format("/proc/self/fd/%d", int(file)).c_str(), AT_FDCWD,
			  u.at("tmp/alices").c_str(), AT_SYMLINK_FOLLOW));
		EXPECT_ERR(open(u.mnt.c_str(), O_TMPFILE | O_RDWR, 0600), EACCES);
	});
	EXPECT_EQ(stat_of(u.top + "/tmp/alices").st_uid, alice.uid);
}

CASE(many_tmpfiles)
{
	Union u;
	u.mount();
	for (int i = 0; i < 200; i++) {
		Fd file = open_file(u.mnt, O_TMPFILE | O_RDWR, 0600);
		OK(pwrite(file, "x", 1, 0));
	}
	u.unmount();
}

/* Each mode answers on the union as it does on the branch itself. */
PARAM_CASE(fallocate_mode, "allocate", "keep_size", "punch_hole", "zero_range", "collapse_range",
	   "insert_range", "nonsense")
{
	string p = ktap::param();
	int mode = p == "allocate"	 ? 0 :
		   p == "keep_size"	 ? FALLOC_FL_KEEP_SIZE :
		   p == "punch_hole"	 ? FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE :
		   p == "zero_range"	 ? FALLOC_FL_ZERO_RANGE :
		   p == "collapse_range" ? FALLOC_FL_COLLAPSE_RANGE :
		   p == "insert_range"	 ? FALLOC_FL_INSERT_RANGE :
					   0x4000;
	Union u;
	string content = pattern(256 * 1024);
	write_file(u.top + "/plain", content);
	write_file(u.top + "/file", content);
	u.mount();
	Fd plain = open_file(u.top + "/plain", O_RDWR), file = open_file(u.at("file"), O_RDWR);
	/* The modes that allocate go beyond the end. */
	off_t offset = mode & ~FALLOC_FL_KEEP_SIZE ? 64 * 1024 : 512 * 1024;
	int expected = fallocate(plain, mode, offset, 64 * 1024) ? errno : 0;
	int result = fallocate(file, mode, offset, 64 * 1024) ? errno : 0;
	ktap::say("the branch answers " + (expected ? ktap::errno_name(expected) : "success"));
	EXPECT_EQ(ktap::errno_name(result), ktap::errno_name(expected));
	EXPECT_EQ(fstat_of(file).st_size, fstat_of(plain).st_size);
	EXPECT_EQ(fstat_of(file).st_blocks, fstat_of(plain).st_blocks);
	EXPECT(read_file(u.at("file")) == read_file(u.top + "/plain"));
	EXPECT(read_file(u.top + "/file") == read_file(u.top + "/plain"));
}

CASE(fallocate_needs_a_writable_file)
{
	Union u;
	write_file(u.low + "/low", "low");
	u.mount();
	write_file(u.at("file"), "x");
	Fd reader = open_file(u.at("file"), O_RDONLY), lower = open_file(u.at("low"), O_RDONLY);
	EXPECT_ERR(fallocate(reader, 0, 0, 4096), EBADF);
	EXPECT_ERR(fallocate(lower, 0, 0, 4096), EBADF);
	EXPECT_EQ(stat_of(u.low + "/low").st_size, 3);
}

/* A user's write clears the set-user-ID bit, and so do a truncation and a change of owner. */
PARAM_CASE(suid_is_cleared, "write", "truncate", "splice", "fallocate", "chown",
	   "mapped_write_does_not")
{
	Union u;
	string p = ktap::param();
	write_file(u.top + "/file", pattern(8192));
	OK(chown((u.top + "/file").c_str(), alice.uid, alice.gid));
	OK(chmod((u.top + "/file").c_str(), 06777));
	u.mount();
	EXPECT_EQ(stat_of(u.at("file")).st_mode & 07777, 06777u);
	as_user(bob, [&] {
		Fd file = open_file(u.at("file"), O_RDWR);
		if (p == "write")
			OK(pwrite(file, "x", 1, 0));
		else if (p == "truncate")
			OK(ftruncate(file, 10));
		else if (p == "fallocate")
			OK(fallocate(file, 0, 0, 16384));
		else if (p == "splice") {
			Pipe pipe;
			OK(write(pipe.write, "data", 4));
			EXPECT_EQ(OK(splice(pipe.read, nullptr, file, nullptr, 4, 0)), 4);
		} else if (p == "mapped_write_does_not") {
			Map map(page_size(), PROT_READ | PROT_WRITE, MAP_SHARED, file);
			map[0] = 'x';
		}
	});
	if (p == "chown")
		OK(chown(u.at("file").c_str(), bob.uid, -1));
	mode_t expected = p == "mapped_write_does_not" ? 06777 : 0777;
	EXPECT_EQ(stat_of(u.at("file")).st_mode & 07777, expected);
	EXPECT_EQ(stat_of(u.top + "/file").st_mode & 07777, expected);
}

HELPER(show_effective_ids)
{
	printf("%u %u", geteuid(), getegid());
	return 0;
}

/* A program that has lost the bit does not give its owner's rights. */
PARAM_CASE(suid_program_is_written, "write", "splice", "fallocate")
{
	Union u;
	string p = ktap::param();
	copy_self(u.top + "/prog");
	OK(chown((u.top + "/prog").c_str(), alice.uid, alice.gid));
	OK(chmod((u.top + "/prog").c_str(), 06777));
	u.mount();
	as_user(bob, [&] {
		EXPECT_EQ(run_helper(u.at("prog"), "show_effective_ids").text, "1000 1000");
		Fd file = open_file(u.at("prog"), O_RDWR);
		string first = pread_text(file, 1, 0);
		if (p == "write")
			OK(pwrite(file, first.data(), 1, 0));
		else if (p == "fallocate")
			OK(fallocate(file, 0, 0, 1));
		else {
			Pipe pipe;
			OK(write(pipe.write, first.data(), 1));
			EXPECT_EQ(OK(splice(pipe.read, nullptr, file, nullptr, 1, 0)), 1);
		}
		file.reset();
		EXPECT_EQ(run_helper(u.at("prog"), "show_effective_ids").text, "1001 1001");
	});
}

/* Root's own write leaves the bit, as on any filesystem. */
CASE(suid_stays_for_root)
{
	Union u;
	write_file(u.top + "/file", "text");
	OK(chmod((u.top + "/file").c_str(), 04755));
	u.mount();
	Fd file = open_file(u.at("file"), O_WRONLY);
	OK(write(file, "x", 1));
	EXPECT_EQ(stat_of(u.at("file")).st_mode & 07777, 04755u);
}

CASE(setgid_directory_hands_its_group_on)
{
	Union u;
	make_dir(u.top + "/dir");
	OK(chown((u.top + "/dir").c_str(), alice.uid, 77));
	OK(chmod((u.top + "/dir").c_str(), 02775));
	u.mount();
	as_user(alice, [&] {
		write_file(u.at("dir/file"), "");
		OK(mkdir(u.at("dir/sub").c_str(), 0755));
		OK(mkfifo(u.at("dir/fifo").c_str(), 0644));
		Fd tmp = open_file(u.at("dir"), O_TMPFILE | O_RDWR, 0600);
		EXPECT_EQ(fstat_of(tmp).st_gid, 77u);
	});
	for (const char *name : {"file", "sub", "fifo"})
		EXPECT_EQ(stat_of(u.at("dir/") + name).st_gid, 77u);
	EXPECT_EQ(stat_of(u.top + "/dir/sub").st_mode & 07777, 02755u);
	EXPECT_EQ(stat_of(u.at("dir/sub")).st_mode & 07777, 02755u);
}

/* A user that is not in a file's group cannot make the file set-group-ID. */
CASE(setgid_file_in_a_foreign_group)
{
	Union u;
	make_dir(u.top + "/dir");
	OK(chown((u.top + "/dir").c_str(), alice.uid, 77));
	OK(chmod((u.top + "/dir").c_str(), 02777));
	u.mount();
	as_user(alice, [&] { open_file(u.at("dir/through"), O_WRONLY | O_CREAT, 02755); });
	as_user(alice, [&] { open_file(u.top + "/dir/direct", O_WRONLY | O_CREAT, 02755); });
	EXPECT_EQ(stat_of(u.at("dir/through")).st_mode, stat_of(u.top + "/dir/direct").st_mode);
	EXPECT_EQ(stat_of(u.at("dir/through")).st_mode & S_ISGID, 0u);
	as_user(alice, [&] { OK(chmod(u.at("dir/through").c_str(), 02755)); });
	EXPECT_EQ(stat_of(u.at("dir/through")).st_mode & S_ISGID, 0u);
}

/* A socket that is bound in the union is found by its path there. */
CASE(unix_socket)
{
	Union u;
	u.mount();
	sockaddr_un address = {};
	address.sun_family = AF_UNIX;
	/* A socket's path has to be short, so it begins at the union's root. */
	OK(chdir(u.mnt.c_str()));
	strcpy(address.sun_path, "socket");
	auto *name = reinterpret_cast<sockaddr *>(&address);
	Fd server(OK(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)));
	OK(bind(server, name, sizeof(address)));
	OK(listen(server, 1));
	EXPECT(S_ISSOCK(lstat_of(u.top + "/socket").st_mode));
	Fd client(OK(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)));
	OK(connect(client, name, sizeof(address)));
	Fd accepted(OK(accept(server, nullptr, nullptr)));
	OK(write(client, "hello", 5));
	char text[8];
	EXPECT_EQ(OK(read(accepted, text, sizeof(text))), 5);
	EXPECT_ERR(bind(client, name, sizeof(address)), EADDRINUSE);
	OK(unlink("socket"));
	Fd late(OK(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)));
	EXPECT_ERR(connect(late, name, sizeof(address)), ENOENT);
	OK(chdir("/"));
}

CASE(disk_full)
{
	Union u;
	Mounted branch = mount_tmpfs("branch", "size=1m");
	u.mount("br=" + branch.path() + ":" + u.low);
	{
		Fd file = open_file(u.at("file"), O_RDWR | O_CREAT);
		string block = pattern(65536);
		size_t written = 0;
		ssize_t length;
		while ((length = write(file, block.data(), block.size())) > 0)
			written += length;
		EXPECT_EQ(length, -1);
		EXPECT_EQ(ktap::errno_name(errno), "ENOSPC");
		EXPECT_EQ(fstat_of(file).st_size, written);
		EXPECT_EQ(stat_of(branch.path() + "/file").st_size, written);
		EXPECT(written > 900000 && written <= 1 << 20);
		EXPECT_ERR(fallocate(file, 0, 4 << 20, 1 << 20), ENOSPC);
		/* A hole in a mapping cannot be filled. */
		OK(ftruncate(file, 8 << 20));
		int code = in_child([&] {
			Map map(page_size(), PROT_READ | PROT_WRITE, MAP_SHARED, file, 4 << 20);
			map[0] = 'x';
		});
		EXPECT_EQ(code, 128 + SIGBUS);
		OK(ftruncate(file, 0));
		EXPECT_EQ(OK(pwrite(file, "fits", 4, 0)), 4);
	}
	EXPECT_EQ(read_file(u.at("file")), "fits");
	u.unmount();
}

CASE(no_inodes_left)
{
	Union u;
	Mounted branch = mount_tmpfs("branch", "nr_inodes=20");
	u.mount("br=" + branch.path() + ":" + u.low);
	int made = 0;
	while (made < 100) {
		string name = u.at(ktap::format("f%d", made));
		int fd = open(name.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
		if (fd < 0)
			break;
		close(fd);
		made++;
	}
	EXPECT_EQ(ktap::errno_name(errno), "ENOSPC");
	EXPECT(made > 5 && made < 20);
	EXPECT_EQ(names_in(u.mnt).size(), size_t(made));
	EXPECT_ERR(mkdir(u.at("dir").c_str(), 0755), ENOSPC);
	EXPECT(!exists(u.at("dir")));
	OK(unlink(u.at("f0").c_str()));
	write_file(u.at("again"), "x");
	u.unmount();
}

CASE(file_size_limit)
{
	Union u;
	u.mount();
	int code = in_child([&] {
		rlimit limit = {100000, 100000};
		OK(setrlimit(RLIMIT_FSIZE, &limit));
		signal(SIGXFSZ, SIG_IGN);
		Fd file = open_file(u.at("file"), O_RDWR | O_CREAT);
		string block = pattern(80000);
		EXPECT_EQ(OK(write(file, block.data(), block.size())), 80000);
		EXPECT_EQ(OK(write(file, block.data(), block.size())), 20000);
		EXPECT_ERR(write(file, block.data(), block.size()), EFBIG);
		EXPECT_ERR(ftruncate(file, 200000), EFBIG);
		EXPECT_ERR(fallocate(file, 0, 0, 200000), EFBIG);
		EXPECT_EQ(fstat_of(file).st_size, 100000);
	});
	EXPECT_EQ(code, 0);
	code = in_child([&] {
		rlimit limit = {1000, 1000};
		OK(setrlimit(RLIMIT_FSIZE, &limit));
		Fd file = open_file(u.at("other"), O_RDWR | O_CREAT);
		OK(pwrite(file, "x", 1, 1000));
	});
	EXPECT_EQ(code, 128 + SIGXFSZ);
}
