// SPDX-License-Identifier: GPL-2.0-only
//
// Questions that some filesystems answer, and the union does not answer or answers in its own way, as aufs.5 says.

#include "fixture.hh"

#include <linux/fs.h>
#include <sys/fanotify.h>
#include <sys/ioctl.h>

#ifndef AT_HANDLE_FID
#define AT_HANDLE_FID 0x200
#endif

struct Asked : Union {
	Asked()
	{
		write_file(low + "/file", pattern(20000));
		mount();
		file = open_file(at("file"), O_RDONLY);
	}

	Fd file;
};

/* Block numbers, the filesystem's UUID and the trim of free space belong to a branch, not to the union. */
CASE(of_a_disk)
{
	Asked u;
	int block = 0;
	EXPECT_ERR(ioctl(u.file, FIBMAP, &block), EINVAL);
	struct fstrim_range range = {0, ~0ULL, 0};
	EXPECT_ERR(ioctl(u.file, FITRIM, &range), ENOTTY);
	char uuid[32] = {16};
	EXPECT_ERR(ioctl(u.file, _IOR(0x15, 0, char[17]), uuid), ENOTTY);
}

/* The branch's file has the cached pages, so cachestat(2) finds none in the union's. */
CASE(cached_pages)
{
	Asked u;
	struct {
		uint64_t offset, length;
	} range = {0, 0};
	uint64_t found[5] = {1, 1, 1, 1, 1};
	constexpr long cachestat = 451;
	EXPECT_EQ(pread_text(u.file, 20000, 0).size(), 20000u);
	if (syscall(cachestat, int(u.file), &range, found, 0) == -1 && errno == ENOSYS)
		SKIP("this kernel has no cachestat(2)");
	EXPECT_EQ(found[0], 0u);
}

/* A handle tells files apart, but no file can be opened by it. */
CASE(handles)
{
	Asked u;
	struct {
		struct file_handle head;
		unsigned char bytes[128];
	} handle = {}, again = {};
	int mount_id;
	handle.head.handle_bytes = again.head.handle_bytes = sizeof(handle.bytes);
	EXPECT_ERR(name_to_handle_at(AT_FDCWD, u.at("file").c_str(), &handle.head, &mount_id, 0),
		   EOPNOTSUPP);
	int asked = name_to_handle_at(AT_FDCWD, u.at("file").c_str(), &handle.head, &mount_id,
				      AT_HANDLE_FID);
	if (!kernel().at_least(6, 6)) {
		EXPECT_EQ(asked, -1);
		EXPECT_EQ(errno, EINVAL);
		return;
	}
	EXPECT_EQ(asked, 0);
	/* The copy of a file has the same handle. */
	Fd writer = open_file(u.at("file"), O_WRONLY | O_APPEND);
	OK(write(writer, "x", 1));
	OK(name_to_handle_at(AT_FDCWD, u.at("file").c_str(), &again.head, &mount_id,
			     AT_HANDLE_FID));
	ASSERT_EQ(again.head.handle_bytes, handle.head.handle_bytes);
	EXPECT_EQ(memcmp(again.bytes, handle.bytes, handle.head.handle_bytes), 0);
}

/* fanotify(7) with handles can watch one file or directory, not a whole mount. */
CASE(fanotify_by_handles)
{
	Asked u;
	Fd group(fanotify_init(FAN_CLASS_NOTIF | FAN_REPORT_FID | FAN_CLOEXEC | FAN_NONBLOCK,
			       O_RDONLY));
	ASSERT(group >= 0);
	int marked = fanotify_mark(group, FAN_MARK_ADD, FAN_OPEN, AT_FDCWD, u.at("file").c_str());
	EXPECT_ERR(fanotify_mark(group, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, FAN_OPEN, AT_FDCWD,
				 u.mnt.c_str()),
		   EOPNOTSUPP);
	if (!kernel().at_least(6, 6)) {
		EXPECT_EQ(marked, -1);
		return;
	}
	EXPECT_EQ(marked, 0);
	Fd again = open_file(u.at("file"), O_RDONLY);
	char event[4096];
	EXPECT(read(group, event, sizeof(event)) > 0);
}
