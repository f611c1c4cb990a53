// SPDX-License-Identifier: GPL-2.0-only
//
// Attempts to write data, and to have it written back.

#include "attempt_parts.hh"

#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

static void put_what(void *at)
{
	constexpr std::string_view what = "WHAT";

	memcpy(at, what.data(), what.size());
}

static int map_and_write(int fd)
{
	return map_it(fd, PROT_READ | PROT_WRITE, MADV_POPULATE_WRITE, [](char *at) {
		put_what(at);
		return result_of(msync(at, block, MS_SYNC));
	});
}

static int splice_in(const Scene &s)
{
	off_t to = 0;
	empty_pipe(s);
	if (write(s.pipe_out, "WHAT", 4) != 4)
		return errno;
	ssize_t put = splice(s.pipe_in, nullptr, s.fd, &to, 4, 0);
	return put < 0 ? errno : put == 4 ? 0 : wrong_answer;
}

static int put_text(int fd, size_t size)
{
	ssize_t put = pwrite(fd, buffer, size, 0);
	return put < 0 ? errno : size_t(put) == size ? 0 : wrong_answer;
}

static int write_direct(const Scene &s)
{
	memset(buffer, 'W', block);
	return with_file(open(s.file.c_str(), O_RDWR | O_DIRECT),
			 [](int fd) { return put_text(fd, block); });
}

static int copy_range(const Scene &s)
{
	off_t from = 0, to = 0;
	ssize_t size = static_cast<ssize_t>(strlen(attempt_text));
	ssize_t put = copy_file_range(s.second, &from, s.fd, &to, size, 0);
	return put < 0 ? errno : put == size ? 0 : wrong_answer;
}

/* A file large enough for a direct write. Some filesystems cut a file that cannot grow, which is a change too. */
static void upper_block(const string &top, const string &)
{
	make_dressed(top + "/file", pattern(block));
}

static void two_files(const string &top, const string &)
{
	make_dressed(top + "/file");
	make_dressed(top + "/to", "another one");
}

static void one_on_each(const string &top, const string &low)
{
	make_dressed(low + "/file");
	make_dressed(top + "/to", "another one");
}

static void open_both(Scene &s)
{
	s.second = open_file(s.file, O_RDONLY);
	s.fd = open_file(s.to, O_RDWR);
}

std::span<const Attempt> attempts_to_write()
{
	static constexpr Attempt list[] = {
		{"write", "write_iter", upper_file,
		 [](const Scene &s) {
			 put_what(buffer);
			 return put_text(s.fd, 4);
		 },
		 Effect::change, open_to_write},
		{.name = "write_direct",
		 .methods = "open write_iter",
		 .prepare = upper_block,
		 .run = write_direct,
		 .effect = Effect::change,
		 .refusal = EINVAL},
		{.name = "write_by_aio",
		 .methods = "write_iter",
		 .prepare = upper_file,
		 .run =
			 [](const Scene &s) {
				 put_what(buffer);
				 return ask_aio(s.fd, IOCB_CMD_PWRITE, 4);
			 },
		 .effect = Effect::change,
		 .open = open_to_write,
		 .shortage = EAGAIN},
		{"splice_write", "splice_write", upper_file, splice_in, Effect::change,
		 [](Scene &s) {
			 open_to_write(s);
			 open_pipe(s);
		 }},
		{"mapped_write", "open mmap fsync", upper_file,
		 [](const Scene &s) {
			 return with_file(open(s.file.c_str(), O_RDWR), map_and_write);
		 },
		 Effect::write_back},
		{"fallocate", "fallocate", upper_file,
		 [](const Scene &s) { return result_of(fallocate(s.fd, 0, 0, 8192)); },
		 Effect::change, open_to_write},
		{"copy_range", "copy_file_range", two_files, copy_range, Effect::change, open_both},
		{"copy_range_between_branches", "copy_file_range", one_on_each, copy_range,
		 Effect::change, open_both},
		{.name = "clone_range",
		 .methods = "remap_file_range",
		 .prepare = two_files,
		 .run =
			 [](const Scene &s) {
				 return result_of(ioctl(s.fd, FICLONE, int(s.second)));
			 },
		 .effect = Effect::change,
		 .open = open_both,
		 .refusal = EOPNOTSUPP},
		{"fsync", "fsync", upper_file,
		 [](const Scene &s) { return result_of(fsync(s.fd)); }, Effect::report,
		 [](Scene &s) {
			 open_to_write(s);
			 OK(pwrite(s.fd, "WHAT", 4, 0));
		 }},
		{"fsync_of_a_directory", "fsync of a directory", upper_file,
		 [](const Scene &s) { return result_of(fsync(s.fd)); }, Effect::report,
		 [](Scene &s) {
			 s.fd = open_file(s.dir, O_RDONLY | O_DIRECTORY);
		 }},
		{"syncfs", "sync_fs", upper_file,
		 [](const Scene &s) { return result_of(syncfs(s.fd)); }, Effect::report,
		 open_to_write},
		{"close", "flush", upper_file,
		 [](const Scene &s) { return with_file(dup(s.fd), nothing_more); }, Effect::report,
		 open_to_write},
		{"truncate", "setattr", lower_file,
		 [](const Scene &s) { return result_of(truncate(s.file.c_str(), 4)); },
		 Effect::change},
		{"ftruncate", "setattr", upper_file,
		 [](const Scene &s) { return result_of(ftruncate(s.fd, 4)); }, Effect::change,
		 open_to_write},
		{"truncate_by_open", "open setattr", lower_file,
		 [](const Scene &s) {
			 return with_file(open(s.file.c_str(), O_WRONLY | O_TRUNC), nothing_more);
		 },
		 Effect::change},
	};
	return list;
}
