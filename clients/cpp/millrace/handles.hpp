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

/** Function of a subscription; the message is valid until it returns. */
using message_function = std::function<void(const message &)>;
/** Function of a subscription for many messages at a time, which are valid until it returns. */
using batch_function = std::function<void(const message_batch &)>;
/** Outcome of a request; `reply` is NULL with an error. */
using reply_function = std::function<void(const message *reply, std::error_code)>;
/** Told that the bus took the delivery or request `tag` back. */
using recall_function = std::function<void(std::uint64_t tag)>;

namespace detail
{

struct message_callback : callback {
	message_function function;
	batch_function batch;
	std::function<void()> on_end;

	static void call(mr_client *, const mr_message *m, void *arg)
	{
		auto *cb = static_cast<message_callback *>(arg);

		cb->owner->run(cb, false, [&] { cb->function(message(*m)); });
	}
	static void call_batch(
		mr_client *, const mr_message *first, unsigned count, std::size_t stride, void *arg)
	{
		auto *cb = static_cast<message_callback *>(arg);

		cb->owner->run(cb, false, [&] { cb->batch(message_batch(*first, count, stride)); });
	}
	static void end(mr_client *, mr_subscription *, void *arg)
	{
		auto *cb = static_cast<message_callback *>(arg);

		cb->owner->run(cb, false, [&] {
			const auto ended = cb->on_end; /* which may set another one */

			ended();
		});
	}
};

/* Of consumers and services. */
struct settled_callback : callback {
	recall_function recalled;

	static void recall(mr_client *, std::uint64_t tag, void *arg)
	{
		auto *cb = static_cast<settled_callback *>(arg);

		cb->owner->run(cb, false, [&] {
			const auto told = cb->recalled; /* which may set another one */

			told(tag);
		});
	}
};

} // namespace detail

