// SPDX-License-Identifier: GPL-2.0-only
//
// O_DIRECT and asynchronous I/O (raw system calls).
//
// Combinations: tmpfs ext4 xfs

#include "fixture.hh"

#include <linux/aio_abi.h>

static constexpr size_t block = 4096;

/* A page-aligned buffer. */
struct Buffer {
	Map map;
	explicit Buffer(size_t length = 16 * block, char fill = 0)
		: map(length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1)
	{
		memset(map.at(), fill, length);
	}
	char *at(size_t offset = 0)
	{
		return map.at(offset);
	}
};

/* Returns 0, or the errno of the branch for O_DIRECT. */
static int direct_error(const string &dir)
{
	string probe = dir + "/probe";
	Fd file(open(probe.c_str(), O_RDWR | O_CREAT | O_DIRECT | O_CLOEXEC, 0600));
	int error = file < 0 ? errno : 0;
	unlink(probe.c_str());
	return error;
}

static void need_direct(const string &dir)
{
	if (int error = direct_error(dir))
		SKIP("the branch has no O_DIRECT: %s", ktap::errno_name(error).c_str());
}

/* The union takes O_DIRECT if the branch takes it, with the branch's errno if not. */
CASE(open_as_the_branch_does)
{
	Union u;
	write_file(u.low + "/low", pattern(block));
	int top = direct_error(u.top);
	Fd plain(open((u.low + "/low").c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC));
	int low = plain < 0 ? errno : 0;
	u.mount();
	ktap::say("O_DIRECT on the branches: " + ktap::errno_name(top) + ", " +
		  ktap::errno_name(low));
	Fd file(open(u.at("low").c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC));
	EXPECT_EQ(ktap::errno_name(file < 0 ? errno : 0), ktap::errno_name(low));
	EXPECT_EQ(ktap::errno_name(direct_error(u.mnt)), ktap::errno_name(top));
	/* The same by F_SETFL on an open file. */
	Fd later = open_file(u.at("low"), O_RDONLY);
	int set = fcntl(later, F_SETFL, O_DIRECT) ? errno : 0;
	EXPECT_EQ(ktap::errno_name(set), ktap::errno_name(low));
	EXPECT_EQ(OK(fcntl(later, F_GETFL)) & O_DIRECT, low ? 0 : O_DIRECT);
}

CASE(direct_read_and_write)
{
	Union u;
	need_direct(u.top);
	u.mount();
	Fd file = open_file(u.at("file"), O_RDWR | O_CREAT | O_DIRECT);
	Buffer out(4 * block, 'x'), in(4 * block);
	EXPECT_EQ(OK(pwrite(file, out.at(), 4 * block, 0)), ssize_t(4 * block));
	EXPECT_EQ(fstat_of(file).st_size, 4 * block);
	EXPECT_EQ(OK(pread(file, in.at(), 4 * block, 0)), ssize_t(4 * block));
	EXPECT_EQ(in.map.text(4 * block), string(4 * block, 'x'));
	EXPECT(read_file(u.top + "/file") == string(4 * block, 'x'));
	/* The branch decides whether an unaligned offset is refused. */
	Fd plain = open_file(u.top + "/file", O_RDWR | O_DIRECT);
	int expected = pread(plain, in.at(), 100, 1) < 0 ? errno : 0;
	int result = pread(file, in.at(), 100, 1) < 0 ? errno : 0;
	EXPECT_EQ(ktap::errno_name(result), ktap::errno_name(expected));
}

CASE(direct_read_of_a_lower_file)
{
	Union u;
	need_direct(u.low);
	write_file(u.low + "/low", pattern(3 * block));
	u.mount();
	Fd file = open_file(u.at("low"), O_RDONLY | O_DIRECT);
	Buffer in(4 * block);
	EXPECT_EQ(OK(pread(file, in.at(), 4 * block, 0)), ssize_t(3 * block));
	EXPECT(in.map.text(3 * block) == pattern(3 * block));
}

/* O_DIRECT can be set on an open file. When it is cleared, unaligned writes work again. */
CASE(direct_set_later)
{
	Union u;
	need_direct(u.top);
	u.mount();
	Fd file = open_file(u.at("file"), O_RDWR | O_CREAT);
	OK(fcntl(file, F_SETFL, O_DIRECT));
	Buffer out(block, 'd');
	EXPECT_EQ(OK(pwrite(file, out.at(), block, 0)), ssize_t(block));
	OK(fcntl(file, F_SETFL, 0));
	EXPECT_EQ(OK(pwrite(file, "odd", 3, 5)), 3);
	EXPECT_EQ(pread_text(file, 10, 3), "ddodddddd" + string(1, 'd'));
	EXPECT_EQ(read_file(u.top + "/file").substr(3, 10), pread_text(file, 10, 3));
}

/* Buffered, mapped and direct views of a file agree. */
CASE(direct_and_mapped_agree)
{
	Union u;
	need_direct(u.top);
	write_file(u.top + "/file", string(4 * block, 'a'));
	u.mount();
	Fd direct = open_file(u.at("file"), O_RDWR | O_DIRECT),
	   plain = open_file(u.at("file"), O_RDWR);
	Map map(4 * block, PROT_READ | PROT_WRITE, MAP_SHARED, plain);
	EXPECT_EQ(map[block], 'a');
	Buffer out(block, 'b'), in(block);
	OK(pwrite(direct, out.at(), block, block));
	EXPECT_EQ(map[block], 'b');
	map[2 * block] = 'c';
	OK(msync(map.at(), 4 * block, MS_SYNC));
	OK(pread(direct, in.at(), block, 2 * block));
	EXPECT_EQ(*in.at(), 'c');
	OK(pwrite(plain, "d", 1, 0));
	OK(fsync(plain));
	OK(pread(direct, in.at(), block, 0));
	EXPECT_EQ(*in.at(), 'd');
}

