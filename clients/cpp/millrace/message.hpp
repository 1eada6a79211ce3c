/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MILLRACE_HPP
#error "include millrace.hpp: it includes this file"
#endif
#ifndef MILLRACE_MESSAGE_HPP
#define MILLRACE_MESSAGE_HPP

/** @file message.hpp
 * Messages, deliveries, header blocks. */

namespace millrace
{

/** A header block under construction. */
class header_block
{
      public:
	/** Adds a header; chains. Throws if the name or the value is malformed. */
	header_block &add(const std::string &name, const std::string &value)
	{
		const std::size_t wanted = name.size() + value.size() + 32;
		struct mr_headers h;

		block_.resize(used_ + wanted);
		mr_headers_init(&h, block_.data(), block_.size());
		h.bytes = used_;
		const int result = mr_headers_add(&h, name.c_str(), value.c_str());
		used_ = h.bytes;
		if (result < 0 || std::strlen(name.c_str()) != name.size() ||
			std::strlen(value.c_str()) != value.size())
			throw std::system_error(
				to_code(-EINVAL), "a header's name or value is malformed");
		return *this;
	}
	/** Adds a header whose value is formatted, as by printf(). */
	header_block &addf(const char *name, const char *format, ...) MR_PRINTF(3, 4)
	{
		std::va_list args, again;

		va_start(args, format);
		va_copy(again, args);
		const int bytes = std::vsnprintf(nullptr, 0, format, args);
		va_end(args);
		std::string value(bytes > 0 ? static_cast<std::size_t>(bytes) + 1 : 1, '\0');
		std::vsnprintf(&value[0], value.size(), format, again);
		va_end(again);
		if (bytes < 0)
			throw std::system_error(to_code(-EINVAL), "a header's format is malformed");
		value.pop_back();
		return add(name, value);
	}
	/** The block, for the calls that take one. */
	operator std::string_view() const noexcept
	{
		return {block_.data(), used_};
	}

      private:
	std::string block_;
	std::size_t used_ = 0;
};

/** A received message: views of the library's memory. */
class message
{
      public:
	message() = default;
	explicit message(const mr_message &raw) noexcept : raw_(raw)
	{
	}

	/** Empty for replies and deliveries of queues. */
	std::string_view subject() const noexcept
	{
		return {raw_.subject, raw_.subject_bytes};
	}
	std::string_view payload() const noexcept
	{
		return {static_cast<const char *>(raw_.payload), raw_.payload_bytes};
	}
	/** The header block; empty without one. */
	std::string_view headers() const noexcept
	{
		return {raw_.headers, raw_.header_bytes};
	}
	/** Returns the first header of a name, compared without case. */
	std::optional<std::string_view> header(const char *name) const noexcept
	{
		std::size_t bytes = 0;
		const char *value = mr_message_header(&raw_, name, &bytes);

		return value != nullptr ? std::make_optional<std::string_view>(value, bytes)
					: std::nullopt;
	}
	/** Calls a function with name and value of each header, in their order. */
	template <class F> void each_header(F &&function) const
	{
		std::size_t cursor = 0;
		struct mr_header h;

		while (mr_message_header_next(&raw_, &cursor, &h))
			function(std::string_view(h.name, h.name_bytes),
				std::string_view(h.value, h.value_bytes));
	}
	/** Time since 1970-01-01 UTC when the bus took it; 0 unless the subscription asked. */
	std::chrono::nanoseconds time() const noexcept
	{
		return std::chrono::nanoseconds(mr_message_time_ns(&raw_));
	}
	/** Session of its publisher; 0 unless the subscription asked. */
	std::uint64_t sender() const noexcept
	{
		return mr_message_sender(&raw_, nullptr, nullptr);
	}
	/** Name of its publisher; empty unless the subscription asked. */
	std::string_view sender_name() const noexcept
	{
		const char *name = nullptr;
		std::size_t bytes = 0;

		return mr_message_sender(&raw_, &name, &bytes) != 0 ? std::string_view(name, bytes)
								    : std::string_view();
	}
	/** True: answer with client::reply(). */
	bool wants_reply() const noexcept
	{
		return raw_.wants_reply;
	}
	const mr_message &native() const noexcept
	{
		return raw_;
	}

      private:
	mr_message raw_{};
};

/** Consecutive messages of equal sizes, valid until the function that gets them returns. */
class message_batch
{
      public:
	message_batch(const mr_message &first, unsigned count, std::size_t stride) noexcept
	    : first_(first), count_(count), stride_(stride)
	{
	}

	/** Messages, at least 1. */
	unsigned size() const noexcept
	{
		return count_;
	}
	/** Message `i`, 0 to size() - 1. */
	message operator[](unsigned i) const noexcept
	{
		mr_message m = first_;

		m.subject = moved(m.subject, i);
		m.headers = moved(m.headers, i);
		m.payload = moved(static_cast<const char *>(m.payload), i);
		return message(m);
	}

      private:
	const char *moved(const char *place, unsigned i) const noexcept
	{
		return place != nullptr ? place + i * stride_ : nullptr;
	}

	mr_message first_;
	unsigned count_;
	std::size_t stride_;
};

/** A copy of a message in memory of its own; moved, not copied. Usable after its client too. */
class message_copy
{
      public:
	explicit message_copy(const message &m) : raw_(mr_message_dup(&m.native()))
	{
		if (raw_ == nullptr)
			throw std::bad_alloc();
	}
	/** The message, valid as long as the copy. */
	message view() const noexcept
	{
		return raw_ != nullptr ? message(*raw_) : message();
	}

      private:
	struct end {
		void operator()(mr_message *m) const noexcept
		{
			mr_message_free(m);
		}
	};
	std::unique_ptr<mr_message, end> raw_;
};

/** A message of a queue, or a request of a service. */
class delivery
{
      public:
	delivery() = default;
	explicit delivery(const mr_delivery &raw) noexcept : raw_(raw)
	{
	}

	millrace::message message() const noexcept
	{
		return millrace::message(raw_.message);
	}
	std::string_view payload() const noexcept
	{
		return message().payload();
	}
	/** Names it to consumer::ack() and the like, and to service::respond(). */
	std::uint64_t tag() const noexcept
	{
		return raw_.tag;
	}
	/** Earlier deliveries of this message. */
	unsigned redelivered() const noexcept
	{
		return raw_.redelivered;
	}
	/** Earlier attempts, which count towards `max_deliver`. */
	unsigned attempts() const noexcept
	{
		return mr_delivery_attempts(&raw_);
	}
	mr_priority priority() const noexcept
	{
		return raw_.priority;
	}
	/** The priority from 0 to 9. */
	unsigned level() const noexcept
	{
		return mr_delivery_priority(&raw_);
	}
	const mr_delivery &native() const noexcept
	{
		return raw_;
	}

      private:
	mr_delivery raw_{};
};

} // namespace millrace

#endif
