// SPDX-License-Identifier: GPL-2.0-only
//
// The caller's rights are checked on the union, by the attributes that the union shows. The branches are used with the
// mounter's rights.

#include "fixture.hh"

#include <sys/fsuid.h>

/* The answers by which a union and a plain directory are compared. */
static string rights(const string &path)
{
	string text;
	text += access(path.c_str(), R_OK) == 0 ? "r" : "-";
	text += access(path.c_str(), W_OK) == 0 ? "w" : "-";
	text += access(path.c_str(), X_OK) == 0 ? "x" : "-";
	int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
	text += fd >= 0 ? " opened" : " " + ktap::errno_name(errno);
	if (fd >= 0)
		close(fd);
	return text;
}

struct Setup : Union {
	void file(const string &path, uid_t uid, gid_t gid, mode_t mode)
	{
		write_file(path, "content");
		OK(chown(path.c_str(), uid, gid));
		OK(chmod(path.c_str(), mode));
	}
};

CASE(every_mode_answers_as_the_branch_does)
{
	Setup u;
	struct {
		uid_t uid;
		gid_t gid;
	} owners[] = {{0, 0}, {alice.uid, 0}, {0, alice.gid}, {0, 77}, {bob.uid, bob.gid}};
	int i = 0;
	for (auto owner : owners)
		for (mode_t mode :
		     {0600u, 0640u, 0644u, 0604u, 0060u, 0066u, 0755u, 0711u, 0700u, 0000u}) {
			u.file(ktap::format("%s/f%d", i % 2 ? u.top.c_str() : u.low.c_str(), i),
			       owner.uid, owner.gid, mode);
			i++;
		}
	u.mount();
	for (const User &user :
	     {alice, bob, nobody, User{alice.uid, alice.gid, {77}}, User{0, 0, {}}})
		as_user(user, [&] {
			for (int j = 0; j < i; j++) {
				string name = ktap::format("/f%d", j);
				string branch = (j % 2 ? u.top : u.low) + name;
				EXPECT_EQ(name + " " + rights(u.mnt + name),
					  name + " " + rights(branch));
			}
		});
}

/* A file that only the mounter may read: the user does not get the mounter's rights. */
CASE(private_lower_file)
{
	Setup u;
	u.file(u.low + "/secret", 0, 0, 0600);
	u.mount();
	EXPECT_EQ(read_file(u.at("secret")), "content");
	as_user(alice, [&] {
		EXPECT_ERR(open(u.at("secret").c_str(), O_RDONLY), EACCES);
		EXPECT_ERR(access(u.at("secret").c_str(), R_OK), EACCES);
		EXPECT_OK(access(u.at("secret").c_str(), F_OK));
		EXPECT_EQ(stat_of(u.at("secret")).st_size, 7);
	});
}

/* A branch in a directory that users cannot reach can be used through the union. */
CASE(branch_behind_a_private_directory)
{
	Setup u;
	make_dir(u.tmp + "/private");
	make_dir(u.tmp + "/private/branch");
	write_file(u.tmp + "/private/branch/file", "content");
	OK(chmod((u.tmp + "/private").c_str(), 0700));
	u.mount("br=" + u.tmp + "/private/branch");
	as_user(alice, [&] {
		EXPECT_ERR(open((u.tmp + "/private/branch/file").c_str(), O_RDONLY), EACCES);
		EXPECT_EQ(read_file(u.at("file")), "content");
		EXPECT_EQ(names_in(u.mnt), (std::vector<string>{"file"}));
	});
}

/* In a merged directory the mode of the first branch counts, not that of a lower one. */
CASE(merged_directory_has_the_first_branchs_rights)
{
	Setup u;
	make_dir(u.top + "/open", 0755);
	make_dir(u.low + "/open", 0700);
	u.file(u.low + "/open/file", 0, 0, 0644);
	make_dir(u.top + "/closed", 0700);
	make_dir(u.low + "/closed", 0755);
	u.file(u.low + "/closed/file", 0, 0, 0644);
	u.mount();
	as_user(alice, [&] {
		EXPECT_EQ(read_file(u.at("open/file")), "content");
		EXPECT_EQ(names_in(u.at("open")), (std::vector<string>{"file"}));
		EXPECT_ERR(open(u.at("closed/file").c_str(), O_RDONLY), EACCES);
		EXPECT_ERR(open(u.at("closed").c_str(), O_RDONLY | O_DIRECTORY), EACCES);
	});
}

