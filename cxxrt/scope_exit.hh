/* SPDX-License-Identifier: GPL-2.0-only */
/* ScopeExit: runs a callable when the scope is left, unless it was dismissed. */
#pragma once

#include "utility.hh"

namespace cxxrt
{

template <class F> class [[nodiscard]] ScopeExit final
{
public:
	explicit ScopeExit(F &&action) : action_(move(action))
	{
	}
	ScopeExit(const ScopeExit &) = delete;
	ScopeExit &operator=(const ScopeExit &) = delete;
	~ScopeExit()
	{
		if (armed_)
			action_();
	}
	void dismiss()
	{
		armed_ = false;
	}

private:
	F action_;
	bool armed_ = true;
};

} // namespace cxxrt
