// SPDX-License-Identifier: GPL-2.0-only
#include "inode.hh"
#include "branch/answers.hh"
#include "branch/dir_lock.hh"
#include "branch/attributes.hh"

namespace aufs
{

namespace
{

constexpr const char *impure_name = "trusted.aufs.impure";

/* The value of origin_name, in the byte order of the machine, as the branch's own numbers are. */
struct Origin {
	static constexpr u32 current = 0x32736661; /* the format: "afs2" */
	static constexpr u32 old = 0x31736661; /* "afs1": ends before the generation */
	static constexpr ssize_t old_size = 32;

	u32 format;
	u32 links; /* as Inode::links() */
	u64 number;
	unsigned char filesystem[UUID_SIZE]; /* Branch::filesystem_id() */
	u32 generation;
	u32 unused;

	u64 known_generation() const
	{
		return format == current ? generation : Identity::unknown;
	}
};
static_assert(sizeof(Origin) == 40 && sizeof(Origin) <= Answers::most_bytes &&
	      __builtin_offsetof(struct Origin, generation) == Origin::old_size);

/*
 * Whether @error says that an attribute does not exist, and not that it cannot be read. Servers say in many ways that
 * an object has none.
 */
bool is_none(int error)
{
	switch (error) {
	case -ENODATA:
	case -EOPNOTSUPP:
	case -ERANGE:
	case -EPERM:
	case -EACCES:
	case -ENOSYS:
	case -EINVAL:
		return true;
	default:
		return false;
	}
}

/* False if there is no origin, or one of an unknown format. */
Result<bool> read_origin(const AsMounter &mounter, PartRef part, Origin &origin)
{
	if (!part.branch.has_origins())
		return false;

	auto size = mounter.answers() && part.branch.is_served() ?
			    mounter.answers()->read_origin(part, &origin, sizeof(origin)) :
			    read_xattr(part, origin_name, &origin, sizeof(origin));

	if (is_none(size.error()))
		return false;
	if (!size.ok())
		return Error{size.error()};
	return (size.value() == sizeof(origin) && origin.format == Origin::current) ||
	       (size.value() == Origin::old_size && origin.format == Origin::old);
}

bool not_after(const struct timespec64 &a, const struct timespec64 &b)
{
	return a.tv_sec < b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec <= b.tv_nsec);
}

/*
 * Whether @original was there when @copy was made. If its number was another object's before, it was made and changed
 * after the copy of that one.
 */
bool was_there_before(const AsMounter &, PartRef copy, PartRef original)
{
	struct kstat of_copy = {};
	struct kstat of_original = {};
	struct path copy_path = copy.path();
	struct path original_path = original.path();
	constexpr u32 wanted = STATX_CTIME | STATX_BTIME;

	if (vfs_getattr_nosec(&copy_path, &of_copy, wanted, 0) != 0 ||
	    vfs_getattr_nosec(&original_path, &of_original, wanted, 0) != 0 ||
	    !(of_copy.result_mask & STATX_BTIME))
		return false;
	if (of_original.result_mask & STATX_BTIME)
		return not_after(of_original.btime, of_copy.btime);
	return not_after(of_original.ctime, of_copy.btime);
}

} // namespace

Result<Identity> claimed_identity_of(const AsMounter &mounter, const Super &super, PartRef top)
{
	Origin origin;

	if (!TRY(read_origin(mounter, top, origin)))
		return Identity{};
	return Identity{{origin.number, super.filesystem_of(origin.filesystem)},
			origin.known_generation(),
			origin.links};
}

Result<Identity> find_identity(const AsMounter &mounter, const Super &super, PartRef top)
{
	const Branch &branch = top.branch;
	const struct inode *h_inode = top.dentry.d_inode;
	Origin origin;

	if (TRY(read_origin(mounter, top, origin))) {
		unsigned int filesystem = super.filesystem_of(origin.filesystem);

		/* A copy that says otherwise was made to deceive. */
		if (filesystem != Super::none && super.may_have_copies(branch, filesystem))
			return Identity{{origin.number, filesystem},
					origin.known_generation(),
					origin.links};
	}
	if (!super.number_for(branch, h_inode->i_ino))
		return Identity{IdentityKey::of_pointer(h_inode)};
	return Identity{{h_inode->i_ino, branch.filesystem()}, h_inode->i_generation};
}

