// SPDX-License-Identifier: GPL-2.0-only
//
// Mappings across a copy-up: a mapping goes on reporting the union's file, and keeps the data that it had. A mapping of
// the old file shows no later write.
//
// Combinations: tmpfs ext4

#include "proc.hh"

#include <pthread.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

#include <linux/aio_abi.h>

static constexpr size_t count = 4;

static size_t pages(size_t n)
{
	return n * page_size();
}

struct Setup : Union {
	struct stat was;

	Setup()
	{
		make_dirs(low + "/dir/sub");
		write_file(low + "/dir/sub/file", pattern(pages(count)));
		mount();
		was = stat_of(file());
	}
	string file() const
	{
		return at("dir/sub/file");
	}
	Map map(int prot, int flags, int mode = O_RDONLY) const
	{
		return Map(pages(count), prot, flags, open_file(file(), mode));
	}
	void copy_up() const
	{
		open_file(file(), O_WRONLY);
		ASSERT(exists(top + "/dir/sub/file"));
	}
	/* Writes through the union, and so to the copy. */
	void write(char byte, off_t offset = 0) const
	{
		Fd writer = open_file(file(), O_WRONLY);
		OK(pwrite(writer, &byte, 1, offset));
	}
	struct stat old_branch() const
	{
		return stat_of(low + "/dir/sub/file");
	}
	struct stat new_branch() const
	{
		return stat_of(top + "/dir/sub/file");
	}
};

/* maps and map_files report @map as a deleted file. */
static void expect_reported_as_deleted(const Map &map, const string &path, const struct stat &was,
				       const struct stat &of_branch)
{
	Vma vma = vma_at(map.at());
	const struct stat &shown = reports_union_inode() ? was : of_branch;
	EXPECT_EQ(vma.path, path + " (deleted)");
	EXPECT_EQ(vma.inode, shown.st_ino);
	EXPECT_EQ(vma.device, shown.st_dev);
	EXPECT_EQ(stat_of(map_files_name(vma)).st_ino, was.st_ino);
}

PARAM_CASE(reported_alike, "shared", "private", "written")
{
	Setup u;
	string p = ktap::param();
	int flags = p == "shared" ? MAP_SHARED : MAP_PRIVATE;
	int prot = p == "written" ? PROT_READ | PROT_WRITE : PROT_READ;
	Map before = u.map(prot, flags);
	struct stat old_branch = u.old_branch();
	if (p == "written")
		before[0] = 'W';
	u.copy_up();
	Map after = u.map(prot, flags);
	struct stat now = stat_of(u.file());
	EXPECT_EQ(now.st_ino, u.was.st_ino);
	EXPECT_EQ(now.st_dev, u.was.st_dev);
	expect_reported(before.at(), u.file(), now, old_branch);
	expect_reported(after.at(), u.file(), now, u.new_branch());
	/* The file is renamed, then removed, with the directories above it. */
	OK(rename(u.file().c_str(), u.at("dir/renamed").c_str()));
	expect_reported(before.at(), u.at("dir/renamed"), now, old_branch);
	expect_reported(after.at(), u.at("dir/renamed"), now, stat_of(u.top + "/dir/renamed"));
	struct stat new_branch = stat_of(u.top + "/dir/renamed");
	OK(unlink(u.at("dir/renamed").c_str()));
	expect_reported_as_deleted(before, u.at("dir/renamed"), now, old_branch);
	expect_reported_as_deleted(after, u.at("dir/renamed"), now, new_branch);
	OK(rmdir(u.at("dir/sub").c_str()));
	OK(rmdir(u.at("dir").c_str()));
	Vma vma = vma_at(before.at());
	EXPECT_EQ(vma.path, u.at("dir/renamed") + " (deleted)");
	EXPECT_EQ(vma_at(after.at()).path, vma.path);
	EXPECT_EQ(before[0], p == "written" ? 'W' : pattern(1)[0]);
	EXPECT_EQ(after.text(pages(count)), pattern(pages(count)));
}

