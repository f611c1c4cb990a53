// SPDX-License-Identifier: GPL-2.0-only
//
// Branches whose filesystem is frozen, as for a snapshot of its disk.

#include "fixture.hh"

#include <sys/ioctl.h>

#include <linux/fs.h>

/*
 * Nothing that was done leaves the branch's filesystem busy with writing: it can be frozen. (The
 * original aufs leaked a freeze count on every mmap() for two years.)
 */
CASE(branch_can_be_frozen)
{
	Union u;
	if (on("tmpfs"))
		SKIP("tmpfs cannot be frozen");
	u.mount();
	for (int i = 0; i < 20; i++) {
		Fd file = open_file(u.at("file"), O_RDWR | O_CREAT);
		OK(ftruncate(file, 8192));
		Map map(8192, PROT_READ | PROT_WRITE, MAP_SHARED, file);
		map[0] = 'x';
		OK(pwrite(file, "y", 1, 1));
		OK(fallocate(file, 0, 0, 16384));
		OK(fchmod(file, 0600 + i));
		OK(link(u.at("file").c_str(), u.at("link").c_str()));
		OK(rename(u.at("link").c_str(), u.at("renamed").c_str()));
		OK(unlink(u.at("renamed").c_str()));
		OK(mkdir(u.at("dir").c_str(), 0755));
		OK(rmdir(u.at("dir").c_str()));
		Fd tmpfile = open_file(u.mnt, O_TMPFILE | O_RDWR, 0600);
	}
	Fd branch = open_file(u.top, O_RDONLY | O_DIRECTORY);
	OK(ioctl(branch, FIFREEZE, 0));
	/* Readable while frozen. */
	bool readable = access(u.at("file").c_str(), R_OK) == 0;
	OK(ioctl(branch, FITHAW, 0));
	EXPECT(readable);
	branch.reset();
	write_file(u.at("after"), "x");
}

/* A write to a frozen branch waits for the thaw, by write() and through a mapping. */
PARAM_CASE(write_waits_for_the_thaw, "write", "mapping", "create", "unlink")
{
	Union u;
	string p = ktap::param();
	if (on("tmpfs"))
		SKIP("tmpfs cannot be frozen");
	u.mount();
	write_file(u.at("file"), pattern(8192));
	Fd file = open_file(u.at("file"), O_RDWR);
	OK(fsync(file));
	Map map(8192, PROT_READ | PROT_WRITE, MAP_SHARED, file);
	map.touch();
	Fd branch = open_file(u.top, O_RDONLY | O_DIRECTORY);
	Pipe done;
	OK(ioctl(branch, FIFREEZE, 0));
	pid_t writer = spawn([&] {
		if (p == "write")
			OK(pwrite(file, "!", 1, 0));
		else if (p == "mapping")
			map[0] = '!';
		else if (p == "create")
			OK(mknod(u.at("new").c_str(), S_IFREG | 0644, 0));
		else
			OK(unlink(u.at("file").c_str()));
		send_byte(done.write);
	});
	/* Until it waits where the kernel waits for a thaw. */
	string stack;
	for (int i = 0; i < 5000 && stack.find("percpu_rwsem_wait") == string::npos; i++) {
		usleep(1000);
		stack = read_file(ktap::format("/proc/%d/stack", writer));
	}
	OK(ioctl(branch, FITHAW, 0));
	EXPECT_HAS(stack, "percpu_rwsem_wait");
	EXPECT(wait_byte(done.read));
	EXPECT_EQ(wait_for(writer), 0);
	if (p == "write" || p == "mapping")
		EXPECT_EQ(read_file(u.top + "/file")[0], '!');
}
