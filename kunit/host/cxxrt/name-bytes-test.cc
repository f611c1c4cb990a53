// SPDX-License-Identifier: GPL-2.0-only
/*
 * name_bytes.hh and find_byte.hh. The names are in memory of their own size, so that AddressSanitizer sees a byte more
 * that is read.
 */
#include <stdlib.h>

#include "check.hh"
#include "find_byte.hh"
#include "name_bytes.hh"
#include "random.hh"

using cxxrt::NameKey;
using cxxrt::StringView;

namespace
{

constexpr unsigned int most = 80;

/* A name of @size bytes in memory of that size. */
class Name final
{
public:
	Name(unsigned int size, Random &random)
		: size_(size), bytes_(static_cast<char *>(malloc(size)))
	{
		for (unsigned int i = 0; i < size; i++)
			bytes_[i] = static_cast<char>(random.below(256));
	}
	/* A copy of @other. */
	explicit Name(StringView other)
		: size_(other.size()), bytes_(static_cast<char *>(malloc(other.size())))
	{
		for (StringView::Size i = 0; i < size_; i++)
			bytes_[i] = other[i];
	}
	Name(const Name &) = delete;
	Name &operator=(const Name &) = delete;
	~Name()
	{
		free(bytes_);
	}
	StringView view() const
	{
		return {bytes_, size_};
	}
	char *bytes() const
	{
		return bytes_;
	}

private:
	StringView::Size size_;
	char *bytes_;
};

unsigned int hash_of(const NameKey &key, StringView name)
{
	if (name.size() > cxxrt::short_name)
		return key.hash_long(name);
	return key.hash_short(cxxrt::short_name_number(name), name.size());
}

/* Whether @hash is what NameKey says: by each byte by itself, and with each sum reduced. */
bool is_hash(unsigned int hash, unsigned long point, unsigned long factor, StringView name)
{
	constexpr unsigned long prime = (1UL << 61) - 1;
	unsigned long value = 0;
	unsigned long number = 0;
	StringView::Size count = name.size() ? (name.size() + 6) / 7 : 1;

	point &= prime >> 1;
	for (StringView::Size i = 0; i < count; i++) {
		/* The last number is the last seven bytes, if there is another before it. */
		StringView::Size from = i + 1 < count || i == 0 ? 7 * i : name.size() - 7;

		value = static_cast<unsigned long>(static_cast<unsigned __int128>(value + number) *
						   point % prime);
		number = i == 0 ? (name.size() % 8 + 1) << 56 : 0;
		for (StringView::Size at = from; at < name.size() && at < from + 7; at++)
			number += static_cast<unsigned long>(static_cast<unsigned char>(name[at]))
				  << 8 * (at - from);
	}
	/* The polynomial's value may not be reduced in the end. */
	for (unsigned long more = 0; more < 3; more++) {
		if (hash == (value + more * prime + number) * (factor | 1) >> 32)
			return true;
	}
	return false;
}

} // namespace

TEST(short_names_are_numbers)
{
	EXPECT_EQ(cxxrt::short_name_number(""), 0UL);
	EXPECT_EQ(cxxrt::short_name_number("a"), 0x61UL);
	EXPECT_EQ(cxxrt::short_name_number("ab"), 0x6261UL);
	EXPECT_EQ(cxxrt::short_name_number("abc"), 0x636261UL);
	EXPECT_EQ(cxxrt::short_name_number("abcd"), 0x64636261UL);
	EXPECT_EQ(cxxrt::short_name_number("abcde"), 0x6564636261UL);
	EXPECT_EQ(cxxrt::short_name_number("abcdef"), 0x666564636261UL);
	EXPECT_EQ(cxxrt::short_name_number("\xff\xfe\xfd\xfc\xfb\xfa\xf9"), 0xf9fafbfcfdfeffUL);
}

