// SPDX-License-Identifier: GPL-2.0-only
/*
 * The parts of the companion that need no kernel: here the beginning of a function and the line of a mapping; BTF in
 * btf-test.cc and btf-data-test.cc.
 */
#include <initializer_list>

#include "check.hh"
#include "companion/line.hh"
#include "companion/prologue.hh"
#include "random.hh"
#include "text.hh"

using cxxrt::StringView;
using observers::body_offset;
using observers::Line;

namespace
{

constexpr StringView marks[] = {"\xf3\x0f\x1e\xfa", "\x66\x0f\x1f\x00", "\x0f\x1f\x40\xd6"};
constexpr StringView nop = "\x0f\x1f\x44\x00\x00";
constexpr StringView call = "\xe8\x12\x34\x56\x78";

/* The result of body_offset() for @code. It must not read beyond that. */
unsigned long offset(StringView code)
{
	Text exactly = code;

	return body_offset(reinterpret_cast<const unsigned char *>(StringView(exactly).data()));
}

bool is_mark(StringView code)
{
	bool known = false;

	for (StringView mark : marks)
		known |= code == mark;
	return known;
}

struct Mapping {
	unsigned long start, end;
	const char (&rights)[4];
	unsigned long offset;
	unsigned int device;
	unsigned long inode;
};

/* As fs/proc/task_mmu.c does it: a line is padded up to the path, with at least one blank. */
Text as_the_kernel(const Mapping &m)
{
	char text[256];

	snprintf(text, sizeof(text), "%08lx-%08lx %c%c%c%c %08llx %02x:%02x %lu ", m.start, m.end,
		 m.rights[0], m.rights[1], m.rights[2], m.rights[3],
		 static_cast<unsigned long long>(m.offset), m.device >> 20, m.device & 0xfffff,
		 m.inode);
	snprintf(text + 128, sizeof(text) - 128, "%-72s ", text);
	return text + 128;
}

Text line_of(const Mapping &m)
{
	Line line;

	line.add_mapping(m.start, m.end, m.rights, m.offset, m.device, m.inode);
	return StringView(line.text(), line.size());
}

void expect_line(int line, const Mapping &mapping)
{
	check::equal(__FILE_NAME__, line, "the kernel's line", StringView(line_of(mapping)),
		     StringView(as_the_kernel(mapping)));
}

} // namespace

#define EXPECT_LINE(...) expect_line(__LINE__, Mapping{__VA_ARGS__})

TEST(prologues)
{
	EXPECT_EQ(observers::prologue_size, marks[0].size() + nop.size());
	EXPECT_EQ(offset(nop), 5U);
	EXPECT_EQ(offset(call), 5U);
	for (StringView mark : marks) {
		EXPECT_EQ(offset(Text(mark) + nop), 9U);
		EXPECT_EQ(offset(Text(mark) + call), 9U);
	}
}

TEST(no_prologues)
{
	EXPECT_EQ(offset(Text(9, '\0')), 0U);
	EXPECT_EQ(offset(Text(9, '\x90')), 0U);
	EXPECT_EQ(offset(Text(9, '\xcc')), 0U);
	/* push %rbp; mov %rsp,%rbp */
	EXPECT_EQ(offset("\x55\x48\x89\xe5\x41\x57\x41\x56\x41"), 0U);
	for (StringView mark : marks) {
		EXPECT_EQ(offset(Text(mark) + "\x55\x48\x89\xe5\x41"), 0U);
		/* A jump, and a mark twice. */
		EXPECT_EQ(offset(Text(mark) + "\xe9\x12\x34\x56\x78"), 0U);
		EXPECT_EQ(offset(Text(mark) + mark + nop), 0U);
	}
}

/* Each byte of each of them gets each other value. The target of a call may be anything. */
TEST(nearly_prologues)
{
	for (int with = 0; with <= 3; with++) {
		Text code = (with < 3 ? Text(marks[with]) : Text()) + nop;
		StringView::Size mark_size = code.size() - nop.size();

		for (StringView::Size at = 0; at < code.size(); at++) {
			for (int value = 0; value < 256; value++) {
				auto byte = static_cast<char>(value);
				Text near = Text(StringView(code).substr(0, at)) + Text(1, byte) +
					    StringView(code).substr(at + 1);
				bool marked = is_mark(StringView(near).substr(0, mark_size));
				StringView after = StringView(near).substr(mark_size);
				unsigned long expected = 0;

				if ((marked || with == 3) && (after == nop || after[0] == '\xe8'))
					expected = code.size();
				else if (near[0] == '\xe8')
					expected = 5;
				/* If one of four bytes is wrong, the rest is read from the start. */
				near += Text(mark_size, '\x90');
				if (offset(near) == expected)
					continue;
				check::fail(__FILE_NAME__, __LINE__, "another answer");
				check::show("code", near);
				check::show("expected", static_cast<long long>(expected));
			}
		}
	}
}

TEST(lines)
{
	Text line = line_of(
		{0x55d0c8a00000, 0x55d0c8a21000, {'r', '-', 'x', 'p'}, 0x2000, 0x00800003, 1234});

	EXPECT_EQ(StringView(line), StringView("55d0c8a00000-55d0c8a21000 r-xp 00002000 08:03 1234"
					       "                       "));
	EXPECT_EQ(line.size(), 73U);
	EXPECT_LINE(0x400000, 0x401000, {'r', 'w', '-', 's'}, 0, 0x1b, 7);
	EXPECT_LINE(0, 0, {'-', '-', '-', 'p'}, 0, 0, 0);
	EXPECT_LINE(1, 1, {'-', '-', '-', 'p'}, 1, 1, 1);
	EXPECT_LINE(0x7fffffff, 0x80000000, {'r', 'w', 'x', 'p'}, 0xffffffff, 0xfffff, 9);
	EXPECT_LINE(0xfffffff, 0xffffffff, {'r', 'w', 'x', 'p'}, 0x100000000, 0x100000, 10);
}

/* The numbers take more room than there is before the path. */
TEST(long_lines)
{
	constexpr unsigned long all = ~0UL;
	Mapping longest = {all, all, {'r', 'w', 'x', 's'}, all, ~0U, all};

	EXPECT_LINE(all, all, {'r', 'w', 'x', 's'}, all, ~0U, all);
	EXPECT_EQ(StringView(line_of(longest)),
		  StringView("ffffffffffffffff-ffffffffffffffff rwxs ffffffffffffffff fff:fffff "
			     "18446744073709551615  "));
	/* Lines from less than that to more. */
	for (unsigned long inode = 1; inode <= all / 10; inode *= 10)
		EXPECT_LINE(all >> 8, all >> 8, {'r', 'w', 'x', 's'}, all >> 20, ~0U, inode);
}

TEST(random_lines)
{
	Random random(1);

	for (int i = 0; i < 100000; i++) {
		auto any = [&random] {
			return random.any() >> random.below(64);
		};
		const char rights[4] = {random.below(2) ? 'r' : '-', random.below(2) ? 'w' : '-',
					random.below(2) ? 'x' : '-', random.below(2) ? 's' : 'p'};

		EXPECT_LINE(any(), any(), rights, any(), static_cast<unsigned int>(any()), any());
		if (check::failures > 5)
			return;
	}
}

int main()
{
	return check::run_all();
}
