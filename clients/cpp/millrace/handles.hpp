/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MILLRACE_HPP
#error "include millrace.hpp: it includes this file"
#endif
#ifndef MILLRACE_HANDLES_HPP
#define MILLRACE_HANDLES_HPP

/** @file handles.hpp
 * Subscriptions, publishers, queues, consumers, services, streams. */

namespace millrace
{

class client;

/** A subscription to subjects, made by client::subscribe(). */
class subscription : public detail::handle<mr_subscription, mr_unsubscribe>
{
      public:
	/** Messages handed out so far. */
	std::uint64_t count() const noexcept
	{
		return *this ? mr_subscription_count(raw_) : 0;
	}

      private:
	friend class client;
};

/** A subject resolved to a number, made by client::open_publisher(). Its calls do not wait. */
class publisher
    : public detail::handle<mr_publisher, detail::end_of<mr_publisher, mr_publisher_close>>
{
      public:
	/** Publishes a message. Returns false while there is no room: process, and try again. */
	[[nodiscard]] bool send(std::string_view payload, std::string_view headers = {})
	{
		const int result = try_send(payload, headers);

		return result == -EAGAIN ? false : (check(result), true);
	}
	int try_send(std::string_view payload, std::string_view headers = {}) noexcept
	{
		return on([&](mr_publisher *p) {
			return headers.empty()
				       ? mr_publisher_send(p, payload.data(), payload.size())
				       : mr_publisher_send_with(p, headers.data(), headers.size(),
						 payload.data(), payload.size());
		});
	}
	/** Returns room in the ring to write the payload into, for commit() or abort(); NULL while
	 * there is none. */
	[[nodiscard]] void *claim(std::size_t bytes)
	{
		void *place = nullptr;
		const int result = try_claim(bytes, place);

		return result == -EAGAIN ? nullptr : (check(result), place);
	}
	int try_claim(std::size_t bytes, void *&place) noexcept
	{
		return on([&](mr_publisher *p) { return mr_publisher_claim(p, bytes, &place); });
	}
	void commit(std::size_t bytes)
	{
		check(try_commit(bytes));
	}
	int try_commit(std::size_t bytes) noexcept
	{
		return on([&](mr_publisher *p) { return mr_publisher_commit(p, bytes); });
	}
	void abort() noexcept
	{
		if (*this)
			mr_publisher_abort(raw_);
	}

      private:
	friend class client;
};

/** A queue opened for pushing, made by client::open_queue(). */
class queue : public detail::handle<mr_queue, detail::end_of<mr_queue, mr_queue_close>>
{
      public:
	/** Pushes a message. Waits for room; on_outcome and client::settle() report it. */
	void push(std::string_view payload)
	{
		served(try_push(payload));
	}
	int try_push(std::string_view payload) noexcept
	{
		return on([&](mr_queue *q) { return mr_push(q, payload.data(), payload.size()); });
	}
	/** Pushes as `m` says, without waiting. Returns its number, or nothing while there is no
	 * room. */
	[[nodiscard]] std::optional<std::uint64_t> push(const struct mr_push &m)
	{
		std::uint64_t id = 0;
		const int result = try_push(m, &id);

		if (result == -EAGAIN)
			return std::nullopt;
		check(result);
		return id;
	}
	int try_push(const struct mr_push &m, std::uint64_t *id = nullptr) noexcept
	{
		return on([&](mr_queue *q) { return mr_push_with(q, &m, id); });
	}
	/** Pushes that are not accepted yet. */
	unsigned unaccepted() const noexcept
	{
		return *this ? mr_queue_unaccepted(raw_) : 0;
	}

