// SPDX-License-Identifier: Apache-2.0
// queue: pushing to a queue: the window of open pushes, retries of a full queue, and the next session.
import { randomInt } from 'node:crypto'
import { MillraceError, statusError } from './errors.js'
import { queueOptions } from './queue_options.js'
import { Flag, Kind, pushOptions } from './wire.js'

const RETRY_MS = 50
const RETRY_MS_MAX = 1000
const FULL = [429, 507, 508]
const PRIORITY = { high: Flag.High, low: Flag.Low, normal: 0 }
const Option = { ttl: 1, delay: 2, key: 4, priority: 8, ticket: 16, repeat: 32, deadLetter: 64, restored: 128 }
const Repeat = { every: 1, cron: 2, restored: 3 }
const ATTEMPTS_MAX = 65535
const EVERY_MS_MIN = 100
const KEY_BYTES_MAX = 255
const TICKET_MAX = 2 ** 48 - 1

export class Queue {
  constructor(client, name, options) {
    this.client = client
    this.name = name
    this.options = options
    this.open_ = new Map() // "publisher id": push
    this.waiting = []
    this.number = 0
    this.outputs = new Map() // "publisher id": promise of an output, see outputs.js
  }

  async open() {
    const wish = queueOptions(this.options)
    const answer = await this.client.control('QueueRequest', { kind: 0, name: this.name, ...wish, knowsMemory: true,
      knowsShare: true })
    Object.assign(this, { number: answer.queue, window: Math.max(1, answer.window), waits: answer.waits !== 0,
      pushOptions: answer.pushOptions ?? 0 })
    if (wish.deadLetter !== undefined && !(this.pushOptions & Option.deadLetter)) {
      throw new MillraceError('EOPNOTSUPP', 'the bus is older and does not know deadLetter')
    }
  }

  /** After a new session: what was not accepted is sent again. */
  async reopen() {
    await this.open()
    this.waiting.unshift(...this.open_.values())
    this.open_.clear()
    this.pump()
  }

  /** Pushes that are not accepted yet. */
  get unaccepted() {
    return this.open_.size + this.waiting.length
  }

  // The parts of a push: with options a PushOptions, whose block stands before the header block.
  parts(payload, options = {}) {
    const { headers, priority = 'normal', ttlMs = 0, delayMs = 0, atMs = 0, key = null, ticket = 0, everyMs = 0,
      cron = null, attempts = 0 } = options
    const level = typeof priority === 'number' ? priority : null
    const wanted = (ttlMs ? Option.ttl : 0) | (delayMs || atMs ? Option.delay : 0) | (level === null ? 0 : Option.priority) |
      (key === null ? 0 : Option.key) | (ticket ? Option.ticket : 0) | (everyMs || cron !== null ? Option.repeat : 0) |
      (attempts ? Option.restored : 0)
    if (wanted === 0) return this.client.parts(Kind.Push, '', payload, headers)
    this.check(options, level)
    if (wanted & ~this.pushOptions) {
      throw new MillraceError('EOPNOTSUPP', 'the bus is older and does not know this option of a push')
    }
    const repeat = everyMs ? Repeat.every : cron !== null ? Repeat.cron : attempts ? Repeat.restored : 0
    const block = pushOptions({ ttlMs, delayMs: everyMs || delayMs, atMs, level, key, ticket: attempts || ticket, repeat })
    const lines = { ...(key !== null && { 'Millrace-Key': key }), ...(cron !== null && { 'Millrace-Cron': cron }), ...headers }
    const parts = this.client.parts(Kind.PushOptions, '', payload, lines)
    return { ...parts, block: Buffer.concat([block, parts.block]), bytes: parts.bytes + block.length }
  }

