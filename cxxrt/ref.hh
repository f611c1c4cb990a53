/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Ref<T>: one counted reference on a kernel object, or empty.
 *
 * How T is counted is a stateless policy, RefTraits<T>, with get(T *) and put(T *). A raw pointer
 * becomes a Ref in two ways that are spelled differently: adopt() takes over a reference that the
 * caller owns, retain() takes a new one. Copying is spelled clone(), so that every count is visible
 * in the source.
 */
#pragma once

#include "utility.hh"

namespace cxxrt
{

template <class T> struct RefTraits;

template <class T> class Ref final
{
public:
	constexpr Ref() = default;
	Ref(Ref &&other) : object_(exchange(other.object_, nullptr))
	{
	}
	Ref &operator=(Ref &&other)
	{
		T *old = exchange(object_, exchange(other.object_, nullptr));

		if (old)
			RefTraits<T>::put(old);
		return *this;
	}
	Ref(const Ref &) = delete;
	Ref &operator=(const Ref &) = delete;
	~Ref()
	{
		if (object_)
			RefTraits<T>::put(object_);
	}

	/* Takes over the caller's reference on @object, which may be null. */
	[[nodiscard]] static Ref adopt(T *object)
	{
		return Ref(object);
	}
	/* Takes a reference of its own on @object, which may be null. */
	[[nodiscard]] static Ref retain(T *object)
	{
		if (object)
			RefTraits<T>::get(object);
		return Ref(object);
	}
	[[nodiscard]] Ref clone() const
	{
		return retain(object_);
	}

	/* Borrows: the reference stays here. */
	T *get() const
	{
		return object_;
	}
	T *operator->() const
	{
		return object_;
	}
	T &operator*() const
	{
		return *object_;
	}
	explicit operator bool() const
	{
		return object_ != nullptr;
	}

	/* Hands the reference to the caller, who must put it. */
	[[nodiscard]] T *leak()
	{
		return exchange(object_, nullptr);
	}

private:
	explicit Ref(T *object) : object_(object)
	{
	}

	T *object_ = nullptr;
};

} // namespace cxxrt
