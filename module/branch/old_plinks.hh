/* SPDX-License-Identifier: GPL-2.0-only */
/* Pseudo-links of older versions. */
#pragma once

#include "kernel/handles.hh"

namespace aufs
{

/*
 * Which names pseudo-links of older versions have: UNION_NUMBER.NUMBER. The inode's number in the
 * union is made of its number on its branch and some bits for which branch that was, of as many as
 * there were branches then. Few such combinations occur on a branch, and these are remembered.
 */
class OldPlinks final
{
public:
	/* @name is there: remembers how it is made, if it is one. */
	void note(StringView name);

	/* Calls @action(UNION_NUMBER) for each that @number may have had, until it is true. */
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
