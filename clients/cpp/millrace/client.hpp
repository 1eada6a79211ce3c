/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MILLRACE_HPP
#error "include millrace.hpp: it includes this file"
#endif
#ifndef MILLRACE_CLIENT_HPP
#define MILLRACE_CLIENT_HPP

/** @file client.hpp
 * The client. */

namespace millrace
{

/** A connection to a bus. */
class client
{
      public:
	/** Not connected: every call fails with EBADF. */
	client() = default;
	/** Connects, as mr_connect(); without an address to $MILLRACE_SERVER or the bus of this
	 * host. */
	explicit client(std::string_view address, connect_options options = {})
	{
		detail::check(nullptr, try_connect(address, std::move(options)));
	}
	client(client &&other) noexcept : core_(std::move(other.core_))
	{
	}
	client &operator=(client &&other) noexcept
	{
		if (this != &other) {
			end();
			core_ = std::move(other.core_);
		}
		return *this;
	}
	/** Closes, as close(). Within a callback: std::terminate(). */
	~client()
	{
		end();
	}

	/** Connects a client that is not connected; otherwise -EISCONN. */
	int try_connect(std::string_view address, connect_options options = {}) noexcept;
	/** Closes, as mr_close(): the bus has up to 1 s to take what was published. Throws EDEADLK
	 * within a callback. */
	void close()
	{
		detail::check(nullptr, try_close());
	}
	int try_close() noexcept;

	/** True until close(), also while the bus is away. */
	explicit operator bool() const noexcept
	{
		return raw() != nullptr;
	}
	/** True while the session and all subscriptions are in place. */
	bool connected() const noexcept
	{
		return raw() != nullptr && mr_connected(raw());
	}
	/** Describes the last failed call. */
	const char *error() const noexcept
	{
		return mr_error(raw());
	}
	/** For functions of millrace.h; NULL when it is closed. */
	mr_client *native() const noexcept
	{
		return raw();
	}
	/** Counters; 0 when it is closed. */
	struct mr_client_stats stats() const noexcept
	{
		struct mr_client_stats out {
		};

		if (raw() != nullptr)
			mr_client_stats(raw(), &out);
		return out;
	}
	/** Throws what a callback threw, if no call has thrown it yet. */
	void rethrow()
	{
		if (core_ != nullptr)
			core_->rethrow();
	}

	/** Largest message that the bus takes. */
	std::size_t message_bytes_max() const noexcept
	{
		return mr_message_bytes_max(raw());
	}
	/** Largest message to a subject that is not fragmented; without a subject, of a reply. */
	std::size_t body_bytes_max(std::string_view subject = {}) const noexcept
	{
		return subject.empty() ? mr_body_bytes_max(raw(), nullptr)
				       : mr_body_bytes_max(raw(), detail::text(subject));
	}
	/** Measures the round trip to the control process. */
	ping_times ping(milliseconds timeout = no_limit)
	{
		ping_times out;

		served(try_ping(out, timeout));
		return out;
	}
	int try_ping(ping_times &out, milliseconds timeout = no_limit) noexcept
	{
		return on([&](mr_client *c) {
			std::uint64_t handled = 0, round = 0;
			const int result = mr_ping(c, detail::to_ms(timeout), &handled, &round);

			out.handled = std::chrono::nanoseconds(handled);
			out.round = std::chrono::nanoseconds(round);
			return result;
		});
	}
	/** Hands events of the library to a function, which must not use the client. An empty
	 * function ends that. */
	void on_log(mr_severity severity, log_function function)
	{
		check(try_on_log(severity, std::move(function)));
	}
	int try_on_log(mr_severity severity, log_function function) noexcept;