/* The file and its directories are removed without a copy-up before. */
CASE(removed_without_copy_up)
{
	Setup u;
	Map shared = u.map(PROT_READ, MAP_SHARED);
	struct stat old_branch = u.old_branch();
	OK(unlink(u.file().c_str()));
	OK(rmdir(u.at("dir/sub").c_str()));
	OK(rmdir(u.at("dir").c_str()));
	expect_reported_as_deleted(shared, u.file(), u.was, old_branch);
	EXPECT_EQ(shared.text(pages(count)), pattern(pages(count)));
	/* A new file of that name is another one. */
	OK(mkdir(u.at("dir").c_str(), 0755));
	OK(mkdir(u.at("dir/sub").c_str(), 0755));
	write_file(u.file(), "new");
	EXPECT_NE(stat_of(u.file()).st_ino, u.was.st_ino);
	EXPECT_EQ(vma_at(shared.at()).path, u.file() + " (deleted)");
	EXPECT_EQ(shared.text(pages(count)), pattern(pages(count)));
}

CASE(inode_number_stays)
{
	Setup u;
	u.copy_up();
	write_control("/proc/sys/vm/drop_caches", "2");
	EXPECT_EQ(stat_of(u.file()).st_ino, u.was.st_ino);
	Map map = u.map(PROT_READ, MAP_SHARED);
	expect_reported(map.at(), u.file(), stat_of(u.file()), u.new_branch());
	map.unmap();
	u.unmount();
	u.mount();
	EXPECT_EQ(stat_of(u.file()).st_ino, u.was.st_ino);
	Map again = u.map(PROT_READ, MAP_SHARED);
	expect_reported(again.at(), u.file(), stat_of(u.file()), u.new_branch());
}

/*
 * A mapping has the file that its descriptor had at that moment. A descriptor that was opened to read before the
 * copy-up has the old file until the next read, and the copy from then on. A later descriptor has the copy. No mapping
 * shows half of each.
 */
CASE(stale_readers)
{
	Setup u;
	string old = pattern(pages(count));
	Fd reader = open_file(u.file(), O_RDONLY);
	Map shared(pages(count), PROT_READ, MAP_SHARED, reader);
	Map private_map(pages(count), PROT_READ | PROT_WRITE, MAP_PRIVATE, reader);
	shared.touch(0);
	private_map[1] = 'P';
	u.copy_up();
	/* The old and the new mapping show the same until somebody writes. */
	Map fresh = u.map(PROT_READ, MAP_SHARED);
	EXPECT(fresh.text(pages(count)) == shared.text(pages(count)));
	u.write('!', 0);
	u.write('!', pages(2));
	EXPECT(shared.text(pages(count)) == old);
	Map early(pages(count), PROT_READ, MAP_SHARED, reader);
	EXPECT(early.text(pages(count)) == old);
	string changed = old;
	changed[0] = changed[pages(2)] = '!';
	EXPECT(pread_text(reader, pages(count), 0) == changed);
	EXPECT(fresh.text(pages(count)) == changed);
	EXPECT(read_file(u.file()) == changed);
	/* A new mapping of the old descriptor has the data that the descriptor has read. */
	Map late(pages(count), PROT_READ, MAP_SHARED, reader);
	EXPECT(late.text(pages(count)) == changed);
	expect_reported(late.at(), u.file(), stat_of(u.file()), u.new_branch());
	EXPECT(early.text(pages(count)) == old);
	EXPECT(shared.text(pages(count)) == old);
	expect_reported(early.at(), u.file(), stat_of(u.file()), u.old_branch());
	string mine = old;
	mine[1] = 'P';
	EXPECT(private_map.text(pages(count)) == mine);
	/* All descriptors show the copy's attributes. */
	OK(truncate(u.file().c_str(), 10));
	EXPECT_EQ(fstat_of(reader).st_size, 10);
	EXPECT_EQ(fstat_of(reader).st_ino, u.was.st_ino);
	EXPECT(shared.text(pages(count)) == old);
	EXPECT_EQ(pread_text(reader, pages(count), 0), changed.substr(0, 10));
	OK(fchmod(reader, 0600));
	EXPECT_EQ(stat_of(u.file()).st_mode & 07777, 0600u);
	EXPECT_EQ(stat_of(u.low + "/dir/sub/file").st_mode & 07777, 0644u);
}