      private:
	friend class client;
};

namespace detail
{

template <class Base> class consumer_calls : public Base
{
      public:
	using Base::Base;

	/** Acknowledges a delivery. */
	void ack(const delivery &d)
	{
		this->check(try_ack(d));
	}
	int try_ack(const delivery &d) noexcept
	{
		return this->on([&](mr_consumer *raw) { return mr_ack(raw, d.tag()); });
	}
	/** Rejects a delivery: to be delivered again after `delay`, or to the dead letters. */
	void nack(const delivery &d, bool requeue, milliseconds delay = milliseconds{0})
	{
		this->check(try_nack(d, requeue, delay));
	}
	int try_nack(const delivery &d, bool requeue, milliseconds delay = milliseconds{0}) noexcept
	{
		return this->on([&](mr_consumer *raw) {
			return mr_nack(raw, d.tag(), requeue, detail::to_limit_ms(delay));
		});
	}
	/** Gives a delivery back, which is no attempt. */
	void give_back(const delivery &d)
	{
		this->check(try_give_back(d));
	}
	int try_give_back(const delivery &d) noexcept
	{
		return this->on([&](mr_consumer *raw) { return mr_give_back(raw, d.tag()); });
	}
	/** Restarts the time of a delivery that is still worked on. */
	void progress(const delivery &d)
	{
		this->check(try_progress(d));
	}
	int try_progress(const delivery &d) noexcept
	{
		return this->on([&](mr_consumer *raw) { return mr_progress(raw, d.tag()); });
	}
	/** Renews all deliveries that the program holds, while the client is processed. */
	void renew(bool renews) noexcept
	{
		if (*this)
			mr_consumer_renew(this->raw_, renews);
	}
};

template <class Base> class service_calls : public Base
{
      public:
	using Base::Base;

	/** Sends the final reply to a request. */
	void respond(std::uint64_t tag, std::string_view payload, std::string_view headers = {})
	{
		this->check(try_respond(tag, payload, headers));
	}
	int try_respond(
		std::uint64_t tag, std::string_view payload, std::string_view headers = {}) noexcept
	{
		return answer(tag, false, payload, headers);
	}
	/** Sends a partial reply. Returns false while the caller has granted no room. */
	[[nodiscard]] bool respond_part(
		std::uint64_t tag, std::string_view payload, std::string_view headers = {})
	{
		const int result = try_respond_part(tag, payload, headers);

		return result == -EAGAIN ? false : (this->check(result), true);
	}
	int try_respond_part(
		std::uint64_t tag, std::string_view payload, std::string_view headers = {}) noexcept
	{
		return answer(tag, true, payload, headers);
	}
	/** Gives a request up: to another worker (`again`), or the caller gets EREMOTEIO. */
	void fail(std::uint64_t tag, bool again)
	{
		this->check(try_fail(tag, again));
	}
	int try_fail(std::uint64_t tag, bool again) noexcept
	{
		return this->on([&](mr_service *s) { return mr_respond_failed(s, tag, again); });
	}
	/** Restarts the time of a request that is still worked on. */
	void progress(std::uint64_t tag)
	{
		this->check(try_progress(tag));
	}
	int try_progress(std::uint64_t tag) noexcept
	{
		return this->on([&](mr_service *s) { return mr_respond_progress(s, tag); });
	}

      private:
	int answer(std::uint64_t tag, bool more, std::string_view payload,
		std::string_view headers) noexcept
	{
		return this->on([&](mr_service *s) {
			return mr_respond_with(s, tag, more, headers.data(), headers.size(),
				payload.data(), payload.size());
		});
	}
};

} // namespace detail

/** The consumer within its own callback: settles deliveries. */
using consumer_ref = detail::consumer_calls<detail::thing<mr_consumer>>;
/** The service within its own callback: answers requests. */
using service_ref = detail::service_calls<detail::thing<mr_service>>;

/** A consumer of a queue, made by client::consume(). */
class consumer : public detail::consumer_calls<detail::handle<mr_consumer, mr_consumer_close>>
{
      public:
	/** Returns the next delivery, for a consumer without a function; nothing on time-out and
	 * after a signal. */
	std::optional<delivery> pull(milliseconds timeout = no_limit)
	{
		delivery d;
		const int result = try_pull(d, timeout);

		if (result == -ETIMEDOUT || result == -EINTR) {
			core_->rethrow();
			return std::nullopt;
		}
		served(result);
		return d;
	}
	int try_pull(delivery &out, milliseconds timeout = no_limit) noexcept
	{
		return on([&](mr_consumer *raw) {
			mr_delivery d{};
			const int result = mr_pull(raw, &d, detail::to_ms(timeout));

			if (result == 0)
				out = delivery(d);
			return result;
		});
	}

      private:
	friend class client;
};

/** A worker of a service, made by client::serve(). */
class service : public detail::service_calls<detail::handle<mr_service, mr_service_close>>
{
	friend class client;
};

/** A streaming request, made by client::open_stream(). */
class stream : public detail::handle<mr_stream, detail::end_of<mr_stream, mr_stream_close>>
{
      public:
	/** Sends the next part; the last one with `more` false. Returns false while the worker has
	 * granted no room: process, and try again. */
	[[nodiscard]] bool send(std::string_view payload, bool more)
	{
		const int result = try_send(payload, more);

		return result == -EAGAIN ? false : (check(result), true);
	}
	int try_send(std::string_view payload, bool more) noexcept
	{
		return on([&](mr_stream *s) {
			return mr_stream_send(s, payload.data(), payload.size(), more);
		});
	}

      private:
	friend class client;
};

} // namespace millrace

#endif
