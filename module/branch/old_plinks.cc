// SPDX-License-Identifier: GPL-2.0-only
#include "old_plinks.hh"

namespace aufs
{

void OldPlinks::note(StringView name)
{
	u64 numbers[2] = {};
	unsigned int which = 0;

	for (StringView::Size i = 0; i < name.size(); i++) {
		char c = name.data()[i];

		if (c == '.' && which == 0)
			which++;
		else if (c < '0' || c > '9' ||
			 __builtin_mul_overflow(numbers[which], 10, &numbers[which]) ||
			 __builtin_add_overflow(numbers[which], c - '0', &numbers[which]))
			return;
	}
	for (unsigned int bits = 1; numbers[1] && bits <= max_bits; bits++) {
		unsigned int branch = numbers[0] & ((1U << bits) - 1);

		if (numbers[0] >> bits == numbers[1])
			seen_[bits][branch / 64] |= 1ULL << branch % 64;
	}
}

} // namespace aufs
