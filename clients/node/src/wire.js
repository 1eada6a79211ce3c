// SPDX-License-Identifier: Apache-2.0
// wire: frames and messages as bytes, and back (docs/protocol.md, "Messages" and "Frames"). Foreign bytes are read
// within their bounds; what is malformed is counted and discarded.

export const Kind = {
  Padding: 0, Publish: 1, Deliver: 2, Reply: 3, Status: 4, Gap: 5, Control: 6, Close: 7, Path: 8, Hello: 9, Retry: 10,
  Ack: 11, Push: 12, Accepted: 13, Settle: 14, Part: 15, Beat: 16, Credit: 17, Recall: 18,
  PushOptions: 19
}
export const Flag = { Token: 1, Sections: 2, Origin: 4, Delivery: 8, Fragment: 16, More: 32, High: 64, Low: 128 }
export const SettleVerb = { Ack: 0, Requeue: 1, Reject: 2, Progress: 4, Released: 5, Returned: 7 }
export const FRAME_BYTES_MIN = 1200
export const FRAME_BYTES_MAX = 65504
export const FRAME_HEADER_BYTES = 24
const HEADER_BYTES = 8
const STAMP_BYTES = 16
const NAME_BYTES_MAX = 63
const VERSION = 1
const RELIABLE = 1
const ACK = 2

export const padded = (bytes) => (bytes + 7) & ~7

/** A struct of two numbers of 64 bits: token, origin, Retry, Path. */
export function pair(first, second) {
  const bytes = Buffer.allocUnsafe(16)
  bytes.writeBigUInt64LE(first, 0)
  bytes.writeBigUInt64LE(second, 8)
  return bytes
}

export const readPair = (bytes) =>
  bytes.length < 16 ? null : [bytes.readBigUInt64LE(0), bytes.readBigUInt64LE(8)]

export function settlement(tag, verb, delayMs = 0, fallback = 0) {
  const bytes = Buffer.alloc(16)
  bytes.writeBigUInt64LE(tag, 0)
  bytes.writeUInt32LE(delayMs, 8)
  bytes.writeUInt8(verb, 12)
  bytes.writeUInt8(fallback, 13)
  return bytes
}

/** The payload of a Credit: so many more parts, or partial replies, may come. */
export function streamCredit(parts) {
  const bytes = Buffer.alloc(8)
  bytes.writeUInt32LE(parts, 0)
  return bytes
}

/** The block of a PushOptions, before the header block. */
export function pushOptions({ atMs = 0, delayMs = 0, ttlMs = 0, level = null, key = null, ticket = 0, repeat = 0 }) {
  const bytes = Buffer.alloc(32)
  if (key !== null) bytes.writeBigUInt64LE(keyNumber(key), 0)
  bytes.writeBigUInt64LE(BigInt(atMs), 8)
  bytes.writeUInt32LE(delayMs, 16)
  bytes.writeUInt32LE(ttlMs, 20)
  bytes.writeUInt8(level === null ? 0 : 1 + level, 24)
  bytes.writeUInt8(repeat, 25)
  bytes.writeUInt16LE(Math.floor(ticket / 2 ** 32), 26)
  bytes.writeUInt32LE(ticket % 2 ** 32, 28)
  return bytes
}

/** The number of a key: FNV-1a of 64 bits of its bytes, 1 in place of 0. */
export function keyNumber(text) {
  let hash = 0xcbf29ce484222325n
  for (const byte of Buffer.from(text)) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n)
  return hash === 0n ? 1n : hash
}

function deliveryBytes({ tag, queue, redelivered = 0, priority = 0, spared = 0 }) {
  const bytes = Buffer.alloc(16)
  bytes.writeBigUInt64LE(tag, 0)
  bytes.writeUInt32LE(queue, 8)
  bytes.writeUInt16LE(redelivered, 12)
  bytes.writeUInt8(priority, 14)
  bytes.writeUInt8(spared, 15)
  return bytes
}

