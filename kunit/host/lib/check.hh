/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A KTAP harness for tests on the host. It allocates nothing, so that a test may have the module's own operator delete.
 *
 *	TEST(name) { EXPECT(condition); EXPECT_EQ(got, expected); }
 *
 * A crash, or a report of a sanitizer, ends the program before it has printed all the results of its plan:
 * kunit/host/run counts that as a failure.
 */
#pragma once

#include <stdio.h>
#include <string.h>

#include "string_view.hh"

namespace check
{

struct Case {
	const char *name;
	void (*body)();
	Case *next = nullptr;

	Case(const char *name, void (*body)());
};

inline Case *first;
inline Case **last = &first;
inline int failures;

inline Case::Case(const char *name, void (*body)()) : name(name), body(body)
{
	*last = this;
	last = &next;
}

inline void show(const char *label, cxxrt::StringView value)
{
	printf("#   %s: \"", label);
	for (char c : value) {
		if (c < ' ' || c > '~')
			printf("\\x%02x", static_cast<unsigned char>(c));
		else
			putchar(c);
	}
	printf("\"\n");
}

inline void show(const char *label, long long value)
{
	printf("#   %s: %lld\n", label, value);
}

inline void fail(const char *file, int line, const char *text)
{
	failures++;
	printf("# %s:%d: expected %s\n", file, line, text);
}

template <class Got, class Expected>
void equal(const char *file, int line, const char *text, const Got &got, const Expected &expected)
{
	if (got == expected)
		return;
	fail(file, line, text);
	show("got", got);
	show("expected", expected);
}

inline int run_all()
{
	int count = 0;
	int number = 0;
	int failed = 0;

	for (Case *test = first; test; test = test->next)
		count++;
	printf("KTAP version 1\n1..%d\n", count);
	for (Case *test = first; test; test = test->next) {
		failures = 0;
		fflush(stdout);
		test->body();
		printf("%sok %d %s\n", failures ? "not " : "", ++number, test->name);
		failed += failures != 0;
	}
	return failed != 0;
}

} // namespace check

#define TEST(name)                                                                                 \
	static void test_##name();                                                                 \
	static check::Case case_##name(#name, test_##name);                                        \
	static void test_##name()

#define EXPECT(condition)                                                                          \
	do {                                                                                       \
		if (!(condition))                                                                  \
			check::fail(__FILE_NAME__, __LINE__, #condition);                          \
	} while (0)
#define EXPECT_EQ(got, expected)                                                                   \
	check::equal(__FILE_NAME__, __LINE__, #got " == " #expected, got, expected)
