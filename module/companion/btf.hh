/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a kernel says of its own types: the part of BTF (Documentation/bpf/btf.rst) that is needed to
 * ask for a function's prototype and for the place of a member.
 */
#pragma once

#include "result.hh"
#include "span.hh"
#include "string_view.hh"

namespace observers
{

using cxxrt::Error;
using cxxrt::Result;
using cxxrt::Span;
using cxxrt::StringView;

using Byte = unsigned char;

/* Text that is put together in a place of its own; what is too long is cut. */
class Text final
{
public:
	Text &operator+=(StringView more) noexcept;

	StringView view() const noexcept
	{
		return {text_, size_};
	}
	bool ends_with(char end) const noexcept
	{
		return size_ && text_[size_ - 1] == end;
	}
	bool cut() const noexcept
	{
		return cut_;
	}

private:
	char text_[200];
	StringView::Size size_ = 0;
	bool cut_ = false;
};

class Btf final
{
public:
	using Size = StringView::Size;

	/* How many types there are in @data; -EINVAL if that is no BTF, or damaged. */
	[[nodiscard]] static Result<Size> types_in(Span<const Byte> data) noexcept;

	/* Borrows both. @data has been found good by types_in(), @index has room for its types. */
	Btf(Span<const Byte> data, Span<unsigned int> index) noexcept;

	/*
	 * The prototype of the function @name, as in C: "int (struct inode *, char)". -ENOENT if the
	 * kernel does not say, -EINVAL if what it says cannot be.
	 */
	[[nodiscard]] Result<void> prototype(StringView name, Text &text) const noexcept;

	/* Where @member is in struct @record, in bytes; errors as above. */
	[[nodiscard]] Result<Size> offset_of(StringView record, StringView member) const noexcept;

	/* In bytes; errors as above. */
	[[nodiscard]] Result<Size> size_of(StringView record) const noexcept;

private:
	struct Header;
	struct Type;
	struct Member;
	struct Parameter;
	enum class Kind : unsigned char;

	static bool is_record(Kind kind) noexcept;
	/* Const and what else changes nothing of a type's layout. */
	static bool is_qualifier(Kind kind) noexcept;
	/* What stands before the name of @type in C. */
	static StringView prefix(const Type &type) noexcept;
	static const Header &header(Span<const Byte> data) noexcept;
	/* Bytes that follow @type; for a kind that nobody knows a negative number. */
	static long extra(const Type &type) noexcept;
	/* Calls @visit(type, offset) for each type in turn, as long as it says so. */
	template <class Visit>
	static Result<void> each(Span<const Byte> data, Visit &&visit) noexcept;

	/* Null for void and for what is not there. */
	const Type *type(unsigned int id) const noexcept;
	/* A qualifier itself where there are too many of them. */
	const Type *unqualified(unsigned int id) const noexcept;
	const Type *find(Kind kind, StringView name) const noexcept;
	StringView string(unsigned int offset) const noexcept;
	Result<void> render(unsigned int id, Text &text) const noexcept;

	Span<const Byte> data_;
	Span<unsigned int> index_;
};

} // namespace observers
