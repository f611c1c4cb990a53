// SPDX-License-Identifier: GPL-2.0-only
//
// A FUSE filesystem that serves a directory as it is, and has one request at a time go wrong: it
// answers that with an errno, or not before it is told to.
#pragma once

#include "fixture.hh"

#include <atomic>

#include <linux/fuse.h>

/* Which request: the nth of its opcode. If there is a name, only those with that name count. */
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
	 * Serves @dir at the new directory @path. The kernel may believe names and attributes for
	 * @lifetime seconds. What appears in @dir directly is seen if nobody has asked for it yet.
	 */
	Passthrough(const string &path, const string &dir, unsigned lifetime);
	~Passthrough();

	/* Counts requests from now on, until counted(). */
	void count();
	/* Those whose answer somebody waited for, and that this server knows. */
	std::vector<Request> counted();

	/* From now on, until end(), this request is answered with @error. Nothing of it is done. */
	void fail(const Request &request, int error);
	/* The same, and it is not answered before release(). All others are, meanwhile. */
	void hold(const Request &request);
	bool is_held() const;
	/* Answers what is held: with @error, or if that is 0, it is done now. */
	void release(int error);
	/* No more requests go wrong. Whether one did. */
	bool end();

	/* Files and directories that the kernel has open. It tells of a close a little later. */
	int handles() const;

private:
	friend class PassthroughServer;

	enum class Command : char { count, stop_counting, fail, hold, release, end };
	static constexpr uint32_t opcodes = 64;
	/* With the server. But for the last two, it is looked at when a command was answered. */
	struct Shared {
		uint32_t opcode;
		unsigned nth;
		char name[64];
		int error;
		bool was_hit;
		unsigned counts[opcodes];

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
