/* SPDX-License-Identifier: GPL-2.0-only */
/* The few pieces of <utility> and <type_traits> that the runtime shim and the module need. */
#pragma once

namespace cxxrt
{

template <class T> struct RemoveReference {
	using Type = T;
};
template <class T> struct RemoveReference<T &> {
	using Type = T;
};
template <class T> struct RemoveReference<T &&> {
	using Type = T;
};

template <class T> struct RemoveConst {
	using Type = T;
};
template <class T> struct RemoveConst<const T> {
	using Type = T;
};

template <class T, class U> inline constexpr bool same_type = false;
template <class T> inline constexpr bool same_type<T, T> = true;

template <class T> constexpr typename RemoveReference<T>::Type &&move(T &&value)
{
	return static_cast<typename RemoveReference<T>::Type &&>(value);
}

template <class T> constexpr T &&forward(typename RemoveReference<T>::Type &value)
{
	return static_cast<T &&>(value);
}

/* Stores @next in @place and returns the old value. */
template <class T, class U = T> constexpr T exchange(T &place, U &&next)
{
	T old = move(place);

	place = forward<U>(next);
	return old;
}

template <class T> constexpr void swap(T &a, T &b)
{
	T old = move(a);

	a = move(b);
	b = move(old);
}

template <class T> constexpr T min(T a, T b)
{
	return b < a ? b : a;
}

/* Whether @is(element) for some element of @range. */
template <class Range, class Predicate> constexpr bool any_of(Range &&range, Predicate &&is)
{
	for (auto &&element : range) { // NOLINT(readability-use-anyofallof): there is no other
		if (is(element))
			return true;
	}
	return false;
}

template <class T> constexpr T max(T a, T b)
{
	return a < b ? b : a;
}

} // namespace cxxrt
