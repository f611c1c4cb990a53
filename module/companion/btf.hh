/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A kernel's description of its own types: the part of BTF (Documentation/bpf/btf.rst) that gives a function's
 * prototype and the place of a member.
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

/* Text in a buffer of fixed size; a text that is too long is cut. */
class Text final
{
public:
	Text &operator+=(StringView more);

	StringView view() const
	{
		return {text_, size_};
	}
	bool ends_with(char end) const
	{
		return size_ && text_[size_ - 1] == end;
	}
	bool cut() const
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

	/* The number of types in @data; -EINVAL if @data is no BTF, or damaged. */
	static Result<Size> types_in(Span<const Byte> data);

	/* Borrows both. types_in() has found @data good, and @index has room for its types. */
	Btf(Span<const Byte> data, Span<unsigned int> index);

	/*
	 * The prototype of the function @name, as in C: "int (struct inode *, char)". -ENOENT if the kernel does not
	 * give it, -EINVAL if what it gives is impossible.
	 */
	Result<void> prototype(StringView name, Text &text) const;

	/* The offset of @member in struct @record, in bytes; errors as above. */
	Result<Size> offset_of(StringView record, StringView member) const;

	/* The size of struct @record in bytes; errors as above. */
	Result<Size> size_of(StringView record) const;

private:
	struct Header;
	struct Type;
	struct Member;
	struct Parameter;
	enum class Kind : unsigned char;

	static bool is_record(Kind kind);
	/* Const, and other qualifiers that do not change a type's layout. */
	static bool is_qualifier(Kind kind);
	/* The word before the name of @type in C. */
	static StringView prefix(const Type &type);
	static const Header &header(Span<const Byte> data);
	/* The number of bytes that follow @type; negative for an unknown kind. */
	static long extra(const Type &type);
	/* Calls @visit(type, offset) for each type in turn. -EINVAL if a type is unknown or cut off. */
	template <class Visit> static Result<void> each(Span<const Byte> data, Visit &&visit);

	/* Null for void, and if there is no such type. */
	const Type *type(unsigned int id) const;
	/* The type behind qualifiers; a qualifier itself if there are too many of them. */
	const Type *unqualified(unsigned int id) const;
	const Type *find(Kind kind, StringView name) const;
	StringView string(unsigned int offset) const;
	Result<void> render(unsigned int id, Text &text) const;

	Span<const Byte> data_;
	Span<unsigned int> index_;
};

} // namespace observers
