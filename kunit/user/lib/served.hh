// SPDX-License-Identifier: GPL-2.0-only
//
// A union one of whose branches is served by a Passthrough, and what can go wrong there.
#pragma once

#include "passthrough.hh"
#include "tree_ops.hh"

/* Where the branch lies: above a ro one, below a rw one, and below a rw one and rw as well. */
enum class Place { upper, lower, lower_rw };

struct ServedAs {
	Place place = Place::upper;
	/*
	 * The kernel believes nothing for longer than one question, and renew() makes the branches
	 * those that no union has used.
	 */
	bool is_new = false;

	string text() const;
};

struct Served : Union {
	explicit Served(const ServedAs &as);
	~Served();

	string options() const;
	void mount_again();
	/* Without what the union keeps on its branches, if it is served so. */
	void renew();
	/* No branch has reserved names but those that it should. */
	void expect_known_names() const;
	bool has_debris() const;

	const ServedAs how;
	const string served; /* where it is mounted */
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

/* What goes wrong with a request. */
struct Fault {
	Request request;
	/* What it is answered with; 0: with what it asks for. */
	int error;
	/* Not before whoever waits for it was killed. */
	bool is_late;

	string text() const;
	/*
	 * It is believed as an answer: there is no such name, or no such directory, which then has no
	 * names; no such attributes are had here, or they are nobody's business.
	 */
	bool is_believed() const;
	/* FUSE does not know what has moved then, and forgets where it is. */
	bool loses_what_moves() const;
};

/* One for each request and each errno that it may get. */
std::vector<Fault> faults_of(const std::vector<Request> &requests, bool is_late);

/* What came of it. */
struct Happened {
	bool was_hit;
	int error; /* if it is not late */
};

/* Calls @run(), which returns an errno, while that goes wrong. Late, it is killed meanwhile. */
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

/* Some of them, at random; all if there are no more. */
template <typename T> std::vector<T> chosen(Random &random, std::vector<T> all, size_t count)
{
	count = std::min(count, all.size());
	for (size_t i = 0; i < count; i++)
		std::swap(all[i], all[i + random.below(static_cast<unsigned>(all.size() - i))]);
	all.resize(count);
	return all;
}

/* Says in its scope what was done, if anything failed. */
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