Identity identity_of(const AsMounter &mounter, const Super &super, PartRef top)
{
	auto found = find_identity(mounter, super, top);

	return found.ok() ? found.release() : Identity{IdentityKey::of_pointer(&top.inode())};
}

bool has_origin(const AsMounter &mounter, PartRef top)
{
	Origin origin;
	auto read = read_origin(mounter, top, origin);

	return !read.ok() || read.value();
}

Result<bool> is_copy_of(const AsMounter &mounter, const Super &super, PartRef copy,
			PartRef original, const Identity &id)
{
	const unsigned char *filesystem = super.id_of(id.key.filesystem);
	Origin origin;

	if (!filesystem || !id.lasts() ||
	    (copy.inode().i_mode ^ original.inode().i_mode) & S_IFMT ||
	    !TRY(read_origin(mounter, copy, origin)) || origin.number != id.key.number ||
	    __builtin_memcmp(origin.filesystem, filesystem, sizeof(origin.filesystem)) != 0)
		return false;
	if (origin.known_generation() != Identity::unknown)
		return origin.known_generation() == id.generation;
	return was_there_before(mounter, copy, original);
}

Result<bool> set_identity(const Writer &writer, const Super &super, struct dentry &copy,
			  const Identity &identity)
{
	const unsigned char *filesystem = super.id_of(identity.key.filesystem);

	if (!filesystem)
		return false;
	/* Somebody has moved the copy away: it is not ours to change. */
	if (!lies_on_branch({writer.branch(), copy}))
		return Error{-ESTALE};

	Origin origin = {};
	bool lasts = identity.lasts();

	origin.format = lasts ? Origin::current : Origin::old;
	origin.links = identity.links;
	origin.number = identity.key.number;
	__builtin_memcpy(origin.filesystem, filesystem, sizeof(origin.filesystem));
	origin.generation = lasts ? static_cast<u32>(identity.generation) : 0;

	auto written = write_xattr({writer.branch(), copy}, origin_name, &origin,
				   lasts ? sizeof(origin) : Origin::old_size);

	/* The filesystem has no such attributes, or only on files and directories. */
	if (written.error() == -EOPNOTSUPP || written.error() == -EPERM)
		return false;
	TRY(move(written));
	return true;
}

void note_impure(const Writer &writer, Inode &dir, struct dentry &h_dir)
{
	const Branch &branch = writer.branch();

	/* A directory that was moved away is not ours to change, and nothing gets there. */
	if (dir.impure_on() == &branch || !is_live_directory({branch, h_dir}))
		return;
	/* If there is no room for the mark, origins are not kept, either. */
	(void)write_xattr({branch, h_dir}, impure_name, "y", 1).ok();
	dir.set_purity(Inode::Purity::impure);
	dir.set_impure_on(&branch);
}

void note_arrival(const Writer &writer, Inode &dir, struct dentry &h_dir, const Inode &coming)
{
	if (dir.impure_on() == &writer.branch())
		return;
	if (!coming.has_natural_number() || has_origin(writer.mounter(), coming.top()))
		note_impure(writer, dir, h_dir);
}

bool is_impure(const AsMounter &, Inode &dir)
{
	const Stack &found = dir.stack();

	if (dir.purity() != Inode::Purity::unknown)
		return dir.purity() == Inode::Purity::impure;

	Inode::Purity purity = Inode::Purity::pure;

	for (const Part &part : found) {
		char value;

		if (!part.branch->has_origins())
			continue;

		auto size = read_xattr(part, impure_name, &value, 1);

		/* The directory is asked again the next time. */
		if (!size.ok() && !is_none(size.error()))
			return true;
		if (size.ok() && size.value() == 1)
			purity = Inode::Purity::impure;
	}
	/* A task that has noted it meanwhile knows better. */
	return dir.learn_purity(purity) == Inode::Purity::impure;
}

} // namespace aufs
