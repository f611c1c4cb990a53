/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a case says of what it finds. KUnit's own KUNIT_ASSERT_* end the thread where they stand, so
 * that destructors would not run; here a check is an expression, false where it failed:
 *
 *	EXPECT(test, condition);                 the test fails, the case goes on
 *	EXPECT_EQ(test, actual, expected);
 *	if (!EXPECT(test, condition)) return;    the case ends, what it holds is put
 *
 * A case is a function `CASE_BODY(name)`, and stands in the .cases file of its suite, which its
 * source includes by way of DECLARE_CASES.
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

/* What is compared is shown as a number, a pointer as its address. */
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
