/* SPDX-License-Identifier: GPL-2.0-only */
/* Result<T>: a value or a negative errno. Nobody can overlook it ([[nodiscard]]). */
#pragma once

#include "new.hh"
#include "utility.hh"

namespace cxxrt
{

/*
 * A negative errno on its way out of a function. Any other number would be taken for success, with a value that is not
 * there: it becomes -EIO.
 */
struct Error {
	int code;

	constexpr Error(int negative_errno) : code(negative_errno < 0 ? negative_errno : -eio)
	{
	}

private:
	static constexpr int eio = 5;
};

template <class T> class [[nodiscard]] Result final
{
public:
	Result(Error e) : code_(e.code)
	{
	}
	Result(T &&value) : code_(0)
	{
		new (static_cast<void *>(storage_)) T(move(value));
	}
	Result(const T &value)
		requires __is_trivially_copyable
	(T) : code_(0)
	{
		new (static_cast<void *>(storage_)) T(value);
	}
	Result(Result &&other) : code_(other.code_)
	{
		if (ok())
			new (static_cast<void *>(storage_)) T(move(other.value()));
	}
	Result(const Result &) = delete;
	Result &operator=(const Result &) = delete;
	Result &operator=(Result &&) = delete;
	~Result()
	{
		if (ok())
			value().~T();
	}

	bool ok() const
	{
		return code_ == 0;
	}
	/* The negative errno; 0 if there is a value. */
	int error() const
	{
		/* The constructor of Error makes sure of that. */
		if (code_ > 0)
			__builtin_unreachable();
		return code_;
	}
	/* Only if ok(). */
	T &value()
	{
		return *reinterpret_cast<T *>(storage_);
	}
	/* Hands the value over. Only if ok(). */
	T release()
	{
		return move(value());
	}

private:
	int code_;
	alignas(T) unsigned char storage_[sizeof(T)];
};

template <> class [[nodiscard]] Result<void> final
{
public:
	Result() = default;
	Result(Error e) : code_(e.code)
	{
	}

	bool ok() const
	{
		return code_ == 0;
	}
	int error() const
	{
		/* The constructor of Error makes sure of that. */
		if (code_ > 0)
			__builtin_unreachable();
		return code_;
	}
	void release() const
	{
	}

	/* From a kernel function's int: negative is an error, anything else is success. */
	static Result from(int error)
	{
		return error < 0 ? Result(Error{error}) : Result();
	}

private:
	int code_ = 0;
};

} // namespace cxxrt

#define TRY(expression)                                                                            \
	({                                                                                         \
		auto &&try_result_ = (expression);                                                 \
		static_assert(!__is_lvalue_reference(decltype(try_result_)),                       \
			      "TRY takes the value away: move() what has a name");                 \
		if (!try_result_.ok()) [[unlikely]]                                                \
			return ::cxxrt::Error{try_result_.error()};                                \
		try_result_.release();                                                             \
	})
