/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MILLRACE_H
#error "include millrace.h: it includes this file"
#endif
#ifndef MILLRACE_HANDOVER_H
#define MILLRACE_HANDOVER_H

/** @file handover.h
 * Settling an input and pushing its outputs in one step. */

/** @addtogroup queue
 * @{ */

/** @name Settling an input and pushing its outputs in one step
 * A stage of a pipeline takes an input from one queue and pushes outputs into others. These calls
 * push all outputs, wait until each queue has accepted its own, and acknowledge the input then.
 *
 * The id of each output is that of the input; its publisher number is made from the input's, the
 * name of the input's queue, and the place among the outputs to the same queue. If the program, its
 * connection or control dies in between, the input is delivered again. Then its outputs have the
 * same numbers, and the queues drop those that they took before. So each input has all of its
 * outputs once, as long as the program makes the same outputs, in the same order for each queue,
 * from the same input, and the data plane lives. Manual page: mr_settle_and_push(3).
 * @{ */

/** Outputs of one call at most. */
#define MR_OUTPUTS_MAX 64u

/** One output. Its size does not change. */
struct mr_output {
	struct mr_queue *queue;     /**< of the same client, opened with any promise */
	const struct mr_push *push; /**< copied; its `id` and `publisher` must be 0 */
};

/** Selects what becomes of the input when an output is refused. */
enum mr_when_refused {
	MR_REFUSED_REDELIVER, /**< it is delivered again: an attempt, as mr_nack() with `requeue` */
	MR_REFUSED_REJECT,    /**< it goes to the dead letters */
};

/** Options of mr_settle_and_push() and mr_settle_and_push_async(). */
struct mr_settle_options {
	enum mr_when_refused when_refused; /**< what becomes of the input then */
	uint32_t delay_ms;                 /**< delay of that redelivery, ms; 0: 100 */
	uint32_t timeout_ms; /**< mr_settle_and_push(): limit, ms; 0: `request_timeout_ms` */
	/** True: also takes inputs without number, which were not pushed exactly once. Nothing of
	 * them is lost, but after a failure their outputs may be there twice. */
	bool at_least_once;
	uint8_t reserved[3]; /**< 0 */
};

/** Receives the outcome of mr_settle_and_push_async(), once; not if mr_close() comes first.
 *
 * Runs within any call that processes or waits, also within another callback, but not within
 * mr_settle_and_push_async(). It may push and settle, and must not wait.
 *
 * @param c      the client
 * @param tag    `tag` of the input
 * @param error  0: each output is accepted, and the input is acknowledged; else as from
 *               mr_settle_and_push(). mr_error() names the output.
 * @param arg    as given to mr_settle_and_push_async() */
typedef void mr_settle_fn(struct mr_client *c, uint64_t tag, int error, void *arg);

/** Pushes the outputs of an input, waits until they are accepted, and acknowledges the input.
 * Serves no callback but `on_outcome` and those of mr_settle_and_push_async() meanwhile, and defers
 * messages that arrive. Without outputs it is mr_ack().
 *
 * @param input    a delivery in hand, or a copy of its struct, of a consumer with `manual`
 * @param outputs  0 to MR_OUTPUTS_MAX; NULL with `count` 0
 * @param count    number of them
 * @param options  copied; NULL: none
 * @retval 0            each output is accepted, and the acknowledgement will be sent as by mr_ack()
 * @retval -EINVAL      nothing was done: an argument is malformed; the consumer is not `manual`; or
 *                      the input has no number, and `at_least_once` is not set
 * @retval -E2BIG       nothing was done: more outputs to one queue than its window of unaccepted
 *                      pushes, an eighth of its limit
 * @retval -EMSGSIZE    nothing was done: an output is too large, or all of them to one queue are
 * @retval -ENOENT      the input was settled or taken back. If it was taken back after its outputs
 *                      were pushed it comes again, and the queues drop the outputs as known.
 * @retval -EBUSY, -ENOBUFS, -EDQUOT, -ESTALE, -EPROTO  an output was refused, as for
 *                      mr_push_options::on_outcome; the input is treated as `when_refused` says
 * @retval -ETIMEDOUT   not all outputs were accepted in time; the input is treated as if one was
 *                      refused
 * @retval -ENOTCONN    the connection was lost; the input comes again
 * @retval -EDEADLK     a claim is open
 * @retval -ENOMEM      no memory
 * @return Other codes of mr_push_with() mean that nothing was done. */
MR_API int mr_settle_and_push(const struct mr_delivery *input, const struct mr_output *outputs,
	size_t count, const struct mr_settle_options *options);

/** Pushes the outputs of an input without waiting, and acknowledges the input when they are
 * accepted.
 *
 * After 0 the input belongs to the library: mr_ack() and the like refuse it with -EALREADY, and its
 * time is renewed until the outcome. After an error it is still in hand, and nothing was pushed.
 *
 * @param input     as of mr_settle_and_push()
 * @param outputs   as of mr_settle_and_push()
 * @param count     as of mr_settle_and_push()
 * @param options   as of mr_settle_and_push()
 * @param callback  receives the outcome; NULL: none
 * @param arg       passed to the callback
 * @retval 0        the callback will be called
 * @retval -EAGAIN  the window of open pushes of a queue has no room for all outputs now
 * @return otherwise as mr_settle_and_push() when it has done nothing */
MR_API int mr_settle_and_push_async(const struct mr_delivery *input,
	const struct mr_output *outputs, size_t count, const struct mr_settle_options *options,
	mr_settle_fn *callback, void *arg);

/** @} */
/** @} */

#endif
