// SPDX-License-Identifier: GPL-2.0-only
//
// Landlock judges what a task does in the union, and nothing that the union does for it on a branch. Up to 6.7 a branch
// file stands at the user's path: so it is judged, too, and by what the kernel opens it as.

#include "fixture.hh"

#include <linux/landlock.h>
#include <sys/prctl.h>

namespace
{

constexpr uint64_t reads = LANDLOCK_ACCESS_FS_READ_FILE, writes = LANDLOCK_ACCESS_FS_WRITE_FILE;

/* From now on this process may open files below @root alone, for both; with an empty @root, none. */
void restrict(const string &root)
{
	landlock_ruleset_attr attr = {};
	attr.handled_access_fs = reads | writes;
	Fd rules(syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0));
	if (rules < 0)
		SKIP("no Landlock here: %s", ktap::errno_name(errno).c_str());
	if (!root.empty()) {
		Fd dir = open_file(root, O_PATH);
		landlock_path_beneath_attr beneath = {};
		beneath.allowed_access = reads | writes;
		beneath.parent_fd = dir;
		OK(syscall(SYS_landlock_add_rule, int(rules), LANDLOCK_RULE_PATH_BENEATH, &beneath,
			   0));
	}
	OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	OK(syscall(SYS_landlock_restrict_self, int(rules), 0));
}

} // namespace

/* Files of a lower branch are opened in each way that copies them up, by a task that may write in the union alone. */
PARAM_CASE(copied_up, "append", "truncate", "truncate_to_read", "direct", "create")
{
	Union u;
	string p = ktap::param();
	write_file(u.low + "/file", pattern(8192));
	write_file(u.tmp + "/outside", "");
	u.mount();
	int flags = p == "append"   ? O_WRONLY | O_APPEND :
		    p == "truncate" ? O_WRONLY | O_TRUNC :
		    p == "direct"   ? O_RDWR | O_DIRECT :
		    p == "create"   ? O_RDWR | O_CREAT | O_TRUNC :
				      O_RDONLY | O_TRUNC;
	/* Whether the branch's filesystem can. */
	bool can = p != "direct" || kernel().at_least(6, 6) || !on("tmpfs");
	int code = in_child([&] {
		restrict(u.mnt);
		EXPECT_ERR(open((u.tmp + "/outside").c_str(), O_RDONLY), EACCES);
		int file = open(u.at("file").c_str(), flags | O_CLOEXEC, 0644);
		if (!can)
			return EXPECT_ERR(file, EINVAL);
		OK(file);
		EXPECT_EQ(fstat_of(file).st_size, flags & O_TRUNC ? 0 : 8192);
		if (p == "append")
			EXPECT_EQ(write(file, "x", 1), 1);
		close(file);
	});
	EXPECT_EQ(code, 0);
	if (!ktap::shared->skip[0])
		EXPECT_EQ(exists(u.top + "/file"), can);
}

/*
 * A descriptor goes on reading after a copy-up, for which the branch file is opened anew. That is no open by the task
 * that reads, which may open nothing by now.
 */
CASE(read_after_a_copy_up)
{
	Union u;
	write_file(u.low + "/file", "old text");
	u.mount();
	Fd file = open_file(u.at("file"), O_RDONLY);
	Pipe ready, go;
	pid_t reader = spawn([&] {
		restrict("");
		EXPECT_ERR(open(u.at("file").c_str(), O_RDONLY), EACCES);
		EXPECT_EQ(pread_text(file, 8, 0), "old text");
		send_byte(ready.write);
		ASSERT(wait_byte(go.read));
		EXPECT_EQ(pread_text(file, 8, 0), "new text");
	});
	ready.write.reset();
	if (wait_byte(ready.read)) {
		write_file(u.at("file"), "new text");
		EXPECT(exists(u.top + "/file"));
		send_byte(go.write);
	}
	EXPECT_EQ(wait_for(reader), 0);
}
