/* SPDX-License-Identifier: GPL-2.0-only */
/* The first bytes of a function that can be patched, on x86-64. */
#pragma once

namespace observers
{

/* An upper bound of what body_offset() reads. */
inline constexpr unsigned long prologue_size = 9;

/*
 * The offset of the body of the function that begins with @code: behind endbr64, or the nop that has been put in its
 * place, and behind the five bytes in which ftrace works, a nop or a call. 0 if @code is anything else.
 */
constexpr unsigned long body_offset(const unsigned char *code)
{
	constexpr unsigned char marks[][4] = {
		{0xf3, 0x0f, 0x1e, 0xfa}, /* endbr64 */
		{0x66, 0x0f, 0x1f, 0x00}, /* the nop that seals it: osp nopl (%rax) */
		{0x0f, 0x1f, 0x40, 0xd6}, /* and in newer kernels: nopl -42(%rax) */
	};
	constexpr unsigned char nop[5] = {0x0f, 0x1f, 0x44, 0x00, 0x00};
	unsigned long at = 0;

	for (const auto &mark : marks) {
		if (__builtin_memcmp(code, mark, sizeof(mark)) == 0)
			at = sizeof(mark);
	}
	if (code[at] != 0xe8 && __builtin_memcmp(code + at, nop, sizeof(nop)) != 0)
		return 0;
	return at + sizeof(nop);
}

} // namespace observers
