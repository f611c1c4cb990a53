/* SPDX-License-Identifier: GPL-2.0-only */
/* Compares all that procfs shows of a mapping with what it has to show, field by field. */
#pragma once

#include "fixture.hh"
#include "span.hh"

namespace aufs::test
{

/* procfs at /proc, in this scope. */
class Proc final
{
public:
	explicit Proc(struct kunit *test);
	Proc(const Proc &) = delete;
	Proc &operator=(const Proc &) = delete;
	~Proc();

	bool ok() const
	{
		return mounted_;
	}

private:
	struct kunit *test_;
	bool mounted_ = false;
};

/* The content of a file, which may be one of procfs. Empty if there is no such file. */
class Text final
{
public:
	explicit Text(const char *path);

	bool exists() const
	{
		return size_ >= 0;
	}
	StringView view() const
	{
		return size_ > 0 ? StringView(text_.data, static_cast<StringView::Size>(size_)) :
				   StringView();
	}

private:
	static constexpr unsigned int room = 256 * 1024;

	KvArray<char> text_;
	ssize_t size_;
};

/*
 * Runs @body in a process with a copy of the current address space, or without an MMU with the current one. procfs
 * shows no mappings of a kernel thread, as the test is one.
 */
template <class F> void in_process(struct kunit *test, F body)
{
	auto run = [](void *data) -> int {
		(*static_cast<F *>(data))();
		return 0;
	};

	EXPECT_EQ(test, aufs_test_fork(run, &body), 0);
}

/* A union with a file of eight pages, an address space, and procfs to look at it. */
struct ShowSetup {
	static constexpr unsigned int pages = 8;

	Union mount;
	Proc proc;
	Ref<struct file> file;
	AddressSpace space;

	explicit ShowSetup(struct kunit *test, const char *path = "/union/file")
		: mount(test), proc(test),
		  file(mount.ok() ? mount.make(path, pages) : Ref<struct file>()), space(test)
	{
	}
	bool ok() const
	{
		return file && proc.ok() && space.ok();
	}
};

/* A read-only overlay at /overlay, in this scope. */
class Overlay final
{
public:
	/* @options are those of mount(2). An overlay needs two layers: one can be /branches/none, which is empty. */
	Overlay(struct kunit *test, const char *options);
	Overlay(const Overlay &) = delete;
	Overlay &operator=(const Overlay &) = delete;
	~Overlay();

	/* Whether this kernel has overlayfs. */
	static bool possible()
	{
		return aufs_test_supers("overlay") >= 0;
	}
	bool ok() const
	{
		return mounted_;
	}

private:
	struct kunit *test_;
	bool mounted_ = false;
};

/* A file's identity for users. */
struct ShownIdentity {
	dev_t dev;
	u64 ino;
};
/* The identity by stat(2). */
ShownIdentity stat_of(struct kunit *test, const struct file &file);
/* The identity by the inode, which is shown if the two differ, as in overlayfs. */
ShownIdentity inode_of(const struct file &file);

/* The parts of a device number, as they are shown. */
inline u64 major_of(dev_t dev)
{
	return dev >> 20;
}
inline u64 minor_of(dev_t dev)
{
	return dev & ((1U << 20) - 1);
}

/* The facts to be shown of a mapping. */
struct Shown {
	unsigned long addr;
	unsigned long pages;
	/* The first page of the file. */
	unsigned long first;
	/* As in maps. */
	const char *permissions;
	const struct file &file;
	ShownIdentity identity;
	/* Not escaped. */
	const char *path;
};

/* For a shared writable mapping of all of @file: shown as @path, with the identity by stat(2). */
Shown whole(struct kunit *test, const struct file &file, unsigned long addr,
	    const char *path = "/union/file");

/* The directory "/proc/@who" of procfs, and the observers in it. */
class Observers final
{
public:
	Observers(struct kunit *test, const char *who, const char *source, int line)
		: test_(test), who_(who), source_(source), line_(line)
	{
	}

	/* maps or smaps. */
	void maps(const char *name, const Shown &shown) const;
	/* These return false if this kernel does not have the observer. */
	bool numa_maps(const Shown &shown) const;
	bool procmap_query(const Shown &shown) const;
	/* The link of the mapping in map_files. */
	bool map_files(const Shown &shown) const;
	void all(const Shown &shown) const;

private:
	struct Name {
		char text[64];
	};
	Name name(const char *what) const;
	void expect(bool good, const char *what, const char *field, StringView line) const;

	struct kunit *test_;
	const char *who_;
	const char *source_;
	int line_;
};

#define OBSERVERS(kunit, who) ::aufs::test::Observers((kunit), (who), __FILE__, __LINE__)

/* The path of a link in map_files of the current process. */
struct LinkName {
	char text[96];
};
LinkName map_files_name(const char *who, unsigned long addr, unsigned long pages);

/* Makes the mapping of @mm that begins at @addr report @reported. */
void report(struct mm_struct *mm, unsigned long addr, struct file &reported);

/* A file's identity and path to be shown. */
struct ShownFile {
	ShownIdentity identity;
	const char *path;
};

/* The numbers of mappings that were shown with one of some files, and with another one. */
struct FilesShown {
	unsigned int right = 0;
	unsigned int wrong = 0;

	/* Counts the mappings of a file in /proc/@who/@name, which is maps or smaps. */
	void look(const char *who, const char *name, cxxrt::Span<const ShownFile> files);
};

/* The number of lines of /proc/self/maps with @path. */
unsigned int lines_of(const char *path);

} // namespace aufs::test