	/** Ends a wait() or receive() of another thread, or the next one. May be called by any
	 * thread, and by signal handlers, while the client is open and not moved. */
	void wake() noexcept
	{
		mr_client_wake(raw());
	}
	/** Posts a function to the thread that processes the client, which runs it as a callback.
	 * May be called by any thread, as wake() but for signal handlers. Throws EAGAIN when 1024
	 * functions wait, which are dropped by close(). */
	void post(std::function<void()> function)
	{
		const int result = try_post(std::move(function));

		/* The texts of the client belong to its thread. */
		if (result < 0)
			throw std::system_error(to_code(result), mr_error_text(result));
	}
	int try_post(std::function<void()> function) noexcept
	{
		return raw() != nullptr ? core_->post(std::move(function)) : -EBADF;
	}
	/** Opens a timer, which runs its function within the calls that process. */
	[[nodiscard]] timer open_timer(std::function<void()> function)
	{
		timer out;

		check(try_open_timer(out, std::move(function)));
		return out;
	}
	int try_open_timer(timer &out, std::function<void()> function) noexcept;

	/** Publishes a message. */
	void publish(
		std::string_view subject, std::string_view payload, std::string_view headers = {})
	{
		check(try_publish(subject, payload, headers));
	}
	int try_publish(std::string_view subject, std::string_view payload,
		std::string_view headers = {}) noexcept
	{
		return on([&](mr_client *c) {
			return mr_publish_with(c, detail::text(subject), headers.data(),
				headers.size(), payload.data(), payload.size());
		});
	}
	/** Gathers what is published until flush(). */
	void cork(bool gathers) noexcept
	{
		if (raw() != nullptr)
			mr_cork(raw(), gathers);
	}
	void flush()
	{
		check(try_flush());
	}
	int try_flush() noexcept
	{
		return on([](mr_client *c) { return mr_flush(c); });
	}
	/** Waits until the bus has taken all that was published. */
	void drain(milliseconds timeout)
	{
		check(try_drain(timeout));
	}
	int try_drain(milliseconds timeout) noexcept
	{
		return on([&](mr_client *c) { return mr_drain(c, detail::to_limit_ms(timeout)); });
	}
	/** Ends the work in order, before close(): drains the subscriptions, settles deliveries and
	 * promises, and drain(). As mr_client_drain(); processes. */
	void finish(milliseconds timeout)
	{
		served(try_finish(timeout));
	}
	int try_finish(milliseconds timeout) noexcept
	{
		return on([&](mr_client *c) {
			return mr_client_drain(c, detail::to_limit_ms(timeout));
		});
	}
	/** Waits until everything promised is accepted; processes. Throws a refusal. */
	void settle(milliseconds timeout)
	{
		served(try_settle(timeout));
	}
	int try_settle(milliseconds timeout) noexcept
	{
		return on([&](mr_client *c) { return mr_settle(c, detail::to_limit_ms(timeout)); });
	}

	/** Opens a publisher, which sends faster than publish() and may promise. */
	[[nodiscard]] publisher open_publisher(
		std::string_view subject, const publisher_options &options = {})
	{
		publisher out;

		served(try_open_publisher(out, subject, options));
		return out;
	}
	int try_open_publisher(publisher &out, std::string_view subject,
		const publisher_options &options = {}) noexcept;

	/** Subscribes a function to a pattern. */
	[[nodiscard]] subscription subscribe(std::string_view pattern, message_function function,
		const subscribe_options &options = {})
	{
		subscription out;

		served(try_subscribe(out, pattern, std::move(function), options));
		return out;
	}
	/** An empty function leaves the messages to receive(). */
	int try_subscribe(subscription &out, std::string_view pattern, message_function function,
		const subscribe_options &options = {}) noexcept;
	/** Subscribes a function for many messages at a time: the fastest way to receive. */
	[[nodiscard]] subscription subscribe_batch(std::string_view pattern,
		batch_function function, const subscribe_options &options = {})
	{
		subscription out;

		served(try_subscribe_batch(out, pattern, std::move(function), options));
		return out;
	}
	int try_subscribe_batch(subscription &out, std::string_view pattern,
		batch_function function, const subscribe_options &options = {}) noexcept;
	/** Subscribes for receive(). */
	[[nodiscard]] subscription subscribe(
		std::string_view pattern, const subscribe_options &options = {})
	{
		return subscribe(pattern, message_function(), options);
	}

