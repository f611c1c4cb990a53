/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The checks of a case. KUnit's own KUNIT_ASSERT_* end the thread at once, so destructors would not run. Here a check
 * is an expression, which is false if the check failed:
 *
 *	EXPECT(test, condition);                 the test fails, the case goes on
 *	EXPECT_EQ(test, actual, expected);
 *	if (!EXPECT(test, condition)) return;    the case ends, and puts what it holds
 *
 * A case is a function `CASE_BODY(name)`. Its name is in the .cases file of its suite, which its source includes by
 * DECLARE_CASES.
 */
#pragma once

#include "kernel/handles.hh"

extern "C" {
#include "shim.h"
}

#define CASE_BODY(name) extern "C" void name(struct kunit *test)
#define EXPECT(kunit, condition)                                                                   \
	::aufs::test::expect((kunit), static_cast<bool>(condition), #condition, __FILE__, __LINE__)
#define EXPECT_EQ(kunit, actual, expected)                                                         \
	::aufs::test::expect_equal((kunit), (actual), (expected), #actual " == " #expected,        \
				   __FILE__, __LINE__)

namespace aufs::test
{

inline bool expect(struct kunit *test, bool good, const char *text, const char *file, int line)
{
	if (!good) [[unlikely]]
		aufs_test_fail(test, file, line, "expected %s", text);
	return good;
}

/* The values in a message: a number, or the address of a pointer. */
template <class T> long long number(T value)
{
	return static_cast<long long>(value);
}
template <class T> long long number(T *value)
{
	return reinterpret_cast<long long>(value);
}

template <class A, class E>
bool expect_equal(struct kunit *test, A actual, E expected, const char *text, const char *file,
		  int line)
{
	bool good = number(actual) == number(expected);

	if (!good) [[unlikely]]
		aufs_test_fail(test, file, line, "expected %s; it is %lld, not %lld", text,
			       number(actual), number(expected));
	return good;
}

} // namespace aufs::test
