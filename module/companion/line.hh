/* SPDX-License-Identifier: GPL-2.0-only */
/* The line of a mapping in /proc/PID/maps (Documentation/filesystems/proc.rst), up to its path. */
#pragma once

namespace observers
{

class Line final
{
public:
	/* A mapping of a file: @offset in bytes, @device as the kernel has it (12 and 20 bits). */
	void add_mapping(unsigned long start, unsigned long end, const char (&rights)[4],
			 unsigned long offset, unsigned int device, unsigned long inode)
	{
		add_hex(start, 8);
		add('-');
		add_hex(end, 8);
		add(' ');
		for (char right : rights)
			add(right);
		add(' ');
		add_hex(offset, 8);
		add(' ');
		add_hex(device >> 20, 2);
		add(':');
		add_hex(device & 0xfffff, 2);
		add(' ');
		add_decimal(inode);
		add(' ');
		while (size_ < path_column - 1)
			add(' ');
		add(' ');
	}

	const char *text() const
	{
		return text_;
	}
	unsigned long size() const
	{
		return size_;
	}

private:
	/* The column where the path begins, if there is room for the text before it. */
	static constexpr unsigned long path_column = 73;

	void add(char c)
	{
		text_[size_++] = c;
	}

	/* Adds at least @width digits. */
	void add_hex(unsigned long value, unsigned int width)
	{
		unsigned int digits =
			(67 - static_cast<unsigned int>(__builtin_clzl(value | 1))) / 4;

		if (digits < width)
			digits = width;
		for (unsigned int i = digits; i-- > 0; value >>= 4)
			text_[size_ + i] = "0123456789abcdef"[value & 15];
		size_ += digits;
	}

	void add_decimal(unsigned long value)
	{
		char digits[20];
		unsigned int count = 0;

		do {
			digits[count++] = static_cast<char>('0' + value % 10);
			value /= 10;
		} while (value);
		while (count)
			add(digits[--count]);
	}

	/*
	 * The longest line has three numbers of 16 digits, 4 letters, 3 + 5 digits, 20, and the characters between
	 * them.
	 */
	char text_[112];
	unsigned long size_ = 0;
};

} // namespace observers
