// SPDX-License-Identifier: Apache-2.0
// tables: the FlatBuffer tables of flatbuf/schemas/wire.fbs as bytes and back. Foreign bytes are read within their
// bounds; malformed ones give null. Numbers of 64 bits are BigInt.

// Fields in the order of the schema, which is that of their numbers.
const OPTIONS = [['policy', 'u8'], ['whenFull', 'u8'], ['messagesMax', 'u64'], ['bytesMax', 'u64'], ['ageMaxMs', 'u32'],
  ['ackTimeoutMs', 'u32'], ['maxDeliver', 'u16'], ['notIdempotent', 'u8'], ['breakerFailures', 'u16'],
  ['breakerResetMs', 'u32'], ['breakerProbes', 'u16'], ['whenExpired', 'u8'], ['agingMs', 'u32'], ['singleActive', 'u8'],
  ['inFlightPerKey', 'u16'], ['keyFrom', 'string'], ['retryMinMs', 'u32'], ['retryMaxMs', 'u32'], ['retryFactor', 'u16'],
  ['retryJitter', 'u8']]
const BODIES = [
  ['SubscribeRequest', [['subscription', 'u32'], ['kind', 'u8'], ['pattern', 'string'], ['group', 'string'],
    ['whenFull', 'u8'], ['highWater', 'u8'], ['time', 'u8'], ['sender', 'u8']]],
  ['UnsubscribeRequest', [['subscription', 'u32'], ['queue', 'u32']]],
  ['AliasRequest', [['subject', 'string']]],
  ['AliasRelease', [['alias', 'u32']]],
  ['Ping', [['sentNs', 'u64']]],
  ['Result', [['code', 'i32'], ['text', 'string']]],
  ['AliasResponse', [['alias', 'u32']]],
  ['Pong', [['sentNs', 'u64'], ['handledNs', 'u64']]],
  ['HelloRequest', [['version', 'u32'], ['name', 'string']]],
  ['Welcome', [['nonce', 'u64'], ['session', 'u64'], ['secret', 'u64'], ['worker', 'u32'], ['frameBytes', 'u32'],
    ['heartbeatMs', 'u32'], ['missedMax', 'u32'], ['serverVersion', 'string'], ['credit', 'u32'],
    ['messageBytesMax', 'u32']]],
  ['Refusal', [['nonce', 'u64'], ['code', 'i32'], ['text', 'string']]],
  ['QueueRequest', [['kind', 'u8'], ['name', 'string'], ['options', OPTIONS], ['served', 'u8'], ['knowsMemory', 'u8'],
    ['knowsShare', 'u8'], ['deadLetter', 'string']]],
  ['ConsumeRequest', [['subscription', 'u32'], ['kind', 'u8'], ['name', 'string'], ['options', OPTIONS],
    ['prefetch', 'u32'], ['weight', 'u32'], ['saysHanded', 'u8'], ['recalls', 'u8'], ['tag', 'string'], ['rate', 'u32'],
    ['prefetchBytes', 'u32'], ['paused', 'u8'], ['deadLetter', 'string']]],
  ['MmiRequest', [['name', 'string'], ['body', 'string']]],
  ['QueueResponse', [['queue', 'u32'], ['window', 'u32'], ['heartbeatMs', 'u32'], ['missedMax', 'u32'],
    ['ackTimeoutMs', 'u32'], ['maxDeliver', 'u16'], ['waits', 'u8'], ['pushOptions', 'u32'],
    ['consumeOptions', 'u32'], ['settleOptions', 'u32']]],
  ['MmiResponse', [['status', 'u32'], ['body', 'string']]],
  ['Disconnect', [['subscription', 'u32'], ['code', 'i32'], ['text', 'string']]],
  ['CancelRequest', [['queue', 'string'], ['ticket', 'u64']]]
]
const SIZES = { u8: 1, u16: 2, u32: 4, i32: 4, u64: 8 }
const WRITE = {
  u8: (b, v, at) => b.writeUInt8(Number(v), at),
  u16: (b, v, at) => b.writeUInt16LE(v, at),
  u32: (b, v, at) => b.writeUInt32LE(v, at),
  i32: (b, v, at) => b.writeInt32LE(v, at),
  u64: (b, v, at) => b.writeBigUInt64LE(BigInt(v), at)
}
const READ = {
  u8: (b, at) => b.readUInt8(at),
  u16: (b, at) => b.readUInt16LE(at),
  u32: (b, at) => b.readUInt32LE(at),
  i32: (b, at) => b.readInt32LE(at),
  u64: (b, at) => b.readBigUInt64LE(at)
}
const sizeOf = (type) => SIZES[type] ?? 4 // an offset
const defaultOf = (type) => (type === 'u64' ? 0n : SIZES[type] ? 0 : null)

