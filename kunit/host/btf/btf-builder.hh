/* SPDX-License-Identifier: GPL-2.0-only */
/* Makes BTF (Documentation/bpf/btf.rst) by hand, for tests and the fuzzer's first inputs. */
#pragma once

#include <initializer_list>

#include "text.hh"

namespace btf
{

using Word = unsigned int;
/* The number of a type; 0 is void. */
using Id = unsigned int;

enum class Kind : Word {
	integer = 1,
	pointer = 2,
	array = 3,
	structure = 4,
	union_of = 5,
	enumeration = 6,
	forward = 7,
	alias = 8,
	volatile_of = 9,
	const_of = 10,
	restrict_of = 11,
	function = 12,
	prototype = 13,
	variable = 14,
	section = 15,
	floating = 16,
	declaration_tag = 17,
	type_tag = 18,
	enumeration64 = 19,
};

struct Member {
	const char *name;
	Id type;
	Word bits;
};

class Builder final
{
public:
	static constexpr Word header_size = 24;

	/* Any type, with the words that follow it. Without @name it has none. */
	Id add(Kind kind, const char *name, Word size_or_type,
	       std::initializer_list<Word> more = {}, Word count = 0, bool flag = false)
	{
		put(types_, string(name));
		put(types_, Word{flag} << 31 | static_cast<Word>(kind) << 24 | count);
		put(types_, size_or_type);
		append(more);
		return ++count_;
	}
	/* Appends more words to the last type. */
	void append(std::initializer_list<Word> more)
	{
		for (Word word : more)
			put(types_, word);
	}
	/* The number that the next type gets, for types that refer to it before. */
	Id next() const
	{
		return count_ + 1;
	}
	Id integer(const char *name)
	{
		return add(Kind::integer, name, 4, {32});
	}
	/* Types that refer to another type: a pointer, an alias, const, a function. */
	Id refer(Kind kind, Id type, const char *name = "")
	{
		return add(kind, name, type);
	}
	Id pointer(Id type)
	{
		return refer(Kind::pointer, type);
	}
	Id record(Kind kind, const char *name, Word size, std::initializer_list<Member> members,
		  bool bitfields = false)
	{
		Id id = add(kind, name, size, {}, static_cast<Word>(members.size()), bitfields);

		for (const Member &member : members)
			append({string(member.name), member.type, member.bits});
		return id;
	}
	Id structure(const char *name, std::initializer_list<Member> members)
	{
		return record(Kind::structure, name, 64, members);
	}
	Id prototype(Id result, std::initializer_list<Id> parameters)
	{
		Id id = add(Kind::prototype, "", result, {}, static_cast<Word>(parameters.size()));

		for (Id parameter : parameters)
			append({string(parameter ? "parameter" : ""), parameter});
		return id;
	}
	Id function(const char *name, Id result, std::initializer_list<Id> parameters)
	{
		return refer(Kind::function, prototype(result, parameters), name);
	}
	/* Each kind once; kinds with parts have two. */
	void add_all_kinds()
	{
		Id first = next();

		add(Kind::integer, "int", 4, {32});
		add(Kind::pointer, "", first);
		add(Kind::array, "", 0, {first, first, 3});
		record(Kind::structure, "pair", 8, {{"one", first, 0}, {"two", first, 32}});
		record(Kind::union_of, "either", 4, {{"this", first, 0}, {"that", first, 0}});
		add(Kind::enumeration, "choice", 4, {string("no"), 0, string("yes"), 1}, 2);
		add(Kind::forward, "unknown", 0);
		add(Kind::alias, "number", first);
		add(Kind::volatile_of, "", first);
		add(Kind::const_of, "", first);
		add(Kind::restrict_of, "", first + 1);
		add(Kind::function, "call", first + 12);
		prototype(first, {first + 1, 0});
		add(Kind::variable, "global", first, {1});
		add(Kind::section, ".data", 8, {first + 13, 0, 4, first + 13, 4, 4}, 2);
		add(Kind::floating, "double", 8);
		add(Kind::declaration_tag, "tag", first, {0xffffffff});
		add(Kind::type_tag, "user", first);
		add(Kind::enumeration64, "large", 8, {string("low"), 0, 0, string("high"), 0, 1},
		    2);
	}

	/* The offset of @text in the strings; the empty one is always there. */
	Word string(const char *text)
	{
		StringView bytes = StringView::from_c_string(text);
		auto offset = static_cast<Word>(strings_.size());

		if (bytes.empty())
			return 0;
		strings_ += bytes;
		strings_ += '\0';
		return offset;
	}
	Word types_size() const
	{
		return static_cast<Word>(types_.size());
	}
	Word strings_size() const
	{
		return static_cast<Word>(strings_.size());
	}

	Text data() const
	{
		return data(header_size, 0, types_size());
	}
	/* The data with the two parts at the given places. The header may be larger than known. */
	Text data(Word header, Word types_at, Word strings_at) const
	{
		Text all;

		put(all, 0x0001eb9f);
		for (Word word : {header, types_at, types_size(), strings_at, strings_size()})
			put(all, word);
		if (types_at < strings_at) {
			place(all, header + types_at, types_);
			place(all, header + strings_at, strings_);
		} else {
			place(all, header + strings_at, strings_);
			place(all, header + types_at, types_);
		}
		return all;
	}

private:
	using StringView = cxxrt::StringView;

	static void put(Text &text, Word word)
	{
		text += StringView(reinterpret_cast<const char *>(&word), sizeof(word));
	}
	static void place(Text &text, Word at, StringView part)
	{
		while (text.size() < at)
			text += '\xff';
		text += part;
	}

	Text types_;
	Text strings_ = Text(1, '\0');
	Id count_ = 0;
};

} // namespace btf
