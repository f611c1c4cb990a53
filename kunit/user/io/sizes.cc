// SPDX-License-Identifier: GPL-2.0-only
//
// The VFS takes some sizes from the union's own inode: they are the branch's, also after several threads have made the
// file longer at once.
// Combinations: tmpfs ext4

#include "fixture.hh"

#include <atomic>
#include <barrier>
#include <sys/ioctl.h>
#include <thread>

/* The number of bytes that FIONREAD gives. */
static long waiting(int file)
{
	int bytes = -1;
	OK(lseek(file, 0, SEEK_SET));
	OK(ioctl(file, FIONREAD, &bytes));
	return bytes;
}

CASE(written_to_by_several_threads)
{
	constexpr int threads = 4, pieces = 8, rounds = 3000;
	constexpr off_t piece = 512;
	Union u;
	u.mount();
	Fd file = open_file(u.at("file"), O_RDWR | O_CREAT);
	string data(piece, 'x');
	std::atomic<off_t> base = 0;
	std::atomic<int> failures = 0;
	std::barrier<> begin(threads + 1), end(threads + 1);
	std::vector<std::thread> writers;
	for (int id = 0; id < threads; id++)
		writers.emplace_back([&, id] {
			for (;;) {
				begin.arrive_and_wait();
				if (base < 0)
					return;
				for (int i = 0; i < pieces; i++)
					if (pwrite(file, data.data(), piece,
						   base + (i * threads + id) * piece) != piece)
						failures++;
				end.arrive_and_wait();
			}
		});
	int stale = 0;
	for (int round = 0; round < rounds; round++) {
		begin.arrive_and_wait();
		end.arrive_and_wait();
		off_t size = fstat_of(file).st_size;
		stale += waiting(file) != size;
		base = size;
		if (size < 1 << 20)
			continue;
		OK(ftruncate(file, 0));
		base = 0;
	}
	base = -1;
	begin.arrive_and_wait();
	for (std::thread &writer : writers)
		writer.join();
	EXPECT_EQ(stale, 0);
	EXPECT_EQ(failures.load(), 0);
}
