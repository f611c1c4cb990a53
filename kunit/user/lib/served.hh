// SPDX-License-Identifier: GPL-2.0-only
//
// A union with a branch that a Passthrough serves, and the faults of that branch.
#pragma once

#include "passthrough.hh"
#include "tree_ops.hh"

/* The branch's place: above a ro one, below a rw one, or rw and below a rw one. */
enum class Place { upper, lower, lower_rw };

struct ServedAs {
	Place place = Place::upper;
	/* The kernel caches nothing, and renew() gives branches that no union has used. */
	bool is_new = false;

	string text() const;
};

struct Served : Union {
	explicit Served(const ServedAs &as);
	~Served();

	string options() const;
	void mount_again();
	/* If how.is_new, removes what the union keeps on its branches. */
	void renew();
	/* Expects no reserved names on the branches but the union's own directories and file. */
	void expect_known_names() const;
	bool has_debris() const;

	const ServedAs how;
	const string served; /* its mount point */
	Passthrough server;

private:
	string upper() const
	{
		return how.place == Place::upper ? served : top;
	}
	string lower() const
	{
		return how.place == Place::upper ? low : served;
	}
};

/* A fault of one request. */
struct Fault {
	Request request;
	/* The errno of the answer; 0 if the request is done. */
	int error;
	/* The answer comes after the waiting task was killed. */
	bool is_late;

	string text() const;
	/*
	 * The errno is believed as an answer: there is no such name, or no such directory, which then has no names; the
	 * filesystem has no such attributes, or they are private.
	 */
	bool is_believed() const;
	/* FUSE does not know then whether the object has moved, and forgets its place. */
	bool loses_what_moves() const;
};

/* A fault for each request and each errno that it may get. */
std::vector<Fault> faults_of(const std::vector<Request> &requests, bool is_late);

/* The outcome of a fault. */
struct Happened {
	bool was_hit;
	int error; /* of run(), if the fault is not late */
};

/* Calls @run(), which returns an errno, with this fault. If it is late, the task is killed meanwhile. */
template <typename Run> Happened with_fault(Passthrough &server, const Fault &fault, Run run)
{
	if (!fault.is_late) {
		server.fail(fault.request, fault.error);
		int error = run();
		return {server.end(), error};
	}
	server.hold(fault.request);
	pid_t pid = spawn([&] { (void)run(); });
	bool has_ended = false;
	while (!server.is_held() && !has_ended) {
		has_ended = waitpid(pid, nullptr, WNOHANG) == pid;
		usleep(200);
	}
	if (!has_ended)
		OK(kill(pid, SIGKILL));
	server.release(fault.error);
	if (!has_ended)
		wait_for(pid);
	return {server.end(), 0};
}

/* Returns @count of the items, at random; all if there are no more. */
template <typename T> std::vector<T> chosen(Random &random, std::vector<T> all, size_t count)
{
	count = std::min(count, all.size());
	for (size_t i = 0; i < count; i++)
		std::swap(all[i], all[i + random.below(static_cast<unsigned>(all.size() - i))]);
	all.resize(count);
	return all;
}

/* Prints, when its scope ends, what was done, if anything failed meanwhile. */
class Told
{
public:
	explicit Told(string text) : text_(std::move(text)), before_(ktap::shared->failures)
	{
	}
	Told(const Told &) = delete;
	~Told()
	{
		if (ktap::shared->failures != before_)
			ktap::say("that was: " + text_);
	}

private:
	string text_;
	int before_;
};
