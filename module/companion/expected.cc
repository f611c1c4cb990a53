// SPDX-License-Identifier: GPL-2.0-only
/*
 * The functions and members on which this module relies in the kernel that it patches. The module loader checks only
 * for exported functions whether the running kernel is the one of the headers. The functions that are patched are not
 * exported.
 */
#include "kernel/kernel.hh"
extern "C" {
#include "companion/api.h"
}
#include "btf.hh"
#include "prologue.hh"

namespace observers
{

namespace
{

struct ExpectedFunction {
	StringView name;
	StringView prototype;
};

struct ExpectedMember {
	StringView record;
	StringView member;
	StringView::Size offset;
};

#define MEMBER(record, member) {#record, #member, __builtin_offsetof(struct record, member)}

#ifdef HAVE_BACKING_FILE_OPEN
constexpr ExpectedFunction functions[] = {
	{"file_path", "char *(struct file *, char *, int)"},
	{"print_vma_addr", "void (char *, long unsigned int)"},
	{"replace_mm_exe_file", "int (struct mm_struct *, struct file *)"},
};
#else
constexpr ExpectedFunction functions[] = {
	{"pid_maps_open", "int (struct inode *, struct file *)"},
	{"pid_smaps_open", "int (struct inode *, struct file *)"},
	{"show_map", "int (struct seq_file *, void *)"},
	{"show_smap", "int (struct seq_file *, void *)"},
};
#endif

constexpr ExpectedMember members[] = {
#ifdef HAVE_BACKING_FILE_OPEN
	MEMBER(file, f_mode),
	MEMBER(mm_struct, mm_mt),
	MEMBER(mm_struct, mmap_lock),
	MEMBER(mm_struct, exe_file),
	MEMBER(task_struct, flags),
	MEMBER(task_struct, mm),
#else
	MEMBER(file, f_inode),
	MEMBER(file, f_op),
	MEMBER(file, private_data),
	MEMBER(inode, i_ino),
	MEMBER(seq_file, buf),
	MEMBER(seq_file, count),
	MEMBER(seq_file, op),
	MEMBER(seq_file, size),
	MEMBER(seq_operations, show),
	MEMBER(super_block, s_dev),
	MEMBER(vm_area_struct, vm_flags),
#endif
	MEMBER(dentry, d_inode),
	MEMBER(dentry, d_sb),
	MEMBER(file, f_path),
	MEMBER(path, dentry),
	MEMBER(super_block, s_magic),
	MEMBER(vm_area_struct, vm_end),
	MEMBER(vm_area_struct, vm_file),
	MEMBER(vm_area_struct, vm_pgoff),
	MEMBER(vm_area_struct, vm_start),
};
#undef MEMBER

bool is_expected(const Btf &btf, const ExpectedFunction &function)
{
	Text text;
	auto found = btf.prototype(function.name, text);

	if (!found.ok()) {
		observers_error("the BTF of this kernel tells no prototype of %s() (%d)\n",
				function.name.data(), found.error());
		return false;
	}
	if (text.view() == function.prototype)
		return true;
	observers_error("%s() is '%.*s' in this kernel, and '%s' is expected\n",
			function.name.data(), static_cast<int>(text.view().size()),
			text.view().data(), function.prototype.data());
	return false;
}

bool is_expected(const Btf &btf, const ExpectedMember &member)
{
	auto found = btf.offset_of(member.record, member.member);

	if (!found.ok()) {
		observers_error("struct %s of this kernel has no member %s (%d)\n",
				member.record.data(), member.member.data(), found.error());
		return false;
	}
	if (found.value() == member.offset)
		return true;
	observers_error("struct %s has %s at byte %lu in this kernel, and at %lu in its headers\n",
			member.record.data(), member.member.data(), found.value(), member.offset);
	return false;
}

template <class Expected, StringView::Size N>
bool are_expected(const Btf &btf, const Expected (&all)[N])
{
	bool good = true;

	for (const Expected &one : all)
		good &= is_expected(btf, one);
	return good;
}

bool expected_types(Span<const Byte> data)
{
	auto count = Btf::types_in(data);

	if (!count.ok()) {
		observers_error("what this kernel has for BTF is not BTF as it is known\n");
		return false;
	}

	auto *index =
		static_cast<unsigned int *>(observers_alloc(count.value() * sizeof(unsigned int)));

	if (!index) {
		observers_error("there is no memory to read BTF\n");
		return false;
	}

	Btf btf(data, {index, count.value()});
	bool good = are_expected(btf, functions);

	good &= are_expected(btf, members);
	observers_free(index);
	return good;
}

} // namespace

} // namespace observers

bool observers_expected_types(const void *btf, size_t size)
{
	return observers::expected_types({static_cast<const observers::Byte *>(btf), size});
}

size_t observers_body_offset(const void *code)
{
	return observers::body_offset(static_cast<const unsigned char *>(code));
}