/* An older descriptor follows a copy-up by each call that reads data or asks for the end of the file. */
PARAM_CASE(old_descriptor_follows, "read", "readv", "seek_end", "seek_data", "sendfile", "splice",
	   "copy_file_range", "fsync", "aio")
{
	Setup u;
	string p = ktap::param(), more = "more";
	Fd reader = open_file(u.file(), O_RDONLY);
	EXPECT_EQ(pread_text(reader, 10, 0), pattern(10));
	{
		Fd writer = open_file(u.file(), O_WRONLY | O_APPEND);
		OK(write(writer, more.data(), more.size()));
	}
	off_t end = pages(count);
	if (p == "read")
		EXPECT_EQ(pread_text(reader, 100, end), more);
	else if (p == "readv") {
		char buffer[100];
		iovec io = {buffer, sizeof(buffer)};
		EXPECT_EQ(preadv(reader, &io, 1, end), ssize_t(more.size()));
	} else if (p == "seek_end")
		EXPECT_EQ(lseek(reader, 0, SEEK_END), off_t(end + more.size()));
	else if (p == "seek_data")
		EXPECT_EQ(lseek(reader, end, SEEK_HOLE), off_t(end + more.size()));
	else if (p == "sendfile" || p == "copy_file_range") {
		Fd out = open_file(u.at("out"), O_RDWR | O_CREAT);
		loff_t from = end;
		EXPECT_EQ(p == "sendfile" ? sendfile(out, reader, &from, 100) :
					    copy_file_range(reader, &from, out, nullptr, 100, 0),
			  ssize_t(more.size()));
		EXPECT_EQ(read_file(u.at("out")), more);
	} else if (p == "splice") {
		Pipe pipe;
		loff_t from = end;
		EXPECT_EQ(splice(reader, &from, pipe.write, nullptr, 100, 0), ssize_t(more.size()));
	} else if (p == "fsync")
		OK(fsync(reader));
	else {
		aio_context_t context = 0;
		char buffer[100];
		iocb request = {}, *list = &request;
		io_event event;
		request.aio_lio_opcode = IOCB_CMD_PREAD;
		request.aio_fildes = reader;
		request.aio_buf = reinterpret_cast<uintptr_t>(buffer);
		request.aio_nbytes = sizeof(buffer);
		request.aio_offset = end;
		OK(syscall(SYS_io_setup, 1, &context));
		OK(syscall(SYS_io_submit, context, 1, &list));
		OK(syscall(SYS_io_getevents, context, 1, 1, &event, nullptr));
		EXPECT_EQ(event.res, more.size());
		OK(syscall(SYS_io_destroy, context));
	}
	/* The descriptor stays with the copy. */
	EXPECT_EQ(pread_text(reader, 100, end), more);
	/* The copy is the same file without a name. */
	OK(unlink(u.file().c_str()));
	EXPECT_EQ(pread_text(reader, 100, end), more);
}

/* Many tasks read by one descriptor at the same time: the copy is opened once for all. */
CASE(descriptor_that_many_read)
{
	Setup u;
	Fd reader = open_file(u.file(), O_RDONLY);
	u.copy_up();
	u.write('!', 0);
	std::vector<pid_t> readers;
	for (int i = 0; i < 8; i++)
		readers.push_back(spawn([&] {
			for (int j = 0; j < 100; j++)
				EXPECT_EQ(pread_text(reader, 1, 0), "!");
		}));
	for (pid_t pid : readers)
		EXPECT_EQ(wait_for(pid), 0);
}

