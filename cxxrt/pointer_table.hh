/* SPDX-License-Identifier: GPL-2.0-only */
/* PointerTable<V>: a hash table from addresses to small values. It grows, and no entry is removed. */
#pragma once

#include "new.hh"
#include "result.hh"
#include "utility.hh"

namespace cxxrt
{

template <class V> class PointerTable final
{
public:
	PointerTable() = default;
	PointerTable(const PointerTable &) = delete;
	PointerTable &operator=(const PointerTable &) = delete;
	~PointerTable()
	{
		clear();
	}

	/* The value of @key; null if @key has none. */
	const V *find(const void *key) const
	{
		if (!slots_)
			return nullptr;

		const Slot &slot = slot_of(key);

		return slot.key ? &slot.value : nullptr;
	}
	/* Gives @key, which is not null, @value, if @key has none yet. -ENOMEM. May sleep if @gfp may. */
	Result<void> add(Gfp gfp, const void *key, V value)
	{
		if (2 * count_ >= room() && !grow(gfp))
			return Error{-enomem};

		Slot &slot = slot_of(key);

		if (slot.key)
			return {};
		slot = {key, value};
		count_++;
		return {};
	}
	void clear()
	{
		operator delete(static_cast<void *>(exchange(slots_, nullptr)));
		bits_ = 0;
		count_ = 0;
	}

private:
	using Size = __SIZE_TYPE__;
	static constexpr int enomem = 12;
	static constexpr unsigned int first_bits = 3;

	struct Slot {
		const void *key;
		V value;
	};

	Size room() const
	{
		return slots_ ? Size{1} << bits_ : 0;
	}
	/* The slot of @key, or the free slot where it belongs. There is always a free one. */
	Slot &slot_of(const void *key) const
	{
		constexpr __UINT64_TYPE__ golden = 0x9e3779b97f4a7c15;
		__UINT64_TYPE__ hash = reinterpret_cast<__UINTPTR_TYPE__>(key) * golden;
		Size index = static_cast<Size>(hash >> (64 - bits_));

		while (slots_[index].key && slots_[index].key != key)
			index = (index + 1) & (room() - 1);
		return slots_[index];
	}
	bool grow(Gfp gfp)
	{
		unsigned int bits = slots_ ? bits_ + 1 : first_bits;
		Size size = sizeof(Slot) << bits;
		auto *slots = static_cast<Slot *>(operator new(size, gfp));

		if (!slots)
			return false;
		__builtin_memset(static_cast<void *>(slots), 0, size);

		Size old_room = room();
		Slot *old = exchange(slots_, slots);

		bits_ = bits;
		for (Size i = 0; i < old_room; i++) {
			if (old[i].key)
				slot_of(old[i].key) = old[i];
		}
		operator delete(static_cast<void *>(old));
		return true;
	}

	Slot *slots_ = nullptr;
	unsigned int bits_ = 0;
	Size count_ = 0;
};

} // namespace cxxrt
