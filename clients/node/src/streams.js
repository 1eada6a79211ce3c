// SPDX-License-Identifier: Apache-2.0
// streams: requests in parts (docs/protocol.md, "Streams"). The worker grants parts, the caller grants partial replies;
// both grant as many more as the program has taken, so that a slow reader holds the other side back.
import { MillraceError } from './errors.js'
import { Inbox, Message } from './messages.js'
import { Flag, Kind } from './wire.js'

/** Partial replies that a worker may send without a grant. */
export const REPLIES = 64
const CREDIT_MAX = 2 ** 31

/** The room after a Credit message; null: it is malformed. */
export function granted(room, m) {
  return m.payload.length < 8 ? null : Math.min(room + m.payload.readUInt32LE(0), CREDIT_MAX)
}

/** What one side takes of the other: at most `window` items unread. `grant(n)` tells the other of room for n more. */
export class Intake {
  constructor(window, grant) {
    this.window = window
    this.grant = grant
    this.inbox = new Inbox(window)
    this.taken = 0
    this.granted = window // items that may still come
    this.skips = false
  }

  /** False: the other side has sent more than it may. */
  put(item) {
    if (this.granted === 0) return false
    this.granted--
    if (this.skips) this.took()
    else this.inbox.put(item, () => this.took())
    return true
  }

  took() {
    if (++this.taken < Math.ceil(this.window / 2) || this.inbox.ended) return
    this.granted += this.taken
    this.grant(this.taken)
    this.taken = 0
  }

  /** What is unread, and all that comes, counts as taken. */
  skip() {
    this.skips = true
    for (const { release } of this.inbox.items.splice(0)) release()
  }
}

/** The parts of a request behind its first: `for await (const part of request.parts)`. */
export class Parts {
  #intake

  constructor(intake) {
    this.#intake = intake
    /** True when the last part has come. */
    this.complete = false
  }

  take(part) {
    if (this.complete || !this.#intake.put(part)) return false
    if (!part.more) {
      this.complete = true
      this.#intake.inbox.end()
    }
    return true
  }

  fail(error) {
    if (!this.complete) this.#intake.inbox.end(error)
  }

  [Symbol.asyncIterator]() {
    return { next: () => this.#intake.inbox.next(), return: async () => ({ value: undefined, done: true }) }
  }
}

/** A call whose request has parts. */
export class Stream {
  #client
  #target
  #correlation
  #intake
  #call = null // what the client keeps of the call
  #tag = null // of the call, once the worker has answered
  #room = 0
  #waiting = [] // parts that wait for room: {parts, more, resolve, reject}
  #waitingBytes = 0
  #ended = false // the last part was given to send()
  #over = null // how the call ended: {reply} or {error}
  #final

  constructor(client, service, target, correlation) {
    this.#client = client
    this.#target = target
    this.#correlation = correlation
    this.service = service
    this.#intake = new Intake(REPLIES, (replies) => {
      if (this.#tag !== null) client.sendCredit(target, { session: this.#tag, correlation }, replies)
    })
  }

  /** The client's: sends the first part. */
  begin(payload, { headers, timeoutMs, wait }) {
    this.#final = this.#client.pushCall({ target: this.#target, correlation: this.#correlation, payload, headers,
      timeoutMs, wait, flags: Flag.More,
      partial: (m, raw) => this.#partial(m, raw),
      credit: (m) => this.#credit(m),
      begun: (call) => { this.#call = call } })
    this.#final.then((reply) => this.#finish({ reply }), (error) => this.#finish({ error }))
  }

  /** True while the worker takes another part. */
  get hasRoom() {
    return !this.#over && this.#room > this.#waiting.length
  }

  /** True when no more replies come. */
  get ended() {
    return this.#over !== null
  }

  /**
   * Sends the next part; with `more` false the last one. Resolves when it is on its way: when the worker has granted
   * room for it. Rejects with the error of the call, or ENOENT if it has ended.
   */
  send(payload, { more = true } = {}) {
    if (this.#over) return Promise.reject(this.#overError())
    if (this.#ended) return Promise.reject(new MillraceError('EINVAL', 'the last part was sent'))
    return new Promise((resolve, reject) => {
      const parts = this.#client.parts(Kind.Part, '', payload)
      if (this.#waitingBytes + parts.bytes > this.#client.options.bufferBytesMax && this.#waiting.length > 0) {
        throw new MillraceError('EAGAIN', 'too many parts wait for the worker: await send()')
      }
      this.#ended = !more
      this.#waitingBytes += parts.bytes
      this.#waiting.push({ parts, more, resolve, reject })
      this.#pump()
    })
  }

  /** Sends the last part. */
  end(payload = '') {
    return this.send(payload, { more: false })
  }

  /** The final reply. Skips the partial ones that are unread. */
  result() {
    this.#intake.skip()
    return this.#final
  }

  /** Gives the call up: no reply comes any more. */
  close() {
    this.#call?.reject(new MillraceError('ENOENT', 'the stream was closed'))
  }

  [Symbol.asyncIterator]() {
    return {
      next: () => this.#intake.inbox.next(),
      return: async () => {
        this.close()
        return { value: undefined, done: true }
      }
    }
  }

  #overError() {
    return this.#over.error ?? new MillraceError('ENOENT', 'the call has ended')
  }

  // The tag names the call to the bus: it comes with the first answer of the worker.
  #knows(m) {
    if (!m.delivery || (this.#tag !== null && this.#tag !== m.delivery.tag)) return false
    this.#tag = m.delivery.tag
    return true
  }

  #partial(message, raw) {
    if (!this.#knows(raw) || !this.#intake.put(message)) this.#client.session.ignore()
  }

  #credit(m) {
    const room = granted(this.#room, m)
    if (room === null || !this.#knows(m)) return this.#client.session.ignore()
    this.#room = room
    this.#call.renew()
    this.#pump()
  }

  #pump() {
    while (this.#room > 0 && this.#waiting.length > 0 && !this.#over) {
      const { parts, more, resolve } = this.#waiting[0]
      const fields = { target: this.#target, token: { session: this.#tag, correlation: this.#correlation },
        flags: more ? Flag.More : 0 }
      try {
        if (!this.#client.promiseParts(parts, fields)) {
          this.#client.once('room', () => this.#pump())
          return
        }
      } catch (error) {
        this.#refuse(error)
        continue
      }
      this.#room--
      this.#waiting.shift()
      this.#waitingBytes -= parts.bytes
      this.#call.renew()
      resolve()
    }
  }

  // The bus takes no message like this one. The request can go on without it, unless it was the last.
  #refuse(error) {
    const { parts, more, reject } = this.#waiting.shift()
    this.#waitingBytes -= parts.bytes
    if (!more) this.#ended = false
    reject(error)
  }

  #finish(how) {
    this.#over = how
    if (how.reply) this.#intake.inbox.put(how.reply, () => {})
    this.#intake.inbox.end(how.error?.code === 'ENOENT' ? null : how.error)
    for (const { reject } of this.#waiting.splice(0)) reject(this.#overError())
  }
}

/** A part of a request, for the program. */
export const partMessage = (client, m) => new Message(client, { ...m, subject: '', token: null })
