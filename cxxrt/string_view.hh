/* SPDX-License-Identifier: GPL-2.0-only */
/* StringView: borrowed bytes; not terminated, no encoding. */
#pragma once

namespace cxxrt
{

class StringView final
{
public:
	using Size = __SIZE_TYPE__;

	constexpr StringView() = default;
	constexpr StringView(const char *data, Size size) : data_(data), size_(size)
	{
	}
	/* A literal, without its terminating zero. */
	template <Size N>
	constexpr StringView(const char (&literal)[N]) : data_(literal), size_(N - 1)
	{
	}
	[[nodiscard]] static constexpr StringView from_c_string(const char *text)
	{
		return StringView(text, __builtin_strlen(text));
	}

	constexpr const char *data() const
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
	constexpr char operator[](Size index) const
	{
		return data_[index];
	}
	constexpr const char *begin() const
	{
		return data_;
	}
	constexpr const char *end() const
	{
		return data_ + size_;
	}

	/* Most strings differ in the first byte already: then no function is called. */
	constexpr bool starts_with(StringView prefix) const
	{
		if (prefix.empty())
			return true;
		return size_ >= prefix.size_ && data_[0] == prefix.data_[0] &&
		       equal(data_, prefix.data_, prefix.size_);
	}
	/* From @start (at most size()) on, @count bytes or as many as there are. */
	constexpr StringView substr(Size start, Size count = static_cast<Size>(-1)) const
	{
		Size left = size_ - start;

		return StringView(data_ + start, count < left ? count : left);
	}

	friend constexpr bool operator==(StringView a, StringView b)
	{
		return a.size_ == b.size_ && equal(a.data_, b.data_, a.size_);
	}

private:
	static constexpr bool equal(const char *a, const char *b, Size size)
	{
		return size == 0 || __builtin_memcmp(a, b, size) == 0;
	}

	const char *data_ = nullptr;
	Size size_ = 0;
};

} // namespace cxxrt
