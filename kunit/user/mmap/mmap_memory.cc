// SPDX-License-Identifier: GPL-2.0-only
//
// Everything that memory management offers for a file mapping works on a union's mapping as on a branch's: the vm_ops
// and the page cache are the branch's.

#include "proc.hh"

#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/swap.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <linux/userfaultfd.h>

static size_t pages(size_t count)
{
	return count * page_size();
}

static constexpr size_t huge = 2 << 20;

/* A tmpfs with huge pages as the rw branch of a union. */
struct HugeUnion : Union {
	Mounted branch;

	HugeUnion()
	{
		string setting = read_file("/sys/kernel/mm/transparent_hugepage/shmem_enabled");
		if (setting.find("[deny]") != string::npos)
			SKIP("shmem_enabled is deny");
		branch = mount_tmpfs("branch", "huge=always");
		mount("br=" + branch.path() + ":" + low);
	}
	~HugeUnion()
	{
		unmount();
	}
};

CASE(shmem_huge_pages)
{
	HugeUnion u;
	Fd file = open_file(u.at("file"), O_RDWR | O_CREAT);
	OK(ftruncate(file, 2 * huge));
	/* An address that is aligned to huge pages. */
	Map space(4 * huge, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	char *aligned = reinterpret_cast<char *>(
		(reinterpret_cast<uintptr_t>(space.at()) + huge - 1) & ~(huge - 1));
	OK(mmap(aligned, 2 * huge, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, 0));
	for (size_t at = 0; at < 2 * huge; at += page_size())
		aligned[at] = 'x';
	Vma vma = vma_at(aligned, "smaps");
	EXPECT_EQ(vma.figure("ShmemPmdMapped"), long(2 * huge / 1024));
	EXPECT_EQ(vma.figure("Rss"), long(2 * huge / 1024));
	EXPECT_EQ(vma.path, u.at("file"));
	file.reset();
}

/*
 * The kernel finds as good an address for the union's file as for the branch's. The length is no multiple of a huge
 * page, because some kernels align such lengths for any file. There are two mappings at a time: both can hardly be
 * aligned by chance.
 */
CASE(shmem_huge_pages_where_the_kernel_chooses)
{
	HugeUnion u;
	write_file(u.at("file"), "");
	auto misplaced = [](const string &path) {
		Fd file = open_file(path, O_RDWR);
		size_t length = 2 * huge + page_size();
		Map one(length, PROT_READ | PROT_WRITE, MAP_SHARED, file);
		Map two(length, PROT_READ | PROT_WRITE, MAP_SHARED, file);
		return (reinterpret_cast<uintptr_t>(one.at()) |
			reinterpret_cast<uintptr_t>(two.at())) %
		       huge;
	};
	EXPECT_EQ(misplaced(u.branch.path() + "/file"), 0u);
	EXPECT_EQ(misplaced(u.at("file")), 0u);
}

/* A page fault that user space handles. */
struct Handler {
	int uffd;
	uint64_t mode; /* UFFDIO_REGISTER_MODE_... */
	char *source;
	unsigned faults = 0;
};

static void *handle_faults(void *argument)
{
	auto *handler = static_cast<Handler *>(argument);
	for (;;) {
		uffd_msg message;
		if (read(handler->uffd, &message, sizeof(message)) != sizeof(message))
			return nullptr;
		if (message.event != UFFD_EVENT_PAGEFAULT)
			return nullptr;
		handler->faults++;
		uint64_t page = message.arg.pagefault.address & ~uint64_t(page_size() - 1);
		if (handler->mode == UFFDIO_REGISTER_MODE_MISSING) {
			uffdio_copy copy = {};
			copy.dst = page;
			copy.src = reinterpret_cast<uint64_t>(handler->source);
			copy.len = page_size();
			ioctl(handler->uffd, UFFDIO_COPY, &copy);
		} else {
			uffdio_continue go = {};
			go.range = {page, page_size()};
			ioctl(handler->uffd, UFFDIO_CONTINUE, &go);
		}
	}
}

PARAM_CASE(userfaultfd_on_a_tmpfs_branch, "missing", "minor")
{
	bool missing = ktap::param() == "missing";
	Union u;
	Mounted branch = mount_tmpfs("branch");
	u.mount("br=" + branch.path() + ":" + u.low);
	{
		Fd uffd(syscall(SYS_userfaultfd, O_CLOEXEC));
		if (uffd < 0)
			SKIP("no userfaultfd here: %s", strerrorname_np(errno));
		uffdio_api api = {};
		api.api = UFFD_API;
		api.features = missing ? UFFD_FEATURE_MISSING_SHMEM : UFFD_FEATURE_MINOR_SHMEM;
		OK(ioctl(uffd, UFFDIO_API, &api));
		Fd file = open_file(u.at("file"), O_RDWR | O_CREAT);
		OK(ftruncate(file, pages(4)));
		if (!missing)
			OK(pwrite(file, "was there", 9, pages(1)));
		Map map(pages(4), PROT_READ | PROT_WRITE, MAP_SHARED, file);
		Map source(pages(1), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
		memcpy(source.at(), "from user space", 15);
		uffdio_register area = {};
		area.range = {reinterpret_cast<uint64_t>(map.at()), pages(4)};
		area.mode = missing ? UFFDIO_REGISTER_MODE_MISSING : UFFDIO_REGISTER_MODE_MINOR;
		OK(ioctl(uffd, UFFDIO_REGISTER, &area));
		Handler handler{uffd, area.mode, source.at()};
		pthread_t thread;
		ASSERT_EQ(pthread_create(&thread, nullptr, handle_faults, &handler), 0);
		pthread_detach(thread);
		EXPECT_EQ(map.text(9, pages(1)), missing ? "from user" : "was there");
		EXPECT_EQ(handler.faults, 1u);
		EXPECT_EQ(pread_text(file, 9, pages(1)), missing ? "from user" : "was there");
		EXPECT_EQ(vma_at(map.at()).path, u.at("file"));
		OK(ioctl(uffd, UFFDIO_UNREGISTER, &area.range));
	}
	u.unmount();
}

CASE(locked_and_populated)
{
	Union u;
	write_file(u.low + "/file", pattern(pages(8)));
	u.mount();
	Fd file = open_file(u.at("file"), O_RDONLY);
	Map populated(pages(8), PROT_READ, MAP_SHARED | MAP_POPULATE, file);
	EXPECT_EQ(vma_at(populated.at(), "smaps").figure("Rss"), long(pages(8) / 1024));
	/* smaps counts the mapping's share of each page as locked. With one mapping the share is the whole page. */
	populated.unmap();
	Map locked(pages(8), PROT_READ, MAP_SHARED | MAP_LOCKED, file);
	EXPECT_EQ(vma_at(locked.at(), "smaps").figure("Locked"), long(pages(8) / 1024));
	EXPECT_OK(munlock(locked.at(), pages(8)));
	EXPECT_OK(mlock2(locked.at(), pages(8), MLOCK_ONFAULT));
}

PARAM_CASE(madvise_of, "WILLNEED", "DONTNEED", "SEQUENTIAL", "RANDOM", "COLD", "PAGEOUT",
	   "DONTDUMP", "REMOVE", "FREE", "POPULATE_READ", "POPULATE_WRITE")
{
	string p = ktap::param();
	int advice = p == "WILLNEED"	  ? MADV_WILLNEED :
		     p == "DONTNEED"	  ? MADV_DONTNEED :
		     p == "SEQUENTIAL"	  ? MADV_SEQUENTIAL :
		     p == "RANDOM"	  ? MADV_RANDOM :
		     p == "COLD"	  ? MADV_COLD :
		     p == "PAGEOUT"	  ? MADV_PAGEOUT :
		     p == "DONTDUMP"	  ? MADV_DONTDUMP :
		     p == "REMOVE"	  ? MADV_REMOVE :
		     p == "FREE"	  ? MADV_FREE :
		     p == "POPULATE_READ" ? MADV_POPULATE_READ :
					    MADV_POPULATE_WRITE;
	Union u;
	write_file(u.top + "/file", pattern(pages(8)));
	write_file(u.top + "/plain", pattern(pages(8)));
	u.mount();
	Map map(pages(8), PROT_READ | PROT_WRITE, MAP_SHARED, open_file(u.at("file"), O_RDWR));
	Map plain(pages(8), PROT_READ | PROT_WRITE, MAP_SHARED,
		  open_file(u.top + "/plain", O_RDWR));
	map.touch();
	plain.touch();
	int expected = madvise(plain.at(pages(2)), pages(4), advice) ? errno : 0;
	int result = madvise(map.at(pages(2)), pages(4), advice) ? errno : 0;
	EXPECT_EQ(ktap::errno_name(result), ktap::errno_name(expected));
	/* REMOVE punches a hole into the file. With any advice, both files are alike. */
	EXPECT(map.text(pages(8)) == plain.text(pages(8)));
	EXPECT_EQ(map[pages(3)], p == "REMOVE" && !expected ? '\0' : pattern(pages(8))[pages(3)]);
	EXPECT_EQ(stat_of(u.at("file")).st_blocks, stat_of(u.top + "/plain").st_blocks);
}

/* MAP_SYNC needs a DAX filesystem: it is refused, not ignored. */
CASE(map_sync)
{
	Union u;
	u.mount();
	Fd file = open_file(u.at("file"), O_RDWR | O_CREAT);
	OK(ftruncate(file, pages(1)));
	EXPECT_ERR(mmap(nullptr, pages(1), PROT_READ | PROT_WRITE, MAP_SHARED_VALIDATE | MAP_SYNC,
			file, 0),
		   EOPNOTSUPP);
	Map map(pages(1), PROT_READ | PROT_WRITE, MAP_SHARED_VALIDATE, file);
	map[0] = 'x';
}

/* /proc/PID/mem and process_vm_readv() reach the pages of a union mapping. */
CASE(read_by_another_process)
{
	Union u;
	write_file(u.low + "/file", pattern(pages(2)));
	u.mount();
	Map map(pages(2), PROT_READ, MAP_SHARED, open_file(u.at("file"), O_RDONLY));
	Fd memory = open_file("/proc/self/mem", O_RDONLY);
	EXPECT_EQ(pread_text(memory, 100, reinterpret_cast<off_t>(map.at(pages(1)))),
		  pattern(pages(2)).substr(pages(1), 100));
	char text[100];
	iovec here = {text, 100}, there = {map.at(5), 100};
	pid_t self = getpid();
	EXPECT_EQ(in_child([&] {
			  return process_vm_readv(self, &here, 1, &there, 1, 0) == 100 ? 0 : 1;
		  }),
		  0);
}

/* A breakpoint that a debugger sets in a private mapping stays private. */
CASE(breakpoint_in_a_private_mapping)
{
	Union u;
	write_file(u.low + "/file", pattern(pages(1)));
	u.mount();
	Map map(pages(1), PROT_READ | PROT_EXEC, MAP_PRIVATE, open_file(u.at("file"), O_RDONLY));
	pid_t traced = spawn([&] {
		ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
		raise(SIGSTOP);
		return map[0] == '\xcc' && vma_at(map.at()).path == u.at("file") ? 0 : 1;
	});
	OK(waitpid(traced, nullptr, WUNTRACED));
	Fd memory = open_file("/proc/" + std::to_string(traced) + "/mem", O_RDWR);
	EXPECT_EQ(OK(pwrite(memory, "\xcc", 1, reinterpret_cast<off_t>(map.at()))), 1);
	OK(ptrace(PTRACE_CONT, traced, nullptr, nullptr));
	EXPECT_EQ(wait_for(traced), 0);
	EXPECT_EQ(map[0], pattern(1)[0]);
	EXPECT_EQ(read_file(u.at("file"))[0], pattern(1)[0]);
	EXPECT_EQ(read_file(u.low + "/file")[0], pattern(1)[0]);
}

/* swapon(2) is refused: a swap file would need the branch's block map. */
CASE(swapon_is_refused)
{
	Union u;
	u.mount();
	string content = string(pages(64), '\0');
	content.replace(page_size() - 10, 10, "SWAPSPACE2");
	uint32_t header[3] = {1, 63, 0};
	content.replace(1024, sizeof(header), reinterpret_cast<char *>(header), sizeof(header));
	write_file(u.at("swap"), content, 0600);
	EXPECT_ERR(swapon(u.at("swap").c_str(), 0), EINVAL);
}

/* A futex in a shared mapping is one for the union's file and the branch's. */
CASE(futex_is_shared_with_the_branch)
{
	Union u;
	u.mount();
	Fd file = open_file(u.at("file"), O_RDWR | O_CREAT);
	OK(ftruncate(file, pages(1)));
	Map through(pages(1), PROT_READ | PROT_WRITE, MAP_SHARED, file);
	constexpr int futex_wait = 0, futex_wake = 1;
	pid_t waiter = spawn([&] {
		Map direct(pages(1), PROT_READ | PROT_WRITE, MAP_SHARED,
			   open_file(u.top + "/file", O_RDWR));
		auto *word = reinterpret_cast<int *>(direct.at());
		__atomic_store_n(&word[1], 1, __ATOMIC_SEQ_CST);
		while (__atomic_load_n(word, __ATOMIC_SEQ_CST) == 0)
			syscall(SYS_futex, word, futex_wait, 0, nullptr, nullptr, 0);
	});
	auto *word = reinterpret_cast<int *>(through.at());
	while (!__atomic_load_n(&word[1], __ATOMIC_SEQ_CST))
		sched_yield();
	/* Wakes until the waiter has woken: it may be between its store and its wait. */
	while (syscall(SYS_futex, word, futex_wake, 1, nullptr, nullptr, 0) == 0)
		usleep(1000);
	__atomic_store_n(word, 1, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, word, futex_wake, 1, nullptr, nullptr, 0);
	EXPECT_EQ(wait_for(waiter), 0);
}
