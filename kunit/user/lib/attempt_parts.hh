// SPDX-License-Identifier: GPL-2.0-only
//
// What the lists of attempts are made of.
#pragma once

#include "attempts.hh"

inline constexpr const char *attempt_text = "what it was";
inline constexpr const char *attempt_attribute = "trusted.mine";
/* A file with a value for that attribute, an ACL that names a user, and an old time. */
void make_dressed(const string &path, const string &content = attempt_text);
/* One with the rights @user for alice. */
string attempt_acl(unsigned user);
/* Such a file is there on one of the branches; on the lower one with another name, too. */
void lower_file(const string &top, const string &low);
void upper_file(const string &top, const string &low);
void two_lower_names(const string &top, const string &low);
void open_to_read(Scene &scene);
void open_to_write(Scene &scene);

/* The errno of @fd, or of what @use makes of it, or of its close. */
template <typename Use> int with_file(int fd, Use use)
{
	if (fd < 0)
		return errno;
	int error = use(fd), closed = result_of(close(fd));
	return error ? error : closed;
}

inline int nothing_more(int)
{
	return 0;
}

/* Whether the file begins with @text, and what lies behind it is as long as that. */
int expect_read(int fd, const char *text);

/* What is read and written goes through it. */
inline constexpr size_t block = 4096;
alignas(block) inline char buffer[block];

/* Reads or writes @size bytes as who does not wait: the module makes a request of its own. */
int ask_aio(int fd, unsigned opcode, size_t size);
/* Maps the first block, with a fault that tells what is wrong, and uses it. */
int map_it(int fd, int rights, int advice, int (*use)(char *at));
void open_pipe(Scene &scene);
/* An attempt before this one may have left something. */
void empty_pipe(const Scene &scene);

/* The lists. */
std::span<const Attempt> attempts_to_read();
std::span<const Attempt> attempts_to_write();
std::span<const Attempt> attempts_at_attributes();
std::span<const Attempt> attempts_to_copy_up();
std::span<const Attempt> attempts_to_make();
std::span<const Attempt> attempts_to_remove();
std::span<const Attempt> attempts_to_rename();