	/** Handles up to `max` messages that are there. Returns how many; 0 also while the bus is
	 * away and the client reconnects. */
	int process(unsigned max = UINT_MAX)
	{
		return handled(try_process(max));
	}
	int try_process(unsigned max = UINT_MAX) noexcept
	{
		return on([&](mr_client *c) { return mr_process(c, max); });
	}
	/** Waits for the first message and handles those that are there. Returns how many; 0 also
	 * on time-out, after a signal, and when the connection was lost: the next call waits for
	 * the bus. */
	int wait(milliseconds timeout = no_limit)
	{
		return handled(try_wait(timeout));
	}
	int try_wait(milliseconds timeout = no_limit) noexcept
	{
		return on([&](mr_client *c) { return mr_wait(c, detail::to_ms(timeout)); });
	}
	/** Returns the next message of subscriptions without a function; nothing on time-out and
	 * after a signal. */
	std::optional<message> receive(milliseconds timeout = no_limit)
	{
		message m;
		const int result = try_receive(m, timeout);

		if (result == -ETIMEDOUT || result == -EINTR) {
			rethrow();
			return std::nullopt;
		}
		served(result);
		return m;
	}
	int try_receive(message &out, milliseconds timeout = no_limit) noexcept
	{
		return into(out, [&](mr_client *c, mr_message *m) {
			return mr_receive(c, m, detail::to_ms(timeout));
		});
	}
	/** Descriptor for event loops: readable when process() has work. */
	int fd()
	{
		return check(try_fd());
	}
	int try_fd() noexcept
	{
		return on([](mr_client *c) { return mr_fd(c); });
	}

	/** Sends a request and returns the first reply. */
	message request(std::string_view subject, std::string_view payload,
		milliseconds timeout = no_limit, std::string_view headers = {})
	{
		message reply;

		served(try_request(reply, subject, payload, timeout, headers));
		return reply;
	}
	int try_request(message &reply, std::string_view subject, std::string_view payload,
		milliseconds timeout = no_limit, std::string_view headers = {}) noexcept
	{
		return into(reply, [&](mr_client *c, mr_message *m) {
			return mr_request_with(c, detail::text(subject), headers.data(),
				headers.size(), payload.data(), payload.size(),
				detail::to_ms(timeout), m);
		});
	}
	/** Sends a request; the function is called once with the outcome. */
	void request_async(std::string_view subject, std::string_view payload,
		reply_function function, milliseconds timeout = no_limit)
	{
		check(try_request_async(subject, payload, std::move(function), timeout));
	}
	int try_request_async(std::string_view subject, std::string_view payload,
		reply_function function, milliseconds timeout = no_limit) noexcept;
	/** Sends a request and gathers the replies of several responders: the function gets each
	 * before the call returns. Returns how many, at least 1. */
	unsigned request_many(std::string_view subject, std::string_view payload,
		reply_function function, const request_many_options &options = {})
	{
		return static_cast<unsigned>(
			served(try_request_many(subject, payload, std::move(function), options)));
	}
	int try_request_many(std::string_view subject, std::string_view payload,
		reply_function function, const request_many_options &options = {}) noexcept;
	/** The same without waiting. After the last reply the function gets NULL, with the error if
	 * no reply came. */
	void request_many_async(std::string_view subject, std::string_view payload,
		reply_function function, const request_many_options &options = {})
	{
		check(try_request_many_async(subject, payload, std::move(function), options));
	}
	int try_request_many_async(std::string_view subject, std::string_view payload,
		reply_function function, const request_many_options &options = {}) noexcept;
	/** Replies to a message that wants a reply. */
	void reply(const message &to, std::string_view payload, std::string_view headers = {})
	{
		check(try_reply(to, payload, headers));
	}
	int try_reply(
		const message &to, std::string_view payload, std::string_view headers = {}) noexcept
	{
		return on([&](mr_client *c) {
			return mr_reply_with(c, to.native().reply_token, headers.data(),
				headers.size(), payload.data(), payload.size());
		});
	}

