/* SPDX-License-Identifier: GPL-2.0-only */
/* FunctionRef: a borrowed callable, for functions that are no templates. */
#pragma once

#include "utility.hh"

namespace cxxrt
{

template <class Signature> class FunctionRef;

template <class R, class... Args> class FunctionRef<R(Args...)> final
{
public:
	/* @callable outlives this. */
	template <class F>
	explicit FunctionRef(F &callable)
		: callable_(&callable), call_([](void *callable, Args... args) -> R {
			  return (*static_cast<F *>(callable))(forward<Args>(args)...);
		  })
	{
	}
	R operator()(Args... args) const
	{
		return call_(callable_, forward<Args>(args)...);
	}

private:
	void *callable_;
	R (*call_)(void *, Args...);
};

} // namespace cxxrt
