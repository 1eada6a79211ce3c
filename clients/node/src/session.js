// SPDX-License-Identifier: Apache-2.0
// session: one session over UDP, from the first Hello to the Close (docs/protocol.md, "Sessions over UDP").
//
//   opening ──Welcome──▶ open ──Close, silence──▶ closed
//      └────Refusal, time-out────────────────────▶ closed
//
// Emits 'message' for each message of a kind that the session does not handle itself, and 'end' {code, text} once.
// Numbers of sessions, nonces, cookies and secrets are BigInt.

import dgram from 'node:dgram'
import dns from 'node:dns/promises'
import { randomBytes } from 'node:crypto'
import { EventEmitter } from 'node:events'
import { MillraceError } from './errors.js'
import { Receiver, Sender } from './reliable.js'
import { parseTable, table } from './tables.js'
import * as wire from './wire.js'

const { Kind } = wire
const HELLO_WAIT_MS = 100
const HELLO_WAIT_MS_MAX = 1000
const HELLOS_LARGE = 3 // before every second one is small
const HEADERS_BYTES = { udp4: 28, udp6: 48 }
const ETHERNET_MTU = 1500
const CODE_TIMED_OUT = -110 // ETIMEDOUT
const CODE_LOST = -107 // ENOTCONN
// An ack is sent alone if no other frame carried it.
const ACK_MS = 1
const CLOSE_MS = 1000 // for unacknowledged frames

// For the n-th Hello, from 1 on: the wait for its answer, and whether it has 1,200 bytes.
export const helloWaitMs = (n) => Math.min(HELLO_WAIT_MS * 2 ** (n - 1), HELLO_WAIT_MS_MAX)
export const helloIsSmall = (n) => n > HELLOS_LARGE && (n - HELLOS_LARGE) % 2 === 1

const bytesOfFrames = (family, mtu) =>
  Math.max(wire.FRAME_BYTES_MIN, Math.min(wire.FRAME_BYTES_MAX, (mtu - HEADERS_BYTES[family]) & ~7))

// A Welcome that this client can work with.
const usable = (w) => w.frameBytes >= wire.FRAME_BYTES_MIN && w.frameBytes <= wire.FRAME_BYTES_MAX &&
  w.heartbeatMs > 0 && w.missedMax > 0

// One size of Hello, with its nonce. The cookie is valid only for this nonce. Overtaken: after a Hello of this size
// with its cookie, one of the other size was sent, which closes the session that this one opens.
class Attempt {
  constructor(bytes) {
    this.bytes = bytes
    this.nonce = randomBytes(8).readBigUInt64LE() | 1n // not 0
    this.cookie = 0n
    this.overtaken = false
  }

  frame(name) {
    const head = Buffer.alloc(24)
    head.writeBigUInt64LE(this.nonce, 0)
    head.writeBigUInt64LE(this.cookie, 8)
    head.writeUInt32LE(this.bytes, 16)
    const payload = Buffer.concat([head, table('HelloRequest', { version: 1, name })])
    return wire.frame({ messages: [wire.message(Kind.Hello, { payload })], fill: this.bytes })
  }
}

export class Session extends EventEmitter {
  constructor({ host, port = 7400, name = 'node', mtu = ETHERNET_MTU, connectTimeoutMs = 5000,
    bufferBytesMax = 1 << 20 }) {
    super()
    Object.assign(this, { host, port, name, mtu, connectTimeoutMs, bufferBytesMax, state: 'opening' })
    this.id = 0n
    this.sequence = 0
    this.window = new wire.Window()
    this.stats = { framesRx: 0, framesTx: 0, ignored: 0, faults: 0, pathsProved: 0 }
    this.queue = []
    this.queueBytes = wire.FRAME_HEADER_BYTES
    this.unsentBytes = 0 // given to the socket, which has not sent them yet
    this.promised = []
    this.promisedBytes = 0 // not acknowledged yet
  }

  // Resolves when the session is open.
  async open() {
    const { address, family } = await dns.lookup(this.host).catch(() => {
      throw new MillraceError('ECONNREFUSED', `there is no host ${this.host}`)
    })
    this.address = address
    this.family = `udp${family}`
    this.frameBytes = bytesOfFrames(this.family, this.mtu)
    this.attempts = [new Attempt(this.frameBytes)]
    if (this.frameBytes > wire.FRAME_BYTES_MIN) this.attempts.push(new Attempt(wire.FRAME_BYTES_MIN))
    this.hellos = 0
    const socket = await this.connect()
    if (this.state === 'over') {
      socket.close()
      throw new MillraceError('ENOTCONN', 'closed')
    }
    this.socket = socket
    await new Promise((resolve, reject) => {
      this.settle = { resolve, reject }
      this.giveUp = setTimeout(() => this.end(CODE_TIMED_OUT, 'no answer'), this.connectTimeoutMs)
      this.helloNext()
    })
  }