  // Throws for options that the bus would refuse.
  check({ delayMs = 0, atMs = 0, key = null, ticket = 0, everyMs = 0, cron = null, attempts = 0 }, level) {
    const refuse = (text) => { throw new MillraceError('EINVAL', text) }
    const times = [delayMs, atMs, everyMs, cron].filter((time) => time !== null && time !== 0).length
    if (level !== null && !(Number.isInteger(level) && level >= 0 && level <= 9)) {
      refuse('a priority is high, normal, low or a level from 0 to 9')
    }
    if (times > 1) refuse('only one of delayMs, atMs, everyMs and cron')
    if (attempts !== 0 && (times > 0 || ticket !== 0)) refuse('attempts are of a message without a time and a ticket')
    if (!(Number.isInteger(attempts) && attempts >= 0 && attempts <= ATTEMPTS_MAX)) {
      refuse(`attempts is 0 to ${ATTEMPTS_MAX}`)
    }
    if (key !== null && (!/^[^\x00-\x1f\x7f]+$/.test(key) || Buffer.byteLength(key) > KEY_BYTES_MAX)) {
      refuse('a key has 1 to 255 bytes without control characters')
    }
    if (!(Number.isInteger(ticket) && ticket >= 0 && ticket <= TICKET_MAX)) refuse('a ticket has at most 48 bits')
    if (ticket !== 0 && times === 0) refuse('a ticket needs delayMs, atMs, everyMs or cron')
    if ((everyMs !== 0 || cron !== null) && ticket === 0) refuse('what repeats needs a ticket')
    if (everyMs !== 0 && everyMs < EVERY_MS_MIN) refuse(`everyMs is below ${EVERY_MS_MIN}`)
  }

  /** A new number for a push that waits, by which cancel() finds it. */
  ticket() {
    return randomInt(1, TICKET_MAX)
  }

  /** Takes back the messages with this ticket that are not due, and ends what repeats with it. */
  cancel(ticket) {
    return this.client.cancel(this.name, ticket)
  }

  /** Resolves when the queue has it; best effort: when it was sent. */
  push(payload, options = {}) {
    const { priority = 'normal', publisher = 0n, id = this.client.nextId(), bestEffort = false } = options
    if (bestEffort) return this.attempt(payload, options)
    return this.give(this.parts(payload, options), { flags: PRIORITY[priority] ?? 0, origin: { publisher, id } })
  }

  // Nobody is told of a full queue: the bus counts the push.
  async attempt(payload, options) {
    if (options.publisher !== undefined || options.id !== undefined) {
      throw new MillraceError('EINVAL', 'best effort has no number')
    }
    this.client.need()
    const fields = { target: this.number, flags: PRIORITY[options.priority] ?? 0 }
    if (!this.client.promiseParts(this.parts(payload, options), fields)) {
      throw new MillraceError('EAGAIN', 'the buffer to the bus is full: wait for room()')
    }
  }

  // `own`: see Client.outgoing.
  give(parts, { flags, origin }, own = true) {
    return this.client.outgoing(parts.bytes, (push) => {
      Object.assign(push, parts, { key: `${origin.publisher} ${origin.id}`, flags, origin, retryMs: RETRY_MS })
      this.waiting.push(push)
      this.pump()
    }, own)
  }

  pump() {
    while (this.waiting.length > 0 && this.open_.size < this.window && this.client.connected) {
      const push = this.waiting.shift()
      this.open_.set(push.key, push)
      const { flags, origin } = push
      if (!this.client.promiseParts(push, { target: this.number, flags, origin })) {
        this.open_.delete(push.key)
        this.waiting.unshift(push)
        return
      }
    }
  }

  accepted(key, status) {
    const push = this.open_.get(key)
    if (!push) return
    this.open_.delete(key)
    if (status === 0) push.resolve()
    else if (status === 404) this.again(push, () => this.open())
    else if (FULL.includes(status) && this.waits) this.again(push, async () => {})
    else push.reject(statusError(status))
    this.pump()
  }

  // Sends a push once more, after a while that grows.
  again(push, before) {
    const timer = setTimeout(async () => {
      try {
        await before()
        this.waiting.unshift(push)
        this.pump()
      } catch (error) {
        if (error.code === 'ENOTCONN') this.waiting.unshift(push)
        else push.reject(error)
      }
    }, push.retryMs)
    timer.unref?.()
    push.retryMs = Math.min(RETRY_MS_MAX, 2 * push.retryMs)
  }

  close() {
    this.client.queues.delete(this)
    for (const push of [...this.open_.values(), ...this.waiting]) push.reject(statusError(404))
    this.open_.clear()
    this.waiting = []
  }
}
