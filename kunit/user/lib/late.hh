/* SPDX-License-Identifier: GPL-2.0-only */
/* For tests in which a server is late with an answer: whether other tasks go on meanwhile. */
#pragma once

#include "passthrough.hh"

inline bool has_ended(pid_t pid)
{
	siginfo_t ended = {};
	OK(waitid(P_PID, pid, &ended, WEXITED | WNOHANG | WNOWAIT));
	return ended.si_pid;
}

/* Whether @pid ends within some seconds. */
inline bool ends_soon(pid_t pid)
{
	for (unsigned i = 0; i < 1000 * ktap::patience() && !has_ended(pid); i++)
		usleep(10000);
	return has_ended(pid);
}

/* Whether @server gets the request that it is to hold, within some seconds and before @pid ends. */
inline bool comes_to_hold(const Passthrough &server, pid_t pid)
{
	for (unsigned i = 0; i < 10000 * ktap::patience() && !server.is_held() && !has_ended(pid);
	     i++)
		usleep(1000);
	return server.is_held();
}

/* @task ends while @server holds its request. Then the server answers, and @changer ends. */
inline void expect_not_to_wait(Passthrough &server, pid_t task, pid_t changer)
{
	EXPECT(ends_soon(task));
	EXPECT(server.is_held());
	server.release(0);
	EXPECT(server.end());
	EXPECT_EQ(wait_for(task), 0);
	EXPECT_EQ(wait_for(changer), 0);
}
