// SPDX-License-Identifier: GPL-2.0-only
#include "entries.hh"
#include "name_filter.hh"
#include "whiteout.hh"

namespace aufs
{

namespace
{

constexpr unsigned int bits_a_word = 8 * sizeof(unsigned long);
/* A directory with more names gets no filter: it would take a quarter of a megabyte. */
constexpr unsigned int most_names = 65536;
/* An estimate may be too high: entries may be larger than bytes_an_entry, or names may have gone. */
constexpr loff_t most_estimated = 2LL * most_names;
/* Bits for each name. Then a filter takes one in two hundred absent names for one that is there. */
constexpr unsigned int room_a_name = 16;

/* The least that an entry takes in most directories. A small directory has a whole block, and is overestimated. */
constexpr unsigned int bytes_an_entry = 20;

/* How it is known that all names of a directory were read. */
enum class Complete : unsigned char {
	never, /* nobody has looked at the filesystem */
	always, /* readdir fails where it cannot read */
	at_the_end, /* the position is then behind the last byte */
	block_by_block, /* readdir may leave a block out: each must have given an entry, or positions are hashes */
};

Complete completeness_of(const struct super_block &sb)
{
	switch (sb.s_magic) {
	case EROFS_SUPER_MAGIC_V1:
	case F2FS_SUPER_MAGIC:
	case RAMFS_MAGIC:
	case TMPFS_MAGIC:
	case XFS_SUPER_MAGIC:
		return Complete::always;
	case SQUASHFS_MAGIC:
		return Complete::at_the_end;
	case EXT4_SUPER_MAGIC: /* ext2 and ext3 as well */
		return Complete::block_by_block;
	default:
		return Complete::never;
	}
}

/* Whether each block of a directory has given an entry. Entries come in the order of blocks if positions are bytes. */
class Blocks final
{
public:
	explicit Blocks(const struct inode &dir)
		: size_(aufs_i_size_read(&dir)), bits_(dir.i_sb->s_blocksize_bits)
	{
	}
	void note(loff_t offset)
	{
		loff_t block = offset >> bits_;

		if (offset >= size_)
			hashed_ = true;
		else if (block == next_)
			next_++;
		else if (block > next_)
			gap_ = true;
	}
	bool complete() const
	{
		return hashed_ || (!gap_ && (next_ << bits_) >= size_);
	}

private:
	loff_t size_;
	unsigned int bits_;
	loff_t next_ = 0; /* the first block without an entry until now */
	bool gap_ = false;
	bool hashed_ = false;
};

struct ChangeTime {
	s64 seconds;
	u32 nanoseconds;
};

/* Later kernels keep a mark in the highest bits of the nanoseconds. */
constexpr u32 only_nanoseconds = (1U << 30) - 1;

template <class VfsInode> ChangeTime change_time_of(const VfsInode &dir)
{
	if constexpr (requires { dir.i_ctime_sec; })
		return {AtomicRef(dir.i_ctime_sec).load(),
			AtomicRef(dir.i_ctime_nsec).load() & only_nanoseconds};
	else
		return {AtomicRef(dir.i_ctime.tv_sec).load(),
			static_cast<u32>(AtomicRef(dir.i_ctime.tv_nsec).load())};
}

/* The names of a directory, each by its hash. */
class Hashes final
{
public:
	explicit Hashes(const unsigned long key[2]) : key_(key)
	{
	}
	Result<void> add(StringView name)
	{
		if (hashes_.size() == most_names)
			return Error{-E2BIG};
		return hashes_.push(Gfp{GFP_KERNEL_ACCOUNT}, NameHash(key_, name));
	}
	const Array<NameHash> &all() const
	{
		return hashes_;
	}

private:
	const unsigned long *key_;
	Array<NameHash> hashes_;
};

void set(struct aufs_name_filter &filter, unsigned int bit)
{
	filter.words[bit / bits_a_word] |= 1UL << bit % bits_a_word;
}

bool has(const struct aufs_name_filter &filter, unsigned int bit)
{
	return filter.words[bit / bits_a_word] >> bit % bits_a_word & 1;
}

} // namespace

bool may_have(const struct aufs_name_filter &filter, NameHash name)
{
	for (unsigned int i = 0; i < NameHash::bits_a_name; i++) {
		if (!has(filter, name.bit(i, filter.bits)))
			return false;
	}
	return true;
}

bool is_current(const struct aufs_name_filter &filter, const Part &part)
{
	ChangeTime now = change_time_of(part.inode());

	return now.seconds == filter.seconds && now.nanoseconds == filter.nanoseconds;
}

unsigned int estimate_names(const Part &part)
{
	loff_t estimate = aufs_i_size_read(&part.inode()) / bytes_an_entry;

	/* An encrypted directory has other names as soon as its key is there. */
	if (completeness_of(part.branch->sb()) == Complete::never ||
	    part.inode().i_flags & S_ENCRYPTED || estimate > most_estimated)
		return ~0U;
	return static_cast<unsigned int>(estimate);
}

bool is_large(const Part &part, unsigned int most)
{
	unsigned int estimate = estimate_names(part);

	return estimate != ~0U && estimate > most &&
	       aufs_i_size_read(&part.inode()) != 1LL << part.branch->sb().s_blocksize_bits;
}

Result<struct aufs_name_filter *> make_name_filter(const AsMounter &mounter, const Part &part,
						   const unsigned long key[2], unsigned int &names)
{
	const Branch &branch = *part.branch;
	ChangeTime changed = change_time_of(part.inode());
	s64 earliest = aufs_coarse_time();

	if (estimate_names(part) == ~0U)
		return nullptr;
	/* A change from now on might get the same time. */
	if (changed.seconds < 0 || changed.seconds >= S64_MAX / NSEC_PER_SEC - 1 ||
	    changed.seconds * NSEC_PER_SEC + changed.nanoseconds + branch.sb().s_time_gran >
		    earliest)
		return nullptr;

	Hashes hashes(key);
	Blocks blocks(part.inode());
	auto add = [&hashes, &blocks](const BranchEntry &entry) -> Result<void> {
		StringView name = entry.name;

		/* `.` too: there may be no other in the first block. */
		blocks.note(entry.offset);
		if (is_dot_or_dotdot(name))
			return {};
		TRY(hashes.add(name));
		if (!is_reserved(name))
			return {};
		return hashes.add(name.substr(whiteout_prefix.size()));
	};
	auto end = read_entries(mounter, part, unseen, add);

	names = static_cast<unsigned int>(hashes.all().size());
	if (end.error() == -E2BIG)
		return nullptr;

	loff_t position = TRY(move(end));
	Complete complete = completeness_of(branch.sb());

	if ((complete == Complete::at_the_end && position < aufs_i_size_read(&part.inode())) ||
	    (complete == Complete::block_by_block && !blocks.complete()))
		return nullptr;

	unsigned int bits = bits_a_word;

	while (bits < names * room_a_name)
		bits *= 2;

	struct aufs_name_filter *filter = aufs_name_filter_alloc(bits / bits_a_word);

	if (!filter)
		return Error{-ENOMEM};
	filter->bits = bits;
	filter->seconds = changed.seconds;
	filter->nanoseconds = changed.nanoseconds;
	for (const NameHash &hash : hashes.all()) {
		for (unsigned int i = 0; i < NameHash::bits_a_name; i++)
			set(*filter, hash.bit(i, bits));
	}
	return filter;
}

} // namespace aufs