// ---- writing: front to back, so that every offset points forward

function putString(out, text) {
  const bytes = Buffer.from(text)
  out.at = (out.at + 3) & ~3
  const at = out.at
  out.bytes.writeUInt32LE(bytes.length, at)
  bytes.copy(out.bytes, at + 4)
  out.at += 4 + bytes.length + 1
  return at
}

// A table begins 4 bytes in front of a multiple of 8: behind its first word stand the fields, the largest first.
function putTable(out, fields, values) {
  const present = fields.map(([key, type], i) => ({ type, i, value: values[key] }))
    .filter(({ value }) => value !== undefined && value !== null)
  const vtableBytes = 4 + 2 * fields.length
  const start = ((out.at + vtableBytes + 3) & ~7) + 4
  const vtable = start - vtableBytes
  let end = start + 4
  for (const field of present.sort((a, b) => sizeOf(b.type) - sizeOf(a.type))) {
    field.at = end
    out.bytes.writeUInt16LE(end - start, vtable + 4 + 2 * field.i)
    end += sizeOf(field.type)
  }
  out.bytes.writeUInt16LE(vtableBytes, vtable)
  out.bytes.writeUInt16LE(end - start, vtable + 2)
  out.bytes.writeInt32LE(vtableBytes, start)
  out.at = end
  for (const { type, at, value } of present) {
    if (WRITE[type]) WRITE[type](out.bytes, value, at)
    else out.bytes.writeUInt32LE((type === 'string' ? putString(out, value) : putTable(out, type, value)) - at, at)
  }
  return start
}

/** The payload of a Control message or a Hello: a ClientMessage with this body. */
export function table(name, values) {
  const index = BODIES.findIndex(([known]) => known === name)
  const texts = Object.values(values).filter((v) => typeof v === 'string')
  const out = { bytes: Buffer.alloc(512 + texts.reduce((sum, t) => sum + Buffer.byteLength(t) + 8, 0)), at: 4 }
  const root = putTable(out, [['type', 'u8'], ['body', BODIES[index][1]]], { type: index + 1, body: values })
  out.bytes.writeUInt32LE(root, 0)
  return out.bytes.subarray(0, (out.at + 7) & ~7)
}

// ---- reading

class Malformed extends Error {}

function need(holds) {
  if (!holds) throw new Malformed()
}

function follow(bytes, at) {
  const to = at + bytes.readUInt32LE(at)
  need(to + 4 <= bytes.length)
  return to
}

function getString(bytes, at) {
  const start = follow(bytes, at)
  const length = bytes.readUInt32LE(start)
  need(start + 4 + length <= bytes.length)
  return bytes.toString('utf8', start + 4, start + 4 + length)
}

// Returns a function that finds the place of a field by its number; 0: absent.
function openTable(bytes, at) {
  need(at + 4 <= bytes.length)
  const vtable = at - bytes.readInt32LE(at)
  need(vtable >= 0 && vtable + 4 <= bytes.length)
  const vtableBytes = bytes.readUInt16LE(vtable)
  const tableBytes = bytes.readUInt16LE(vtable + 2)
  need(vtableBytes >= 4 && vtable + vtableBytes <= bytes.length && at + tableBytes <= bytes.length)
  return (i, size) => {
    if (4 + 2 * i + 2 > vtableBytes) return 0
    const offset = bytes.readUInt16LE(vtable + 4 + 2 * i)
    need(offset === 0 || (offset >= 4 && offset + size <= tableBytes))
    return offset === 0 ? 0 : at + offset
  }
}

function getTable(bytes, at, fields) {
  const place = openTable(bytes, at)
  return Object.fromEntries(fields.map(([key, type], i) => {
    const where = place(i, sizeOf(type))
    if (where === 0) return [key, defaultOf(type)]
    if (READ[type]) return [key, READ[type](bytes, where)]
    return [key, type === 'string' ? getString(bytes, where) : getTable(bytes, follow(bytes, where), type)]
  }))
}

/** Parses a ClientMessage: {name, body}; null if it is malformed or of a later version. */
export function parseTable(bytes) {
  try {
    need(bytes.length >= 8)
    const place = openTable(bytes, follow(bytes, 0))
    const type = place(0, 1)
    const body = place(1, 4)
    const [name, fields] = BODIES[type === 0 ? -1 : bytes.readUInt8(type) - 1] ?? []
    return name && body ? { name, body: getTable(bytes, follow(bytes, body), fields) } : null
  } catch (error) {
    if (error instanceof Malformed) return null
    throw error
  }
}