/** A subscription to subjects, made by client::subscribe(). */
class subscription : public detail::handle<mr_subscription, mr_unsubscribe>
{
      public:
	/** Messages handed out so far. */
	std::uint64_t count() const noexcept
	{
		return *this ? mr_subscription_count(raw_) : 0;
	}
	/** Its pattern; empty when it is closed. */
	std::string_view pattern() const noexcept
	{
		return *this ? mr_subscription_pattern(raw_) : std::string_view();
	}
	/** Ends it after a number of messages, counted from its start. Does not wait. */
	void unsubscribe_after(std::uint64_t messages)
	{
		check(try_unsubscribe_after(messages));
	}
	int try_unsubscribe_after(std::uint64_t messages) noexcept
	{
		return on([&](mr_subscription *s) { return mr_unsubscribe_after(s, messages); });
	}
	/** Asks the bus for no more, and ends when all that the bus has given was handed out. Does
	 * not wait: the calls that process do the rest. */
	void drain()
	{
		check(try_drain());
	}
	int try_drain() noexcept
	{
		return on([](mr_subscription *s) { return mr_subscription_drain(s); });
	}
	/** True when it hands out no more messages. The handle stays open until close(). */
	bool ended() const noexcept
	{
		return !*this || mr_subscription_ended(raw_);
	}
	/** Sets the function that is called when it has ended by unsubscribe_after(), drain() or
	 * client::finish(); it may close the handle. */
	void on_end(std::function<void()> function)
	{
		check(try_on_end(std::move(function)));
	}
	int try_on_end(std::function<void()> function) noexcept
	{
		return on([&](mr_subscription *s) {
			auto *cb = static_cast<detail::message_callback *>(callback_);

			cb->on_end = std::move(function);
			mr_subscription_on_end(
				s, cb->on_end ? detail::message_callback::end : nullptr, cb);
			return 0;
		});
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
	/** Publishes as many of the payloads as there is room for, and returns how many. */
	[[nodiscard]] unsigned send_batch(const mr_buffer *payloads, unsigned count)
	{
		const int result = try_send_batch(payloads, count);

		return result == -EAGAIN ? 0 : static_cast<unsigned>(check(result));
	}
	int try_send_batch(const mr_buffer *payloads, unsigned count) noexcept
	{
		return on([&](mr_publisher *p) {
			return mr_publisher_send_batch(p, payloads, count);
		});
	}
	/** Claims room for up to `count` payloads of one size; payload i goes to
	 * `first + i * stride`. Returns how many; 0 while there is no room. */
	[[nodiscard]] unsigned claim_batch(
		std::size_t bytes, unsigned count, void *&first, std::size_t &stride)
	{
		const int result = try_claim_batch(bytes, count, first, stride);

		return result == -EAGAIN ? 0 : static_cast<unsigned>(check(result));
	}
	int try_claim_batch(
		std::size_t bytes, unsigned count, void *&first, std::size_t &stride) noexcept
	{
		return on([&](mr_publisher *p) {
			return mr_publisher_claim_batch(p, bytes, count, &first, &stride);
		});
	}
	/** Publishes the first `count` payloads of a claim. */
	void commit_batch(unsigned count)
	{
		check(try_commit_batch(count));
	}
	int try_commit_batch(unsigned count) noexcept
	{
		return on([&](mr_publisher *p) { return mr_publisher_commit_batch(p, count); });
	}
	/** Sends a request; the function is called once with the outcome. Returns false while there
	 * is no room. */
	[[nodiscard]] bool request(
		std::string_view payload, reply_function function, milliseconds timeout = no_limit)
	{
		const int result = try_request(payload, std::move(function), timeout);

		return result == -EAGAIN ? false : (check(result), true);
	}
	int try_request(std::string_view payload, reply_function function,
		milliseconds timeout = no_limit) noexcept;

      private:
	friend class client;
};

/** A timer on the client's loop, made by client::open_timer(). It may outlive its client. */
class timer : public detail::handle<mr_timer, detail::end_of<mr_timer, mr_timer_close>>
{
      public:
	/** Starts it, or sets it anew: it expires after `delay`, and again after each `period`. */
	void start(milliseconds delay, milliseconds period = milliseconds{0})
	{
		check(try_start(delay, period));
	}
	int try_start(milliseconds delay, milliseconds period = milliseconds{0}) noexcept
	{
		return on([&](mr_timer *t) {
			return mr_timer_start(
				t, detail::to_limit_ms(delay), detail::to_limit_ms(period));
		});
	}
	/** Stops it; start() starts it again. */
	void stop() noexcept
	{
		if (*this)
			mr_timer_stop(raw_);
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
	[[nodiscard]] std::optional<std::uint64_t> push(const push_message &m)
	{
		return push(m.native());
	}
	int try_push(const push_message &m, std::uint64_t *id = nullptr) noexcept
	{
		return try_push(m.native(), id);
	}
	/** A new number for a push that waits, by which client::cancel() finds it; 0: closed. */
	std::uint64_t ticket() const noexcept
	{
		return *this ? mr_queue_ticket(raw_) : 0;
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
	/** The same, and says why: one line of UTF-8, which stays with the message in its header
	 * Millrace-Error. */
	void nack(const delivery &d, bool requeue, milliseconds delay, const std::string &error)
	{
		this->check(try_nack(d, requeue, delay, error));
	}
	int try_nack(const delivery &d, bool requeue, milliseconds delay,
		const std::string &error) noexcept
	{
		return this->on([&](mr_consumer *raw) {
			return mr_nack_error(
				raw, d.tag(), requeue, detail::to_limit_ms(delay), error.c_str());
		});
	}
	/** Sets the delay of rejected deliveries without one, while the queue has no back-off. */
	void retry_delay(milliseconds delay) noexcept
	{
		if (*this)
			mr_consumer_retry_delay(this->raw_, detail::to_limit_ms(delay));
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
	/** Stops the deliveries until resume(); those that were sent already still come. */
	void pause()
	{
		this->check(try_pause());
	}
	int try_pause() noexcept
	{
		return this->on([](mr_consumer *raw) { return mr_consumer_pause(raw); });
	}
	/** Ends a pause(), but not a pause by an operator. */
	void resume()
	{
		this->check(try_resume());
	}
	int try_resume() noexcept
	{
		return this->on([](mr_consumer *raw) { return mr_consumer_resume(raw); });
	}
	/** Acknowledgement time-out of the queue; 0: not known. */
	milliseconds ack_timeout() const noexcept
	{
		return milliseconds{*this ? mr_consumer_ack_timeout_ms(this->raw_) : 0};
	}
	/** Limit of attempts of the queue; 0: none, or not known. */
	unsigned max_deliver() const noexcept
	{
		return *this ? mr_consumer_max_deliver(this->raw_) : 0;
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
	/** Partial replies that the caller takes now. */
	unsigned room(std::uint64_t tag) const noexcept
	{
		return *this ? mr_respond_room(this->raw_, tag) : 0;
	}
	/** Renews all requests in hand, while the client is processed. */
	void renew(bool renews) noexcept
	{
		if (*this)
			mr_service_renew(this->raw_, renews);
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

/** One output of consumer::settle_and_push(). Its id and publisher are 0. */
struct output {
	output(const queue &q, const struct mr_push &m) noexcept : to(q), push(m)
	{
	}
	/** The message must live until the call returns. */
	output(const queue &q, const push_message &m) noexcept : to(q), push(m.native())
	{
	}

	const queue &to;
	struct mr_push push;
};

/** Outcome of consumer::settle_and_push_async(); without an error the delivery is acknowledged. */
using settled_function = std::function<void(std::error_code)>;

namespace detail
{

struct step_callback : callback {
	settled_function function;

	static void call(mr_client *, std::uint64_t, int error, void *arg)
	{
		auto *cb = static_cast<step_callback *>(arg);

		cb->owner->run(cb, true, [&] { cb->function(to_code(error)); });
	}
};

} // namespace detail

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
	/** Returns up to `max` deliveries: as soon as there are so many, or those that came within
	 * `wait`. They are valid until the next such call. The consumer is `manual`, and has no
	 * function. None on time-out and after a signal. */
	std::vector<delivery> pull_batch(unsigned max, milliseconds wait = no_limit)
	{
		std::vector<delivery> deliveries;
		const int result = try_pull_batch(deliveries, max, wait);

		if (result == -ETIMEDOUT || result == -EINTR)
			core_->rethrow();
		else
			served(result);
		return deliveries;
	}
	int try_pull_batch(
		std::vector<delivery> &out, unsigned max, milliseconds wait = no_limit) noexcept
	{
		out.clear();
		return on([&](mr_consumer *raw) {
			try {
				std::vector<mr_delivery> raw_deliveries(max);

				out.reserve(max);
				const int result = mr_pull_batch(
					raw, raw_deliveries.data(), max, detail::to_ms(wait));
				for (int i = 0; i < result; i++)
					out.emplace_back(
						raw_deliveries[static_cast<std::size_t>(i)]);
				return result;
			} catch (const std::exception &) {
				return -ENOMEM;
			}
		});
	}
	/** Pushes the outputs of a delivery, waits until they are accepted, and acknowledges the
	 * delivery then, in one step: see mr_settle_and_push(). The consumer is `manual`. */
	void settle_and_push(const delivery &d, std::initializer_list<output> outputs,
		const mr_settle_options &options = {})
	{
		served(try_settle_and_push(d, outputs.begin(), outputs.size(), options));
	}
	int try_settle_and_push(const delivery &d, const output *outputs, std::size_t count,
		const mr_settle_options &options = {}) noexcept
	{
		return with_outputs(outputs, count, [&](const mr_output *raw_outputs) {
			return mr_settle_and_push(&d.native(), raw_outputs, count, &options);
		});
	}
	/** The same without waiting: the function gets the outcome. Returns false while there is no
	 * room for the outputs: nothing was done. */
	[[nodiscard]] bool settle_and_push_async(const delivery &d,
		std::initializer_list<output> outputs, settled_function function,
		const mr_settle_options &options = {})
	{
		const int result = try_settle_and_push_async(
			d, outputs.begin(), outputs.size(), std::move(function), options);

		return result == -EAGAIN ? false : (check(result), true);
	}
	int try_settle_and_push_async(const delivery &d, const output *outputs, std::size_t count,
		settled_function function, const mr_settle_options &options = {}) noexcept
	{
		using callback = detail::step_callback;
		auto *cb = function && *this ? new (std::nothrow) callback : nullptr;

		if (function && *this && cb == nullptr)
			return -ENOMEM;
		if (cb != nullptr)
			core_->adopt(cb)->function = std::move(function);
		const int result = with_outputs(outputs, count, [&](const mr_output *raw_outputs) {
			return mr_settle_and_push_async(&d.native(), raw_outputs, count, &options,
				cb != nullptr ? callback::call : nullptr, cb);
		});
		if (result < 0 && cb != nullptr)
			core_->end(cb);
		return result;
	}
	/** Sets the function that is told of recalled deliveries. */
	void on_recall(recall_function function)
	{
		check(on([&](mr_consumer *raw) {
			auto *cb = static_cast<detail::settled_callback *>(callback_);

			cb->recalled = std::move(function);
			mr_consumer_on_recall(
				raw, cb->recalled ? detail::settled_callback::recall : nullptr, cb);
			return 0;
		}));
	}

      private:
	friend class client;

	template <class F>
	int with_outputs(const output *outputs, std::size_t count, F &&call) noexcept
	{
		mr_output raw_outputs[MR_OUTPUTS_MAX];

		if (count > MR_OUTPUTS_MAX)
			return -EINVAL;
		for (std::size_t i = 0; i < count; i++)
			raw_outputs[i] = {outputs[i].to.native(), &outputs[i].push};
		return on([&](mr_consumer *) { return call(raw_outputs); });
	}
};

/** A worker of a service, made by client::serve(). */
class service : public detail::service_calls<detail::handle<mr_service, mr_service_close>>
{
      public:
	/** Sets the function that is told of recalled requests. */
	void on_recall(recall_function function)
	{
		check(on([&](mr_service *raw) {
			auto *cb = static_cast<detail::settled_callback *>(callback_);

			cb->recalled = std::move(function);
			mr_service_on_recall(
				raw, cb->recalled ? detail::settled_callback::recall : nullptr, cb);
			return 0;
		}));
	}

      private:
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