/* A mapping for writing is of the copy, and all later readers share its pages. */
CASE(writers_are_coherent)
{
	Setup u;
	Map writer = u.map(PROT_READ | PROT_WRITE, MAP_SHARED, O_RDWR);
	Map reader = u.map(PROT_READ, MAP_SHARED);
	writer[pages(1)] = '!';
	EXPECT_EQ(reader[pages(1)], '!');
	u.write('?', pages(1));
	EXPECT_EQ(writer[pages(1)], '?');
	EXPECT_EQ(reader[pages(1)], '?');
	EXPECT_EQ(read_file(u.low + "/dir/sub/file"), pattern(pages(count)));
}

CASE(fork_across)
{
	Setup u;
	Map shared = u.map(PROT_READ, MAP_SHARED);
	Map private_map = u.map(PROT_READ | PROT_WRITE, MAP_PRIVATE);
	struct stat old_branch = u.old_branch();
	private_map[0] = 'P';
	Pipe go;
	pid_t child = spawn([&] {
		ASSERT(wait_byte(go.read));
		struct stat now = stat_of(u.file());
		expect_reported(shared.at(), u.file(), now, old_branch);
		expect_reported(private_map.at(), u.file(), now, old_branch);
		EXPECT_EQ(private_map[0], 'P');
		private_map[1] = 'C';
		EXPECT_EQ(shared.text(pages(count)), pattern(pages(count)));
		in_child([&] { expect_reported(shared.at(), u.file(), now, old_branch); });
	});
	u.copy_up();
	u.write('!');
	send_byte(go.write);
	EXPECT_EQ(wait_for(child), 0);
	EXPECT_EQ(private_map[0], 'P');
	EXPECT_EQ(private_map[1], pattern(2)[1]);
	expect_reported(shared.at(), u.file(), stat_of(u.file()), old_branch);
}

CASE(mremap_and_mprotect)
{
	Setup u;
	Map shared = u.map(PROT_READ, MAP_SHARED);
	Map private_map = u.map(PROT_READ, MAP_PRIVATE);
	struct stat old_branch = u.old_branch();
	u.copy_up();
	u.write('!');
	struct stat now = stat_of(u.file());
	/* The mappings are split, moved, and written to. */
	OK(mprotect(private_map.at(pages(1)), pages(1), PROT_READ | PROT_WRITE));
	private_map[pages(1)] = 'P';
	EXPECT_ERR(mprotect(shared.at(), pages(1), PROT_READ | PROT_WRITE), EACCES);
	OK(mprotect(shared.at(), pages(1), PROT_NONE));
	for (size_t i = 0; i < count; i++) {
		expect_reported(shared.at(pages(i)), u.file(), now, old_branch);
		expect_reported(private_map.at(pages(i)), u.file(), now, old_branch);
	}
	Map place(pages(count), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	OK(mremap(shared.at(pages(1)), pages(2), pages(2), MREMAP_MAYMOVE | MREMAP_FIXED,
		  place.at()));
	expect_reported(place.at(), u.file(), now, old_branch);
	EXPECT_EQ(place.text(pages(2)), pattern(pages(count)).substr(pages(1), pages(2)));
	void *grown = mremap(place.at(), pages(2), pages(3), MREMAP_MAYMOVE);
	ASSERT_NE(grown, MAP_FAILED);
	EXPECT_EQ(string(static_cast<char *>(grown), pages(3)),
		  pattern(pages(count)).substr(pages(1)));
	munmap(grown, pages(3));
}

/* A map_files link opens the union's file, so a debugger or CRIU gets the copy. */
CASE(map_files_open_the_unions_file)
{
	Setup u;
	Map shared = u.map(PROT_READ, MAP_SHARED);
	u.copy_up();
	u.write('!');
	Fd file = open_file(map_files_name(vma_at(shared.at())), O_RDONLY);
	EXPECT_EQ(link_target(ktap::format("/proc/self/fd/%d", int(file))), u.file());
	EXPECT_EQ(fstat_of(file).st_ino, u.was.st_ino);
	EXPECT_EQ(fstat_of(file).st_dev, u.was.st_dev);
	EXPECT_EQ(pread_text(file, 1, 0), "!");
	EXPECT_EQ(shared[0], pattern(1)[0]);
}

/* A file is copied up while another thread maps it and faults: no fault fails, each page is the old or the new one. */
struct Faulter {
	Setup &u;
	bool stop = false;
	size_t rounds = 0;

	void work()
	{
		string old = pattern(pages(count));
		Fd reader = open_file(u.file(), O_RDONLY);
		while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
			Map map(pages(count), PROT_READ, MAP_SHARED, reader);
			EXPECT(map.text(pages(count)) == old);
			madvise(map.at(), pages(count), MADV_DONTNEED);
			Map fresh = u.map(PROT_READ, rounds % 2 ? MAP_SHARED : MAP_PRIVATE);
			EXPECT_EQ(fresh.text(pages(count)).substr(1), old.substr(1));
			EXPECT_EQ(vma_at(fresh.at()).path, u.file());
			rounds++;
		}
	}
	static void *run(void *self)
	{
		ktap::guarded([self] { static_cast<Faulter *>(self)->work(); });
		return nullptr;
	}
};

