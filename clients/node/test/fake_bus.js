// SPDX-License-Identifier: Apache-2.0
// fake_bus: the bus's side of docs/protocol.md for one session, as far as tests of the client need it. Messages of the
// client's frames are kept in `got`. `lose(n)` discards the next n datagrams; a Hello longer than the path carries is
// discarded too. `hold(n)` delays the answers to the next n Hellos with a cookie until another one arrives.

import dgram from 'node:dgram'
import { EventEmitter, once } from 'node:events'
import { parseTable, table } from '../src/tables.js'
import * as wire from '../src/wire.js'

const { Kind } = wire
export const SESSION = 0x01000002deadbeefn
const SECRET = 0x5ec4e7n
const QUEUE = ['QueueResponse', { queue: 5, window: 4, waits: true, pushOptions: 255, consumeOptions: 127,
  settleOptions: 1, ackTimeoutMs: 400, maxDeliver: 5 }]
const OLDER = ['QueueResponse', { queue: 5, window: 4 }]
const COOKIE = 0xc00c1en

export class FakeBus extends EventEmitter {
  constructor({ heartbeatMs = 2500, frameBytes = 65504, pathBytes = 65504, refuse = null, credit = 0 } = {}) {
    super()
    Object.assign(this, { heartbeatMs, frameBytes, pathBytes, refuse, credit, taken: new Set() })
    Object.assign(this, { holding: 0, losing: 0, sequence: 0, frames: 0, silent: false })
    this.hellos = [] // {bytes, nonce, cookie, name, at}
    this.got = [] // messages of the session; `frame` is the number of their frame
    this.window = new wire.Window()
    this.setMaxListeners(0)
  }

  async listen() {
    this.socket = dgram.createSocket('udp4')
    this.socket.on('message', (bytes, peer) => this.take(bytes, peer))
    this.socket.bind(0, '127.0.0.1')
    await once(this.socket, 'listening')
    return { host: '127.0.0.1', port: this.socket.address().port }
  }

  lose(datagrams) {
    this.losing = datagrams
  }

  hold(hellos) {
    this.holding = hellos
    this.held = []
  }

  // Resolves with the first result of `find`.
  async until(find) {
    for (;;) {
      const found = find()
      if (found) return found
      await once(this, 'frame')
    }
  }

  message(kind, nth = 0) {
    return this.until(() => this.got.filter((m) => m.kind === kind)[nth])
  }

  take(bytes, peer) {
    const f = wire.parseFrame(bytes)
    if (f.session === 0n) this.hello(f.messages[0], bytes, peer)
    else if (this.losing > 0) this.losing--
    else if (f.session === SESSION) this.inside(f, peer)
    this.emit('frame')
  }

  hello(m, bytes, peer) {
    const [nonce, cookie] = wire.readPair(m.payload)
    const says = m.payload.readUInt32LE(16)
    const request = parseTable(m.payload.subarray(24)).body
    this.hellos.push({ bytes: bytes.length, says, nonce, cookie, name: request.name })
    if (bytes.length > this.pathBytes) return
    if (this.losing > 0) {
      this.losing--
    } else if (cookie !== COOKIE + nonce) {
      const retry = wire.pair(nonce, COOKIE + nonce)
      this.to(peer, { messages: [wire.message(Kind.Retry, { payload: retry })] })
    } else if (this.refuse) {
      const payload = table('Refusal', { nonce, ...this.refuse })
      this.to(peer, { messages: [wire.message(Kind.Control, { payload })] })
    } else {
      this.answerHello(() => this.welcome(nonce, Math.min(says, this.frameBytes), peer))
    }
  }

  answerHello(answer) {
    if (this.holding > 0) {
      this.holding--
      this.held.push(answer)
      return
    }
    for (const earlier of this.held ?? []) earlier()
    this.held = []
    answer()
  }

  welcome(nonce, frameBytes, peer) {
    // A session begins.
    Object.assign(this, { peer, sequence: 0, window: new wire.Window() })
    this.taken.clear()
    const payload = table('Welcome', { nonce, session: SESSION, secret: SECRET, worker: 1, frameBytes,
      heartbeatMs: this.heartbeatMs, missedMax: 3, serverVersion: 'fake', credit: this.credit, messageBytesMax: 1 << 20 })
    this.send([wire.message(Kind.Control, { payload })], { fill: frameBytes })
  }

  inside(f, peer) {
    this.frames++
    if (peer.port !== this.peer.port && !this.proved(f, peer)) return
    if (f.reliable) return this.insideReliable(f)
    if (f.sequence !== 0 && !this.window.take(f.sequence)) return
    this.got.push(...f.messages.map((m) => ({ ...m, frame: this.frames })))
    if (!this.silent) for (const m of f.messages) this.answer(m)
  }

  // Takes frames in any order, each once, and acknowledges those without a gap.
  insideReliable(f) {
    if (!this.taken.has(f.sequence)) this.got.push(...f.messages.map((m) => ({ ...m, frame: this.frames })))
    this.taken.add(f.sequence)
    let ack = 1
    while (this.taken.has(ack)) ack++
    this.to(this.peer, { session: SESSION, say: { ack, credit: this.credit } })
    if (!this.silent) for (const m of f.messages) this.answer(m)
  }

  proved(f, peer) {
    const proof = f.messages[0]?.kind === Kind.Path && wire.readPair(f.messages[0].payload)
    if (proof && proof[0] === BigInt(peer.port) && proof[1] === SECRET) {
      this.peer = peer
      return true
    }
    const payload = wire.pair(BigInt(peer.port), 0n)
    this.to(peer, { session: SESSION, messages: [wire.message(Kind.Path, { payload })] })
    return false
  }

  answer(m) {
    if (m.kind !== Kind.Control) return
    const { name } = parseTable(m.payload)
    if (name === 'CancelRequest' && this.refusal) {
      return this.send([wire.message(Kind.Control, { target: m.target, payload: table('Result', this.refusal) })])
    }
    const answers = { AliasRequest: ['AliasResponse', { alias: 9 }], QueueRequest: QUEUE, ConsumeRequest: this.older ? OLDER : QUEUE }
    const payload = table(...(answers[name] ?? ['Result', { code: 0 }]))
    this.send([wire.message(Kind.Control, { target: m.target, payload })])
  }

  // Sends in the session's flow.
  send(messages, { fill = 0, sequence = ++this.sequence, session = SESSION } = {}) {
    this.to(this.peer, { session, sequence, messages, fill })
  }

  to(peer, f) {
    this.socket.send(wire.frame(f), peer.port, peer.address)
  }

  close() {
    this.socket.close()
  }
}
