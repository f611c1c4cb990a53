/* SPDX-License-Identifier: GPL-2.0-only */
/* A program that only crashes, and the core that it leaves. */
#pragma once

#include "fixture.hh"

namespace aufs::test
{

/* A bit of a wait status. */
inline constexpr int core_dumped = 0x80;

/* An executable file of one page, all of which is mapped at @base. */
class Program final
{
public:
	static constexpr unsigned long base = 0x400000;

	Program(struct kunit *test, const char *path);

	bool ok() const
	{
		return ok_;
	}

	/*
	 * Executes the file in a process that calls @then before the program's first instruction, which is invalid.
	 * Returns the wait status.
	 */
	template <class F> int run(F then) const
	{
		return run_as(path_, then);
	}
	/* The same by @path, another name of the file. */
	template <class F> int run_as(const char *path, F then) const
	{
		auto call = [](void *data) {
			(*static_cast<F *>(data))();
		};

		return aufs_test_exec(path, call, &then);
	}

private:
	const char *path_;
	bool ok_ = false;
};

/* The core at /core, where the kernel leaves it by default. It is removed. */
class Core final
{
public:
	/* Whether such a program leaves a core on this kernel. */
	static bool possible();

	explicit Core(struct kunit *test);

	/* Whether the core says that @path is mapped at @start, from page @first on. */
	bool has_file(unsigned long start, unsigned long pages, unsigned long first,
		      StringView path) const;
	/* The number of mapped files in the core. */
	unsigned long files() const;
	/* The number of dumped bytes of the mapping at @start; -1 if there is no such mapping. */
	long dumped(unsigned long start) const;

private:
	static constexpr unsigned int room = 1024 * 1024;

	/* @count objects of type T at @offset, or null if the core ends before. */
	template <class T> const T *at(unsigned long offset, unsigned long count = 1) const
	{
		if (offset > size_ || count > (size_ - offset) / sizeof(T))
			return nullptr;
		return reinterpret_cast<const T *>(text_.data + offset);
	}
	/* Finds the note. */
	void look_for_files(unsigned long offset, unsigned long size);

	struct kunit *test_;
	KvArray<char> text_;
	unsigned long size_ = 0;
	/* The note of files has two words, three for each mapping, then the names. */
	unsigned long files_ = 0;
	unsigned long files_end_ = 0;
};

} // namespace aufs::test
