// SPDX-License-Identifier: GPL-2.0-only
#include "program.hh"

namespace aufs::test
{

namespace
{

constexpr char core_path[] = "/core";

/* The content of the file: its header, the segment to be loaded, and code that is none. */
struct Image {
	Elf64_Ehdr header;
	Elf64_Phdr load;
	/* Without this header, the kernel logs that the stack is executable. */
	Elf64_Phdr stack;
	unsigned char code[8];
};

constexpr Image image_of_a_program()
{
	Image image{};

	image.header.e_ident[0] = 0x7f;
	image.header.e_ident[1] = 'E';
	image.header.e_ident[2] = 'L';
	image.header.e_ident[3] = 'F';
	image.header.e_ident[EI_CLASS] = ELFCLASS64;
	image.header.e_ident[EI_DATA] = ELFDATA2LSB;
	image.header.e_ident[EI_VERSION] = EV_CURRENT;
	image.header.e_type = ET_EXEC;
	image.header.e_machine = ELF_ARCH;
	image.header.e_version = EV_CURRENT;
	image.header.e_entry = Program::base + __builtin_offsetof(Image, code);
	image.header.e_phoff = __builtin_offsetof(Image, load);
	image.header.e_ehsize = sizeof(Elf64_Ehdr);
	image.header.e_phentsize = sizeof(Elf64_Phdr);
	image.header.e_phnum = 2;

	image.load.p_type = PT_LOAD;
	image.load.p_flags = PF_R | PF_X;
	image.load.p_vaddr = Program::base;
	image.load.p_paddr = Program::base;
	image.load.p_filesz = PAGE_SIZE;
	image.load.p_memsz = PAGE_SIZE;
	image.load.p_align = PAGE_SIZE;

	image.stack.p_type = PT_GNU_STACK;
	image.stack.p_flags = PF_R | PF_W;

	/* ud2. On other architectures zeros are no instruction. */
	if (ELF_ARCH == EM_X86_64) {
		image.code[0] = 0x0f;
		image.code[1] = 0x0b;
	}
	return image;
}

} // namespace

Program::Program(struct kunit *test, const char *path) : path_(path)
{
	static constexpr Image image = image_of_a_program();
	loff_t begin = 0;
	loff_t last = PAGE_SIZE - 1;
	char zero = 0;

	{
		auto file = adopt_or_error(filp_open(path, O_RDWR | O_CREAT | O_EXCL, 0755));

		if (!EXPECT(test, file.ok()))
			return;

		struct file *open = file.value().get();

		ok_ = EXPECT_EQ(test, kernel_write(open, &image, sizeof(image), &begin),
				sizeof(image)) &&
		      EXPECT_EQ(test, kernel_write(open, &zero, 1, &last), 1);
	}
	/* A file that is open for writing is not executed. The branch's file goes after the union's. */
	for (int level = 0; level < 2; ++level)
		flush_delayed_fput();
}

bool Core::possible()
{
	return aufs_test_can_dump_core();
}

Core::Core(struct kunit *test) : test_(test), text_(KvArray<char>::allocate(room))
{
	if (!EXPECT(test, text_.data != nullptr))
		return;

	ssize_t size = aufs_test_read(core_path, text_.data, room);

	EXPECT_EQ(test, aufs_test_unlink(core_path), 0);
	if (!EXPECT(test, size > 0))
		return;
	size_ = static_cast<unsigned long>(size);

	const auto *header = at<Elf64_Ehdr>(0);

	if (!EXPECT(test, header != nullptr))
		return;
	for (unsigned int i = 0; i < header->e_phnum; ++i) {
		const auto *part = at<Elf64_Phdr>(header->e_phoff + i * sizeof(Elf64_Phdr));

		if (EXPECT(test, part != nullptr) && part->p_type == PT_NOTE)
			look_for_files(part->p_offset, part->p_filesz);
	}
	EXPECT(test, files_ != 0);
}

void Core::look_for_files(unsigned long offset, unsigned long size)
{
	auto padded = [](unsigned long bytes) {
		return (bytes + 3) & ~3UL;
	};

	for (unsigned long end = offset + size; offset < end;) {
		const auto *note = at<Elf64_Nhdr>(offset);

		if (!EXPECT(test_, note != nullptr))
			return;

		unsigned long begin = offset + sizeof(*note) + padded(note->n_namesz);

		if (note->n_type == NT_FILE && EXPECT(test_, at<char>(begin, note->n_descsz))) {
			files_ = begin;
			files_end_ = begin + note->n_descsz;
		}
		offset = begin + padded(note->n_descsz);
	}
}

unsigned long Core::files() const
{
	const auto *count = files_ ? at<unsigned long>(files_) : nullptr;

	return count ? *count : 0;
}

bool Core::has_file(unsigned long start, unsigned long pages, unsigned long first,
		    StringView path) const
{
	struct Noted {
		unsigned long start;
		unsigned long end;
		unsigned long first;
	};
	unsigned long count = files();
	const auto *noted = at<Noted>(files_ + 2 * sizeof(unsigned long), count);
	unsigned long name = files_ + (2 + 3 * count) * sizeof(unsigned long);

	if (!noted)
		return false;
	for (unsigned long i = 0; i < count; ++i) {
		StringView shown = StringView::from_c_string(text_.data + name);

		if (noted[i].start == start) {
			if (noted[i].end == start + pages * PAGE_SIZE && noted[i].first == first &&
			    shown == path)
				return true;
			aufs_test_info(test_, "the core has %lx-%lx %lx %s", noted[i].start,
				       noted[i].end, noted[i].first, shown.data());
			return false;
		}
		name += shown.size() + 1;
		if (name >= files_end_)
			break;
	}
	return false;
}

long Core::dumped(unsigned long start) const
{
	const auto *header = at<Elf64_Ehdr>(0);

	for (unsigned int i = 0; header && i < header->e_phnum; ++i) {
		const auto *part = at<Elf64_Phdr>(header->e_phoff + i * sizeof(Elf64_Phdr));

		if (part && part->p_type == PT_LOAD && part->p_vaddr == start)
			return static_cast<long>(part->p_filesz);
	}
	return -1;
}

} // namespace aufs::test
