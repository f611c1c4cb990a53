// SPDX-License-Identifier: GPL-2.0-only
//
// All that can be asked of a union's files and directories, each once, for programs in which something fails meanwhile:
// the objects before it, the system call, and how they look afterwards.
#pragma once

#include "fixture.hh"

#include <span>

struct Attempt;

/* The place of an attempt: a directory of the union that has a part on both branches. */
struct Scene {
	/* Makes both parts and their content on the branches directly, and opens what the attempt needs. */
	Scene(const Union &u, const string &name, const Attempt &attempt);

	string dir;
	string file, to, sub, deep; /* dir/file, dir/to, dir/sub, dir/sub/file */
	Fd fd, second; /* that an attempt begins with */
	Fd pipe_in, pipe_out; /* the ends of a pipe */
};

/* The effects that an attempt may have. */
enum class Effect {
	none, /* nothing has changed */
	report, /* the same, but its result is all that there is: no failure may get lost */
	change, /* a change; if it has failed, nothing has changed */
	steps, /* a change with a second step, which may fail alone */
	write_back, /* a change that is seen while it is in memory, also if it has failed */
};

struct Attempt {
	const char *name;
	/* The methods of the VFS's tables that the attempt is for, by their names there. */
	const char *methods;
	/* Makes the objects that are there before, in the scene's parts on the upper and the lower branch. */
	void (*prepare)(const string &top, const string &low);
	/* Returns 0, an errno, or wrong_answer. Allocates nothing itself. */
	int (*run)(const Scene &scene);
	Effect effect = Effect::none;
	/* Opens the descriptors that run() needs. */
	void (*open)(Scene &scene) = nullptr;
	/* The errno with which some kernels and filesystems refuse it; then nothing has changed. */
	int refusal = 0;
	/* An errno other than ENOMEM that also says that memory is short. */
	int shortage = ENOMEM;
	/* It concerns one of two names of a lower file. The note about their number may get lost. */
	bool has_two_names = false;
};

/* The call worked, but did not read what is there. */
inline constexpr int wrong_answer = EBADMSG;

/* What a system call has returned, as an errno. */
inline int result_of(long returned)
{
	return returned < 0 ? errno : 0;
}

enum class Area { reading, writing, attributes, copying, making, removing, renaming };
inline constexpr const char *area_names[] = {"reading", "writing",  "attributes", "copying",
					     "making",	"removing", "renaming"};

/* The area with that name, a case's parameter. */
Area area_of(const string &name);
std::span<const Attempt> attempts_in(Area area);
const Attempt &attempt_named(const string &name);
std::vector<const char *> attempt_names();

/*
 * How all objects in @dir look: kinds, rights, owners, links, sizes, attributes and content, and times that a test has
 * set. A listing that does not agree with that is a failure.
 */
string looks_of(const string &dir);
/*
 * @now; or @wanted, if only the number of names differs, and is too large by one. A note about a name that is gone may
 * get lost: a number too large costs space, one too small would cost the file.
 */
string as_if_noted(const string &now, const string &wanted, const Attempt &attempt);
