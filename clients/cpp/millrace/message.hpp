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
	/** Number of a publisher that promised exactly once; 0: none. */
	std::uint64_t publisher() const noexcept
	{
		return raw_.publisher;
	}
	/** Its number for this message; 0: none. */
	std::uint64_t id() const noexcept
	{
		return raw_.id;
	}
	/** Number by which the bus knows the delivery; 0: it is settled, or was recalled. */
	std::uint64_t number() const noexcept
	{
		return mr_delivery_number(&raw_);
	}
	const mr_delivery &native() const noexcept
	{
		return raw_;
	}

      private:
	mr_delivery raw_{};
};

/** Makes a priority of a level, 0 to 9; 1, 4 and 7 are the same as low, normal and high. */
constexpr mr_priority priority_level(unsigned level) noexcept
{
	return static_cast<mr_priority>(MR_PRIORITY_FIRST + level);
}

/** A message to push, with its options: those of mr_push. A field that is 0 or empty is not used.
 *
 * Payload and headers are views: they must live until the push returns. The texts are copies. Times
 * are limited to 49 days, except `at`. */
struct push_message {
	explicit push_message(std::string_view bytes = {}) noexcept : payload(bytes)
	{
	}
	/** A text that ends with this statement would leave a view of nothing. */
	template <class S, class = std::enable_if_t<std::is_same_v<S, std::string>>>
	explicit push_message(S &&) = delete;

	std::string_view payload;
	std::string_view headers;
	mr_priority priority = MR_PRIORITY_NORMAL; /**< also priority_level() */
	std::uint64_t id = 0;                      /**< exactly once: number of the message */
	std::uint64_t publisher = 0;               /**< with `id`: number of another publisher */
	milliseconds ttl{0};                       /**< time to live */
	milliseconds delay{0};                     /**< not delivered before this time has passed */
	std::chrono::system_clock::time_point at{}; /**< not delivered before */
	std::string key;          /**< one after the other, with MR_POLICY_KEY_SHARED */
	std::uint64_t ticket = 0; /**< of queue::ticket(): client::cancel() finds the message */
	milliseconds every{0};    /**< with a ticket: the queue repeats the message */
	std::string cron;         /**< with a ticket: likewise, as `0 8 * * mon-fri` */
	unsigned attempts = 0;    /**< failed attempts elsewhere, of one that is moved */

	/** The same for the C library, valid while this is not changed. */
	struct mr_push native() const noexcept
	{
		using std::chrono::duration_cast;
		const milliseconds since = duration_cast<milliseconds>(at.time_since_epoch());
		struct mr_push m {
		};

		m.headers = headers.data();
		m.header_bytes = headers.size();
		m.payload = payload.data();
		m.bytes = payload.size();
		m.priority = priority;
		m.id = id;
		m.publisher = publisher;
		m.ttl_ms = limited(ttl, 1);
		m.delay_ms = limited(delay, 0);
		m.at_ms = since.count() > 0 ? static_cast<std::uint64_t>(since.count()) : 0;
		m.key = c_text(key);
		m.ticket = ticket;
		m.every_ms = limited(every, 1);
		m.attempts = attempts;
		m.cron = c_text(cron);
		return m;
	}

      private:
	/* A time that is over becomes `over`: 0 is no option. */
	static std::uint32_t limited(milliseconds t, std::uint32_t over) noexcept
	{
		return t.count() < 0            ? over
		       : t.count() > UINT32_MAX ? UINT32_MAX
						: static_cast<std::uint32_t>(t.count());
	}
	/* A text with a zero byte would be cut: the library refuses the one in its place. */
	static const char *c_text(const std::string &s) noexcept
	{
		return s.empty() ? nullptr : s.find('\0') == s.npos ? s.c_str() : "\1";
	}
};

} // namespace millrace

#endif
