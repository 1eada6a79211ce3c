// SPDX-License-Identifier: Apache-2.0
// client: the calls of a program, over one session after another (docs/protocol.md, "Messages").
import { randomBytes } from 'node:crypto'
import { EventEmitter } from 'node:events'
import { Away } from './away.js'
import { MillraceError, statusError } from './errors.js'
import { headerBlock } from './headers.js'
import { Message, Reassembly } from './messages.js'
import { Queue } from './queue.js'
import { Consumer, Service, Subscription } from './receivers.js'
import { Session } from './session.js'
import { REPLIES, Stream } from './streams.js'
import { parseTable, table } from './tables.js'
import * as wire from './wire.js'

const { Flag, Kind } = wire
const PORT = 7400
const RESEND_MS = 1000
const RECONNECT_MS = 100
const RECONNECT_MS_MAX = 2000
const ALIASES_MAX = 256
const ALIAS_AFTER = 2 // publishes of a subject
const DEFAULTS = { name: 'node', connectTimeoutMs: 5000, requestTimeoutMs: 5000, reconnect: true, mtu: 1500,
  bufferBytesMax: 1 << 20, whenAway: 'error', awayBytesMax: 1 << 20 }

/** The addresses of an option: udp://HOST[:PORT], several with commas or as an array. */
export function parseServers(servers) {
  const given = Array.isArray(servers) ? servers : String(servers ?? '').split(',')
  const list = given.map((address) => address.trim()).filter(Boolean)
  if (list.length === 0) throw new MillraceError('EINVAL', 'no address: give udp://HOST[:PORT] or set MILLRACE_SERVER')
  return list.map((address) => {
    const [, host6, host, port] = /^udp:\/\/(?:\[([^\]]+)\]|([^:/[\]]+))(?::(\d{1,5}))?\/?$/.exec(address) ?? []
    if (!(host6 ?? host) || Number(port) > 65535) {
      throw new MillraceError('EINVAL', `${address} is not udp://HOST[:PORT]; other addresses need libmillrace`)
    }
    return { host: host6 ?? host, port: Number(port ?? PORT) }
  })
}