function fragmentBytes({ session, message, total, offset }) {
  const bytes = Buffer.alloc(24)
  bytes.writeBigUInt64LE(session, 0)
  bytes.writeUInt32LE(message, 8)
  bytes.writeUInt32LE(total, 12)
  bytes.writeUInt32LE(offset, 16)
  return bytes
}

/** One message, padded. A token is {session, correlation}, an origin {publisher, id}. */
export function message(kind, { target = 0, token = null, origin = null, delivery = null, fragment = null, flags = 0,
  subject = '', headers = '', payload = '' } = {}) {
  const subjectBytes = Buffer.from(subject)
  const headerBytes = Buffer.from(headers)
  const head = Buffer.allocUnsafe(HEADER_BYTES)
  const parts = [head]
  if (token) parts.push(pair(token.session, token.correlation))
  if (origin) parts.push(pair(origin.publisher, origin.id))
  if (delivery) parts.push(deliveryBytes(delivery))
  if (fragment) parts.push(fragmentBytes(fragment))
  const sections = subjectBytes.length > 0 || headerBytes.length > 0
  if (sections) {
    const lengths = Buffer.alloc(4)
    lengths.writeUInt8(subjectBytes.length, 0)
    lengths.writeUInt16LE(headerBytes.length, 2)
    parts.push(lengths, subjectBytes, headerBytes)
  }
  parts.push(typeof payload === 'string' ? Buffer.from(payload) : payload)
  const bytes = parts.reduce((sum, part) => sum + part.length, 0)
  head.writeUInt16LE(bytes, 0)
  head.writeUInt8(kind, 2)
  head.writeUInt8(flags | (token && Flag.Token) | (origin && Flag.Origin) | (delivery && Flag.Delivery) |
    (fragment && Flag.Fragment) | (sections ? Flag.Sections : 0), 3)
  head.writeUInt32LE(target, 4)
  return Buffer.concat(parts, padded(bytes))
}

/** A frame of messages; with `fill`, padded to that length; with `say`, {ack, credit}. */
export function frame({ session = 0n, sequence = 0, messages = [], fill = 0, reliable = false, say = null }) {
  const bytes = messages.reduce((sum, m) => sum + m.length, FRAME_HEADER_BYTES)
  const all = fill > bytes
    ? [...messages, message(Kind.Padding, { payload: Buffer.alloc(fill - bytes - HEADER_BYTES) })]
    : messages
  const head = Buffer.alloc(FRAME_HEADER_BYTES)
  head.writeUInt8(VERSION, 0)
  head.writeUInt8((reliable ? RELIABLE : 0) | (say ? ACK : 0), 1)
  head.writeUInt16LE(all.length, 2)
  head.writeUInt32LE(sequence, 4)
  head.writeBigUInt64LE(session, 8)
  head.writeUInt32LE(say?.ack ?? 0, 16)
  head.writeUInt32LE(say?.credit ?? 0, 20)
  return Buffer.concat([head, ...all])
}

// Reads the part of a message that `flag` announces, `size` bytes; moves `at` on.
function take(m, flag, size, read) {
  if (!(m.flags & flag)) return null
  if (m.at + size > m.bytes.length) throw new RangeError('a part does not fit')
  const at = m.at
  m.at += size
  return read(m.bytes, at)
}

// Time and sender of a message, and the sender's name; null: there is no stamp.
function parseStamp(bytes, at, stampBytes) {
  if (stampBytes === 0) return null
  if (stampBytes < STAMP_BYTES || stampBytes > STAMP_BYTES + NAME_BYTES_MAX || at + stampBytes > bytes.length) {
    throw new RangeError('the stamp does not fit')
  }
  return { timeNs: bytes.readBigUInt64LE(at), sender: bytes.readBigUInt64LE(at + 8),
    name: bytes.toString('utf8', at + STAMP_BYTES, at + stampBytes) }
}