CASE(users_own_files)
{
	Setup u;
	make_dir(u.top + "/home", 0755);
	OK(chown((u.top + "/home").c_str(), alice.uid, alice.gid));
	u.file(u.top + "/roots", 0, 0, 0644);
	u.mount();
	as_user(alice, [&] {
		write_file(u.at("home/file"), "mine", 0640);
		struct stat st = stat_of(u.at("home/file"));
		EXPECT_EQ(st.st_uid, alice.uid);
		EXPECT_EQ(st.st_gid, alice.gid);
		make_dir(u.at("home/dir"));
		OK(symlink("x", u.at("home/symlink").c_str()));
		OK(mkfifo(u.at("home/fifo").c_str(), 0600));
		for (const char *name : {"home/dir", "home/symlink", "home/fifo"})
			EXPECT_EQ(lstat_of(u.at(name)).st_uid, alice.uid);
		EXPECT_OK(chmod(u.at("home/file").c_str(), 0600));
		EXPECT_OK(rename(u.at("home/file").c_str(), u.at("home/dir/file").c_str()));
		EXPECT_ERR(chown(u.at("home/dir/file").c_str(), bob.uid, -1), EPERM);
		EXPECT_ERR(chmod(u.at("roots").c_str(), 0666), EPERM);
		EXPECT_ERR(open(u.at("roots").c_str(), O_WRONLY), EACCES);
		EXPECT_ERR(truncate(u.at("roots").c_str(), 0), EACCES);
		EXPECT_ERR(unlink(u.at("roots").c_str()), EACCES);
		EXPECT_ERR(open(u.at("new").c_str(), O_WRONLY | O_CREAT, 0644), EACCES);
		EXPECT_ERR(mkdir(u.at("new").c_str(), 0755), EACCES);
		EXPECT_ERR(rename(u.at("roots").c_str(), u.at("home/stolen").c_str()), EACCES);
		EXPECT_ERR(mknod(u.at("home/null").c_str(), S_IFCHR | 0666, makedev(1, 3)), EPERM);
	});
	EXPECT_EQ(stat_of(u.top + "/home/dir/file").st_uid, alice.uid);
	as_user(bob, [&] {
		EXPECT_ERR(open(u.at("home/dir/file").c_str(), O_RDONLY), EACCES);
		EXPECT_ERR(unlink(u.at("home/symlink").c_str()), EACCES);
	});
	EXPECT_EQ(read_file(u.top + "/roots"), "content");
}

CASE(sticky_directory)
{
	Setup u;
	make_dir(u.top + "/tmp", 01777);
	u.mount();
	as_user(alice, [&] { write_file(u.at("tmp/alices"), "a"); });
	as_user(bob, [&] {
		write_file(u.at("tmp/bobs"), "b");
		EXPECT_ERR(unlink(u.at("tmp/alices").c_str()), EPERM);
		EXPECT_ERR(rename(u.at("tmp/alices").c_str(), u.at("tmp/x").c_str()), EPERM);
		EXPECT_ERR(rename(u.at("tmp/bobs").c_str(), u.at("tmp/alices").c_str()), EPERM);
		EXPECT_OK(unlink(u.at("tmp/bobs").c_str()));
	});
	as_user(alice, [&] { EXPECT_OK(unlink(u.at("tmp/alices").c_str())); });
}

CASE(supplementary_groups)
{
	Setup u;
	u.file(u.low + "/group", 0, 77, 0640);
	u.mount();
	as_user({alice.uid, alice.gid, {76, 77}},
		[&] { EXPECT_EQ(read_file(u.at("group")), "content"); });
	as_user({alice.uid, alice.gid, {76, 78}},
		[&] { EXPECT_ERR(open(u.at("group").c_str(), O_RDONLY), EACCES); });
}

