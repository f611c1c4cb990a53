/* SPDX-License-Identifier: GPL-2.0-only */
/* Pseudo-links of older versions. */
#pragma once

#include "kernel/handles.hh"

namespace aufs
{

/*
 * Pseudo-links of older versions have names UNION_NUMBER.NUMBER. The inode's number in the union was made of its number
 * on its branch and of some bits that told the branch, as many as the number of branches asked for. Few combinations of
 * a branch and a number of bits occur on one branch. These are remembered.
 */
class OldPlinks final
{
public:
	/* Remembers the combination of @name, if that is the name of such a pseudo-link. */
	void note(StringView name);

	/* Calls @action(UNION_NUMBER) for each union number that @number may have had, until @action is true. */
	template <class Action> Result<void> for_each(u64 number, Action &&action) const
	{
		for (unsigned int bits = 1; bits <= max_bits; bits++) {
			for (unsigned int branch = 0; branch >> bits == 0; branch++) {
				if (!(seen_[bits][branch / 64] >> branch % 64 & 1))
					continue;
				if (TRY(action(number << bits | branch)))
					return {};
			}
		}
		return {};
	}

private:
	static constexpr unsigned int max_bits = 7; /* there were at most 127 branches */

	u64 seen_[max_bits + 1][2] = {};
};

} // namespace aufs
