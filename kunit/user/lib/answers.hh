/* SPDX-License-Identifier: GPL-2.0-only */
//
// Questions about a name, to compare the answers of two filesystems, errors included.
#pragma once

#include "fixture.hh"

#include <algorithm>
#include <set>

#include <dirent.h>
#include <sys/xattr.h>

/* The most that is read of a file. */
inline constexpr off_t most_read = 128 << 10;

/* The answer to a question about a name: an error or a text. */
struct Answer {
	string error, text;
	bool operator==(const Answer &) const = default;
};

inline Answer answer_of(long result, const string &text)
{
	return result < 0 ? Answer{ktap::errno_name(errno), ""} : Answer{"", text};
}

inline string show(const Answer &answer)
{
	return answer.error + " " + ktap::quote(answer.text.substr(0, 300));
}

inline Answer ask_stat(const string &path)
{
	struct stat is = {};
	if (lstat(path.c_str(), &is))
		return answer_of(-1, "");
	string text = ktap::format("mode=%o uid=%u gid=%u mtime=%lld.%ld", is.st_mode, is.st_uid,
				   is.st_gid, (long long)is.st_mtim.tv_sec, is.st_mtim.tv_nsec);
	/*
	 * A merged directory has a size and links of its own. Any other object with a name has at least one link in the
	 * union.
	 */
	if (!S_ISDIR(is.st_mode))
		text += ktap::format(" size=%lld links=%lu rdev=%lx", (long long)is.st_size,
				     (unsigned long)std::max<nlink_t>(is.st_nlink, 1),
				     (unsigned long)is.st_rdev);
	return {"", text};
}

inline Answer ask_link(const string &path)
{
	char target[4096];
	struct stat is;
	if (lstat(path.c_str(), &is) || !S_ISLNK(is.st_mode))
		return {};
	ssize_t size = readlink(path.c_str(), target, sizeof(target));
	return answer_of(size, string(target, std::max<ssize_t>(size, 0)));
}

/* The attributes that a copy has on each filesystem. */
inline Answer ask_xattrs(const string &path)
{
	std::vector<char> names(65536), value(65536);
	std::set<string> found;
	Answer all;
	ssize_t length = llistxattr(path.c_str(), names.data(), names.size());
	if (length < 0)
		return answer_of(length, "");
	for (ssize_t at = 0; at < length; at += strlen(&names[at]) + 1) {
		string name = &names[at];
		if (!name.starts_with("trusted.") || name == "trusted.mine")
			continue;
		ssize_t size = lgetxattr(path.c_str(), name.c_str(), value.data(), value.size());
		Answer one = answer_of(size, string(value.data(), std::max<ssize_t>(size, 0)));
		found.insert(name + "=" + one.error + one.text);
		if (all.error.empty())
			all.error = one.error;
	}
	for (const string &text : found)
		all.text += text + "\n";
	return all;
}

/* The file's data by pages: one page can be readable where another is not. Other objects have no pages. */
inline std::vector<Answer> pages_of(const string &path)
{
	struct stat is;
	if (lstat(path.c_str(), &is))
		return {answer_of(-1, "")};
	if (!S_ISREG(is.st_mode))
		return {};
	Fd fd(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
	if (fd < 0)
		return {answer_of(-1, "")};
	std::vector<Answer> pages;
	off_t size = std::min<off_t>(is.st_size, most_read);
	for (off_t at = 0; at < size; at += 4096) {
		char page[4096];
		ssize_t got = pread(fd, page, sizeof(page), at);
		pages.push_back(answer_of(got, string(page, std::max<ssize_t>(got, 0))));
	}
	return pages;
}

inline Answer joined(const std::vector<Answer> &pages)
{
	Answer all;
	for (const Answer &page : pages) {
		all.text += page.error + page.text;
		if (all.error.empty())
			all.error = page.error;
	}
	return all;
}

inline Answer ask_data(const string &path)
{
	return joined(pages_of(path));
}

/* The same by page faults. Here the kernel takes them: EFAULT where a program gets SIGBUS. */
inline Answer ask_mapping(const string &path)
{
	struct stat is;
	if (lstat(path.c_str(), &is) || !S_ISREG(is.st_mode))
		return {};
	Fd fd(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC)),
		sink(memfd_create("page", MFD_CLOEXEC));
	if (fd < 0)
		return answer_of(-1, "");
	off_t size = std::min<off_t>(is.st_size, 65536);
	if (size <= 0)
		return {};
	char *at = static_cast<char *>(mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, 0));
	if (at == MAP_FAILED)
		return answer_of(-1, "");
	std::vector<Answer> pages;
	for (off_t page = 0; page < size; page += 4096) {
		ssize_t taken = pwrite(sink, at + page, 4096, 0);
		pages.push_back(answer_of(taken, taken < 0 ? "" : pread_text(sink, taken, 0)));
	}
	munmap(at, size);
	return joined(pages);
}

struct Question {
	const char *name;
	Answer (*ask)(const string &path);
};

inline const Question questions[] = {{"lstat", ask_stat},
				     {"readlink", ask_link},
				     {"attributes", ask_xattrs},
				     {"read", ask_data},
				     {"mmap", ask_mapping}};

/* The names in a directory, and the error that ended the listing. */
struct Listed {
	std::set<string> names;
	string error;
	bool operator==(const Listed &) const = default;
};

/* By the kernel's call: readdir(3) leaves out entries with the number 0, as a damaged one may have. */
inline Listed list(const string &path)
{
	Fd dir(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	if (dir < 0)
		return {{}, ktap::errno_name(errno)};
	Listed listed;
	alignas(dirent64) char entries[32768];
	long size;
	while ((size = syscall(SYS_getdents64, int(dir), entries, sizeof(entries))) > 0)
		for (long at = 0; at < size;) {
			auto *entry = reinterpret_cast<dirent64 *>(entries + at);
			string name = entry->d_name;
			if (name != "." && name != "..")
				listed.names.insert(name);
			at += entry->d_reclen;
		}
	if (size < 0)
		listed.error = ktap::errno_name(errno);
	return listed;
}
