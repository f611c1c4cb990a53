// SPDX-License-Identifier: GPL-2.0-only
//
// A FUSE filesystem that serves a directory as it is. One request at a time can go wrong: the server answers it with an
// errno, or only when it is told to.
#pragma once

#include "fixture.hh"

#include <atomic>

#include <linux/fuse.h>

/* A request: the nth of its opcode. With a name, only requests with that name count. */
struct Request {
	uint32_t opcode = 0;
	unsigned nth = 1;
	string name;

	string text() const;
};

class Passthrough
{
public:
	/*
	 * Serves @dir at the new directory @path. The kernel may cache names and attributes for @lifetime seconds. A
	 * name that appears in @dir directly is seen unless the kernel has it cached.
	 */
	Passthrough(const string &path, const string &dir, unsigned lifetime);
	~Passthrough();

	/* Counts requests from now on, until counted(). */
	void count();
	/* The requests whose answer a task waited for, and that this server knows. */
	std::vector<Request> counted();

	/* From now on, until end(), answers this request with @error, and does nothing for it. */
	void fail(const Request &request, int error);
	/* The same, but answers it only at release(). Meanwhile it answers all others. */
	void hold(const Request &request);
	bool is_held() const;
	/* Answers the held request: with @error, or if that is 0, by doing it now. */
	void release(int error);
	/* Answers each request of @opcode after so many @milliseconds from now on. */
	void delay(uint32_t opcode, unsigned milliseconds);
	/* Lets no more requests go wrong. Returns whether one did. */
	bool end();

	/* The files and directories that the kernel has open. It tells of a close a little later. */
	int handles() const;

private:
	friend class PassthroughServer;

	enum class Command : char { count, stop_counting, fail, hold, release, end };
	static constexpr uint32_t opcodes = 64;
	/* Shared with the server, which reads it with a command. From slow_opcode on they are valid at any time. */
	struct Shared {
		uint32_t opcode;
		unsigned nth;
		char name[64];
		int error;
		bool was_hit;
		unsigned counts[opcodes];

		std::atomic<uint32_t> slow_opcode;
		std::atomic<unsigned> milliseconds;
		std::atomic<bool> is_held;
		std::atomic<int> handles;
	};

	void tell(Command command);
	void choose(const Request &request, int error);

	Shared *shared_;
	Fd device_;
	Mounted mounted_;
	Pipe commands_, answers_;
	pid_t pid_ = 0;
};
