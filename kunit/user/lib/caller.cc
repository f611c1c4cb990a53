// SPDX-License-Identifier: GPL-2.0-only

#include "caller.hh"

#include <sys/inotify.h>

/* Paths below the union's root. CallBranches::fill() makes most of these objects. */
string Caller::name(unsigned x)
{
	static const string paths[] = {
		"a",
		"b",
		"c",
		"d",
		"e",
		"f",
		"g",
		"h",
		"i",
		"new0",
		"new1",
		"dir0",
		"dir1",
		"dir2",
		"dir3",
		"newdir",
		"dir0/a",
		"dir0/b",
		"dir0/c",
		"dir0/d",
		"dir0/new",
		"dir0/dir1",
		"dir0/dir1/a",
		"dir0/dir1/new",
		"dir1/a",
		"dir2/a",
		"dir2/new",
		"dir3/a",
		"newdir/a",
		"newdir/dir0",
		"link/a",
		"link/new",
		"a/not",
		"",
		".",
		"dir0/..",
		".wh.a",
		".wh..wh.orph",
		"dir0/.wh..wh..opq",
		"dir0/.wh.new",
		string(251, 'n'),
		string(252, 'n'),
	};
	return chosen(paths, x);
}

long Caller::map(unsigned x, unsigned y, unsigned z)
{
	int prot = PROT_READ | (y & 1 ? PROT_WRITE : 0) | (y & 2 ? PROT_EXEC : 0);
	void *at = mmap(nullptr, 2 * page_size(), prot, y & 4 ? MAP_PRIVATE : MAP_SHARED, fd(x),
			z % 3 * page_size());
	if (at == MAP_FAILED)
		return -1;
	if (mapping(x))
		munmap(mapping(x), 2 * page_size());
	mapping(x) = static_cast<char *>(at);
	return 0;
}

void Caller::drain()
{
	int error = errno;
	while (read(pipe_[0], buffer(), size) > 0)
		;
	errno = error;
}

/* The kernel touches the page, so an error is EFAULT and not a signal. */
long Caller::touch(unsigned x, unsigned y, unsigned z)
{
	if (!mapping(x))
		return 0;
	char *at = mapping(x) + chosen(offsets, y % 7) % (2 * page_size());
	long result = write(pipe_[1], at, 1);
	if (result > 0 && z % 2)
		result = read(pipe_[0], at, 1);
	drain();
	return result;
}

long Caller::from_pipe(unsigned x, unsigned y)
{
	(void)!write(pipe_[1], buffer(), 4096);
	long result =
		splice(pipe_[0], nullptr, fd(x), nullptr, chosen(lengths, y), SPLICE_F_NONBLOCK);
	drain();
	return result;
}

long Caller::to_pipe(unsigned x, unsigned y)
{
	long result =
		splice(fd(x), nullptr, pipe_[1], nullptr, chosen(lengths, y), SPLICE_F_NONBLOCK);
	drain();
	return result;
}

/* Becomes a user, or root again. */
long Caller::become(unsigned x)
{
	if (x % 2)
		return setegid(alice.gid) || seteuid(alice.uid) ? -1 : 0;
	return seteuid(0) || setegid(0) ? -1 : 0;
}

long Caller::watch(unsigned x, unsigned y)
{
	if (watches_ < 0)
		watches_ = OK(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
	return inotify_add_watch(watches_, path(x).c_str(), y % 2 ? IN_ALL_EVENTS : IN_ATTRIB);
}
