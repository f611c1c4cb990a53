// SPDX-License-Identifier: GPL-2.0-only
//
// All that can be asked of a union's files and directories, each once, for programs in which
// something fails meanwhile: what is there before, the system call, and how it looks then.
#pragma once

#include "fixture.hh"

#include <span>

struct Attempt;

/* Where an attempt is made: a directory of the union that has a part on both branches. */
struct Scene {
	/* Makes both parts and their content on the branches directly, and opens what is needed. */
	Scene(const Union &u, const string &name, const Attempt &attempt);

	string dir;
	string file, to, sub, deep; /* dir/file, dir/to, dir/sub, dir/sub/file */
	Fd fd, second; /* that attempts begin with */
	Fd pipe_in, pipe_out; /* where it is read, and where it is written to */
};

/* What can be seen of an attempt afterwards. */
enum class Effect {
	none, /* nothing has changed */
	report, /* the same, and what is returned is all that there is: no failure may get lost */
	change, /* if it has failed, nothing */
	steps, /* a change that another step comes after, which may fail alone */
	write_back, /* a change that is seen as long as it is in memory, also if it has failed */
};

struct Attempt {
	const char *name;
	/* The methods of the VFS's tables that it is there for, in the words of those. */
	const char *methods;
	/* Makes what is there before, in the scene's parts on the upper and the lower branch. */
	void (*prepare)(const string &top, const string &low);
	/* 0, an errno, or wrong_answer. Makes no allocations of its own. */
	int (*run)(const Scene &scene);
	Effect effect = Effect::none;
	/* Opens what it needs. */
	void (*open)(Scene &scene) = nullptr;
	/* What some kernels and filesystems say to it; then nothing has changed. */
	int refusal = 0;
	/* What says beside ENOMEM that there is no memory. */
	int shortage = ENOMEM;
	/* It is about one of two names of a lower file. What is noted of that may get lost. */
	bool has_two_names = false;
};

/* It was done, and what it has read is not what is there. */
inline constexpr int wrong_answer = EBADMSG;

/* What a system call has returned, as an errno. */
inline int result_of(long returned)
{
	return returned < 0 ? errno : 0;
}

enum class Area { reading, writing, attributes, copying, making, removing, renaming };
inline constexpr const char *area_names[] = {"reading", "writing",  "attributes", "copying",
					     "making",	"removing", "renaming"};

/* Whose parameters are the names of areas. */
Area area_of(const string &name);
std::span<const Attempt> attempts_in(Area area);
const Attempt &attempt_named(const string &name);
std::vector<const char *> attempt_names();

/*
 * How all that lies in @dir looks: kinds, rights, owners, links, sizes, attributes and content, and
 * times that a test has set. A listing that does not agree with that is a failure.
 */
string looks_of(const string &dir);
/*
 * @now, or @wanted where only the number of names is noted wrongly: that may get lost, and then it is one
 * too many. Too many cost space, too few the file.
 */
string as_if_noted(const string &now, const string &wanted, const Attempt &attempt);
