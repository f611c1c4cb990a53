// SPDX-License-Identifier: GPL-2.0-only
#include "names.hh"

namespace aufs
{

NameTable::NameTable(NameTable &&other)
	: chunks_(cxxrt::exchange(other.chunks_, nullptr)), entries_(move(other.entries_)),
	  slots_(move(other.slots_)), count_(cxxrt::exchange(other.count_, 0)),
	  room_(cxxrt::exchange(other.room_, 0)), key_{other.key_[0], other.key_[1]}
{
}

NameTable &NameTable::operator=(NameTable &&other)
{
	if (this != &other) {
		this->~NameTable();
		new (static_cast<void *>(this)) NameTable(move(other));
	}
	return *this;
}

NameTable::~NameTable()
{
	while (chunks_)
		kvfree(cxxrt::exchange(chunks_, chunks_->next));
}

/* The slot that has @name, or the free one where it belongs. There is always a free one. */
unsigned long *NameTable::slot_of(StringView name, unsigned int hash) const
{
	unsigned long mask = 2 * room_ - 1;
	unsigned long at = hash & mask;

	for (;; at = (at + 1) & mask) {
		unsigned long &slot = slots_.data[at];

		if (!slot)
			return &slot;

		const Entry &entry = *entries_.data[slot - 1];

		if (entry.hash == hash && entry.view() == name)
			return &slot;
	}
}

Result<void> NameTable::grow()
{
	unsigned long room = room_ ? 2 * room_ : 64;
	auto entries = KvArray<Entry *>::allocate(room);
	auto slots = KvArray<unsigned long>::allocate(2 * room);

	if (!entries.data || !slots.data)
		return Error{-ENOMEM};
	if (!room_)
		aufs_random_key(key_);
	for (unsigned long i = 0; i < count_; i++)
		entries.data[i] = entries_.data[i];
	__builtin_memset(slots.data, 0, 2 * room * sizeof(slots.data[0]));
	entries_ = move(entries);
	slots_ = move(slots);
	room_ = room;
	for (unsigned long i = 0; i < count_; i++)
		*slot_of(entries_.data[i]->view(), entries_.data[i]->hash) = i + 1;
	return {};
}

Result<NameTable::Entry *> NameTable::allocate(unsigned long size)
{
	size = (size + alignof(Entry) - 1) & ~(alignof(Entry) - 1);
	if (!chunks_ || chunks_->used + size > chunk_size - sizeof(Chunk)) {
		auto *chunk = static_cast<Chunk *>(aufs_kvmalloc(chunk_size, GFP_KERNEL_ACCOUNT));

		if (!chunk)
			return Error{-ENOMEM};
		chunk->next = chunks_;
		chunk->used = 0;
		chunks_ = chunk;
	}

	auto *entry = reinterpret_cast<Entry *>(chunks_->bytes + chunks_->used);

	chunks_->used += size;
	return entry;
}

Result<NameTable::Found> NameTable::find_or_add(StringView name)
{
	if (name.size() >= PATH_MAX)
		return Error{-EIO};
	if (count_ == room_)
		TRY(grow());

	unsigned int hash = hash_of(name);
	unsigned long *slot = slot_of(name, hash);

	if (*slot)
		return Found{entries_.data[*slot - 1], false};

	Entry *entry = TRY(allocate(sizeof(Entry) + name.size()));

	__builtin_memset(static_cast<void *>(entry), 0, sizeof(*entry));
	entry->hash = hash;
	entry->size = static_cast<unsigned short>(name.size());
	__builtin_memcpy(entry->name, name.data(), name.size());
	entries_.data[count_] = entry;
	*slot = ++count_;
	return Found{entry, true};
}

} // namespace aufs
