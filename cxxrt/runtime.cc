// SPDX-License-Identifier: GPL-2.0-only
/*
 * Functions that the compiler may call on its own account. All others are missing on purpose: plain operator new,
 * __cxa_atexit, __cxa_guard_* and the exception and RTTI runtime are left undefined, so that modpost rejects a module
 * that came to need them.
 */
#include "new.hh"

extern "C" {
/* Provided by module/kernel/helpers/runtime.c (and by the tests on the host). */
void *cxxrt_alloc(__SIZE_TYPE__ size, unsigned int gfp);
void cxxrt_free(const void *memory);
[[noreturn]] void cxxrt_bug(const char *what);

/* Called for a virtual call on an object whose constructor or destructor is running. */
[[noreturn]] void __cxa_pure_virtual();
void __cxa_pure_virtual()
{
	cxxrt_bug("pure virtual function called");
}
}

#if __has_feature(thread_sanitizer)
/*
 * The pointer to the vtable in an object is read by a call through a pointer to a member, and set by a constructor.
 * The compiler has special calls for these accesses. KCSAN has none, and is to see them as any other access.
 */
extern "C" {
void __tsan_read8(void *memory);
void __tsan_write8(void *memory);
void __tsan_vptr_read(void **vptr);
void __tsan_vptr_update(void **vptr, void *vtable);

[[clang::disable_sanitizer_instrumentation]] void __tsan_vptr_read(void **vptr)
{
	__tsan_read8(static_cast<void *>(vptr));
}

[[clang::disable_sanitizer_instrumentation]] void __tsan_vptr_update(void **vptr, void *)
{
	__tsan_write8(static_cast<void *>(vptr));
}
}
#endif

void *operator new(__SIZE_TYPE__ size, cxxrt::Gfp gfp) noexcept
{
	return cxxrt_alloc(size, gfp.flags);
}

void *operator new[](__SIZE_TYPE__ size, cxxrt::Gfp gfp) noexcept
{
	return cxxrt_alloc(size, gfp.flags);
}

void operator delete(void *memory)
{
	cxxrt_free(memory);
}

void operator delete[](void *memory)
{
	cxxrt_free(memory);
}

void operator delete(void *memory, __SIZE_TYPE__)
{
	cxxrt_free(memory);
}

void operator delete[](void *memory, __SIZE_TYPE__)
{
	cxxrt_free(memory);
}
