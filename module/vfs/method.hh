/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The edge to the VFS. A method returns a Result, as everything behind it; vfs<method> is the function that a table
 * of operations gets: it calls the method and tells the VFS the result in the VFS's way.
 *
 * The function has the type of the table's member, whatever that is in this kernel: the compiler deduces it from the
 * assignment, and no pointer is cast (kCFI).
 */
#pragma once

#include "kernel/handles.hh"

namespace aufs
{

/* @result as a kernel function of the type R(...) returns it: an errno, a number or -errno, a pointer or ERR_PTR. */
template <class R> R told(const Result<void> &result)
{
	if constexpr (__is_pointer(R)) {
		return static_cast<R>(error_pointer<void>(result.error()));
	} else {
		static_assert(cxxrt::same_type<R, int> || cxxrt::same_type<R, long>);
		return result.error();
	}
}

template <class R, class T> R told(Result<T> result)
{
	if constexpr (__is_pointer(R))
		return result.ok() ? result.value() :
				     static_cast<R>(error_pointer<void>(result.error()));
	else
		return result.ok() ? R{result.value()} : R{result.error()};
}

template <class R, class... Args> using Function = R (*)(Args...);

template <auto method> struct Method {
	template <class R, class... Args> static R call(Args... args)
	{
		/*
		 * Braces refuse an argument that would be cut off. An object's call operator takes each argument as it
		 * comes.
		 */
		if constexpr (__is_class(decltype(method)))
			return told<R>(method(args...));
		else
			return told<R>(method({args}...));
	}
	template <class R, class... Args> constexpr operator Function<R, Args...>() const
	{
		return call<R, Args...>;
	}
};

/*
 * @method is a function. For what differs between kernels it is an object, whose call operator takes what each kernel
 * passes.
 */
template <auto method> inline constexpr Method<method> vfs;

} // namespace aufs
