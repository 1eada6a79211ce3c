// SPDX-License-Identifier: Apache-2.0
// wire: frames and messages as bytes, and back (docs/protocol.md, "Messages" and "Frames").
//
// Code that flatc generated from the schemas writes and reads the structs: no field offset stands here.
// Foreign buffers are read within their bounds; malformed ones give null.
'use strict'

const { readdirSync } = require('fs')
const { join } = require('path')
const { Builder, ByteBuffer } = require('flatbuffers')

// Everything in wire.fbs, by its name.
const generated = join(__dirname, 'generated', 'millrace')
const fbs = Object.assign({}, ...readdirSync(generated).map((file) => require(join(generated, file))))

const VERSION = 1
const FRAME_BYTES_MIN = 1200
const FRAME_BYTES_MAX = 65504
const { FrameFlag, MessageKind: Kind, MessageFlag: Flag } = fbs
const FLAGS_KNOWN = 0xff

// The bytes of one struct: FrameHeader, MessageHeader, ...
function struct(name, ...fields) {
  const builder = new Builder(64)
  fbs[name][`create${name}`](builder, ...fields)
  const bytes = builder.dataBuffer().bytes()
  return Buffer.from(bytes.subarray(bytes.length - builder.offset()))
}

function readStruct(name, bytes, at) {
  if (at + fbs[name].sizeOf() > bytes.length) return null
  return new fbs[name]().__init(at, new ByteBuffer(bytes))
}

const padded = (bytes) => (bytes + 7) & ~7

// One message, padded. A token is {session, correlation}, an origin {publisher, id}, a fragment {session, message, total,
// offset}; `more` and the like are bits of MessageFlag.
function message(kind, { target = 0, token = null, origin = null, delivery = null, fragment = null, flags = 0, subject = '',
  headers = '', payload = '' } = {}) {
  const parts = [Buffer.from(subject), Buffer.from(headers), Buffer.from(payload)]
  if (parts[0].length > 0 || parts[1].length > 0) {
    flags |= Flag.Sections
    parts.unshift(struct('MessageSections', parts[0].length, 0, parts[1].length))
  }
  if (fragment) {
    flags |= Flag.Fragment
    parts.unshift(struct('MessageFragment', fragment.session, fragment.message, fragment.total, fragment.offset, 0))
  }
  if (delivery) {
    flags |= Flag.Delivery
    parts.unshift(struct('MessageDelivery', delivery.tag, delivery.queue, delivery.redelivered, delivery.priority, 0))
  }
  if (origin) {
    flags |= Flag.Origin
    parts.unshift(struct('MessageOrigin', origin.publisher, origin.id))
  }
  if (token) {
    flags |= Flag.Token
    parts.unshift(struct('ReplyToken', token.session, token.correlation))
  }
  const bytes = fbs.MessageHeader.sizeOf() + parts.reduce((sum, part) => sum + part.length, 0)
  parts.unshift(struct('MessageHeader', bytes, kind, flags, target))
  return Buffer.concat(parts, padded(bytes))
}

// A Padding of exactly that many bytes, a multiple of 8.
function padding(bytes) {
  return message(Kind.Padding, { payload: Buffer.alloc(bytes - fbs.MessageHeader.sizeOf()) })
}

// A frame of messages; with `fill`, padded to that length; with `say`, {ack, credit}.
function frame({ session = 0n, sequence = 0, messages = [], fill = 0, reliable = false, say = null }) {
  const bytes = messages.reduce((sum, m) => sum + m.length, fbs.FrameHeader.sizeOf())
  const all = fill > bytes ? [...messages, padding(fill - bytes)] : messages
  const flags = (reliable ? FrameFlag.Reliable : 0) | (say ? FrameFlag.Ack : 0)
  return Buffer.concat([
    struct('FrameHeader', VERSION, flags, all.length, sequence, session, say?.ack ?? 0, say?.credit ?? 0), ...all
  ])
}

const EXTRA = [
  [Flag.Origin, 'MessageOrigin', 'origin'],
  [Flag.Delivery, 'MessageDelivery', 'delivery'],
  [Flag.Fragment, 'MessageFragment', 'fragment']
]