CASE(faults_meanwhile)
{
	for (int round = 0; round < 8; round++) {
		Setup u;
		Faulter faulter{u};
		pthread_t thread;
		ASSERT_EQ(pthread_create(&thread, nullptr, Faulter::run, &faulter), 0);
		while (!__atomic_load_n(&faulter.rounds, __ATOMIC_RELAXED))
			usleep(100);
		u.copy_up();
		for (int i = 0; i < 20; i++)
			u.write('!');
		__atomic_store_n(&faulter.stop, true, __ATOMIC_RELAXED);
		pthread_join(thread, nullptr);
		EXPECT_GT(faulter.rounds, 0u);
	}
}

/* A running program can be copied up by a chmod, but not opened for writing. Its mappings report the union's path. */
CASE(program_that_runs)
{
	Setup u;
	copy_self(u.low + "/program");
	Pipe ready, go;
	pid_t child = spawn([&] {
		OK(dup2(go.read, STDIN_FILENO));
		OK(dup2(ready.write, STDOUT_FILENO));
		execl(u.at("program").c_str(), "program", "--helper", "wait", nullptr);
	});
	ASSERT(wait_byte(ready.read));
	EXPECT_ERR(open(u.at("program").c_str(), O_RDWR), ETXTBSY);
	EXPECT(!exists(u.top + "/program"));
	struct stat before = stat_of(u.at("program"));
	OK(chmod(u.at("program").c_str(), 0700));
	EXPECT(exists(u.top + "/program"));
	EXPECT_ERR(open(u.at("program").c_str(), O_RDWR), ETXTBSY);
	string exe = ktap::format("/proc/%d/exe", child);
	EXPECT_EQ(link_target(exe), u.at("program"));
	EXPECT_EQ(stat_of(exe).st_ino, before.st_ino);
	EXPECT_EQ(stat_of(u.at("program")).st_ino, before.st_ino);
	EXPECT_GT(vmas_of(u.at("program"), child).size(), 0u);
	EXPECT(!mentions("maps", u.low, child));
	EXPECT(!mentions("maps", u.top, child));
	send_byte(go.write);
	EXPECT_EQ(wait_for(child), 0);
	EXPECT_OK(open_file(u.at("program"), O_RDWR));
}

HELPER(wait)
{
	send_byte(STDOUT_FILENO);
	return wait_byte(STDIN_FILENO) ? 0 : 1;
}

/* Only open files and mappings keep the union busy. */
CASE(nothing_pins)
{
	Setup u;
	Map before = u.map(PROT_READ, MAP_SHARED);
	u.copy_up();
	Map after = u.map(PROT_READ | PROT_WRITE, MAP_SHARED, O_RDWR);
	EXPECT_ERR(umount2(u.mnt.c_str(), 0), EBUSY);
	after.unmap();
	EXPECT_ERR(umount2(u.mnt.c_str(), 0), EBUSY);
	EXPECT_EQ(before[0], pattern(1)[0]);
	before.unmap();
	u.unmount();
}
