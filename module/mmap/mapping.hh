/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The bookkeeping of vm_prfile, once for both kinds of mapping that have one: struct vm_area_struct
 * and, without an MMU, struct vm_region. The rules:
 *
 *  - vm_prfile is null, or the mapping holds one reference on it, beside the one on vm_file.
 *  - A copy of a mapping takes its own; a mapping that goes away, whatever the reason, puts its own
 *    and nobody else's.
 *  - Two mappings may become one only if they agree on vm_file and on vm_prfile. vm_file is
 *    compared by the kernel.
 *  - Code that shows a mapping shows the reported file, by that file's user path and user inode: it
 *    may itself be the inner file of another stacked filesystem.
 *
 * The caller protects the mapping: a vma by mmap_lock, for writing if it changes; a region by
 * nommu_region_sem. No function here sleeps.
 */
#pragma once

#include "kernel/handles.hh"
#include "kernel/files.hh"

namespace aufs
{

template <class M>
concept Mapping = requires(M mapping) {
	mapping.vm_file;
	mapping.vm_prfile;
};

/* @mapping reports @prfile (never null) from now on, and no longer what it reported before. */
template <Mapping M> void set_prfile(M &mapping, Ref<struct file> prfile)
{
	auto old = Ref<struct file>::adopt(mapping.vm_prfile);

	mapping.vm_prfile = prfile.leak();
}

/* @mapping is a bitwise copy of another one. */
template <Mapping M> void prfile_copied(M &mapping)
{
	mapping.vm_prfile = Ref<struct file>::retain(mapping.vm_prfile).leak();
}

/* @mapping goes away, or gets other files. */
template <Mapping M> void put_prfile(M &mapping)
{
	auto prfile = Ref<struct file>::adopt(cxxrt::exchange(mapping.vm_prfile, nullptr));
}

/* Whether a mapping of the same vm_file that has @prfile (null: none) may be one with @mapping. */
template <Mapping M> bool prfile_agrees(const M &mapping, const struct file *prfile)
{
	return mapping.vm_prfile == prfile;
}

/* The file that @mapping reports, or null if it maps none; borrowed. */
template <Mapping M> struct file *reported_file(const M &mapping)
{
	return mapping.vm_prfile ? mapping.vm_prfile : mapping.vm_file;
}

/* The path by which the user knows the file of @mapping, which maps one. */
template <Mapping M> const struct path &reported_path(const M &mapping)
{
	return user_path_of(*reported_file(mapping));
}

template <Mapping M> const struct inode &reported_inode(const M &mapping)
{
	return user_inode_of(*reported_file(mapping));
}

} // namespace aufs
