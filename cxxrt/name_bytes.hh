/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The bytes of a name, several at a time and without a call: a listing hashes, compares and copies each of its names.
 * Nothing outside of the name is read.
 */
#pragma once

#include "string_view.hh"

namespace cxxrt
{

/* The bytes at @at as a number, the first byte being the lowest: so words that overlap agree about common bytes. */
template <class Word> Word load(const char *at)
{
	Word word;

	__builtin_memcpy(&word, at, sizeof(word));
	if constexpr (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__)
		word = sizeof(word) == 8 ? __builtin_bswap64(word) : __builtin_bswap32(word);
	return word;
}

/* The inverse of load(). */
template <class Word> void store(char *at, Word word)
{
	if constexpr (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__)
		word = sizeof(word) == 8 ? __builtin_bswap64(word) : __builtin_bswap32(word);
	__builtin_memcpy(at, &word, sizeof(word));
}

/* A name of at most so many bytes is short: it is a number, whose upper bytes are zero. */
inline constexpr StringView::Size short_name = 7;

/* The number of the short @name, of which store() makes the name again. */
[[gnu::always_inline]] inline __UINT64_TYPE__ short_name_number(StringView name)
{
	using Half = __UINT32_TYPE__;
	using Number = __UINT64_TYPE__;
	const char *at = name.data();
	StringView::Size size = name.size();

	/* Two words, or three bytes, cover all of it. */
	if (size >= sizeof(Half)) {
		StringView::Size last = size - sizeof(Half);

		return load<Half>(at) | static_cast<Number>(load<Half>(at + last)) << 8 * last;
	}
	if (!size)
		return 0;

	auto byte = [at](StringView::Size index) {
		return static_cast<Number>(static_cast<unsigned char>(at[index])) << 8 * index;
	};

	return byte(0) | byte(size / 2) | byte(size - 1);
}

/* Copies @name, which is not short, to @to, which has room for it. */
[[gnu::always_inline]] inline void copy_long_name(char *to, StringView name)
{
	StringView::Size last = name.size() - 8;

	/* Most names have a few words: to take several a turn would only cost the preparation. */
#pragma clang loop unroll(disable)
	for (StringView::Size at = 0; at < last; at += 8)
		__builtin_memcpy(to + at, name.data() + at, 8);
	__builtin_memcpy(to + last, name.data() + last, 8);
}

/*
 * A secret by which names are hashed: whoever chooses names and does not know it cannot make many of them collide.
 *
 * A name is a row of numbers of seven bytes. All but the last are the coefficients of a polynomial, whose value at a
 * secret point, modulo a prime, is added to the last. Two names have one sum only if the point is a root of their
 * difference, and that has fewer roots than they have numbers (Carter and Wegman, Universal Classes of Hash Functions,
 * 1979). The hash is the upper half of the sum's product with a secret odd number. Two sums share the highest B bits of
 * it with a probability of at most 2 in 2^B (Dietzfelbinger and others, A Reliable Randomized Algorithm for the
 * Closest-Pair Problem, 1997).
 */
class NameKey final
{
public:
	/* Both are random. */
	NameKey(unsigned long point, unsigned long factor)
		: point_(point & (prime >> 1)), factor_(factor | 1)
	{
	}

	/* The hash of the short name of @size bytes that has this @number. The highest bits of a hash are its best. */
	__UINT32_TYPE__ hash_short(__UINT64_TYPE__ number, StringView::Size size) const
	{
		return finish(first(size) + number);
	}
	/* The hash of @name, which is not short. */
	[[gnu::always_inline]] __UINT32_TYPE__ hash_long(StringView name) const
	{
		constexpr Number low_bytes = (Number{1} << 8 * short_name) - 1;
		const char *at = name.data();
		Number sum = first(name.size());

		for (; at + short_name < name.end(); at += short_name)
			sum = at_point(sum + (load<Number>(at) & low_bytes));
		/* The last seven bytes. The number before may have some of them, too. */
		return finish(sum + (load<Number>(name.end() - sizeof(Number)) >> 8));
	}

private:
	using Number = __UINT64_TYPE__;
	static constexpr Number prime = (Number{1} << 61) - 1;

	/*
	 * What is added to the first number of a name of @size bytes. So that is never zero, and names with another
	 * count of numbers differ. The sizes of names with the same count differ by less than eight.
	 */
	static Number first(StringView::Size size)
	{
		return ((size & 7) + 1) << 8 * short_name;
	}
	/* @value times the point, modulo the prime. Both are less than 2^63. */
	Number at_point(Number value) const
	{
		auto product = static_cast<unsigned __int128>(value) * point_;

		return (static_cast<Number>(product) & prime) + static_cast<Number>(product >> 61);
	}
	__UINT32_TYPE__ finish(Number sum) const
	{
		return static_cast<__UINT32_TYPE__>(sum * factor_ >> 32);
	}

	Number point_; /* less than 2^60 */
	Number factor_;
};

} // namespace cxxrt
