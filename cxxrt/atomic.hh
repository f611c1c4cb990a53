/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Accesses of several processors to memory without a lock. The order of each access is in its name; without one it
 * says nothing of other memory (relaxed).
 */
#pragma once

#include "utility.hh"

namespace cxxrt
{

/* Accesses to @object, which is a member of a type that is not ours. Any context. */
template <class T> class AtomicRef final
{
public:
	using Value = typename RemoveConst<T>::Type;

	explicit AtomicRef(T &object) : object_(object)
	{
	}

	Value load() const
	{
		Value value;

		__atomic_load(&object_, &value, __ATOMIC_RELAXED);
		return value;
	}
	/* All that the task which stored the value did before that is seen after this. */
	Value load_acquire() const
	{
		return __atomic_load_n(&object_, __ATOMIC_ACQUIRE);
	}
	void store(Value value) const
	{
		__atomic_store(&object_, &value, __ATOMIC_RELAXED);
	}
	/* A task that loads the value with load_acquire() sees all that was done before this. */
	void store_release(Value value) const
	{
		__atomic_store_n(&object_, value, __ATOMIC_RELEASE);
	}
	Value exchange(Value value) const
	{
		return __atomic_exchange_n(&object_, value, __ATOMIC_RELAXED);
	}
	/*
	 * Stores @next if the object has the value @expected; else @expected becomes its value. Returns whether @next
	 * was stored.
	 */
	bool replace(Value &expected, Value next) const
	{
		return __atomic_compare_exchange(&object_, &expected, &next, false,
						 __ATOMIC_RELAXED, __ATOMIC_RELAXED);
	}
	/* The same; each of two tasks sees what the other did before. */
	bool replace_acq_rel(Value &expected, Value next) const
	{
		return __atomic_compare_exchange_n(&object_, &expected, next, false,
						   __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
	}
	/* The same, in one order with all other sequentially consistent accesses. */
	bool replace_in_order(Value &expected, Value next) const
	{
		return __atomic_compare_exchange_n(&object_, &expected, next, false,
						   __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
	}
	/* Returns the value from before. */
	Value fetch_add(Value number) const
	{
		return __atomic_fetch_add(&object_, number, __ATOMIC_RELAXED);
	}
	Value fetch_or(Value bits) const
	{
		return __atomic_fetch_or(&object_, bits, __ATOMIC_RELAXED);
	}
	/* Subtracts one. A task that sees the new value by an acquire sees all that was done before this. */
	void drop_release() const
	{
		__atomic_fetch_sub(&object_, 1, __ATOMIC_RELEASE);
	}
	/* Subtracts one. Returns whether none is left: the task that takes the last sees what the others did before. */
	bool take_last() const
	{
		return __atomic_sub_fetch(&object_, 1, __ATOMIC_ACQ_REL) == 0;
	}

private:
	T &object_;
};

template <class T> AtomicRef(T &) -> AtomicRef<T>;

/* An object for such accesses alone. */
template <class T> class Atomic final
{
public:
	constexpr Atomic() = default;
	constexpr Atomic(T value) : value_(value)
	{
	}
	Atomic(const Atomic &) = delete;
	Atomic &operator=(const Atomic &) = delete;

	T load() const
	{
		return AtomicRef(value_).load();
	}
	T load_acquire() const
	{
		return AtomicRef(value_).load_acquire();
	}
	void store(T value)
	{
		AtomicRef(value_).store(value);
	}
	void store_release(T value)
	{
		AtomicRef(value_).store_release(value);
	}
	T exchange(T value)
	{
		return AtomicRef(value_).exchange(value);
	}
	bool replace(T &expected, T next)
	{
		return AtomicRef(value_).replace(expected, next);
	}
	T fetch_add(T number)
	{
		return AtomicRef(value_).fetch_add(number);
	}
	T fetch_or(T bits)
	{
		return AtomicRef(value_).fetch_or(bits);
	}
	bool take_last()
	{
		return AtomicRef(value_).take_last();
	}

private:
	T value_{};
};

/* All that was stored before is seen before all that is loaded after it, on every processor. */
inline void full_fence()
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

} // namespace cxxrt
