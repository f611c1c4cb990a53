/* SPDX-License-Identifier: GPL-2.0-only */
/* Shared by the tests of the options: texts of errors, and macros to compare them. */
#pragma once

#include <errno.h>

#include "check.hh"
#include "options/option_table.hh"
#include "text.hh"

inline Text describe(const aufs::OptionError &error)
{
	char text[1024];

	return cxxrt::StringView(text, error.describe(text, sizeof(text)));
}

inline void expect_text(int line, const Text &got, const Text &expected)
{
	check::equal(__FILE_NAME__, line, "this text", cxxrt::StringView(got),
		     cxxrt::StringView(expected));
}

inline void expect_errno(int line, const Text &got, int expected)
{
	if (cxxrt::StringView(got).starts_with("-" + Text::number(expected) + " "))
		return;
	check::fail(__FILE_NAME__, line, "an error");
	check::show("errno", expected);
	check::show("got", got);
}

#define EXPECT_TEXT(got, expected) expect_text(__LINE__, got, expected)
#define EXPECT_ERRNO(got, error)   expect_errno(__LINE__, got, error)