  // Makes a socket that takes datagrams only from the bus.
  connect() {
    const socket = dgram.createSocket({ type: this.family, recvBufferSize: 1 << 20 })
    socket.on('message', (bytes) => this.take(socket, bytes))
    return new Promise((resolve, reject) => {
      socket.once('error', reject)
      socket.connect(this.port, this.address, () => {
        socket.off('error', reject)
        socket.on('error', () => {}) // "port unreachable" ends nothing by itself
        resolve(socket)
      })
    })
  }

  // ---- opening

  helloNext() {
    this.hellos++
    this.hello(this.attempts[helloIsSmall(this.hellos) ? this.attempts.length - 1 : 0])
  }

  hello(attempt) {
    this.socket.send(attempt.frame(this.name), () => {})
    if (attempt.cookie !== 0n) {
      for (const other of this.attempts) other.overtaken ||= other !== attempt && other.cookie !== 0n
    }
    clearTimeout(this.helloTimer)
    this.helloTimer = setTimeout(() => this.helloNext(), helloWaitMs(this.hellos))
  }

  // The session is closed already, or soon will be; but datagrams of this size get through.
  anew(attempt) {
    this.attempts = [new Attempt(attempt.bytes)]
    this.hello(this.attempts[0])
  }

  attemptOf(nonce) {
    return this.state === 'opening' && this.attempts.find((attempt) => attempt.nonce === nonce)
  }

  retry(m) {
    const [nonce, cookie] = wire.readPair(m.payload) ?? []
    const attempt = this.attemptOf(nonce)
    if (!attempt || attempt.cookie === cookie) return this.ignore()
    attempt.cookie = cookie
    this.hello(attempt)
  }

  refusal(m) {
    const answer = parseTable(m.payload)
    if (answer?.name !== 'Refusal' || !this.attemptOf(answer.body.nonce)) return this.ignore()
    this.end(answer.body.code, answer.body.text ?? '')
  }

  welcome(f) {
    const answer = f.messages[0]?.kind === Kind.Control && parseTable(f.messages[0].payload)
    if (answer?.name !== 'Welcome') return this.ignore()
    const w = answer.body
    const attempt = this.attemptOf(w.nonce)
    if (!attempt || w.session !== f.session || !usable(w)) return this.ignore()
    if (attempt.overtaken) return this.anew(attempt)
    if (!this.window.take(f.sequence)) return this.ignore()
    Object.assign(this, {
      state: 'open', id: w.session, secret: w.secret, worker: w.worker, frameBytes: w.frameBytes,
      heartbeatMs: w.heartbeatMs, deadMs: w.heartbeatMs * w.missedMax, serverVersion: w.serverVersion,
      messageBytesMax: w.messageBytesMax
    })
    if (w.credit > 0) {
      this.reliable = { tx: new Sender(w.credit), rx: new Receiver() }
      this.reliable.tx.onAcked = (frame) => this.acknowledged(frame)
    }
    clearTimeout(this.helloTimer)
    clearTimeout(this.giveUp)
    this.stats.framesRx++
    this.lastTx = this.lastRx = performance.now()
    this.beat()
    this.settle.resolve()
  }

  // ---- receiving

  take(socket, bytes) {
    if (socket !== this.socket || this.state === 'over') return
    const f = wire.parseFrame(bytes)
    if (!f) {
      this.stats.faults++
    } else if (f.session === 0n) {
      this.stats.faults += f.faults
      for (const m of f.messages) this.outside(m)
    } else if (this.state === 'opening') {
      this.welcome(f)
    } else if (f.session !== this.id) {
      this.ignore()
    } else if (f.reliable) {
      this.insideReliable(f)
    } else if (f.sequence !== 0 && !this.window.take(f.sequence)) {
      this.ignore()
    } else {
      this.inside(f)
    }
    if (this.reliable && this.state === 'open') this.goOn()
  }

  insideReliable(f) {
    if (!this.reliable || f.sequence === 0) return this.ignore()
    const again = this.reliable.rx.again
    const ready = this.reliable.rx.take(f)
    if (this.reliable.rx.again !== again) this.stats.again = this.reliable.rx.again
    this.heed(f)
    for (const frame of ready) this.inside({ ...frame, say: null }, this.holder())
  }

