// SPDX-License-Identifier: Apache-2.0
// reliable: the reliable flow of a session, both ways (docs/protocol.md, "The reliable flow").
//
// Without sockets and clocks: Sender decides what to send and when, Receiver what to hand out and to acknowledge; the
// session carries it out. Times are milliseconds. There is no congestion control: this client sends little.
const RTO_MS = 10
const RTO_MS_MIN = 1
const RTO_MS_MAX = 1000
const LATER = 3 // later frames acknowledged before a frame counts as lost
const WINDOW = 64
const SLOTS = 256
const SACK_WORDS = 8

const after = (sequence) => (sequence === 0xffffffff ? 1 : sequence + 1)
// Returns the distance from `from` to `to`; negative: behind.
const ahead = (from, to) => (to - from) | 0

export class Sender {
  constructor(credit) {
    this.next = 1
    this.first = 1 // oldest not acknowledged
    this.limit = 1 + credit // first that is not granted
    this.log = new Map() // sequence: {messages, sentMs, sends, came}
    this.waiting = [] // messages of frames that were not sent yet
    this.rtt = 0
    this.deviation = 0
    this.backoff = 1
    this.repeated = 0
    this.onAcked = null // called with each frame that the bus has
  }

  get idle() {
    return this.log.size === 0 && this.waiting.length === 0
  }

  put(messages) {
    this.waiting.push(messages)
  }

  // The frames to send for the first time now: [{sequence, messages}].
  fresh(now) {
    const frames = []
    while (this.waiting.length > 0 && this.log.size < WINDOW && ahead(this.next, this.limit) > 0) {
      const frame = { sequence: this.next, messages: this.waiting.shift() }
      this.log.set(frame.sequence, { ...frame, sentMs: now, sends: 1, came: false })
      this.next = after(this.next)
      frames.push(frame)
    }
    return frames
  }

  // `came`: words of a SelectiveAck. False: it names a frame that was never sent.
  acked(ack, credit, came, now) {
    if (ahead(this.first, ack) < 0) return true // an old one
    if (ahead(ack, this.next) < 0) return false
    const moved = this.first !== ack
    while (this.first !== ack) {
      this.leave(this.first, now)
      this.first = after(this.first)
    }
    if (moved) this.backoff = 1
    if (ahead(this.limit, ack + credit) > 0) this.limit = (ack + credit) >>> 0
    this.selected(ack, came, now)
    return true
  }

  selected(ack, came, now) {
    let sequence = after(ack)
    for (const word of came) {
      for (let bit = 0n; bit < 64n; bit++, sequence = after(sequence)) {
        const frame = (word >> bit) & 1n && this.log.get(sequence)
        if (frame && !frame.came) {
          this.measure(frame, now)
          frame.came = true
        }
      }
    }
  }

  leave(sequence, now) {
    const frame = this.log.get(sequence)
    if (!frame) return
    if (!frame.came) this.measure(frame, now)
    this.log.delete(sequence)
    this.onAcked?.(frame)
  }

  measure(frame, now) {
    if (frame.sends > 1) return
    const rtt = now - frame.sentMs
    this.deviation = this.rtt === 0 ? rtt / 2 : this.deviation * 0.75 + Math.abs(rtt - this.rtt) * 0.25
    this.rtt = this.rtt === 0 ? rtt : this.rtt * 0.875 + rtt * 0.125
  }

  get rto() {
    const measured = this.rtt === 0 ? RTO_MS : Math.max(RTO_MS_MIN, this.rtt + 4 * this.deviation)
    return Math.min(RTO_MS_MAX, measured * this.backoff)
  }

  // Returns the frames to retransmit now.
  again(now) {
    const out = [...this.log.values()].filter((frame) => !frame.came)
    const came = [...this.log.values()].filter((frame) => frame.came)
    const lost = out.filter((frame) => frame.sends === 1 &&
      came.filter((later) => ahead(frame.sequence, later.sequence) > 0).length >= LATER)
    const oldest = out[0]
    if (oldest && !lost.includes(oldest) && now - oldest.sentMs >= this.rto) {
      this.backoff *= 2
      lost.push(oldest)
    }
    for (const frame of lost) Object.assign(frame, { sentMs: now, sends: frame.sends + 1 })
    this.repeated += lost.length
    return lost
  }

  // Returns when to call again; Infinity: nothing is in flight.
  get due() {
    const oldest = [...this.log.values()].find((frame) => !frame.came)
    return oldest ? oldest.sentMs + this.rto : Infinity
  }
}

export class Receiver {
  constructor() {
    this.next = 1
    this.kept = new Map() // sequence: frame
    this.owes = false
    this.atOnce = false
    this.again = 0
    this.held = 0 // frames with messages that the program has not taken yet
    this.told = 1 + SLOTS // first sequence beyond the credit given so far
  }

  /** Frames that there is room for; a program that takes nothing gives none. */
  get credit() {
    return Math.max(0, ahead(this.next, this.told), SLOTS - this.held)
  }

  /** A held frame is done: an ack tells when the room has grown by a sixteenth. */
  release() {
    this.held--
    if (ahead(this.told, (this.next + SLOTS - this.held) >>> 0) >= SLOTS / 16) this.atOnce = true
  }

  // Returns the frames that are in order now: none, this one, or this one and those that waited for it.
  take(frame) {
    const distance = ahead(this.next, frame.sequence)
    this.owes = true
    if (distance < 0 || this.kept.has(frame.sequence)) {
      this.again++
      this.atOnce = true
      return []
    }
    if (distance >= this.credit) return []
    this.kept.set(frame.sequence, frame)
    if (distance > 0) this.atOnce = true
    const ready = []
    for (let next; (next = this.kept.get(this.next)); this.next = after(this.next)) {
      this.kept.delete(this.next)
      ready.push(next)
    }
    return ready
  }

  // Returns {ack, credit, came} for the next frame.
  say() {
    const came = new Array(SACK_WORDS).fill(0n)
    let words = 0
    for (const sequence of this.kept.keys()) {
      const bit = ahead(this.next, sequence) - 1
      if (bit >= 64 * SACK_WORDS) continue
      came[bit >> 6] |= 1n << BigInt(bit & 63)
      words = Math.max(words, (bit >> 6) + 1)
    }
    this.owes = false
    this.atOnce = false
    const credit = this.credit
    this.told = (this.next + credit) >>> 0
    return { ack: this.next, credit, came: came.slice(0, words) }
  }
}