/* access() asks for the real user, faccessat(AT_EACCESS) and open() for the effective one. */
CASE(real_and_effective_user)
{
	Setup u;
	u.file(u.low + "/file", alice.uid, alice.gid, 0600);
	u.mount();
	int code = in_child([&] {
		OK(setresuid(0, alice.uid, 0));
		EXPECT_OK(access(u.at("file").c_str(), R_OK));
		EXPECT_OK(faccessat(AT_FDCWD, u.at("file").c_str(), R_OK, AT_EACCESS));
		OK(setresuid(0, 0, 0));
		OK(setresuid(bob.uid, alice.uid, 0));
		EXPECT_ERR(access(u.at("file").c_str(), R_OK), EACCES);
		EXPECT_OK(faccessat(AT_FDCWD, u.at("file").c_str(), R_OK, AT_EACCESS));
		EXPECT_EQ(read_file(u.at("file")), "content");
		OK(setresuid(0, 0, 0));
		OK(seteuid(bob.uid));
		EXPECT_ERR(open(u.at("file").c_str(), O_RDONLY), EACCES);
	});
	EXPECT_EQ(code, 0);
}

/* Each directory of a path needs search permission. */
CASE(search_permission)
{
	Setup u;
	make_dir(u.low + "/no_search", 0744);
	u.file(u.low + "/no_search/file", 0, 0, 0644);
	make_dir(u.low + "/no_read", 0711);
	u.file(u.low + "/no_read/file", 0, 0, 0644);
	u.mount();
	as_user(alice, [&] {
		EXPECT_EQ(names_in(u.at("no_search")), (std::vector<string>{"file"}));
		EXPECT_ERR(open(u.at("no_search/file").c_str(), O_RDONLY), EACCES);
		EXPECT_ERR(open(u.at("no_read").c_str(), O_RDONLY | O_DIRECTORY), EACCES);
		EXPECT_EQ(read_file(u.at("no_read/file")), "content");
	});
}

/* An open file keeps its rights when the mode changes. */
CASE(open_file_keeps_its_rights)
{
	Setup u;
	u.file(u.top + "/file", alice.uid, alice.gid, 0600);
	u.mount();
	int code = in_child([&] {
		OK(seteuid(alice.uid));
		Fd file = open_file(u.at("file"), O_RDWR);
		OK(seteuid(0));
		OK(chmod(u.at("file").c_str(), 0));
		become(bob);
		EXPECT_EQ(pread_text(file, 7, 0), "content");
		EXPECT_EQ(OK(pwrite(file, "C", 1, 0)), 1);
		Map map(page_size(), PROT_READ | PROT_WRITE, MAP_SHARED, file);
		EXPECT_EQ(map.text(7), "Content");
	});
	EXPECT_EQ(code, 0);
}

CASE(exec_permission)
{
	Setup u;
	copy_self(u.low + "/prog");
	OK(chmod((u.low + "/prog").c_str(), 0744));
	u.mount();
	EXPECT_EQ(run({u.at("prog"), "--helper", "nothing_such"}).status, 2);
	as_user(alice, [&] {
		EXPECT_ERR(access(u.at("prog").c_str(), X_OK), EACCES);
		EXPECT_EQ(run({u.at("prog")}).status, 127);
	});
}

/* A user does not get the mounter's capabilities. */
CASE(capabilities_of_the_mounter_do_not_leak)
{
	Setup u;
	make_dir(u.top + "/open", 0777);
	u.mount();
	as_user(alice, [&] {
		EXPECT_ERR(chown(u.mnt.c_str(), alice.uid, -1), EPERM);
		write_file(u.at("open/file"), "x");
		EXPECT_ERR(chown(u.at("open/file").c_str(), 0, -1), EPERM);
		OK(chmod(u.at("open/file").c_str(), 0000));
		EXPECT_ERR(open(u.at("open/file").c_str(), O_RDONLY), EACCES);
		timespec times[2] = {{1, 0}, {1, 0}};
		EXPECT_ERR(utimensat(AT_FDCWD, u.at("open").c_str(), times, 0), EPERM);
	});
}
