// SPDX-License-Identifier: GPL-2.0-only
#include "names.hh"

namespace aufs
{

namespace
{

/* The room for entries that a table has at first, and at most. */
constexpr unsigned long least_room = 64;
constexpr unsigned long most_room = 1UL << 27;
/* No more room than this is made at first because of expect(). */
constexpr unsigned long most_expected = 1UL << 14;

/* The size of the first chunk. Each is twice as large as the one before, up to the largest. */
constexpr unsigned long first_chunk = 2048;
constexpr unsigned long largest_chunk = 32768;

} // namespace

NameTable::NameTable(NameTable &&other)
	: entries_(move(other.entries_)), rows_(move(other.rows_)),
	  count_(cxxrt::exchange(other.count_, 0)), room_(cxxrt::exchange(other.room_, 0)),
	  shift_(other.shift_), expected_(other.expected_),
	  chunks_(cxxrt::exchange(other.chunks_, nullptr)),
	  at_(cxxrt::exchange(other.at_, nullptr)), end_(cxxrt::exchange(other.end_, nullptr)),
	  short_left_(cxxrt::exchange(other.short_left_, 0)), chunk_size_(other.chunk_size_),
	  key_(other.key_)
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

void NameTable::expect(unsigned long count)
{
	expected_ = cxxrt::min(count, most_expected);
}

template <NameTable::Length length> Result<NameTable::Found> NameTable::find_or_add(StringView name)
{
	auto wanted = look_for<length>(name);

	for (u32 number = rows_.data[wanted.row]; number;) {
		Entry &entry = *entries_.data[number - 1];

		if (entry.hash == wanted.hash && entry.view() == name)
			return Found{&entry, false};
		number = entry.next;
	}
	if (entry_size(name) > free())
		TRY(add_chunk(entry_size(name)));
	note_room();
	return Found{&put<length>(wanted), true};
}

Result<NameTable::Found> NameTable::find_or_add(StringView name)
{
	if (name.size() >= PATH_MAX)
		return Error{-EIO};
	if (count_ == room_)
		TRY(grow());
	return length_of(name) == Length::is_short ? find_or_add<Length::is_short>(name) :
						     find_or_add<Length::is_long>(name);
}

Result<void> NameTable::grow()
{
	unsigned long room = room_ ? 2 * room_ : least_room;

	while (room < expected_)
		room *= 2;
	/* aufs_kvmalloc() gives no array that is much larger. */
	if (room > most_room)
		return Error{-ENOMEM};

	auto entries = KvArray<Entry *>::allocate(room);
	auto rows = KvArray<u32>::allocate_zeroed(room);

	if (!entries.data || !rows.data)
		return Error{-ENOMEM};
	if (!room_) {
		unsigned long secrets[2];

		aufs_random_key(secrets);
		key_ = cxxrt::NameKey(secrets[0], secrets[1]);
	}

	auto shift = 32 - static_cast<unsigned int>(__builtin_ctzl(room));

	for (unsigned long i = 0; i < count_; i++) {
		Entry &entry = *entries_.data[i];
		u32 &row = rows.data[entry.hash >> shift];

		entries.data[i] = &entry;
		entry.next = cxxrt::exchange(row, static_cast<u32>(i + 1));
	}
	entries_ = move(entries);
	rows_ = move(rows);
	room_ = room;
	shift_ = shift;
	return {};
}

void NameTable::complete()
{
	rows_ = {};
	/* If many more names were expected than there are, the array becomes smaller. */
	if (room_ == least_room || count_ > room_ / 4)
		return;

	auto entries = KvArray<Entry *>::allocate(count_);

	if (!entries.data)
		return;
	for (unsigned long i = 0; i < count_; i++)
		entries.data[i] = entries_.data[i];
	entries_ = move(entries);
}

/* Begins a chunk, with room for an entry of @size bytes. */
Result<void> NameTable::add_chunk(unsigned long size)
{
	chunk_size_ = chunk_size_ ? cxxrt::min(2 * chunk_size_, largest_chunk) : first_chunk;

	unsigned long bytes = cxxrt::max(chunk_size_, sizeof(Chunk) + size);
	auto *chunk = static_cast<Chunk *>(aufs_kvmalloc(bytes, GFP_KERNEL_ACCOUNT));

	if (!chunk)
		return Error{-ENOMEM};
	chunk->next = cxxrt::exchange(chunks_, chunk);
	at_ = chunk->bytes;
	end_ = chunk->bytes + (bytes - sizeof(Chunk));
	return {};
}

} // namespace aufs
