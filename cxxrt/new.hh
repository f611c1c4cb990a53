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
 * Allocates @size bytes with @gfp; null when there is no memory. May sleep when @gfp may.
 * Both come from kmalloc, or what is large from kvmalloc, and go to kvfree.
 */
void *operator new(__SIZE_TYPE__ size, cxxrt::Gfp gfp) noexcept;
void *operator new[](__SIZE_TYPE__ size, cxxrt::Gfp gfp) noexcept;