function parseParts(bytes) {
  const m = { bytes, at: HEADER_BYTES, kind: bytes.readUInt8(2), flags: bytes.readUInt8(3),
    target: bytes.readUInt32LE(4) }
  m.token = take(m, Flag.Token, 16, (b, at) =>
    ({ session: b.readBigUInt64LE(at), correlation: b.readBigUInt64LE(at + 8) }))
  m.origin = take(m, Flag.Origin, 16, (b, at) => ({ publisher: b.readBigUInt64LE(at), id: b.readBigUInt64LE(at + 8) }))
  m.delivery = take(m, Flag.Delivery, 16, (b, at) => ({ tag: b.readBigUInt64LE(at), queue: b.readUInt32LE(at + 8),
    redelivered: b.readUInt16LE(at + 12), priority: b.readUInt8(at + 14), spared: b.readUInt8(at + 15) }))
  m.fragment = take(m, Flag.Fragment, 24, (b, at) => ({ session: b.readBigUInt64LE(at), message: b.readUInt32LE(at + 8),
    total: b.readUInt32LE(at + 12), offset: b.readUInt32LE(at + 16) }))
  const sections = take(m, Flag.Sections, 4, (b, at) => [b.readUInt8(at), b.readUInt8(at + 1), b.readUInt16LE(at + 2)])
  const [subjectBytes, stampBytes, headerBytes] = sections ?? [0, 0, 0]
  m.stamp = parseStamp(bytes, m.at, stampBytes)
  m.at += stampBytes
  if (m.at + subjectBytes + headerBytes > bytes.length) throw new RangeError('sections do not fit')
  m.subject = bytes.toString('utf8', m.at, m.at + subjectBytes)
  m.headers = bytes.subarray(m.at + subjectBytes, m.at + subjectBytes + headerBytes)
  m.payload = bytes.subarray(m.at + subjectBytes + headerBytes)
  return m
}

// Parses one message without its padding; null if its parts do not fit.
function parseMessage(bytes) {
  try {
    return parseParts(bytes)
  } catch (error) {
    if (error instanceof RangeError) return null
    throw error
  }
}

/**
 * Parses a datagram: {session, sequence, reliable, say, messages, faults}, or null. `faults` counts the discarded
 * parts: messages that do not fit, and once the rest behind a malformed length.
 */
export function parseFrame(bytes) {
  if (bytes.length < FRAME_HEADER_BYTES || bytes.length % 8 !== 0 || bytes.readUInt8(0) !== VERSION) return null
  const flags = bytes.readUInt8(1)
  if (flags & ~(RELIABLE | ACK)) return null
  const f = { session: bytes.readBigUInt64LE(8), sequence: bytes.readUInt32LE(4), reliable: (flags & RELIABLE) !== 0,
    say: flags & ACK ? { ack: bytes.readUInt32LE(16), credit: bytes.readUInt32LE(20) } : null, messages: [], faults: 0 }
  let at = FRAME_HEADER_BYTES
  for (let left = bytes.readUInt16LE(2); left > 0; left--) {
    const own = at + HEADER_BYTES <= bytes.length ? bytes.readUInt16LE(at) : 0
    if (own < HEADER_BYTES || at + padded(own) > bytes.length) {
      f.faults++
      return f
    }
    const m = parseMessage(bytes.subarray(at, at + own))
    if (m) f.messages.push(m)
    else f.faults++
    at += padded(own)
  }
  f.faults += at === bytes.length ? 0 : 1
  return f
}

/** The frames of a flow that were received: the highest sequence, and the 64 up to it. */
export class Window {
  constructor() {
    this.highest = 0
    this.seen = (1n << 64n) - 1n // bit i: highest - i was received
    this.lost = 0
    this.late = 0
  }

  /** False: it is a duplicate, or too old. */
  take(sequence) {
    const ahead = (sequence - this.highest) >>> 0
    if (ahead > 0 && ahead < 2 ** 31) {
      this.seen = BigInt.asUintN(64, (this.seen << BigInt(Math.min(ahead, 64))) | 1n)
      this.highest = sequence
      this.lost += ahead - 1
      return true
    }
    const behind = (this.highest - sequence) >>> 0
    if (behind >= 64 || (this.seen >> BigInt(behind)) & 1n) return false
    this.seen |= 1n << BigInt(behind)
    this.lost--
    this.late++
    return true
  }
}