  // Counts who holds messages of one frame: as long as somebody does, its room is not given to the bus again.
  holder() {
    const { rx } = this.reliable
    let holds = 0
    return {
      hold: () => { if (holds++ === 0) rx.held++ },
      release: () => {
        if (--holds > 0) return
        rx.release()
        if (rx.atOnce && this.state === 'open') this.goOn()
      }
    }
  }

  // Handles the ack and credit of a frame.
  heed(f) {
    if (!f.say || !this.reliable) return
    const words = []
    for (const m of f.messages.filter(({ kind }) => kind === Kind.Ack)) {
      for (let at = 0; at + 8 <= m.payload.length; at += 8) words.push(m.payload.readBigUInt64LE(at))
    }
    if (!this.reliable.tx.acked(f.say.ack, f.say.credit, words, performance.now())) this.stats.faults++
  }

  // Sends new frames as credit allows, retransmits, and sends due acks.
  goOn() {
    const { tx, rx } = this.reliable
    const now = performance.now()
    for (const frame of [...tx.again(now), ...tx.fresh(now)]) this.sendReliable(frame)
    if (rx.atOnce) this.sendAck()
    clearTimeout(this.reliableTimer)
    const due = Math.min(tx.due, rx.owes ? now + ACK_MS : Infinity)
    if (due < Infinity) this.reliableTimer = setTimeout(() => this.onDue(), Math.max(1, due - now))
  }

  onDue() {
    if (this.state !== 'open') return
    if (this.reliable.rx.owes) this.sendAck()
    this.goOn()
  }

  sendReliable({ sequence, messages }) {
    this.lastTx = performance.now()
    const bytes = messages.map((entry) => entry.bytes)
    const say = this.reliable.rx.say()
    this.transmit(wire.frame({ session: this.id, sequence, messages: bytes, reliable: true, say }))
  }

  acknowledged({ messages }) {
    for (const { bytes, done } of messages) {
      this.promisedBytes -= bytes.length
      done?.()
    }
    this.emit('room')
  }

  transmit(bytes) {
    this.stats.framesTx++
    this.unsentBytes += bytes.length
    this.socket.send(bytes, () => {
      this.unsentBytes -= bytes.length
      this.emit('room')
    })
  }

  sendAck() {
    const say = this.reliable.rx.say()
    const messages = []
    this.lastTx = performance.now()
    if (say.came.length > 0) {
      const payload = Buffer.alloc(8 * say.came.length)
      say.came.forEach((word, i) => payload.writeBigUInt64LE(word, 8 * i))
      messages.push(wire.message(Kind.Ack, { payload }))
    }
    this.socket.send(wire.frame({ session: this.id, messages, say }), () => {})
  }

  ignore() {
    this.stats.ignored++
  }

  // Handles a message of session 0.
  outside(m) {
    if (m.kind === Kind.Retry) this.retry(m)
    else if (m.kind === Kind.Control) this.refusal(m)
    else if (m.kind !== Kind.Padding) this.ignore()
  }

  inside(f, holder = null) {
    this.stats.framesRx++
    this.stats.faults += f.faults
    this.lastRx = performance.now()
    this.heed(f)
    for (const m of f.messages) {
      if (this.state !== 'open') return
      if (m.kind === Kind.Close) this.closed(m)
      else if (m.kind === Kind.Path) this.prove(m)
      else if (m.kind !== Kind.Padding && m.kind !== Kind.Ack) this.emit('message', m, holder)
    }
  }

  closed(m) {
    const answer = parseTable(m.payload)
    const result = answer?.name === 'Result' ? answer.body : null
    this.end(result?.code ?? CODE_LOST, result?.text ?? 'closed by the bus')
  }

  // Sends waiting messages first, so that this is the first message of a frame.
  prove(m) {
    const [nonce] = wire.readPair(m.payload) ?? []
    if (nonce === undefined) return this.ignore()
    this.flush()
    this.send(wire.message(Kind.Path, { payload: wire.pair(nonce, this.secret) }))
    this.flush()
    this.stats.pathsProved++
  }

  // ---- sending

