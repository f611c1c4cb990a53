// SPDX-License-Identifier: GPL-2.0-only
#include "show.hh"
#include "mmap/mapping.hh"

namespace aufs::test
{

namespace
{

using Size = StringView::Size;

/* Reads a text from its start. If the text does not match, it has failed, and reads no further. */
class Scanner final
{
public:
	explicit Scanner(StringView text) : text_(text)
	{
	}

	bool failed() const
	{
		return failed_;
	}
	u64 number(unsigned int base)
	{
		u64 value = 0;
		Size digits = 0;

		for (; digits < text_.size() && digit(text_[digits]) < base; ++digits)
			value = value * base + digit(text_[digits]);
		failed_ |= digits == 0;
		text_ = text_.substr(digits);
		return value;
	}
	void skip(char c)
	{
		if (text_.empty() || text_[0] != c)
			failed_ = true;
		else
			text_ = text_.substr(1);
	}
	void spaces()
	{
		while (!text_.empty() && text_[0] == ' ')
			text_ = text_.substr(1);
	}
	StringView word()
	{
		Size size = 0;

		while (size < text_.size() && text_[size] != ' ' && text_[size] != '\n')
			++size;

		StringView word = text_.substr(0, size);

		text_ = text_.substr(size);
		return word;
	}
	StringView rest() const
	{
		return text_;
	}

private:
	static unsigned int digit(char c)
	{
		if (c >= '0' && c <= '9')
			return static_cast<unsigned int>(c - '0');
		if (c >= 'a' && c <= 'f')
			return static_cast<unsigned int>(c - 'a' + 10);
		return 99;
	}

