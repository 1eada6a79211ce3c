// SPDX-License-Identifier: Apache-2.0
// receivers: subscriptions, consumers of queues, workers of services. Each is made anew in a new session.
import { MillraceError } from './errors.js'
import { headerBlock } from './headers.js'
import { Inbox, Message } from './messages.js'
import { pushOutputs } from './outputs.js'
import { queueOptions } from './queue_options.js'
import { Intake, Parts, REPLIES, granted, partMessage } from './streams.js'
import { Kind, SettleVerb, settlement, message } from './wire.js'

const INBOX_MAX = 4096
const WINDOW = 64 // parts in flight per request
const SINGLE_ACTIVE = 2
const SETTLE_ERROR = 1 // SettleOption
const ERROR_MAX = 256
const Known = { Rate: 2, PrefetchBytes: 4, Paused: 8, SingleActive: 16, Lease: 32, DeadLetter: 64 } // ConsumeOption
const LEASE_MS = 300000
const LEASE_MS_MAX = 86400000
const LEVELS = [4, 7, 1] // of the priorities with a name; the others are LEVEL_0 and above
const LEVEL_0 = 16

// A text without what would end the line, as the C library writes it.
const errorText = (error) => String(error).replace(/[\0\r\n]/g, ' ').slice(0, ERROR_MAX)

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
    this.ackTimeoutMs = answer.ackTimeoutMs ?? 0
    this.maxDeliver = answer.maxDeliver ?? 0
    this.renewMs = Math.max(10, (answer.ackTimeoutMs || 30000) / 4)
    this.known = answer.consumeOptions ?? 0
    this.settleOptions = answer.settleOptions ?? 0
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

  next() {
    return this.inbox.next()
  }

  [Symbol.asyncIterator]() {
    if (!this.inbox) throw new TypeError('it has a callback')
    return {
      next: () => this.next(),
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
    const { group, prefix, promised, highWater, time, sender } = this.options
    return ['SubscribeRequest', { subscription: this.number, kind: prefix ? 1 : 0, pattern: this.pattern, group,
      whenFull: promised ? 1 : 0, highWater, time: time ? 1 : undefined, sender: sender ? 1 : undefined }]
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
    this.recalled = false
    this.number = m.delivery.tag
    this.redelivered = m.delivery.redelivered
    this.attempts = m.delivery.redelivered - m.delivery.spared
    this.level = LEVELS[m.delivery.priority] ?? m.delivery.priority - LEVEL_0
    this.publisher = m.origin?.publisher ?? 0n
    this.id = m.origin?.id ?? 0n
  }

  /** The program may settle it. */
  get inHand() {
    return !this.settled && !this.recalled && this.#session.state === 'open'
  }

  #settle(verb, delayMs, ends = true, error = null) {
    if (!this.inHand) return false
    this.settled = ends
    this.#consumer.settle(this.#raw.delivery, verb, delayMs, error)
    return true
  }

  ack() {
    return this.#settle(SettleVerb.Ack, 0)
  }

  /** `error` says why, and stays with the message as its header Millrace-Error. */
  nack({ requeue = true, delayMs = 0, error = null } = {}) {
    return this.#settle(requeue ? SettleVerb.Requeue : SettleVerb.Reject, delayMs, true, error)
  }

  giveBack() {
    return this.#settle(SettleVerb.Returned, 0)
  }

  /** Pushes the outputs, and acks when their queues have accepted them, in one step. */
  async settleAndPush(outputs = [], { reject = false, delayMs = 100, atLeastOnce = false } = {}) {
    if (!this.inHand) throw new MillraceError('ENOENT', 'the delivery is not in hand any more')
    const done = pushOutputs(this.#consumer.client, this, this.#consumer.name, outputs, atLeastOnce)
    this.settled = true // by this call alone
    const settle = (verb, delay) => {
      this.settled = false
      return this.#settle(verb, delay)
    }
    const renewal = setInterval(() => {
      if (this.#session.state === 'open') this.#consumer.settle(this.#raw.delivery, SettleVerb.Progress, 0)
    }, this.#consumer.renewMs)
    renewal.unref?.()
    try {
      await done
    } catch (error) {
      settle(reject ? SettleVerb.Reject : SettleVerb.Requeue, reject ? 0 : delayMs)
      throw error
    } finally {
      clearInterval(renewal)
    }
    if (!settle(SettleVerb.Ack, 0)) {
      if (this.recalled) throw new MillraceError('ENOENT', 'the bus took the input back: its outputs are known when it comes again')
      throw new MillraceError('ENOTCONN', 'the connection was lost: the input comes again, and its outputs are known then')
    }
  }

  inProgress() {
    return this.#settle(SettleVerb.Progress, 0, false)
  }
}

export class Consumer extends Receiver {
  #held = new Map() // tag: {delivery, waits} of what is not settled; the prefetch bounds it
  #renewal = null
  #renews = false
  #retryDelayMs = 0

  constructor(client, name, options, callback) {
    super(client, options, callback)
    this.name = name
    this.paused = false
    if (this.inbox) this.inbox.max = Infinity // the prefetch bounds it
  }

  request() {
    const { prefetch, weight, tag, prefetchBytes, rate = 0, exclusive } = this.options
    const wish = queueOptions(this.options.queue)
    const options = exclusive ? { ...wish.options, singleActive: SINGLE_ACTIVE } : wish.options
    return ['ConsumeRequest', { subscription: this.number, kind: 0, name: this.name, options, prefetch, weight, recalls: 1,
      tag, rate: Math.round(rate * 1000), prefetchBytes, paused: this.paused ? 1 : 0, deadLetter: wish.deadLetter }]
  }

  /** An older bus would ignore these options. */
  async open() {
    const { rate, prefetchBytes, exclusive, queue } = this.options
    const wanted = (rate ? Known.Rate : 0) | (prefetchBytes ? Known.PrefetchBytes : 0) | (exclusive ? Known.SingleActive : 0) |
      (this.#leaseMs > 0 ? Known.Lease : 0) | (queue?.deadLetter === undefined ? 0 : Known.DeadLetter)
    if (this.#leaseMs > LEASE_MS_MAX) throw new MillraceError('EINVAL', `renewMaxMs is at most ${LEASE_MS_MAX}`)
    await super.open()
    if (wanted & ~this.known) {
      await this.close()
      throw new MillraceError('EOPNOTSUPP', 'the bus is older and does not know an option of the consumer')
    }
  }

  // How long a delivery may be worked on; 0: the time of the queue.
  get #leaseMs() {
    const { autoRenew = false, renewMaxMs = 0 } = this.options
    return renewMaxMs || (autoRenew ? LEASE_MS : 0)
  }

  /** Stops the deliveries until resume(); what was sent already still comes. */
  pause() {
    return this.#setPaused(true)
  }

  /** Ends a pause(), but not a pause by an operator. */
  resume() {
    return this.#setPaused(false)
  }

  async #setPaused(paused) {
    if (!(this.known & Known.Paused)) throw new MillraceError('EOPNOTSUPP', 'the bus is older and cannot pause a consumer')
    this.paused = paused
    await this.client.control(...this.request())
  }

  /** True: the deliveries that the program holds are renewed too, as those that wait always are. */
  renew(on) {
    this.#renews = on
  }

  /** The delay of a nack without one, while the queue has no back-off. */
  retryDelay(delayMs) {
    this.#retryDelayMs = delayMs
  }

  take(m, holder) {
    if (m.kind !== Kind.Deliver || !m.delivery) return
    const delivery = new Delivery(this, m)
    this.#held.set(delivery.number, { delivery, waits: true })
    this.#renewal ??= this.#renewEach()
    if (!this.callback) return this.hand(delivery, holder)
    const begun = this.#begin(delivery)
    if (!begun) return this.hand(delivery)
    begun.then(() => delivery.inHand && this.hand(delivery))
  }

  // The delivery is worked on from now on. With a lease resolves when that was sent: the program may hold up the loop.
  #begin(delivery) {
    const held = this.#held.get(delivery.number)
    if (held) held.waits = false
    if (!held || this.#leaseMs === 0) return null
    this.#progress(delivery)
    this.client.session.flushAll()
    return new Promise((resolve) => setImmediate(resolve))
  }

  #progress(delivery) {
    this.settle({ tag: delivery.number, queue: this.queue }, SettleVerb.Progress, this.#leaseMs)
  }

  #renewEach() {
    const timer = setInterval(() => {
      for (const { delivery, waits } of this.#held.values()) {
        if (!delivery.inHand) this.#drop(delivery.number)
        else if (waits || this.#renews) this.#progress(delivery)
      }
    }, this.renewMs)
    timer.unref?.()
    return timer
  }

  #drop(tag) {
    this.#held.delete(tag)
    if (this.#held.size > 0) return
    clearInterval(this.#renewal)
    this.#renewal = null
  }

  async next() {
    const next = await this.inbox.next()
    if (!next.done) await this.#begin(next.value)
    return next
  }

  /** Up to `max` deliveries: as soon as there are so many, or those that came within `waitMs`. */
  async nextBatch(max, waitMs = Infinity) {
    if (!this.inbox) throw new TypeError('it has a callback')
    if (!(Number.isInteger(max) && max >= 1)) throw new MillraceError('EINVAL', 'a batch has 1 delivery or more')
    const until = performance.now() + waitMs
    const came = []
    while (came.length < max) {
      const next = await this.inbox.within(Math.max(0, until - performance.now()))
      if (next === null) break
      if (next.done && came.length === 0) throw new MillraceError('ENOENT', 'the consumer has ended')
      if (next.done) break
      came.push(next.value)
    }
    const batch = came.filter((delivery) => delivery.inHand) // some may have been taken back meanwhile
    await Promise.all(batch.map((delivery) => this.#begin(delivery)))
    return batch
  }

  /** A Recall: the bus took a delivery back. False: it is not held here. */
  takeOf(m) {
    const held = m.kind === Kind.Recall ? this.#held.get(m.delivery.tag) : undefined
    if (!held) return false
    const { delivery } = held
    delivery.recalled = true
    this.inbox?.remove(delivery)
    const { onRecall } = this.options
    if (onRecall) this.client.guard(() => onRecall(delivery))
    this.settle({ tag: delivery.number, queue: this.queue }, SettleVerb.Released, 0)
    return true
  }

  #dropAll() {
    for (const tag of [...this.#held.keys()]) this.#drop(tag)
  }

  /** The deliveries go to other consumers. */
  lost() {
    this.#dropAll()
  }

  async drain() {
    await super.drain()
    this.#dropAll()
  }

  settle({ tag, queue }, verb, delayMs, error = null) {
    if (verb !== SettleVerb.Progress) this.#drop(tag)
    const usual = verb === SettleVerb.Requeue && delayMs === 0 && this.#retryDelayMs > 0
    const payload = usual ? settlement(tag, verb, this.#retryDelayMs, 1) : settlement(tag, verb, delayMs)
    const told = error !== null && (this.settleOptions & SETTLE_ERROR)
    const headers = told ? headerBlock({ 'Millrace-Error': errorText(error) }) : ''
    this.client.session.promise(message(Kind.Settle, { target: queue, headers, payload }), null, { small: true })
  }
}

/** A call that this worker has in hand. */
export class Request extends Message {
  #service
  #raw
  #session
  #room = REPLIES
  #waiting = [] // those who wait for room
  #intake = null

  constructor(service, m) {
    super(service.client, m)
    this.#service = service
    this.#raw = m
    this.#session = service.client.session
    this.answered = false
    this.recalled = false
    this.why = null // it was recalled
    this.handled = false // the handler has returned
    this.parts = null
  }

  get tag() {
    return this.#raw.delivery.tag
  }

  get #token() {
    return { session: this.tag, correlation: this.#raw.token.correlation }
  }

  get #open() {
    return !this.answered && !this.recalled && this.#session.state === 'open'
  }

  /** The service's: tells the caller that parts are taken. */
  begin(window) {
    const { client } = this.#service
    const grant = (parts) => this.#open && client.sendCredit(this.#raw.delivery.queue, this.#token, parts)
    this.#intake = new Intake(window, grant)
    this.parts = new Parts(this.#intake)
    grant(window)
  }

  /** Partial replies that the caller takes now. */
  get replies() {
    return this.#open ? this.#room : 0
  }

  /** Resolves when the caller takes a partial reply; false: the call is not in hand any more. */
  async room() {
    while (this.#open && this.#room === 0) await new Promise((resolve) => this.#waiting.push(resolve))
    return this.#open
  }

  /** The service's: the caller takes more. */
  credit(m) {
    const room = granted(this.#room, m)
    if (room === null) return false
    this.#room = room
    this.#wake()
    return true
  }

  #wake() {
    for (const resolve of this.#waiting.splice(0)) resolve()
  }

  /** The service's: nobody waits for a reply any more. */
  end(error) {
    this.recalled = true
    this.why = error
    this.#over(error)
  }

  #over(error) {
    this.parts?.fail(error)
    this.#wake()
  }

  /** Sends the final reply, or a partial one with `more`. Throws EAGAIN if the caller takes no partial reply now. */
  respond(payload, { headers, more = false } = {}) {
    if (!this.#open) return false
    if (more && this.#room === 0) throw new MillraceError('EAGAIN', 'the caller takes no more now: await room()')
    this.#service.client.sendResponse(this.#raw.delivery.queue, this.#token, payload, { headers, more })
    if (more) this.#room--
    else this.#settled()
    return true
  }

  /** Gives the call up; `again`: another worker gets it, otherwise the caller an error. */
  fail({ again = false } = {}) {
    if (!this.#open) return false
    this.#service.settle(this.#raw.delivery, again ? SettleVerb.Requeue : SettleVerb.Reject, 0)
    this.#settled()
    return true
  }

  #settled() {
    this.answered = true
    this.#service.inHand.delete(this.tag)
    this.#over(new MillraceError('ENOENT', 'the request was answered'))
  }

  /** The service's: answers the recall of a request, once nobody works on it. */
  release() {
    if (this.#session.state === 'open') this.#service.settle(this.#raw.delivery, SettleVerb.Released, 0)
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
    this.inHand = new Map() // tag: request; the prefetch bounds it
  }

  request() {
    const { prefetch, queue } = this.options
    const { options } = queueOptions(queue)
    return ['ConsumeRequest', { subscription: this.number, kind: 1, name: this.name, options, prefetch, recalls: 1 }]
  }

  take(m, holder) {
    if (m.kind !== Kind.Deliver || !m.delivery || !m.token) return
    const request = new Request(this, m)
    if (request.more && !this.options.streams) return request.fail()
    this.inHand.set(request.tag, request)
    if (request.more) request.begin(this.options.window || WINDOW)
    this.hand(request, holder)
  }

  /** A Part, Credit or Recall. False: it is of no request in hand. */
  takeOf(m) {
    const request = this.inHand.get(m.delivery.tag)
    if (!request) return false
    if (m.kind === Kind.Credit) return request.credit(m)
    if (m.kind === Kind.Part) return request.parts !== null && request.parts.take(partMessage(this.client, m))
    this.inHand.delete(request.tag)
    request.end(new MillraceError('ENOENT', 'the request was recalled: its caller has given up, or its time is over'))
    if (request.handled) request.release()
    return true
  }

  async drain() {
    await super.drain()
    this.lost(new MillraceError('ENOENT', 'the service was closed'))
  }

  /** The requests in hand go to other workers. */
  lost(error) {
    for (const request of this.inHand.values()) request.end(error)
    this.inHand.clear()
  }

  async answer(request, handler) {
    try {
      await this.handle(request, handler)
    } finally {
      request.handled = true
      if (request.recalled) request.release()
    }
  }

  async handle(request, handler) {
    try {
      const reply = await handler(request)
      if (reply !== undefined && !request.answered) request.respond(reply)
    } catch (error) {
      if (error === request.why) return // from the parts: nobody waits for a reply
      if (!request.answered) request.fail()
      if (this.client.listenerCount('error') > 0) this.client.emit('error', error)
    }
  }
}
