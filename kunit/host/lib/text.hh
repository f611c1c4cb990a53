/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Text: bytes that grow, for tests. The C++ library's string cannot be used beside cxxrt/new.hh, which declares the
 * functions that <new> defines. The memory is exactly as large as the text, so that AddressSanitizer sees a read beyond
 * it.
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "string_view.hh"

class Text final
{
public:
	using View = cxxrt::StringView;

	Text() = default;
	Text(View view)
	{
		*this += view;
	}
	Text(const char *text) : Text(View::from_c_string(text))
	{
	}
	Text(View::Size count, char byte)
	{
		for (View::Size i = 0; i < count; i++)
			*this += byte;
	}
	Text(const Text &other) : Text(View(other))
	{
	}
	Text &operator=(const Text &other)
	{
		if (this != &other) {
			clear();
			*this += View(other);
		}
		return *this;
	}
	~Text()
	{
		free(data_);
	}

	static Text number(long value)
	{
		char digits[32];

		snprintf(digits, sizeof(digits), "%ld", value);
		return Text(digits);
	}

	Text &operator+=(View view)
	{
		if (view.empty())
			return *this;
		char *grown = static_cast<char *>(malloc(size_ + view.size()));

		if (!grown)
			abort();
		if (size_)
			memcpy(grown, data_, size_);
		memcpy(grown + size_, view.data(), view.size());
		free(data_);
		data_ = grown;
		size_ += view.size();
		return *this;
	}
	Text &operator+=(char byte)
	{
		return *this += View(&byte, 1);
	}
	friend Text operator+(Text left, const Text &right)
	{
		return left += View(right);
	}

	void clear()
	{
		free(data_);
		data_ = nullptr;
		size_ = 0;
	}
	View::Size size() const
	{
		return size_;
	}
	bool empty() const
	{
		return size_ == 0;
	}
	char operator[](View::Size index) const
	{
		return data_[index];
	}
	operator View() const
	{
		return View(data_, size_);
	}

private:
	char *data_ = nullptr;
	View::Size size_ = 0;
};
