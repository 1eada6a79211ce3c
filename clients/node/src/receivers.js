// SPDX-License-Identifier: Apache-2.0
// receivers: subscriptions, consumers of queues, workers of services. Each is made anew in a new session.
import { MillraceError } from './errors.js'
import { Inbox, Message } from './messages.js'
import { Kind, SettleVerb, settlement, message } from './wire.js'

const INBOX_MAX = 4096

/** What the three have in common: a number, a function or an inbox, the request that makes it. */
class Receiver {
  constructor(client, options, callback) {
    this.client = client
    this.options = options
    this.callback = callback ?? null
    this.inbox = callback ? null : new Inbox(options.inboxMax ?? INBOX_MAX)
    this.number = client.nextNumber()
    this.queue = 0 // number of the queue or service; 0: subjects
    this.closed = false
    this.count = 0
    this.missed = 0
  }

  async open() {
    const answer = await this.client.control(...this.request())
    this.queue = answer.queue ?? 0
  }

  hand(item, holder) {
    this.count++
    if (this.callback) return this.client.guard(() => this.callback(item))
    holder?.hold()
    if (!this.inbox.put(item, holder && (() => holder.release()))) {
      this.missed++
      this.client.miss()
    }
  }

  /** Ends it: nothing comes any more. What waits in the inbox is dropped. */
  async close() {
    await this.drain()
    for (const { release } of this.inbox?.items.splice(0) ?? []) release?.()
  }

  /** Ends it; what has come is still handed out. */
  async drain() {
    if (this.closed) return
    this.closed = true
    try {
      await this.client.control('UnsubscribeRequest', { subscription: this.number, queue: this.queue })
    } catch (error) {
      if (error.code !== 'ENOTCONN') throw error // the session took it along
    } finally {
      this.client.receivers.delete(this.number)
      this.inbox?.end()
    }
  }

  [Symbol.asyncIterator]() {
    if (!this.inbox) throw new TypeError('it has a callback')
    return {
      next: () => this.inbox.next(),
      return: async () => {
        await this.close()
        return { value: undefined, done: true }
      }
    }
  }
}

export class Subscription extends Receiver {
  constructor(client, pattern, options, callback) {
    super(client, options, callback)
    this.pattern = pattern
    this.max = options.max ?? 0
  }

  request() {
    const { group, prefix, promised, highWater } = this.options
    return ['SubscribeRequest', { subscription: this.number, kind: prefix ? 1 : 0, pattern: this.pattern, group,
      whenFull: promised ? 1 : 0, highWater }]
  }

  take(m, holder) {
    if (this.over) return this.client.session.ignore() // on its way when the last one came
    this.hand(new Message(this.client, m), holder)
    if (this.over) this.drain().catch(() => {})
  }

  get over() {
    return this.max > 0 && this.count >= this.max
  }

  /** Ends it after so many messages, counted from its start: at once if they have come. */
  unsubscribeAfter(messages) {
    if (!(messages >= 1)) throw new MillraceError('EINVAL', 'a number of messages is at least 1')
    this.max = messages
    if (this.over) this.drain().catch(() => {})
  }

  unsubscribe() {
    return this.close()
  }
}

/** A message of a queue. Each settlement returns false if the delivery is not this client's any more. */
export class Delivery extends Message {
  #consumer
  #raw
  #session

  constructor(consumer, m) {
    super(consumer.client, m)
    this.#consumer = consumer
    this.#raw = m
    this.#session = consumer.client.session
    this.settled = false
    this.redelivered = m.delivery.redelivered
    this.attempts = m.delivery.redelivered - m.delivery.spared
    this.publisher = m.origin?.publisher ?? 0n
    this.id = m.origin?.id ?? 0n
  }

  #settle(verb, delayMs, ends = true) {
    if (this.settled || this.#session.state !== 'open') return false
    this.settled = ends
    this.#consumer.settle(this.#raw.delivery, verb, delayMs)
    return true
  }

  ack() {
    return this.#settle(SettleVerb.Ack, 0)
  }

  nack({ requeue = true, delayMs = 0 } = {}) {
    return this.#settle(requeue ? SettleVerb.Requeue : SettleVerb.Reject, delayMs)
  }

  giveBack() {
    return this.#settle(SettleVerb.Returned, 0)
  }

  inProgress() {
    return this.#settle(SettleVerb.Progress, 0, false)
  }
}

export class Consumer extends Receiver {
  constructor(client, name, options, callback) {
    super(client, options, callback)
    this.name = name
  }

  request() {
    const { prefetch, weight, queue } = this.options
    return ['ConsumeRequest', { subscription: this.number, kind: 0, name: this.name, options: queue, prefetch, weight }]
  }

  take(m, holder) {
    if (m.kind === Kind.Deliver && m.delivery) this.hand(new Delivery(this, m), holder)
  }

  settle({ tag, queue }, verb, delayMs) {
    const payload = settlement(tag, verb, delayMs)
    this.client.session.promise(message(Kind.Settle, { target: queue, payload }), null, { small: true })
  }
}

/** A call that this worker has in hand. */
export class Request extends Message {
  #service
  #raw
  #session

  constructor(service, m) {
    super(service.client, m)
    this.#service = service
    this.#raw = m
    this.#session = service.client.session
    this.answered = false
  }

  get #open() {
    return !this.answered && this.#session.state === 'open'
  }

  /** Sends the final reply, or a partial one with `more`. */
  respond(payload, { headers, more = false } = {}) {
    if (!this.#open) return false
    const { tag, queue } = this.#raw.delivery
    this.#service.client.sendResponse(queue, { session: tag, correlation: this.#raw.token.correlation }, payload,
      { headers, more })
    this.answered = !more
    return true
  }

  /** Gives the call up; `again`: another worker gets it, otherwise the caller an error. */
  fail({ again = false } = {}) {
    if (!this.#open) return false
    this.answered = true
    this.#service.settle(this.#raw.delivery, again ? SettleVerb.Requeue : SettleVerb.Reject, 0)
    return true
  }

  inProgress() {
    if (!this.#open) return false
    this.#service.settle(this.#raw.delivery, SettleVerb.Progress, 0)
    return true
  }
}

/** A worker of a service: the handler's result is the reply; if it throws, the call fails. */
export class Service extends Consumer {
  constructor(client, name, options, handler) {
    super(client, name, options, (request) => this.answer(request, handler))
  }

  request() {
    const { prefetch, queue } = this.options
    return ['ConsumeRequest', { subscription: this.number, kind: 1, name: this.name, options: queue, prefetch }]
  }

  take(m, holder) {
    if (m.kind === Kind.Deliver && m.delivery && m.token) this.hand(new Request(this, m), holder)
  }

  async answer(request, handler) {
    try {
      const reply = await handler(request)
      if (reply !== undefined && !request.answered) request.respond(reply)
    } catch (error) {
      if (!request.answered) request.fail()
      if (this.client.listenerCount('error') > 0) this.client.emit('error', error)
    }
  }
}