// Parses `bytes` as a message without its padding; null if its parts do not fit.
function parseMessage(bytes) {
  const header = readStruct('MessageHeader', bytes, 0)
  const m = { kind: header.kind(), target: header.target(), flags: header.flags(), token: null, origin: null,
    delivery: null, fragment: null, subject: '', headers: '' }
  let at = fbs.MessageHeader.sizeOf()
  if (header.flags() & ~FLAGS_KNOWN) return null
  if (header.flags() & Flag.Token) {
    const token = readStruct('ReplyToken', bytes, at)
    if (!token) return null
    m.token = { session: token.session(), correlation: token.correlation() }
    at += fbs.ReplyToken.sizeOf()
  }
  for (const [flag, name, key] of EXTRA) {
    if (!(header.flags() & flag)) continue
    m[key] = readStruct(name, bytes, at)
    if (!m[key]) return null
    at += fbs[name].sizeOf()
  }
  if (header.flags() & Flag.Sections) {
    const sections = readStruct('MessageSections', bytes, at)
    if (!sections || sections.reserved() !== 0) return null
    at += fbs.MessageSections.sizeOf()
    const end = at + sections.subjectBytes() + sections.headerBytes()
    if (end > bytes.length) return null
    m.subject = bytes.toString('utf8', at, at + sections.subjectBytes())
    m.headers = bytes.toString('utf8', at + sections.subjectBytes(), end)
    at = end
  }
  m.payload = bytes.subarray(at)
  return m
}

// Parses a datagram as a frame: {session, sequence, reliable, say, messages, faults}, or null. `faults` counts the
// discarded parts: messages that do not fit, and once the rest after a malformed length.
function parseFrame(bytes) {
  const header = readStruct('FrameHeader', bytes, 0)
  if (!header || header.version() !== VERSION || bytes.length % 8 !== 0) return null
  if (header.flags() & ~(FrameFlag.Reliable | FrameFlag.Ack)) return null
  const f = { session: header.session(), sequence: header.sequence(), messages: [], faults: 0 }
  f.reliable = (header.flags() & FrameFlag.Reliable) !== 0
  f.say = header.flags() & FrameFlag.Ack ? { ack: header.ack(), credit: header.credit() } : null
  let at = fbs.FrameHeader.sizeOf()
  for (let left = header.messages(); left > 0; left--) {
    const own = readStruct('MessageHeader', bytes, at)?.bytes() ?? 0
    if (own < fbs.MessageHeader.sizeOf() || at + padded(own) > bytes.length) {
      f.faults++
      return f
    }
    const m = parseMessage(bytes.subarray(at, at + own))
    if (m) f.messages.push(m)
    else f.faults++
    at += padded(own)
  }
  f.faults += at !== bytes.length
  return f
}

// Makes the payload of a Control message, or of a Hello: 'SubscribeRequest', {subscription: 1, ...}.
function table(name, fields) {
  const builder = new Builder(256)
  const type = fbs[name]
  const values = Object.entries(fields).filter(([, value]) => value !== undefined)
  const made = values.map(([key, value]) => [key, typeof value === 'string' ? builder.createString(value) : value])
  type[`start${name}`](builder)
  for (const [key, value] of made) type[`add${key[0].toUpperCase()}${key.slice(1)}`](builder, value)
  const body = type[`end${name}`](builder)
  builder.finish(fbs.ClientMessage.createClientMessage(builder, fbs.ClientBody[name], body))
  return Buffer.from(builder.asUint8Array())
}

// Returns {name, body} of a ClientMessage; null if it is none or of a later version.
function parseTable(bytes) {
  try {
    const root = fbs.ClientMessage.getRootAsClientMessage(new ByteBuffer(bytes))
    const name = fbs.ClientBody[root.bodyType()]
    const body = fbs[name] && root.body(new fbs[name]())
    return body ? { name, body } : null
  } catch {
    return null // flatbuffers has no verifier in JavaScript: it throws, or reads zeroes
  }
}

// The frames of a flow that were received: the highest sequence, and the 64 up to it.
class Window {
  constructor() {
    this.highest = 0
    this.seen = (1n << 64n) - 1n // bit i: highest - i was received
    this.lost = 0
    this.late = 0
  }

  // False: it is a duplicate, or too old.
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

module.exports = {
  FRAME_BYTES_MAX, FRAME_BYTES_MIN, FRAME_HEADER_BYTES: fbs.FrameHeader.sizeOf(), Flag, Kind, SettleVerb: fbs.SettleVerb, Window,
  frame, message, parseFrame, parseTable, readStruct, struct, table
}