	StringView text_;
	bool failed_ = false;
};

/* Calls @visit for each line, without its end, until that returns true. */
template <class F> bool each_line(StringView text, F visit)
{
	while (!text.empty()) {
		Size size = 0;

		while (size < text.size() && text[size] != '\n')
			++size;
		if (visit(text.substr(0, size)))
			return true;
		text = text.substr(size < text.size() ? size + 1 : size);
	}
	return false;
}

/* A line of maps, or the first one of a mapping in smaps. */
struct Line {
	unsigned long start;
	unsigned long end;
	StringView permissions;
	u64 offset;
	u64 major;
	u64 minor;
	u64 ino;
	StringView path;
};

bool parse(StringView text, Line &line)
{
	Scanner scanner(text);

	line.start = static_cast<unsigned long>(scanner.number(16));
	scanner.skip('-');
	line.end = static_cast<unsigned long>(scanner.number(16));
	scanner.skip(' ');
	line.permissions = scanner.word();
	scanner.skip(' ');
	line.offset = scanner.number(16);
	scanner.skip(' ');
	line.major = scanner.number(16);
	scanner.skip(':');
	line.minor = scanner.number(16);
	scanner.skip(' ');
	line.ino = scanner.number(10);
	scanner.spaces();
	line.path = scanner.rest();
	return !scanner.failed();
}

/* Whether @shown is @raw with each character of @escaped as three octal digits. */
bool is_escaped(StringView shown, const char *raw, StringView escaped)
{
	Size at = 0;

	for (; *raw; ++raw) {
		bool escape = false;

		for (char c : escaped)
			escape |= *raw == c;
		if (escape) {
			if (shown.size() - at < 4 || shown[at] != '\\')
				return false;

			int value = (shown[at + 1] - '0') * 64 + (shown[at + 2] - '0') * 8 +
				    (shown[at + 3] - '0');

			if (value != *raw)
				return false;
			at += 4;
		} else {
			if (at == shown.size() || shown[at] != *raw)
				return false;
			++at;
		}
	}
	return at == shown.size();
}

bool same_permissions(StringView shown, const char *expected)
{
	StringView all = StringView::from_c_string(expected);

	return aufs_test_has_mmu() ? shown == all :
				     shown.size() == 4 && shown.starts_with(all.substr(0, 3));
}

unsigned long end_of(const Shown &shown)
{
	return shown.addr + shown.pages * PAGE_SIZE;
}

} // namespace

Proc::Proc(struct kunit *test) : test_(test)
{
	mounted_ = EXPECT_EQ(test, aufs_test_mkdir("/proc"), 0) &&
		   EXPECT_EQ(test, aufs_test_mount("none", "/proc", "proc", nullptr), 0);
}

Proc::~Proc()
{
	flush_delayed_fput();
	if (mounted_)
		EXPECT_EQ(test_, aufs_test_umount("/proc"), 0);
}

Overlay::Overlay(struct kunit *test, const char *options) : test_(test)
{
	mounted_ = EXPECT_EQ(test, aufs_test_mkdir("/overlay"), 0) &&
		   EXPECT_EQ(test, aufs_test_mkdir("/branches/none"), 0) &&
		   EXPECT_EQ(test, aufs_test_mount("none", "/overlay", "overlay", options), 0);
}

Overlay::~Overlay()
{
	/* A file of the overlay puts the one below, and that puts the next. */
	for (int level = 0; level < 3; ++level)
		flush_delayed_fput();
	if (mounted_)
		EXPECT_EQ(test_, aufs_test_umount("/overlay"), 0);
}

Text::Text(const char *path) : text_(KvArray<char>::allocate(room)), size_(-ENOMEM)
{
	if (text_.data)
		size_ = aufs_test_read(path, text_.data, room);
}

ShownIdentity stat_of(struct kunit *test, const struct file &file)
{
	struct kstat stat{};

	EXPECT_EQ(test, vfs_getattr_nosec(&file.f_path, &stat, STATX_BASIC_STATS, 0), 0);
	return {stat.dev, stat.ino};
}

ShownIdentity inode_of(const struct file &file)
{
	return {file.f_inode->i_sb->s_dev, file.f_inode->i_ino};
}

Shown whole(struct kunit *test, const struct file &file, unsigned long addr, const char *path)
{
	return {addr, ShowSetup::pages, 0, "rw-s", file, stat_of(test, file), path};
}

void report(struct mm_struct *mm, unsigned long addr, struct file &reported)
{
	struct Sought {
		unsigned long addr;
		struct file &reported;
	} sought{addr, reported};
	auto set = [](struct vm_area_struct *vma, void *data) {
		auto *args = static_cast<Sought *>(data);

		if (vma->vm_start == args->addr)
			set_prfile(*vma, Ref<struct file>::retain(&args->reported));
	};

	aufs_test_each_vma(mm, set, &sought);
}

Observers::Name Observers::name(const char *what) const
{
	Name name;

	scnprintf(name.text, sizeof(name.text), "/proc/%s/%s", who_, what);
	return name;
}

void Observers::expect(bool good, const char *what, const char *field, StringView line) const
{
	if (!good) [[unlikely]]
		aufs_test_fail(test_, source_, line_, "%s of the mapping is wrong in %s: %.*s",
			       field, what, static_cast<int>(line.size()), line.data());
}

void Observers::maps(const char *what, const Shown &shown) const
{
	Text text(name(what).text);
	unsigned int found = 0;

	each_line(text.view(), [&](StringView text_line) {
		Line line;

		if (!parse(text_line, line) || line.start != shown.addr)
			return false;
		++found;
		expect(line.end == end_of(shown), what, "the end", text_line);
		/* Without an MMU it depends on the branch how the mapping is shared. */
		expect(same_permissions(line.permissions, shown.permissions), what, "a permission",
		       text_line);
		expect(line.offset == shown.first * PAGE_SIZE, what, "the offset", text_line);
		expect(line.major == major_of(shown.identity.dev), what, "major", text_line);
		expect(line.minor == minor_of(shown.identity.dev), what, "minor", text_line);
		expect(line.ino == shown.identity.ino, what, "the inode number", text_line);
		expect(is_escaped(line.path, shown.path,
				  aufs_test_has_mmu() ? StringView("\n") : StringView()),
		       what, "the path", text_line);
		return false;
	});
	expect(found == 1, what, "the number of lines", text.view());
}

bool Observers::numa_maps(const Shown &shown) const
{
	static constexpr StringView key = "file=";
	static const char what[] = "numa_maps";
	Text text(name(what).text);
	unsigned int found = 0;

	if (!text.exists())
		return false;
	each_line(text.view(), [&](StringView line) {
		Scanner scanner(line);

		if (scanner.number(16) != shown.addr || scanner.failed())
			return false;
		while (!scanner.rest().empty()) {
			scanner.spaces();

			StringView word = scanner.word();

			if (!word.starts_with(key))
				continue;
			++found;
			expect(is_escaped(word.substr(key.size()), shown.path, "\n\t= "), what,
			       "the path", line);
		}
		return false;
	});
	expect(found == 1, what, "the number of files", text.view());
	return true;
}

LinkName map_files_name(const char *who, unsigned long addr, unsigned long pages)
{
	LinkName link;

	scnprintf(link.text, sizeof(link.text), "/proc/%s/map_files/%lx-%lx", who, addr,
		  addr + pages * PAGE_SIZE);
	return link;
}

bool Observers::map_files(const Shown &shown) const
{
	LinkName link = map_files_name(who_, shown.addr, shown.pages);
	struct path path;

	if (!aufs_test_has_mmu())
		return false;
	if (kern_path(link.text, 0, &path)) {
		expect(false, "map_files", "the link", StringView::from_c_string(link.text));
		return true;
	}
	path_put(&path);
	expect(aufs_test_leads_to(link.text, &shown.file), "map_files", "the link's end",
	       StringView::from_c_string(link.text));
	return true;
}

bool Observers::procmap_query([[maybe_unused]] const Shown &shown) const
{
#ifdef HAVE_PROCMAP_QUERY
	static const char what[] = "PROCMAP_QUERY";
	static constexpr unsigned int room = 4096;
	auto got = KvArray<char>::allocate(room);
	auto maps = adopt_or_error(filp_open(name("maps").text, O_RDONLY, 0));
	long buffer = aufs_test_mmap(nullptr, 0, room, PROT_READ | PROT_WRITE,
				     MAP_ANONYMOUS | MAP_PRIVATE, 0);

	if (!got.data || !maps.ok() || !is_address(buffer)) {
		expect(false, what, "what is needed to ask", {});
		return true;
	}

	struct procmap_query query{
		.size = sizeof(query),
		.query_addr = shown.addr,
		.vma_name_size = room,
		.vma_name_addr = static_cast<u64>(buffer),
	};
	long err = aufs_test_ioctl(maps.value().get(), PROCMAP_QUERY, &query, sizeof(query));

	if (err || !query.vma_name_size || query.vma_name_size > room ||
	    aufs_test_read_user(static_cast<unsigned long>(buffer), got.data,
				query.vma_name_size)) {
		expect(false, what, "the answer", {});
	} else {
		/* The size includes the terminating zero. */
		StringView path(got.data, query.vma_name_size - 1);
		const char *permissions = shown.permissions;

		expect(query.vma_start == shown.addr, what, "the start", path);
		expect(query.vma_end == end_of(shown), what, "the end", path);
		expect(query.vma_flags ==
			       ((permissions[0] == 'r' ? PROCMAP_QUERY_VMA_READABLE : 0U) |
				(permissions[1] == 'w' ? PROCMAP_QUERY_VMA_WRITABLE : 0U) |
				(permissions[2] == 'x' ? PROCMAP_QUERY_VMA_EXECUTABLE : 0U) |
				(permissions[3] == 's' ? PROCMAP_QUERY_VMA_SHARED : 0U)),
		       what, "a permission", path);
		expect(query.vma_offset == shown.first * PAGE_SIZE, what, "the offset", path);
		expect(query.dev_major == major_of(shown.identity.dev), what, "major", path);
		expect(query.dev_minor == minor_of(shown.identity.dev), what, "minor", path);
		expect(query.inode == shown.identity.ino, what, "the inode number", path);
		expect(path == StringView::from_c_string(shown.path), what, "the path", path);
	}
	vm_munmap(static_cast<unsigned long>(buffer), room);
	return true;
#else
	return false;
#endif
}

void Observers::all(const Shown &shown) const
{
	maps("maps", shown);
	if (aufs_test_has_mmu())
		maps("smaps", shown);
	else
		/* /proc/maps shows all regions. */
		Observers(test_, ".", source_, line_).maps("maps", shown);
	numa_maps(shown);
	map_files(shown);
	procmap_query(shown);
}

void FilesShown::look(const char *who, const char *name, cxxrt::Span<const ShownFile> files)
{
	char path[64];

	scnprintf(path, sizeof(path), "/proc/%s/%s", who, name);

	Text text(path);

	each_line(text.view(), [&](StringView text_line) {
		Line line;

		/* Leaves out other lines of smaps, and mappings without a file, such as [vsyscall]. */
		if (!parse(text_line, line) ||
		    (!line.ino && (line.path.empty() || line.path.starts_with("["))))
			return false;

		bool known = false;

		for (const ShownFile &file : files)
			known |= line.path == StringView::from_c_string(file.path) &&
				 line.ino == file.identity.ino &&
				 line.major == major_of(file.identity.dev) &&
				 line.minor == minor_of(file.identity.dev);
		right += known;
		wrong += !known;
		return false;
	});
}

unsigned int lines_of(const char *path)
{
	Text text("/proc/self/maps");
	unsigned int found = 0;

	each_line(text.view(), [&](StringView text_line) {
		Line line;

		found += parse(text_line, line) && line.path == StringView::from_c_string(path);
		return false;
	});
	return found;
}

} // namespace aufs::test