// Why a subject is malformed; null: it is not.
function subjectFault(subject) {
  if (typeof subject !== 'string' || subject === '' || Buffer.byteLength(subject) > 255) {
    return 'a subject has 1 to 255 bytes'
  }
  if (/[\x00-\x20\x7f]/.test(subject)) return 'a subject has no blanks and no control bytes'
  return subject.split('.').some((token) => token === '' || token === '*' || token === '>')
    ? 'a token of a subject is not empty and no wildcard'
    : null
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const lostError = () => new MillraceError('ENOTCONN', 'the connection was lost')

export class Client extends EventEmitter {
  constructor(servers, options = {}) {
    super()
    this.setMaxListeners(0)
    this.options = { ...DEFAULTS, ...options }
    this.servers = parseServers(servers ?? process.env.MILLRACE_SERVER)
    this.server = 0
    this.session = null
    this.connected = false
    this.closing = false
    this.reconnecting = false
    this.receivers = new Map() // number: Subscription, Consumer, Service
    this.queues = new Set()
    this.controls = new Map() // correlation: {resolve, reject, timers}
    this.requests = new Map() // correlation: {resolve, reject, partial, timer}
    this.outbox = new Set() // promises and pushes that are not accepted
    this.outboxBytes = 0
    this.away = new Away(this, this.options)
    this.refused = null // first refusal that settle() has not told yet
    this.serial = 0
    this.ids = 0n
    this.missed = 0n
    this.ended = new Promise((resolve) => { this.end = resolve })
  }

  // ---- connecting

  async open() {
    const until = performance.now() + this.options.connectTimeoutMs
    let error
    for (let i = 0; i < this.servers.length; i++) {
      const left = until - performance.now()
      if (left <= 0) break
      try {
        return await this.join(this.servers[this.server], left / (this.servers.length - i))
      } catch (e) {
        error = e
        this.server = (this.server + 1) % this.servers.length
      }
    }
    throw error
  }

  async join({ host, port }, connectTimeoutMs) {
    const { name, mtu, bufferBytesMax } = this.options
    const session = new Session({ host, port, name, mtu, connectTimeoutMs, bufferBytesMax })
    this.session = session
    session.on('message', (m, holder) => this.take(m, holder))
    session.on('room', () => this.emit('room'))
    await session.open()
    this.reassembly = new Reassembly(() => session.ignore())
    this.aliases = new Map() // subject: {uses, number}
    this.services = new Map() // name: number
    this.fragments = 0
    session.on('end', (why) => this.sessionLost(session, why))
    if (this.closing) session.close()
    else this.connected = true
  }

  sessionLost(session, { code, text }) {
    if (session !== this.session) return
    this.connected = false
    const error = code === 0 ? lostError() : MillraceError.ofErrno(code, text)
    for (const receiver of this.receivers.values()) receiver.lost?.(lostError())
    for (const waiter of [...this.controls.values(), ...this.requests.values()]) waiter.reject(lostError())
    const goesOn = this.options.reconnect && !this.closing
    if (!goesOn) this.over(error)
    else if (!this.reconnecting) this.emit('state', { connected: false, error })
    this.emit('room')
    if (goesOn && !this.reconnecting) this.reconnect()
  }

  // For ever without a connection.
  over(error) {
    for (const entry of [...this.outbox]) entry.reject(lostError())
    for (const receiver of this.receivers.values()) receiver.inbox?.end(this.closing ? null : error)
    this.receivers.clear()
    this.away.end()
    if (!this.closing) this.emit('state', { connected: false, error })
    this.end(error)
  }

  // One at a time: a session that is lost while it is restored is no news.
  async reconnect() {
    this.reconnecting = true
    for (let waitMs = RECONNECT_MS; !this.closing; waitMs = Math.min(2 * waitMs, RECONNECT_MS_MAX)) {
      await pause(waitMs * (0.5 + Math.random())) // not all clients of a bus at once
      try {
        if (this.closing) return
        await this.open()
        await this.restore()
        this.reconnecting = false
        this.away.flush()
        this.emit('state', { connected: true, error: null })
        this.emit('room')
        return
      } catch {
        this.connected = false
        if (this.session.state === 'open') this.session.close() // restored in part
      }
    }
  }

  async restore() {
    for (const receiver of this.receivers.values()) await receiver.open()
    for (const entry of this.outbox) entry.resend?.()
    for (const queue of this.queues) await queue.reopen()
  }

  // ---- coming in

  take(raw, holder) {
    const m = raw.fragment ? this.reassembly.take(raw, this.session.messageBytesMax) : raw
    if (!m) return
    if (m.kind === Kind.Deliver) this.deliver(m, holder)
    else if (m.kind === Kind.Reply || m.kind === Kind.Status) this.answered(m)
    else if (m.kind === Kind.Credit && m.target === 0) this.credited(m)
    else if (m.kind === Kind.Part || m.kind === Kind.Credit || m.kind === Kind.Recall) this.ofStream(m)
    else if (m.kind === Kind.Accepted) this.accepted(m)
    else if (m.kind === Kind.Control) this.controlled(m)
    else if (m.kind === Kind.Gap && m.payload.length >= 16) this.gap(wire.readPair(m.payload))
    else this.session.ignore()
  }

  deliver(m, holder) {
    const receiver = this.receivers.get(m.target)
    if (receiver) receiver.take(m, holder)
    else this.session.ignore()
  }

  gap([missed, total]) {
    this.missed += missed
    this.emit('gap', { missed: Number(missed), total: Number(total) })
  }

  // A message found an inbox full.
  miss() {
    this.missed++
    this.emit('gap', { missed: 1, total: Number(this.missed) })
  }

  // Runs a function of the program. Its error is an event, and without a listener that of an uncaught rejection.
  async guard(run) {
    try {
      await run()
    } catch (error) {
      if (this.listenerCount('error') === 0) throw error
      this.emit('error', error)
    }
  }

  answered(m) {
    const request = m.token && this.requests.get(m.token.correlation)
    if (!request) return this.session.ignore() // another answer was first
    if (m.kind === Kind.Status) return request.reject(statusError(m.target))
    const reply = new Message(this, { ...m, token: null })
    if (request.many) return request.many(reply, request)
    if (!(m.flags & Flag.More)) return request.resolve(reply)
    request.renew()
    if (request.partial) request.partial(reply, m)
    else this.session.ignore()
  }

  // The worker takes more parts of a stream.
  credited(m) {
    const call = m.token && this.requests.get(m.token.correlation)
    if (call?.credit) call.credit(m)
    else this.session.ignore()
  }

  // To a worker, of a call that it has in hand.
  ofStream(m) {
    const receiver = this.receivers.get(m.target)
    if (!m.delivery || !receiver?.takeOf?.(m)) this.session.ignore()
  }

  accepted({ target, payload }) {
    const queue = [...this.queues].find((known) => known.number === target)
    if (!queue) return this.session.ignore()
    for (let at = 0; at + 24 <= payload.length; at += 24) {
      const publisher = payload.readBigUInt64LE(at)
      const first = payload.readBigUInt64LE(at + 8)
      const status = payload.readUInt32LE(at + 20)
      // A count beyond what is open here is forged, or answers pushes that are known already.
      const count = Math.min(payload.readUInt32LE(at + 16), 65536)
      for (let i = 0; i < count; i++) queue.accepted(`${publisher} ${first + BigInt(i)}`, status)
    }
  }

  controlled(m) {
    const answer = parseTable(m.payload)
    if (answer?.name === 'Disconnect' && m.target === 0) return this.disconnected(answer.body)
    const waiter = this.controls.get(m.target)
    if (!waiter || !answer) return this.session.ignore() // repeated, and answered before
    const { code, text } = answer.name === 'Result' ? answer.body : { code: 0 }
    if (code === 0) waiter.resolve(answer.body)
    else waiter.reject(MillraceError.ofErrno(code, text ?? 'refused by the bus'))
  }

  // The bus removed a consumer: it registers again.
  disconnected({ subscription }) {
    const receiver = this.receivers.get(subscription)
    receiver?.lost?.(new MillraceError('ENOENT', 'the bus removed this worker'))
    receiver?.open().catch(() => this.session.ignore())
  }

  // ---- waiting

  // An entry of `map`, rejected after `ms`; renew() begins the time anew.
  waiter(map, key, ms, text, extra = {}) {
    return new Promise((resolve, reject) => {
      const settle = (how) => (value) => {
        clearTimeout(entry.timer)
        clearInterval(entry.again)
        if (map.get(key) === entry) map.delete(key)
        how(value)
      }
      const entry = { ...extra, resolve: settle(resolve), reject: settle(reject) }
      entry.renew = () => {
        clearTimeout(entry.timer)
        entry.timer = setTimeout(() => entry.reject(new MillraceError('ETIMEDOUT', text)), ms)
      }
      map.set(key, entry)
      entry.renew()
      try {
        extra.begin?.(entry)
      } catch (error) {
        entry.reject(error)
      }
    })
  }

  // Sends a Control request and repeats it until it is answered.
  control(name, fields) {
    if (!this.session || this.session.state !== 'open') return Promise.reject(lostError())
    const correlation = this.nextNumber()
    const m = wire.message(Kind.Control, { target: correlation, payload: table(name, fields) })
    const send = () => this.session.promise(m, null, { small: true })
    return this.waiter(this.controls, correlation, this.options.requestTimeoutMs, 'the bus did not answer', {
      begin: (entry) => {
        send()
        entry.again = setInterval(() => this.session.state === 'open' && send(), RESEND_MS)
      }
    })
  }

  nextNumber() {
    this.serial = (this.serial + 1) >>> 0 || 1
    return this.serial
  }

  nextId() {
    this.ids++
    return this.ids
  }

  /** Resolves when there is room to publish, promise and push. */
  async room() {
    while (!this.hasRoom) await new Promise((resolve) => this.once('room', resolve))
  }

  get hasRoom() {
    return (!this.connected || this.session.hasRoom) && this.outboxBytes < this.options.bufferBytesMax / 2 &&
      this.away.hasRoom
  }

  /** Publishes that wait for the bus. */
  get kept() {
    return this.away.list.length
  }

  /** Publishes that were dropped because the bus was away. */
  get lost() {
    return this.away.lost
  }

  // ---- going out

  // The parts of a message, with their length; throws if the bus would not take them.
  parts(kind, subject, payload, headers) {
    const body = typeof payload === 'string' || ArrayBuffer.isView(payload) ? Buffer.from(payload) : null
    if (!body) throw new MillraceError('EINVAL', 'a payload is a string, a Buffer or a typed array')
    const fault = kind === Kind.Publish && subjectFault(subject)
    if (fault) throw new MillraceError('EINVAL', fault)
    const block = Buffer.from(headerBlock(headers))
    return { kind, subject, block, body, bytes: Buffer.byteLength(subject) + block.length + body.length }
  }

  // The messages of one, in fragments if one frame does not hold it as a delivery: with subject, token, origin and tag.
  pieces({ kind, subject, block, body }, fields) {
    const { session } = this
    const total = block.length + body.length
    const inline = fields.target ? {} : { subject }
    const room = session.frameBytes - 24 - 8 - 16 - 16 - 16 - 4 - Buffer.byteLength(subject)
    if (total <= room) return [wire.message(kind, { ...fields, ...inline, headers: block, payload: body })]
    const step = (room - 24) & ~7
    if (total > session.messageBytesMax) {
      throw new MillraceError('EMSGSIZE', `the bus takes messages of ${session.messageBytesMax} bytes at most`)
    }
    if (block.length >= step) throw new MillraceError('EMSGSIZE', 'the headers do not fit the first fragment')
    this.fragments = (this.fragments + 1) >>> 0
    const whole = Buffer.concat([block, body])
    return Array.from({ length: Math.ceil(total / step) }, (_, i) => {
      const from = i === 0 ? block.length : i * step
      const fragment = { session: session.id, message: this.fragments, total, offset: i * step }
      return wire.message(kind, { ...fields, ...inline, fragment, headers: i === 0 ? block : '',
        payload: whole.subarray(from, (i + 1) * step) })
    })
  }

  need() {
    if (!this.connected) throw new MillraceError('ENOTCONN', 'not connected to the bus')
  }

  /** Publishes a message, best effort. Returns false when room() should be awaited; throws EAGAIN when it is full. */
  publish(subject, payload, { headers } = {}) {
    if (this.closing) this.need()
    const parts = this.parts(Kind.Publish, subject, payload, headers)
    if (!this.connected || this.away.waits) this.away.keep(parts)
    else this.sendParts(parts, { target: this.aliasOf(subject) })
    return this.hasRoom
  }

  // All fragments go, or none.
  sendParts(parts, fields) {
    const pieces = this.pieces(parts, fields)
    const { session } = this
    const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0)
    if (session.unsentBytes + session.queueBytes + bytes > session.bufferBytesMax) {
      throw new MillraceError('EAGAIN', 'the buffer to the bus is full: wait for room()')
    }
    for (const piece of pieces) session.send(piece)
  }

  // The number of a subject that is published often; 0: inline.
  aliasOf(subject) {
    let alias = this.aliases.get(subject)
    if (!alias) {
      if (this.aliases.size >= ALIASES_MAX) return 0
      alias = { uses: 0, number: 0 }
      this.aliases.set(subject, alias)
    }
    if (++alias.uses === ALIAS_AFTER) {
      this.control('AliasRequest', { subject }).then((a) => { alias.number = a.alias }, () => {}) // then inline
    }
    return alias.number
  }

  // An entry of the outbox, whose promise settle() also waits for.
  // `own`: settle() tells its refusal.
  outgoing(bytes, begin, own = true) {
    if (this.closing) throw new MillraceError('ENOTCONN', 'the client is closed')
    if (this.outboxBytes + bytes > this.options.bufferBytesMax) {
      throw new MillraceError('EAGAIN', 'too much is not accepted yet: wait for room()')
    }
    const promise = new Promise((resolve, reject) => {
      const over = (how) => (value) => {
        if (!this.outbox.delete(entry)) return
        this.outboxBytes -= bytes
        how(value)
        this.emit('room')
      }
      const entry = { resolve: over(resolve), reject: over((error) => {
        if (own) this.refused ??= error
        reject(error)
      }) }
      this.outbox.add(entry)
      this.outboxBytes += bytes
      begin(entry)
    })
    promise.catch(() => {}) // settle() tells it to those who do not await each
    return promise
  }

  // Sends parts in the reliable flow; false: no room now. `done`: the bus has all of it.
  promiseParts(parts, fields, done = null) {
    const pieces = this.pieces(parts, fields)
    const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0)
    const { session } = this
    // One that is larger than the buffer goes when nothing else waits.
    if (session.promisedBytes > 0 && session.promisedBytes + bytes > session.bufferBytesMax) return false
    pieces.forEach((piece, i) => session.promise(piece, i === pieces.length - 1 ? done : null, { small: true }))
    return true
  }

  /** Promises a message at least once, or exactly once with `publisher` and `id`. Resolves when the bus has it. */
  promise(subject, payload, { headers, publisher, id } = {}) {
    const parts = this.parts(Kind.Publish, subject, payload, headers)
    const origin = publisher === undefined ? null : { publisher: BigInt(publisher), id: BigInt(id) }
    const fields = origin ? { origin } : { flags: Flag.High }
    return this.outgoing(parts.bytes, (entry) => {
      entry.resend = () => {
        if (!this.connected) return
        try {
          if (!this.promiseParts(parts, fields, () => entry.resolve())) this.once('room', entry.resend)
        } catch (error) {
          entry.reject(error)
        }
      }
      entry.resend()
    })
  }

  /** Resolves when everything promised and pushed is accepted; rejects with the first refusal, once. */
  async settle(timeoutMs = this.options.requestTimeoutMs) {
    const until = performance.now() + timeoutMs
    while (this.outbox.size > 0) {
      const left = until - performance.now()
      if (left <= 0) throw new MillraceError('ETIMEDOUT', `${this.outbox.size} messages were not accepted in time`)
      await Promise.race([new Promise((resolve) => this.once('room', resolve)), pause(Math.min(left, 100))])
    }
    const { refused } = this
    this.refused = null
    if (refused) throw refused
  }

  // ---- requests, calls

  /** Sends a request; resolves with the first reply. */
  request(subject, payload = '', { headers, timeoutMs = this.options.requestTimeoutMs } = {}) {
    const correlation = randomBytes(8).readBigUInt64LE() // cannot be guessed
    return this.waiter(this.requests, correlation, timeoutMs, 'no reply in time', {
      begin: () => {
        this.need()
        this.sendParts(this.parts(Kind.Publish, subject, payload, headers), { token: { session: 0n, correlation } })
      }
    })
  }

  /**
   * Sends a request and gathers the replies of several responders, at least one: up to `repliesMax`, for `timeoutMs`,
   * with at most `stallMs` from one to the next; 0: no such limit.
   */
  async requestMany(subject, payload = '', { headers, timeoutMs = this.options.requestTimeoutMs, repliesMax = 0,
    stallMs = 0 } = {}) {
    const correlation = randomBytes(8).readBigUInt64LE()
    const replies = []
    let stall = null
    try {
      await this.waiter(this.requests, correlation, timeoutMs, 'no reply in time', {
        many: (reply, request) => {
          clearTimeout(stall)
          if (replies.push(reply) === repliesMax) request.resolve()
          else if (stallMs > 0) stall = setTimeout(() => request.resolve(), stallMs)
        },
        begin: () => {
          this.need()
          this.sendParts(this.parts(Kind.Publish, subject, payload, headers), { token: { session: 0n, correlation } })
        }
      })
    } catch (error) {
      if (error.code !== 'ETIMEDOUT' || replies.length === 0) throw error
    } finally {
      clearTimeout(stall)
    }
    return replies
  }

  sendReply(token, payload, { headers } = {}) {
    if (!token) throw new MillraceError('EINVAL', 'the message wants no reply')
    this.need()
    this.sendParts(this.parts(Kind.Reply, '', payload, headers), { token })
  }

  sendResponse(queue, token, payload, { headers, more }) {
    this.need()
    const sent = this.promiseParts(this.parts(Kind.Reply, '', payload, headers),
      { target: queue, token, flags: more ? Flag.More : 0 })
    if (!sent) throw new MillraceError('EAGAIN', 'the buffer to the bus is full: wait for room()')
  }

  /** Calls a service; resolves with the final reply. */
  async call(service, payload = '', options = {}) {
    const { timeoutMs = this.options.requestTimeoutMs, retries = 2, backoffMs = 100, wait = false } = options
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.attempt(service, payload, { ...options, timeoutMs, wait })
      } catch (error) {
        const again = error.code === 'ENOENT' ||
          (['ETIMEDOUT', 'EBUSY', 'ENOBUFS', 'EDQUOT'].includes(error.code) && !error.partial)
        if (error.code === 'ENOENT') this.services.delete(service)
        if (!again || attempt >= retries) throw error
        await pause(backoffMs * 2 ** attempt * (0.5 + Math.random()))
      }
    }
  }

  async attempt(service, payload, { headers, timeoutMs, wait, onPartial }) {
    const target = this.services.get(service) ?? await this.openService(service, wait)
    const correlation = randomBytes(8).readBigUInt64LE()
    let partial = false
    let taken = 0
    try {
      return await this.pushCall({ target, correlation, payload, headers, timeoutMs, wait,
        partial: (m, { delivery }) => {
          partial = true
          if (onPartial) this.guard(() => onPartial(m))
          if (++taken < REPLIES / 2 || !delivery) return
          this.sendCredit(target, { session: delivery.tag, correlation }, taken)
          taken = 0
        } })
    } catch (error) {
      throw Object.assign(error, { partial })
    }
  }

  // Pushes a call to a service; resolves with its final reply. `partial` and `credit` get what comes before.
  pushCall({ target, correlation, payload, headers, timeoutMs, wait, flags = 0, begun = null, ...handlers }) {
    const deadline = BigInt(Math.min(Math.ceil(timeoutMs), 2 ** 31 - 1)) | (wait ? 1n << 32n : 0n)
    return this.waiter(this.requests, correlation, timeoutMs, 'no reply in time', {
      ...handlers,
      begin: (call) => {
        begun?.(call)
        this.need()
        const sent = this.promiseParts(this.parts(Kind.Push, '', payload, headers),
          { target, token: { session: deadline, correlation }, flags })
        if (!sent) throw new MillraceError('EAGAIN', 'the buffer to the bus is full: wait for room()')
      }
    })
  }

  sendCredit(queue, token, parts) {
    if (this.session.state !== 'open') return
    const payload = wire.streamCredit(parts)
    this.session.promise(wire.message(Kind.Credit, { target: queue, token, payload }), null, { small: true })
  }

  /** Calls a service with a request in parts, of which `payload` is the first. Resolves with the stream. */
  async stream(service, payload = '', options = {}) {
    const { timeoutMs = this.options.requestTimeoutMs, wait = false } = options
    const target = this.services.get(service) ?? await this.openService(service, wait)
    const stream = new Stream(this, service, target, randomBytes(8).readBigUInt64LE())
    stream.begin(payload, { ...options, timeoutMs, wait })
    return stream
  }

  async openService(name, wait) {
    try {
      const { queue } = await this.control('QueueRequest', { kind: 1, name, served: !wait, knowsMemory: true,
        knowsShare: true })
      this.services.set(name, queue)
      return queue
    } catch (error) {
      throw error.code === 'EHOSTUNREACH' ? statusError(503) : error
    }
  }

  // ---- subscriptions, queues, services

  async receive(receiver) {
    this.need()
    this.receivers.set(receiver.number, receiver)
    try {
      await receiver.open()
      return receiver
    } catch (error) {
      this.receivers.delete(receiver.number)
      throw error
    }
  }

  /** Subscribes; the messages come to `callback`, or to `for await` over the subscription. */
  subscribe(pattern, ...rest) {
    const callback = typeof rest[0] === 'function' ? rest.shift() : null
    return this.receive(new Subscription(this, pattern, rest[0] ?? {}, callback))
  }

  async queue(name, options) {
    this.need()
    const queue = new Queue(this, name, options)
    await queue.open()
    this.queues.add(queue)
    return queue
  }

  /**
   * Takes back the messages of a queue with this ticket that are not due, also those of another client of this host, and
   * ends what repeats with it.
   */
  async cancel(name, ticket) {
    await this.control('CancelRequest', { queue: name, ticket })
  }

  consume(name, ...rest) {
    const callback = typeof rest[0] === 'function' ? rest.shift() : null
    return this.receive(new Consumer(this, name, rest[0] ?? {}, callback))
  }

  serve(name, handler, options = {}) {
    return this.receive(new Service(this, name, options, handler))
  }

  /** Milliseconds to the control process and back. */
  async ping() {
    const sent = performance.now()
    await this.control('Ping', { sentNs: process.hrtime.bigint() })
    return performance.now() - sent
  }

  // ---- leaving

  /** Ends all subscriptions, consumers and services, settles, and closes. What has come is still handed out. */
  async drain(timeoutMs = this.options.requestTimeoutMs) {
    await Promise.all([...this.receivers.values()].map((receiver) => receiver.drain()))
    try {
      await this.settle(timeoutMs)
    } finally {
      await this.close()
    }
  }

  /** Sends what waits, at most a second, and leaves. */
  async close() {
    if (this.closing) return
    if (this.connected) await Promise.race([this.away.flush(), pause(1000)])
    if (this.connected) await this.session.drain()
    this.closing = true
    if (this.session && this.session.state !== 'over') this.session.close()
    this.over(lostError())
  }
}

/** Connects to the first of the addresses that answers. */
export async function connect(servers, options) {
  const given = typeof servers === 'string' || Array.isArray(servers) || servers === undefined
  const client = given ? new Client(servers, options) : new Client(servers.servers, servers)
  await client.open()
  return client
}
