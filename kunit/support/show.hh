/* SPDX-License-Identifier: GPL-2.0-only */
/* What procfs shows of a mapping, field by field, against what it is to show. */
#pragma once

#include "fixture.hh"
#include "span.hh"

namespace aufs::test
{

/* procfs at /proc, from here to the end of the scope. */
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

/* All that a file holds, which may be one of procfs. Empty where there is no such file. */
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
 * Runs @body in a process, with a copy of the current address space (without an MMU: with that
 * one). procfs shows nothing of a kernel thread, which this is.
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

/* An overlay at /overlay that cannot be written to, from here to the end of the scope. */
class Overlay final
{
public:
	/* @options: of mount(2). There is an empty /branches/none, for two layers are the least. */
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

/* A file as its user knows it. */
struct ShownIdentity {
	dev_t dev;
	u64 ino;
};
/* By stat(2). */
ShownIdentity stat_of(struct kunit *test, const struct file &file);
/* By its inode, which is what is shown where the two differ, as in overlayfs. */
ShownIdentity inode_of(const struct file &file);

/* How a device number is shown. */
inline u64 major_of(dev_t dev)
{
	return dev >> 20;
}
inline u64 minor_of(dev_t dev)
{
	return dev & ((1U << 20) - 1);
}

/* What is to be shown of a mapping. */
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

/* All of @file, shared and writable, is shown as @path with what stat(2) says. */
Shown whole(struct kunit *test, const struct file &file, unsigned long addr,
	    const char *path = "/union/file");

/* The directory of procfs that is "/proc/@who", and those who look from there. */
class Observers final
{
public:
	Observers(struct kunit *test, const char *who, const char *source, int line)
		: test_(test), who_(who), source_(source), line_(line)
	{
	}

	/* maps or smaps. */
	void maps(const char *name, const Shown &shown) const;
	/* False where this kernel does not have it. */
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

/* The mapping of @mm that begins at @addr reports @reported from now on. */
void report(struct mm_struct *mm, unsigned long addr, struct file &reported);

/* A file, as it is to be shown. */
struct ShownFile {
	ShownIdentity identity;
	const char *path;
};

/* How many mappings were shown as one of some files, and how many as another one. */
struct FilesShown {
	unsigned int right = 0;
	unsigned int wrong = 0;

	/* Counts those of /proc/@who/@name, which is maps or smaps, that have a file. */
	void look(const char *who, const char *name, cxxrt::Span<const ShownFile> files);
};

/* How many mappings of /proc/self/maps have @path in their line. */
unsigned int lines_of(const char *path);

} // namespace aufs::test
