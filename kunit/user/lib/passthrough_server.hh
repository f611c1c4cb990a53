// SPDX-License-Identifier: GPL-2.0-only
//
// The process behind a Passthrough.
#pragma once

#include "passthrough.hh"

#include <map>

/* A request, as the kernel has sent it. */
struct Incoming {
	const fuse_in_header &in;
	const char *name; /* of the object that it is about, or null */

	template <typename T> const T &as() const
	{
		return *reinterpret_cast<const T *>(&in + 1);
	}
	/* The bytes behind the name. */
	const char *behind() const
	{
		return name + strlen(name) + 1;
	}
};

class PassthroughServer
{
public:
	PassthroughServer(Passthrough &control, const string &dir, unsigned lifetime);
	/* Serves until it is unmounted. */
	void serve();

	struct Opcode {
		uint32_t number;
		const char *name;
		void (PassthroughServer::*answer)(const Incoming &asked);
		/* The size of the body before the name; -1 if there is no name. */
		int before_name = -1;
		/* A task waits for the answer. */
		bool is_waited_for = true;
	};
	/* All opcodes that the server answers. */
	static const std::vector<Opcode> &known();
	static const Opcode *find(uint32_t number);

private:
	using Command = Passthrough::Command;
	using Key = std::pair<dev_t, ino_t>;
	struct Node {
		Fd fd; /* with O_PATH: the object, whatever its name is now */
		Key key;
		uint64_t lookups;
	};

	void obey(Command command);
	bool take_request();
	void receive(const fuse_in_header &in);
	bool is_chosen(const Incoming &asked);
	void answer(const Incoming &asked);
	static Incoming read_name(const fuse_in_header &in);

	/* Returns -1 for a node that the kernel was never told of: then each call is EBADF. */
	int at(uint64_t node) const
	{
		auto found = nodes_.find(node);
		return found == nodes_.end() ? -1 : int(found->second.fd);
	}
	/* For calls that take no O_PATH descriptor. The path leads to the object itself, also if it is a symlink. */
	string path_of(const Incoming &asked) const
	{
		return ktap::format("/proc/self/fd/%d", at(asked.in.nodeid));
	}
	void forget_node(uint64_t id, uint64_t lookups);
	int attributes(uint64_t node, fuse_attr &attr) const;
	int learn(Fd fd, fuse_entry_out &out);

	/* With an @error, the answer has no data. */
	void reply(const Incoming &asked, int error, const void *data = nullptr, size_t size = 0,
		   const void *more = nullptr, size_t more_size = 0) const;
	template <typename T> void tell(const Incoming &asked, int error, const T &out) const
	{
		reply(asked, error, &out, sizeof(out));
	}
	/* The answer is the errno of a system call, or 0. */
	void done(const Incoming &asked, long returned) const
	{
		reply(asked, returned < 0 ? errno : 0);
	}
	void tell_entry(const Incoming &asked);
	/* The same, if the call that @returned has made the object. */
	void made(const Incoming &asked, long returned);
	void tell_value(const Incoming &asked, ssize_t got, size_t room, const char *value) const;
	void tell_counted(const Incoming &asked, ssize_t count) const;

	/* A method for each opcode. */
	void init(const Incoming &asked);
	void nothing(const Incoming &)
	{
	}
	void forget(const Incoming &asked);
	void batch_forget(const Incoming &asked);
	void lookup(const Incoming &asked)
	{
		tell_entry(asked);
	}
	void mknod(const Incoming &asked);
	void mkdir(const Incoming &asked);
	void symlink(const Incoming &asked);
	void link(const Incoming &asked);
	void unlink(const Incoming &asked);
	void rmdir(const Incoming &asked);
	void rename(const Incoming &asked);
	void rename2(const Incoming &asked);
	void getattr(const Incoming &asked);
	void setattr(const Incoming &asked);
	void getxattr(const Incoming &asked);
	void listxattr(const Incoming &asked);
	void setxattr(const Incoming &asked);
	void removexattr(const Incoming &asked);
	void open(const Incoming &asked);
	void tmpfile(const Incoming &asked);
	void flush(const Incoming &asked);
	void release(const Incoming &asked);
	void read(const Incoming &asked);
	void write(const Incoming &asked);
	void readlink(const Incoming &asked);
	void readdir(const Incoming &asked);
	void fsync(const Incoming &asked);
	void ioctl(const Incoming &asked);
	void fallocate(const Incoming &asked);
	void lseek(const Incoming &asked);
	void copy_file_range(const Incoming &asked);
	void statfs(const Incoming &asked);

	int device_, commands_, answers_;
	Passthrough::Shared &shared_;
	unsigned lifetime_;
	std::map<uint64_t, Node> nodes_;
	std::map<Key, uint64_t> ids_;
	uint64_t last_id_ = FUSE_ROOT_ID;
	bool is_counting_ = false, is_armed_ = false, holds_ = false;
	std::vector<char> held_;
};
