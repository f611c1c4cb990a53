/* SPDX-License-Identifier: GPL-2.0-only */
/* Random numbers that are the same in each run. */
#pragma once

/* xorshift64: Marsaglia, "Xorshift RNGs", 2003. */
class Random final
{
public:
	explicit Random(unsigned long long seed) : state_(seed)
	{
	}
	unsigned int below(unsigned int limit)
	{
		return static_cast<unsigned int>(any() >> 32) % limit;
	}
	unsigned long any()
	{
		state_ ^= state_ << 13;
		state_ ^= state_ >> 7;
		state_ ^= state_ << 17;
		return state_;
	}

private:
	unsigned long long state_;
};