	/** Opens a queue for pushing. */
	[[nodiscard]] queue open_queue(std::string_view name, push_options options = {})
	{
		queue out;

		served(try_open_queue(out, name, std::move(options)));
		return out;
	}
	int try_open_queue(queue &out, std::string_view name, push_options options = {}) noexcept;
	/** Cancels the messages of a queue that have a ticket and are not due yet, and the schedule
	 * with it. Returns false if none waits. */
	[[nodiscard]] bool cancel(std::string_view queue_name, std::uint64_t ticket)
	{
		const int result = try_cancel(queue_name, ticket);

		return result == -ESRCH ? (core_->rethrow(), false) : (served(result), true);
	}
	int try_cancel(std::string_view queue_name, std::uint64_t ticket) noexcept
	{
		return on([&](mr_client *c) {
			return mr_queue_cancel(c, detail::text(queue_name), ticket);
		});
	}
	/** Makes the client a consumer; the deliveries come to the function. */
	[[nodiscard]] consumer consume(std::string_view queue_name, delivery_function function,
		const consume_options &options = {})
	{
		consumer out;

		served(try_consume(out, queue_name, std::move(function), options));
		return out;
	}
	/** Makes the client a consumer, for consumer::pull(). */
	[[nodiscard]] consumer consume(
		std::string_view queue_name, const consume_options &options = {})
	{
		return consume(queue_name, delivery_function(), options);
	}
	int try_consume(consumer &out, std::string_view queue_name, delivery_function function,
		const consume_options &options = {}) noexcept;

	/** Makes the client a worker of a service. */
	[[nodiscard]] service serve(
		std::string_view name, work_function function, serve_options options = {})
	{
		service out;

		served(try_serve(out, name, std::move(function), std::move(options)));
		return out;
	}
	int try_serve(service &out, std::string_view name, work_function function,
		serve_options options = {}) noexcept;

	/** Calls a service and returns the final reply. */
	message call(
		std::string_view name, std::string_view payload, const call_options &options = {})
	{
		message reply;

		served(try_call(reply, name, payload, options));
		return reply;
	}
	int try_call(message &reply, std::string_view name, std::string_view payload,
		const call_options &options = {}) noexcept
	{
		return into(reply, [&](mr_client *c, mr_message *m) {
			const mr_call_options raw_options = detail::to_c(options);

			return mr_call(c, detail::text(name), payload.data(), payload.size(),
				&raw_options, m);
		});
	}
	/** Calls a service; the function gets partial replies and once the outcome. */
	void call_async(std::string_view name, std::string_view payload, call_function function,
		const call_options &options = {})
	{
		check(try_call_async(name, payload, std::move(function), options));
	}
	int try_call_async(std::string_view name, std::string_view payload, call_function function,
		const call_options &options = {}) noexcept;
	/** Opens a streaming request with its first part. */
	[[nodiscard]] stream open_stream(std::string_view name, std::string_view payload,
		call_function function, const call_options &options = {})
	{
		stream out;

		check(try_open_stream(out, name, payload, std::move(function), options));
		return out;
	}
	int try_open_stream(stream &out, std::string_view name, std::string_view payload,
		call_function function, const call_options &options = {}) noexcept;