struct Aio {
	aio_context_t context = 0;
	Aio()
	{
		OK(syscall(SYS_io_setup, 64, &context));
	}
	~Aio()
	{
		syscall(SYS_io_destroy, context);
	}

	void submit(int op, int fd, char *buffer, size_t length, off_t offset, uint64_t tag)
	{
		iocb request = {};
		iocb *list[] = {&request};
		request.aio_lio_opcode = op;
		request.aio_fildes = fd;
		request.aio_buf = reinterpret_cast<uint64_t>(buffer);
		request.aio_nbytes = length;
		request.aio_offset = offset;
		request.aio_data = tag;
		ASSERT_EQ(OK(syscall(SYS_io_submit, context, 1, list)), 1);
	}
	io_event wait()
	{
		io_event event = {};
		ASSERT_EQ(OK(syscall(SYS_io_getevents, context, 1, 1, &event, nullptr)), 1);
		return event;
	}
};

PARAM_CASE(aio_write_and_read, "buffered", "direct")
{
	bool direct = ktap::param() == "direct";
	Union u;
	if (direct)
		need_direct(u.top);
	u.mount();
	{
		Fd file = open_file(u.at("file"), O_RDWR | O_CREAT | (direct ? O_DIRECT : 0));
		Aio aio;
		Buffer out(16 * block), in(16 * block);
		for (int i = 0; i < 16; i++) {
			memset(out.at(i * block), 'a' + i, block);
			aio.submit(IOCB_CMD_PWRITE, file, out.at(i * block), block, i * block, i);
		}
		unsigned seen = 0;
		for (int i = 0; i < 16; i++) {
			io_event event = aio.wait();
			EXPECT_EQ(event.res, ssize_t(block));
			seen |= 1u << event.data;
		}
		EXPECT_EQ(seen, 0xffffu);
		EXPECT_EQ(fstat_of(file).st_size, 16 * block);
		for (int i = 0; i < 16; i++)
			aio.submit(IOCB_CMD_PREAD, file, in.at(i * block), block, i * block, i);
		for (int i = 0; i < 16; i++)
			EXPECT_EQ(aio.wait().res, ssize_t(block));
		EXPECT(in.map.text(16 * block) == out.map.text(16 * block));
		aio.submit(IOCB_CMD_FSYNC, file, nullptr, 0, 0, 99);
		EXPECT_EQ(aio.wait().res, 0);
		EXPECT(read_file(u.top + "/file") == out.map.text(16 * block));
	}
	u.unmount();
}

/* The file is closed while requests are under way: they end, and nothing is left of them. */
CASE(aio_with_the_file_closed)
{
	Union u;
	need_direct(u.top);
	u.mount();
	{
		Aio aio;
		Buffer out(16 * block, 'z');
		{
			Fd file = open_file(u.at("file"), O_RDWR | O_CREAT | O_DIRECT);
			for (int i = 0; i < 16; i++)
				aio.submit(IOCB_CMD_PWRITE, file, out.at(i * block), block,
					   i * block, i);
		}
		for (int i = 0; i < 16; i++)
			EXPECT_EQ(aio.wait().res, ssize_t(block));
	}
	EXPECT(read_file(u.at("file")) == string(16 * block, 'z'));
	u.unmount();
}

/* Errors arrive in the event as they would from pwrite(). */
CASE(aio_errors)
{
	Union u;
	write_file(u.low + "/low", pattern(block));
	u.mount();
	Fd lower = open_file(u.at("low"), O_RDONLY);
	Aio aio;
	Buffer buffer;
	iocb request = {};
	iocb *list[] = {&request};
	request.aio_lio_opcode = IOCB_CMD_PWRITE;
	request.aio_fildes = int(lower);
	request.aio_buf = reinterpret_cast<uint64_t>(buffer.at());
	request.aio_nbytes = block;
	EXPECT_ERR(syscall(SYS_io_submit, aio.context, 1, list), EBADF);
	aio.submit(IOCB_CMD_PREAD, lower, buffer.at(), block, 100 * block, 1);
	EXPECT_EQ(aio.wait().res, 0);
}

/* Two processes that extend the file in turn: every block is its writer's. */
CASE(aio_extending_from_two_processes)
{
	Union u;
	need_direct(u.top);
	u.mount();
	write_file(u.at("file"), "");
	std::vector<pid_t> writers;
	for (int writer = 0; writer < 2; writer++)
		writers.push_back(spawn([&] {
			Fd file = open_file(u.at("file"), O_RDWR | O_DIRECT);
			Aio aio;
			Buffer out(block, 'A' + writer);
			for (int i = 0; i < 50; i++) {
				aio.submit(IOCB_CMD_PWRITE, file, out.at(), block,
					   (2 * i + writer) * block, i);
				EXPECT_EQ(aio.wait().res, ssize_t(block));
			}
		}));
	for (pid_t writer : writers)
		EXPECT_EQ(wait_for(writer), 0);
	string all = read_file(u.at("file"));
	ASSERT_EQ(all.size(), 100 * block);
	for (int i = 0; i < 100; i++)
		EXPECT_EQ(all[i * block], 'A' + i % 2);
}
