/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Allocation. There is no plain operator new: an allocation names its GFP flags and its result is
 * checked, as in `T *p = new (Gfp{GFP_KERNEL}) T(...); if (!p) ...`. Plain new would link to a
 * symbol that does not exist, and modpost refuses the module.
 */
#pragma once

/* Placement new, the C++ language's own signature: constructs at @place, allocates nothing. */
inline void *operator new(__SIZE_TYPE__, void *place) noexcept
{
	return place;
}

namespace cxxrt
{

/* A gfp_t that cannot be mistaken for a number. */
struct Gfp {
	unsigned int flags;
};

} // namespace cxxrt

/*
 * Allocates @size bytes with @gfp; null without memory. May sleep if @gfp may. The memory comes from kmalloc, or from
 * kvmalloc if it is large, and goes to kvfree.
 */
void *operator new(__SIZE_TYPE__ size, cxxrt::Gfp gfp) noexcept;
void *operator new[](__SIZE_TYPE__ size, cxxrt::Gfp gfp) noexcept;