TEST(numbers_become_short_names)
{
	Random random(1);

	for (unsigned int size = 0; size <= cxxrt::short_name; size++) {
		Name name(size, random);
		char bytes[8];

		cxxrt::store(bytes, cxxrt::short_name_number(name.view()));
		EXPECT_EQ(StringView(bytes, size), name.view());
		for (unsigned int i = size; i < sizeof(bytes); i++)
			EXPECT_EQ(bytes[i], 0);
		EXPECT_EQ(cxxrt::load<unsigned long>(bytes), cxxrt::short_name_number(name.view()));
	}
}

TEST(long_names_are_copied)
{
	Random random(2);

	for (unsigned int size = 8; size <= most; size++) {
		Name from(size, random);
		Name to(size, random);

		cxxrt::copy_long_name(to.bytes(), from.view());
		EXPECT_EQ(to.view(), from.view());
	}
}

TEST(hash_is_that_polynomial)
{
	Random random(3);

	for (unsigned int size = 0; size <= most; size++) {
		for (int tries = 0; tries < 20; tries++) {
			unsigned long point = random.any();
			unsigned long factor = random.any();
			Name name(size, random);
			NameKey key(point, factor);

			EXPECT(is_hash(hash_of(key, name.view()), point, factor, name.view()));
		}
	}
}

/* The largest values that there can be do not leave 64 bits. */
TEST(hash_of_extremes)
{
	char ones[most];

	memset(ones, 0xff, sizeof(ones));

	const unsigned long secrets[] = {~0UL, 0, 1, 2, 1UL << 59};

	for (unsigned long secret : secrets) {
		for (unsigned int size = 0; size <= most; size++) {
			Name name(StringView(ones, size));
			NameKey key(secret, secret);

			EXPECT(is_hash(hash_of(key, name.view()), secret, secret, name.view()));
		}
	}
}

/* Names that are alike are in rows as short as those of names at random, as a rule. */
TEST(hash_spreads)
{
	constexpr unsigned int count = 1U << 12;
	constexpr unsigned int tries = 100;
	static unsigned int row_sizes[count];
	unsigned long passed = 0;
	Random random(4);

	for (unsigned int i = 0; i < tries; i++) {
		NameKey key(random.any(), random.any());

		for (unsigned int &size : row_sizes)
			size = 0;
		for (unsigned int number = 0; number < count; number++) {
			char text[32];
			int size = snprintf(text, sizeof(text), i % 2 ? "%u" : "a longer name %08u",
					    number);
			StringView name(text, static_cast<StringView::Size>(size));

			/* Whoever looks for the name passes all others in its row. */
			passed += row_sizes[hash_of(key, name) >> 20]++;
		}
	}
	/* At random it would be half of that. */
	EXPECT(passed < static_cast<unsigned long>(tries) * count);
}

namespace
{

/* As find_byte(), byte by byte. */
StringView::Size find_slowly(StringView text, StringView::Size at, StringView sought)
{
	for (; at < text.size(); at++) {
		for (char byte : sought) {
			if (text[at] == byte)
				return at;
		}
	}
	return at;
}

} // namespace

/* Bytes that differ by one, by the highest bit, or by a carry are the ones that could be taken for each other. */
TEST(bytes_are_found)
{
	static constexpr StringView bytes("\0\1\x7f\x80\x81\xfe\xff=>", 9);
	Random random(5);

	for (int tries = 0; tries < 20000; tries++) {
		Name name(random.below(30), random);
		StringView text = name.view();
		char a = bytes[random.below(bytes.size())];
		char b = bytes[random.below(bytes.size())];
		char c = bytes[random.below(bytes.size())];
		StringView::Size at = random.below(32);

		for (StringView::Size i = 0; i < text.size(); i++)
			name.bytes()[i] = bytes[random.below(bytes.size())];
		EXPECT_EQ(cxxrt::find_byte(text, at, a), find_slowly(text, at, StringView(&a, 1)));
		EXPECT_EQ(cxxrt::find_byte(text, at, a, b, c),
			  find_slowly(text, at, StringView((const char[]){a, b, c}, 3)));
	}
}
