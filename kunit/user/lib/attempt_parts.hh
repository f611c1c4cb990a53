// SPDX-License-Identifier: GPL-2.0-only
//
// The parts of the lists of attempts.
#pragma once

#include "attempts.hh"

inline constexpr const char *attempt_text = "what it was";
inline constexpr const char *attempt_attribute = "trusted.mine";
/* A file with the attribute attempt_attribute, an ACL that names a user, and an old time. */
void make_dressed(const string &path, const string &content = attempt_text);
/* An ACL that gives alice the rights @user. */
string attempt_acl(unsigned user);
/* Makes such a file on one of the branches; two_lower_names() makes it with another name, too. */
void lower_file(const string &top, const string &low);
void upper_file(const string &top, const string &low);
void two_lower_names(const string &top, const string &low);
void open_to_read(Scene &scene);
void open_to_write(Scene &scene);

/* The errno of the open that gave @fd, of @use or of the close. */
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

/* Checks that the file begins with @text, and that its end is as far as that. */
int expect_read(int fd, const char *text);

/* A buffer for reads and writes. */
inline constexpr size_t block = 4096;
alignas(block) inline char buffer[block];

/* Reads or writes @size bytes without waiting: the module makes a request of its own for that. */
int ask_aio(int fd, unsigned opcode, size_t size);
/* Maps the first block and uses it. A fault that fails is an errno, not a signal. */
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
