/* SPDX-License-Identifier: GPL-2.0-only */
/* observers::Btf over its own copy of bytes, for tests and the fuzzer. */
#pragma once

#include "companion/btf.hh"
#include "text.hh"

/* The memory of bytes and index is exactly as large as they are, so that AddressSanitizer sees reads beyond them. */
class BtfReader final
{
public:
	using View = cxxrt::StringView;
	using Size = View::Size;

	/* @data has to be good BTF. */
	explicit BtfReader(View data)
		: data_(data), count_(count(data_)), index_(allocate(count_)),
		  btf_(bytes(data_), {index_, static_cast<Size>(count_)})
	{
	}
	BtfReader(const BtfReader &) = delete;
	BtfReader &operator=(const BtfReader &) = delete;
	~BtfReader()
	{
		free(index_);
	}

	static cxxrt::Span<const observers::Byte> bytes(View data)
	{
		return {reinterpret_cast<const observers::Byte *>(data.data()), data.size()};
	}
	/* The number of types in @data, or a negative errno. */
	static long count(View data)
	{
		auto count = observers::Btf::types_in(bytes(data));

		return count.ok() ? static_cast<long>(count.value()) : count.error();
	}

	const observers::Btf *operator->() const
	{
		return &btf_;
	}
	long count() const
	{
		return count_;
	}
	/* The prototype as text, or the errno as a number. */
	Text prototype(View name) const
	{
		observers::Text text;
		auto result = btf_.prototype(name, text);

		return result.ok() ? Text(text.view()) : Text::number(result.error());
	}
	/* The offset, or a negative errno. */
	long offset_of(View record, View member) const
	{
		auto offset = btf_.offset_of(record, member);

		return offset.ok() ? static_cast<long>(offset.value()) : offset.error();
	}
	long size_of(View record) const
	{
		auto size = btf_.size_of(record);

		return size.ok() ? static_cast<long>(size.value()) : size.error();
	}

private:
	static unsigned int *allocate(long count)
	{
		void *memory = count < 0 ? nullptr :
					   malloc(static_cast<Size>(count) * sizeof(unsigned int));

		if (!memory) {
			printf("Bail out! what was to be good BTF is found bad (%ld)\n", count);
			exit(1);
		}
		return static_cast<unsigned int *>(memory);
	}

	Text data_;
	long count_;
	unsigned int *index_;
	observers::Btf btf_;
};
