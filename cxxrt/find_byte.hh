/* SPDX-License-Identifier: GPL-2.0-only */
/* find_byte(): looks for bytes in a text, eight at a time and without a call. Nothing outside of the text is read. */
#pragma once

#include "name_bytes.hh"

namespace cxxrt
{

/*
 * The place of the first byte of @text, from @at on, that is one of @sought. If there is none, the size of @text, or
 * @at if that is larger.
 */
template <class... Bytes>
StringView::Size find_byte(StringView text, StringView::Size at, Bytes... sought)
{
	using Word = __UINT64_TYPE__;
	constexpr Word ones = ~Word{0} / 0xff;
	constexpr Word tops = ones << 7;
	/* The highest bit of the lowest byte of a word that is zero. Bits above that one may be wrong. */
	auto zeroes = [](Word word) {
		return (word - ones) & ~word & tops;
	};

	for (; at + sizeof(Word) <= text.size(); at += sizeof(Word)) {
		Word word = load<Word>(text.data() + at);
		Word found = (... | zeroes(word ^ ones * static_cast<unsigned char>(sought)));

		if (found)
			return at + static_cast<unsigned int>(__builtin_ctzll(found)) / 8;
	}
	while (at < text.size() && ((text[at] != sought) && ...))
		at++;
	return at;
}

} // namespace cxxrt
