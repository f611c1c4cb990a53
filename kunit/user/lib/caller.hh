/* SPDX-License-Identifier: GPL-2.0-only */
//
// Behind calls.hh: the process that makes the calls, and the kinds of calls.
#pragma once

#include "calls.hh"

#include <span>

template <typename List> auto chosen(const List &list, unsigned number) -> decltype(list[0])
{
	return list[number % std::size(list)];
}

inline constexpr size_t lengths[] = {0, 1, 100, 512, 4096, 5000, 65536};
inline constexpr off_t offsets[] = {0,	   1,	  512,	   4095,      4096, 9999,
				    10000, 65536, 1 << 20, 1LL << 40, -1,   INT64_MAX};

/* The process that makes the calls, with the files that it has open. */
class Caller
{
public:
	explicit Caller(const string &root)
		: root_(root + "/"),
		  buffer_(2 * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1)
	{
		OK(pipe2(pipe_, O_NONBLOCK | O_CLOEXEC));
	}
	static constexpr size_t slots = 4, size = 65536;

	static string name(unsigned x);
	string path(unsigned x) const
	{
		return root_ + name(x);
	}
	int fd(unsigned x) const
	{
		return fds_[x % slots];
	}
	/* Closes the descriptor that was in the slot. */
	long put(unsigned z, int fd)
	{
		if (fd >= 0) {
			int error = errno;
			fds_[z % slots] = fd;
			errno = error;
		}
		return fd;
	}
	long take(unsigned x)
	{
		int fd = fds_[x % slots].release();
		return fd < 0 ? 0 : close(fd);
	}
	char *buffer() const
	{
		return buffer_.at();
	}
	long map(unsigned x, unsigned y, unsigned z);
	long touch(unsigned x, unsigned y, unsigned z);
	/* The mapping with that number, of two pages. */
	char *&mapping(unsigned x)
	{
		return maps_[x % std::size(maps_)];
	}
	void drain();
	long from_pipe(unsigned x, unsigned y);
	long to_pipe(unsigned x, unsigned y);
	long become(unsigned x);
	long watch(unsigned x, unsigned y);

private:
	string root_;
	Map buffer_;
	Fd fds_[slots], watches_;
	char *maps_[2] = {};
	int pipe_[2];
};

/* A set of errnos. */
class Errnos
{
public:
	constexpr Errnos(std::initializer_list<int> list)
	{
		for (int error : list)
			bits_[error / 64] |= uint64_t(1) << error % 64;
	}
	constexpr Errnos operator+(Errnos other) const
	{
		for (size_t i = 0; i < std::size(bits_); i++)
			other.bits_[i] |= bits_[i];
		return other;
	}
	/* False for errnos that only the kernel knows. */
	constexpr bool has(int error) const
	{
		return error < 192 && bits_[error / 64] >> error % 64 & 1;
	}

private:
	uint64_t bits_[3] = {};
};

/* A kind of call, the errnos that its manual page or aufs(5) gives, and the call itself. */
struct Kind {
	const char *name;
	Errnos may;
	long (*run)(Caller &, const Call &);
};
std::span<const Kind> kinds();
