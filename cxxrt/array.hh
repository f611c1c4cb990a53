/* SPDX-License-Identifier: GPL-2.0-only */
/* Array<T>: a row of elements that grows, of a type that can be moved. */
#pragma once

#include "new.hh"
#include "result.hh"
#include "utility.hh"

namespace cxxrt
{

template <class T> class Array final
{
public:
	using Size = __SIZE_TYPE__;

	Array() = default;
	Array(Array &&other)
		: data_(exchange(other.data_, nullptr)), size_(exchange(other.size_, 0UL)),
		  room_(exchange(other.room_, 0UL))
	{
	}
	Array &operator=(Array &&other)
	{
		if (this != &other) {
			clear();
			data_ = exchange(other.data_, nullptr);
			size_ = exchange(other.size_, 0UL);
			room_ = exchange(other.room_, 0UL);
		}
		return *this;
	}
	Array(const Array &) = delete;
	Array &operator=(const Array &) = delete;
	~Array()
	{
		clear();
	}

	Size size() const
	{
		return size_;
	}
	T &operator[](Size index) const
	{
		return data_[index];
	}
	T *begin() const
	{
		return data_;
	}
	T *end() const
	{
		return data_ + size_;
	}

	/* Puts @element at @place; elements from there on move up. -ENOMEM. May sleep if @gfp may. */
	Result<void> insert(Gfp gfp, Size place, T element)
	{
		if (size_ == room_ && !grow(gfp))
			return Error{-enomem};
		new (static_cast<void *>(data_ + size_)) T(move(element));
		size_++;
		for (Size i = size_ - 1; i > place; i--) {
			T moved = move(data_[i]);

			data_[i] = move(data_[i - 1]);
			data_[i - 1] = move(moved);
		}
		return {};
	}
	/* The same at the end. */
	Result<void> push(Gfp gfp, T element)
	{
		return insert(gfp, size_, move(element));
	}
	/* Takes out the element at @place. */
	T remove(Size place)
	{
		T removed = move(data_[place]);

		for (Size i = place; i + 1 < size_; i++)
			data_[i] = move(data_[i + 1]);
		data_[--size_].~T();
		return removed;
	}
	void clear()
	{
		for (Size i = 0; i < size_; i++)
			data_[i].~T();
		operator delete(static_cast<void *>(data_));
		data_ = nullptr;
		size_ = room_ = 0;
	}

private:
	static constexpr int enomem = 12;

	bool grow(Gfp gfp)
	{
		Size room = room_ ? room_ * 2 : 8;
		T *data = static_cast<T *>(operator new(room * sizeof(T), gfp));

		if (!data)
			return false;
		for (Size i = 0; i < size_; i++) {
			new (static_cast<void *>(data + i)) T(move(data_[i]));
			data_[i].~T();
		}
		operator delete(static_cast<void *>(data_));
		data_ = data;
		room_ = room;
		return true;
	}

	T *data_ = nullptr;
	Size size_ = 0;
	Size room_ = 0;
};

} // namespace cxxrt
