/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MILLRACE_HPP
#error "include millrace.hpp: it includes this file"
#endif
#ifndef MILLRACE_OPTIONS_HPP
#define MILLRACE_OPTIONS_HPP

/** @file options.hpp
 * Options of the calls, and the types of functions. */

namespace millrace
{

/** Options of a client, as mr_options. A field that is 0 or empty has its default. */
struct connect_options {
	std::string name;
	milliseconds connect_timeout{0};
	milliseconds request_timeout{0};
	std::chrono::microseconds spin{0};
	bool no_reconnect = false;
	mr_when_away when_away = MR_AWAY_KEEP;
	std::size_t away_bytes_max = 0;
	/** Told of the lost connection (with its code) and of the restored one. */
	std::function<void(bool connected, std::error_code)> on_state;
	std::function<void(std::uint64_t missed, std::uint64_t missed_total)> on_gap;
};

struct subscribe_options {
	std::string_view group;
	bool prefix = false;
	mr_promise_kind promise = MR_BEST_EFFORT;
	unsigned high_water = 0;
	bool time = false;   /**< messages say when the bus took them: message::time() */
	bool sender = false; /**< messages name their sender: message::sender() */
};

/** Options of client::request_many(), as mr_request_many_options. */
struct request_many_options {
	unsigned replies_max = 0; /**< 0: any number, the times end it */
	milliseconds timeout{0};  /**< for all replies; 0: `request_timeout` */
	milliseconds stall{0};    /**< from one reply to the next; 0: no limit */
	std::string_view headers;
};

struct publisher_options {
	mr_promise_kind promise = MR_BEST_EFFORT;
	std::string publisher;
	std::uint64_t next_id = 0;
};

struct push_options {
	mr_promise_kind promise = MR_AT_LEAST_ONCE;
	std::string publisher;
	std::uint64_t next_id = 0;
	mr_queue_options queue{};
	/** Outcome of each promised push. May push, and must not wait. */
	std::function<void(std::uint64_t id, std::error_code)> on_outcome;
	/** With MR_POLICY_KEY_SHARED: "header NAME" or "token N", the key of a push without one. */
	std::string key_from;
	mr_queue_retry retry{};  /**< back-off of the queue */
	std::string dead_letter; /**< queue of the dead letters, "none" or "default"; empty: any */
};

struct consume_options {
	unsigned prefetch = 0;
	unsigned weight = 0;
	bool manual = false;
	mr_queue_options queue{};
	std::string tag;             /**< name in lists; empty: none */
	double rate = 0;             /**< messages per second; 0: no limit */
	unsigned prefetch_bytes = 0; /**< unsettled bytes; 0: no limit */
	bool exclusive = false;      /**< one consumer gets all messages, the others stand by */
	/** A delivery may be worked on for `renew_max`, whatever the time-out of the queue, also
	 * while the function does not return. */
	bool auto_renew = false;
	milliseconds renew_max{0}; /**< 0: 5 minutes */
	std::string key_from;      /**< as push_options::key_from */
	mr_queue_retry retry{};    /**< back-off of the queue */
	std::string dead_letter;   /**< as push_options::dead_letter */
};

struct call_options {
	milliseconds timeout{0}; /**< of each attempt; 0: `request_timeout` */
	unsigned retries = 0;    /**< 0: 2; MR_NO_RETRIES: none */
	milliseconds backoff{0};
	bool wait = false;
	std::string_view headers;
	unsigned breaker_failures = 0;
	milliseconds breaker_reset{0};
};

/** Times of a round trip to the control process. */
struct ping_times {
	std::chrono::nanoseconds handled{0}; /**< until control had handled the request */
	std::chrono::nanoseconds round{0};   /**< until the answer was here */
};

/** Functions of the program. `message` and `delivery` are valid until they return. */
using delivery_function = std::function<void(consumer_ref, const delivery &)>;
/** `more`: a streaming request, its parts follow. */
using work_function = std::function<void(service_ref, const delivery &, bool more)>;
using part_function =
	std::function<void(service_ref, std::uint64_t tag, const message &part, bool more)>;
/** An event of the library; `text` is one line. */
using log_function = std::function<void(mr_severity, mr_event, std::string_view text)>;
/** `more`: a partial reply, others follow. */
using call_function = std::function<void(const message *reply, bool more, std::error_code)>;

/** Options of a service, as mr_serve_options. */
struct serve_options {
	unsigned prefetch = 0;
	mr_queue_options queue{};
	/** Receives the parts of streaming requests; without it these are refused. */
	part_function on_part;
	unsigned window = 0;
};

} // namespace millrace

#endif