      private:
	mr_client *raw() const noexcept
	{
		return core_ != nullptr ? core_->c : nullptr;
	}
	template <class F> int on(F &&f) noexcept
	{
		return raw() != nullptr ? f(raw()) : -EBADF;
	}
	template <class F> int into(message &out, F &&f) noexcept
	{
		return on([&](mr_client *c) {
			mr_message m{};
			const int result = f(c, &m);

			if (result == 0)
				out = message(m);
			return result;
		});
	}
	int subscribe_with(subscription &out, std::string_view pattern, message_function function,
		batch_function batch, const subscribe_options &options) noexcept;
	int check(int result) const
	{
		return detail::check(core_, result);
	}
	int served(int result) const
	{
		return detail::served(core_, result);
	}
	int handled(int result)
	{
		if (result == -ENOTCONN && core_->reconnects) {
			rethrow();
			return 0;
		}
		return served(result);
	}
	/* Makes a callback, gives it to `begin`, which returns a result of the library, and takes
	 * it back after a failure. */
	template <class C, class Fill, class Begin> int with(Fill &&fill, Begin &&begin) noexcept
	{
		if (raw() == nullptr)
			return -EBADF;
		auto *cb = new (std::nothrow) C;
		if (cb == nullptr)
			return -ENOMEM;
		core_->adopt(cb);
		fill(*cb);
		const int result = begin(raw(), cb);
		if (result < 0)
			core_->end(cb);
		return result;
	}
	void end() noexcept
	{
		if (detail::stays(try_close()))
			std::terminate();
	}

	detail::shared_core core_;
};

inline int client::try_connect(std::string_view address, connect_options options) noexcept
{
	if (raw() != nullptr)
		return -EISCONN;
	try {
		auto k = std::make_shared<detail::core>();
		const std::string where(address);
		mr_options o{};

		auto *cb = k->adopt(new detail::state_callback);
		k->reconnects = !options.no_reconnect;
		cb->on_state = std::move(options.on_state);
		cb->on_gap = std::move(options.on_gap);
		o.name = options.name.empty() ? nullptr : options.name.c_str();
		o.connect_timeout_ms = detail::to_limit_ms(options.connect_timeout);
		o.request_timeout_ms = detail::to_limit_ms(options.request_timeout);
		o.spin_us = static_cast<unsigned>(options.spin.count());
		o.no_reconnect = options.no_reconnect;
		o.when_away = options.when_away;
		o.away_bytes_max = options.away_bytes_max;
		o.on_state = cb->on_state ? detail::state_callback::state : nullptr;
		o.on_gap = cb->on_gap ? detail::state_callback::gap : nullptr;
		o.arg = cb;
		const int result = mr_connect(where.empty() ? nullptr : where.c_str(), &o, &k->c);
		if (result == 0)
			core_ = std::move(k);
		return result;
	} catch (...) {
		return -ENOMEM;
	}
}

inline int client::try_close() noexcept
{
	if (raw() == nullptr)
		return 0;
	if (core_->depth > 0)
		return -EDEADLK;
	mr_close(core_->c);
	core_->c = nullptr;
	core_->drop_posted();
	core_->drop_all();
	core_.reset();
	return 0;
}

inline int client::try_on_log(mr_severity severity, log_function function) noexcept
{
	using callback = detail::log_callback;

	if (raw() == nullptr)
		return -EBADF;
	callback *made = function ? new (std::nothrow) callback : nullptr;
	if (function && made == nullptr)
		return -ENOMEM;
	if (made != nullptr)
		core_->adopt(made)->function = std::move(function);
	mr_log_hook(raw(), severity, made != nullptr ? callback::call : nullptr, made);
	core_->end(std::exchange(core_->log, made));
	return 0;
}

inline int client::try_open_timer(timer &out, std::function<void()> function) noexcept
{
	using callback = detail::timer_callback;

	if (!function)
		return -EINVAL;
	return with<callback>([&](callback &cb) { cb.function = std::move(function); },
		[&](mr_client *c, callback *cb) {
			mr_timer *t = nullptr;
			const int result = mr_timer_open(c, callback::call, cb, &t);

			if (result == 0)
				out.open(core_, t, cb);
			return result;
		});
}

} // namespace millrace

#endif
