/* SPDX-License-Identifier: GPL-2.0-only */
/* Span<T>: a borrowed row of elements. */
#pragma once

namespace cxxrt
{

template <class T> class Span final
{
public:
	using Size = __SIZE_TYPE__;

	constexpr Span() = default;
	constexpr Span(T *data, Size size) : data_(data), size_(size)
	{
	}

	constexpr T *data() const
	{
		return data_;
	}
	constexpr Size size() const
	{
		return size_;
	}
	constexpr bool empty() const
	{
		return size_ == 0;
	}
	constexpr T &operator[](Size index) const
	{
		return data_[index];
	}
	constexpr T *begin() const
	{
		return data_;
	}
	constexpr T *end() const
	{
		return data_ + size_;
	}

private:
	T *data_ = nullptr;
	Size size_ = 0;
};

} // namespace cxxrt
