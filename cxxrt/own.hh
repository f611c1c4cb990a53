/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Own<T>: the only owner of an object that new (Gfp) made, or empty. OwnTraits<T> may say how an object from elsewhere
 * is destroyed.
 */
#pragma once

#include "utility.hh"

namespace cxxrt
{

template <class T> struct OwnTraits {
	static void destroy(T *object)
	{
		delete object;
	}
};

template <class T> struct OwnTraits<T[]> {
	static void destroy(T *array)
	{
		delete[] array;
	}
};

template <class T> struct OwnElement {
	using Type = T;
};
template <class T> struct OwnElement<T[]> {
	using Type = T;
};

template <class T> class Own final
{
	using Element = typename OwnElement<T>::Type;

public:
	constexpr Own() = default;
	Own(Own &&other) : object_(exchange(other.object_, nullptr))
	{
	}
	Own &operator=(Own &&other)
	{
		Element *old = exchange(object_, exchange(other.object_, nullptr));

		if (old)
			OwnTraits<T>::destroy(old);
		return *this;
	}
	Own(const Own &) = delete;
	Own &operator=(const Own &) = delete;
	~Own()
	{
		if (object_)
			OwnTraits<T>::destroy(object_);
	}

	/* Takes @object, which may be null: then the caller has to check the result. */
	[[nodiscard]] static Own adopt(Element *object)
	{
		Own own;

		own.object_ = object;
		return own;
	}

	Element *get() const
	{
		return object_;
	}
	Element *operator->() const
	{
		return object_;
	}
	Element &operator*() const
	{
		return *object_;
	}
	Element &operator[](__SIZE_TYPE__ index) const
	{
		return object_[index];
	}
	explicit operator bool() const
	{
		return object_ != nullptr;
	}
	[[nodiscard]] Element *leak()
	{
		return exchange(object_, nullptr);
	}

private:
	Element *object_ = nullptr;
};

} // namespace cxxrt
