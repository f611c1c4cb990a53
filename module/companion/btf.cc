// SPDX-License-Identifier: GPL-2.0-only
#include "btf.hh"

namespace observers
{

/* As in uapi/linux/btf.h. The host's tests have no kernel headers, and C++ cannot use their constants. */
struct Btf::Header {
	unsigned short magic;
	unsigned char version;
	unsigned char flags;
	unsigned int hdr_len;
	unsigned int type_off;
	unsigned int type_len;
	unsigned int str_off;
	unsigned int str_len;
};

enum class Btf::Kind : unsigned char {
	integer = 1,
	pointer,
	array,
	structure,
	union_of,
	enumeration,
	forward,
	alias,
	volatile_of,
	const_of,
	restrict_of,
	function,
	prototype,
	variable,
	section,
	floating,
	declaration_tag,
	type_tag,
	enumeration64,
};

struct Btf::Type {
	unsigned int name_off;
	unsigned int info;
	unsigned int size_or_type;

	Kind kind() const
	{
		return static_cast<Kind>(info >> 24 & 0x1f);
	}
	unsigned int count() const
	{
		return info & 0xffff;
	}
	bool flag() const
	{
		return info >> 31;
	}
	template <class Each> Span<const Each> following() const
	{
		return {reinterpret_cast<const Each *>(this + 1), count()};
	}
};

struct Btf::Member {
	unsigned int name_off;
	unsigned int type;
	unsigned int offset;
};

struct Btf::Parameter {
	unsigned int name_off;
	unsigned int type;
};

namespace
{

constexpr unsigned short btf_magic = 0xeb9f;
/* More steps than these, from a type to its name, lead to no type that we ask for ... */
constexpr int most_steps = 16;
/* ... nor do more records without a name within a record. */
constexpr Btf::Size most_records = 64;

constexpr int einval = 22;
constexpr int enoent = 2;

} // namespace

Text &Text::operator+=(StringView more)
{
	StringView::Size room = sizeof(text_) - size_;

	cut_ |= more.size() > room;
	more = more.substr(0, room);
	__builtin_memcpy(text_ + size_, more.data(), more.size());
	size_ += more.size();
	return *this;
}

bool Btf::is_record(Kind kind)
{
	return kind == Kind::structure || kind == Kind::union_of;
}

bool Btf::is_qualifier(Kind kind)
{
	return kind == Kind::const_of || kind == Kind::volatile_of || kind == Kind::restrict_of ||
	       kind == Kind::type_tag;
}

StringView Btf::prefix(const Type &type)
{
	switch (type.kind()) {
	case Kind::structure:
		return "struct ";
	case Kind::forward:
		return type.flag() ? StringView("union ") : StringView("struct ");
	case Kind::union_of:
		return "union ";
	case Kind::enumeration:
	case Kind::enumeration64:
		return "enum ";
	case Kind::prototype:
		return "function";
	default:
		return {};
	}
}

const Btf::Header &Btf::header(Span<const Byte> data)
{
	return *reinterpret_cast<const Header *>(data.data());
}

long Btf::extra(const Type &type)
{
	switch (type.kind()) {
	case Kind::pointer:
	case Kind::forward:
	case Kind::alias:
	case Kind::volatile_of:
	case Kind::const_of:
	case Kind::restrict_of:
	case Kind::function:
	case Kind::floating:
	case Kind::type_tag:
		return 0;
	case Kind::integer:
	case Kind::variable:
	case Kind::declaration_tag:
		return 4;
	case Kind::enumeration:
	case Kind::prototype:
		return 8L * type.count();
	case Kind::array:
		return 12;
	case Kind::structure:
	case Kind::union_of:
	case Kind::section:
	case Kind::enumeration64:
		return 12L * type.count();
	}
	return -1;
}

template <class Visit> Result<void> Btf::each(Span<const Byte> data, Visit &&visit)
{
	const Header &h = header(data);
	Size start = Size{h.hdr_len} + h.type_off;

	for (Size at = 0; at < h.type_len;) {
		Size left = h.type_len - at;

		if (left < sizeof(Type))
			return Error{-einval};

		const auto &type = *reinterpret_cast<const Type *>(data.data() + start + at);
		long more = extra(type);

		if (more < 0 || left - sizeof(Type) < static_cast<Size>(more))
			return Error{-einval};
		visit(type, static_cast<unsigned int>(start + at));
		at += sizeof(Type) + static_cast<Size>(more);
	}
	return {};
}

Result<Btf::Size> Btf::types_in(Span<const Byte> data)
{
	if (data.size() < sizeof(Header) || data.size() >= 1UL << 31)
		return Error{-einval};

	const Header &h = header(data);
	Size size = data.size();
	Size count = 0;

	/* Each of these numbers has 32 bits, so that no sum of them overflows. */
	if (h.magic != btf_magic || h.version != 1 || h.hdr_len < sizeof(Header) ||
	    (h.hdr_len | h.type_off) % alignof(Type) != 0 ||
	    Size{h.hdr_len} + h.type_off + h.type_len > size ||
	    Size{h.hdr_len} + h.str_off + h.str_len > size)
		return Error{-einval};
	/* The last byte is 0, so that each string ends. */
	if (h.str_len == 0 || data[Size{h.hdr_len} + h.str_off + h.str_len - 1] != 0)
		return Error{-einval};
	TRY(each(data, [&](const Type &, unsigned int) { count++; }));
	return count;
}

Btf::Btf(Span<const Byte> data, Span<unsigned int> index) : data_(data), index_(index)
{
	Size count = 0;

	(void)each(data, [&](const Type &, unsigned int offset) { index_[count++] = offset; });
}

/* The first type has the number 1; 0 is void. */
const Btf::Type *Btf::type(unsigned int id) const
{
	if (id == 0 || id > index_.size())
		return nullptr;
	return reinterpret_cast<const Type *>(data_.data() + index_[id - 1]);
}

StringView Btf::string(unsigned int offset) const
{
	const Header &h = header(data_);

	if (offset >= h.str_len)
		return {};
	return StringView::from_c_string(reinterpret_cast<const char *>(data_.data()) + h.hdr_len +
					 h.str_off + offset);
}

const Btf::Type *Btf::find(Kind kind, StringView name) const
{
	for (unsigned int id = 1; id <= index_.size(); id++) {
		const Type *candidate = type(id);

		if (candidate->kind() == kind && string(candidate->name_off) == name)
			return candidate;
	}
	return nullptr;
}

const Btf::Type *Btf::unqualified(unsigned int id) const
{
	const Type *t = type(id);

	for (int steps = 0; t && is_qualifier(t->kind()) && steps < most_steps; steps++)
		t = type(t->size_or_type);
	return t;
}

Result<void> Btf::render(unsigned int id, Text &text) const
{
	const Type *t = type(id);
	bool constant = false;
	int stars = 0;
	int steps = 0;

	/* Goes through pointers and qualifiers to the type behind them. */
	for (; t; t = type(t->size_or_type)) {
		Kind kind = t->kind();

		if (kind == Kind::pointer)
			stars++;
		else if (!is_qualifier(kind))
			break;
		constant |= kind == Kind::const_of;
		id = t->size_or_type;
		if (++steps > most_steps)
			return Error{-einval};
	}
	if (!t && id != 0)
		return Error{-einval};
	if (constant)
		text += "const ";
	text += t ? prefix(*t) : StringView("void");
	if (t && t->kind() != Kind::prototype)
		text += string(t->name_off);
	if (stars)
		text += " ";
	while (stars--)
		text += "*";
	return {};
}

Result<void> Btf::prototype(StringView name, Text &text) const
{
	const Type *function = find(Kind::function, name);

	if (!function)
		return Error{-enoent};

	const Type *proto = type(function->size_or_type);

	if (!proto || proto->kind() != Kind::prototype)
		return Error{-einval};
	TRY(render(proto->size_or_type, text));
	text += text.ends_with('*') ? StringView("(") : StringView(" (");

	bool first = true;

	for (const Parameter &parameter : proto->following<Parameter>()) {
		if (!first)
			text += ", ";
		first = false;
		/* A parameter without a type stands for any further ones. */
		if (parameter.type == 0)
			text += "...";
		else
			TRY(render(parameter.type, text));
	}
	text += ")";
	return text.cut() ? Result<void>(Error{-einval}) : Result<void>();
}

Result<Btf::Size> Btf::offset_of(StringView record, StringView member) const
{
	/* The record, and the records without a name in it: the members of those are members of the record. */
	struct {
		const Type *type;
		Size bits;
	} records[most_records] = {{find(Kind::structure, record), 0}};
	Size count = 1;

	if (!records[0].type)
		return Error{-enoent};
	for (Size i = 0; i < count; i++) {
		/* If there are bitfields among the members, the upper byte is the size of one. */
		unsigned int mask = records[i].type->flag() ? 0xffffff : 0xffffffff;

		for (const Member &m : records[i].type->following<Member>()) {
			Size bits = records[i].bits + (m.offset & mask);
			StringView name = string(m.name_off);
			const Type *inner = unqualified(m.type);

			if (name == member)
				return bits % 8 ? Result<Size>(Error{-einval}) :
						  Result<Size>(bits / 8);
			if (!name.empty() || !inner || !is_record(inner->kind()))
				continue;
			if (count == most_records)
				return Error{-einval};
			records[count++] = {inner, bits};
		}
	}
	return Error{-enoent};
}

Result<Btf::Size> Btf::size_of(StringView record) const
{
	const Type *structure = find(Kind::structure, record);

	if (!structure)
		return Error{-enoent};
	return Size{structure->size_or_type};
}

} // namespace observers
