// SPDX-License-Identifier: GPL-2.0-only
//
// fcntl(F_SETFL): a flag that an open file gets or loses counts for all later calls, as for a file of the branch.
// Combinations: tmpfs ext4

#include "fixture.hh"

struct Outcome {
	std::vector<string> lines;
	void add(const char *what, ssize_t result)
	{
		lines.push_back(ktap::format("%s: %zd%s%s", what, result, result < 0 ? " " : "",
					     result < 0 ? strerrorname_np(errno) : ""));
	}
};

/* Opens a file of @dir with @opened, then sets @set. Returns the result of each way to use the file. */
static Outcome act(const string &dir, int opened, int set)
{
	Outcome outcome;
	write_file(dir + "/source", "source-data");
	write_file(dir + "/file", "0123456789");
	int fd = open((dir + "/file").c_str(), O_RDWR | O_CLOEXEC | opened);
	outcome.add("open", fd < 0 ? fd : 0);
	if (fd < 0)
		return outcome;
	Fd file(fd), source = open_file(dir + "/source", O_RDONLY);
	outcome.add("set", fcntl(file, F_SETFL, set));
	Pipe pipe;
	auto filled = [&] {
		OK(write(pipe.write, "PIPE", 4));
	};
	off_t at = 1, from = 0;
	filled();
	outcome.add("splice", splice(pipe.read, nullptr, file, &at, 4, 0));
	at = 2;
	outcome.add("copy_file_range", copy_file_range(source, &from, file, &at, 3, 0));
	outcome.add("pwrite", pwrite(file, "W", 1, 4));
	OK(lseek(file, 0, SEEK_SET));
	outcome.add("write", write(file, "V", 1));
	char byte;
	outcome.add("pread", pread(file, &byte, 1, 3));
	file.reset();
	outcome.lines.push_back(read_file(dir + "/file"));
	return outcome;
}

PARAM_CASE(as_on_the_branch, "append", "direct", "nonblock")
{
	string p = ktap::param();
	int flag = p == "append" ? O_APPEND : p == "direct" ? O_DIRECT : O_NONBLOCK;
	Union u;
	make_dir(u.top + "/plain");
	u.mount();
	make_dir(u.at("union"));
	for (int opened : {0, flag})
		for (int set : {0, flag}) {
			Outcome plain = act(u.top + "/plain", opened, set);
			Outcome ours = act(u.at("union"), opened, set);
			EXPECT_EQ(ours.lines, plain.lines);
		}
}

/* A flag is set, cleared and set again while the file is used. */
CASE(changed_again_and_again)
{
	Union u;
	u.mount();
	write_file(u.at("file"), "0123456789");
	Fd file = open_file(u.at("file"), O_RDWR);
	Pipe pipe;
	string wanted = "0123456789";
	for (int i = 0; i < 10; i++) {
		off_t at = i;
		OK(fcntl(file, F_SETFL, O_APPEND));
		OK(pwrite(file, "a", 1, 0));
		wanted += 'a';
		OK(write(pipe.write, "s", 1));
		OK(fcntl(file, F_SETFL, 0));
		EXPECT_EQ(OK(splice(pipe.read, nullptr, file, &at, 1, 0)), 1);
		wanted[i] = 's';
		EXPECT_EQ(read_file(u.at("file")), wanted);
	}
}

/* A file that was copied up after its open has the flags too. */
CASE(after_a_copy_up)
{
	Union u;
	write_file(u.low + "/file", "0123456789");
	u.mount();
	Fd file = open_file(u.at("file"), O_RDONLY);
	write_file(u.at("file"), "9876543210");
	EXPECT_EQ(pread_text(file, 10, 0), "9876543210");
	OK(fcntl(file, F_SETFL, O_NOATIME));
	timespec old[] = {{1000, 0}, {2000, 0}};
	OK(utimensat(AT_FDCWD, u.at("file").c_str(), old, 0));
	EXPECT_EQ(pread_text(file, 10, 0), "9876543210");
	EXPECT_EQ(stat_of(u.top + "/file").st_atim.tv_sec, 1000);
	OK(fcntl(file, F_SETFL, 0));
	EXPECT_EQ(pread_text(file, 10, 0), "9876543210");
	EXPECT_GT(stat_of(u.top + "/file").st_atim.tv_sec, 1000);
}

/* A read changes the access time unless the flag is set, also when the flag changes. */
CASE(no_access_time)
{
	Union u;
	u.mount();
	write_file(u.at("file"), "0123456789");
	timespec old[] = {{1000, 0}, {2000, 0}};
	auto noted = [&](int file) {
		OK(utimensat(AT_FDCWD, u.at("file").c_str(), old, 0));
		EXPECT_EQ(pread_text(file, 10, 0), "0123456789");
		return stat_of(u.top + "/file").st_atim.tv_sec != 1000;
	};
	Fd file = open_file(u.at("file"), O_RDONLY);
	EXPECT(noted(file));
	OK(fcntl(file, F_SETFL, O_NOATIME));
	EXPECT(!noted(file));
	OK(fcntl(file, F_SETFL, 0));
	EXPECT(noted(file));
}