  // Fails if a message cannot be sent now: no session, too long for a frame, or too much waits already.
  check(message, waitingBytes) {
    if (this.state !== 'open') throw new MillraceError('ENOTCONN', 'not connected to the bus')
    const room = this.frameBytes - wire.FRAME_HEADER_BYTES
    if (message.length > room) {
      throw new MillraceError('EMSGSIZE', `a message of ${message.length} bytes; a frame has room for ${room}`)
    }
    if (waitingBytes + message.length > this.bufferBytesMax) {
      throw new MillraceError('EAGAIN', 'the buffer to the bus is full: wait for room()')
    }
  }

  /** True while less than half of both buffers is in use. */
  get hasRoom() {
    const half = this.bufferBytesMax / 2
    return this.unsentBytes + this.queueBytes < half && this.promisedBytes < half
  }

  // Puts a message into the open frame, which is sent when it is full, or when the current callback ends.
  send(message) {
    this.check(message, this.unsentBytes + this.queueBytes)
    if (this.queueBytes + message.length > this.frameBytes) this.flush()
    if (this.queue.length === 0) setImmediate(() => this.flush())
    this.queue.push(message)
    this.queueBytes += message.length
  }

  // Sends a message in the reliable flow; `done` is called when the bus has acknowledged it. `small`: settlements and
  // the like, whose number is bounded by what they answer.
  promise(message, done = null, { small = false } = {}) {
    if (!this.reliable) {
      this.send(message)
      if (done) setImmediate(done)
      return
    }
    this.check(message, small ? 0 : this.promisedBytes)
    if (this.promised.length === 0) setImmediate(() => this.flushPromised())
    this.promised.push({ bytes: message, done })
    this.promisedBytes += message.length
  }

  flushPromised() {
    let frame = []
    let bytes = wire.FRAME_HEADER_BYTES
    for (const entry of this.promised) {
      if (bytes + entry.bytes.length > this.frameBytes) {
        this.reliable.tx.put(frame)
        frame = []
        bytes = wire.FRAME_HEADER_BYTES
      }
      frame.push(entry)
      bytes += entry.bytes.length
    }
    this.promised = []
    if (frame.length > 0) this.reliable.tx.put(frame)
    if (this.state === 'open') this.goOn()
  }

  /** Sends what has gathered in both flows, before a function that may hold up the loop. */
  flushAll() {
    if (this.reliable) this.flushPromised()
    this.flush()
  }

  get idle() {
    return (!this.reliable || (this.reliable.tx.idle && this.promised.length === 0)) &&
      this.queue.length === 0 && this.unsentBytes === 0
  }

  // Resolves when the bus has acknowledged all promises and the socket has sent all frames, or after `ms`.
  async drain(ms = CLOSE_MS) {
    const until = performance.now() + ms
    while (this.state === 'open' && performance.now() < until && !this.idle) {
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
  }

  flush() {
    if (this.queue.length > 0 && this.state === 'open') this.sendFrame(this.queue)
    this.queue = []
    this.queueBytes = wire.FRAME_HEADER_BYTES
  }

  sendFrame(messages) {
    this.sequence = (this.sequence + 1) >>> 0 || 1
    this.lastTx = performance.now()
    this.transmit(wire.frame({ session: this.id, sequence: this.sequence, messages }))
  }

  // ---- living, moving, ending

  beat() {
    const now = performance.now()
    if (now - this.lastRx >= this.deadMs) return this.end(CODE_TIMED_OUT, 'the bus is silent')
    if (now - this.lastTx >= this.heartbeatMs) this.sendFrame([])
    const nextMs = Math.min(this.lastTx + this.heartbeatMs, this.lastRx + this.deadMs) - performance.now()
    this.beatTimer = setTimeout(() => this.beat(), Math.max(1, nextMs))
  }

  // Continues from another port, as if a NAT had forgotten it.
  async move() {
    const old = this.socket
    this.socket = await this.connect()
    old.close()
  }

  close() {
    if (this.state === 'opening') return this.end(CODE_LOST, 'closed')
    if (this.state !== 'open') return
    const last = wire.message(Kind.Close)
    if (this.queueBytes + last.length > this.frameBytes) this.flush()
    this.queue.push(last)
    this.flush()
    this.end(0, 'closed')
  }

  end(code, text) {
    if (this.state === 'over') return
    const opening = this.state === 'opening'
    this.state = 'over'
    for (const timer of [this.helloTimer, this.giveUp, this.beatTimer, this.reliableTimer]) clearTimeout(timer)
    const { socket } = this
    if (socket) setImmediate(() => socket.close()) // its datagrams have been sent
    if (opening) this.settle?.reject(MillraceError.ofErrno(code, text))
    else this.emit('end', { code, text })
  }
}

