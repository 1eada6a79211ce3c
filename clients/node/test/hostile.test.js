// SPDX-License-Identifier: Apache-2.0
// Parsers against hostile bytes: truncated, oversized, forged, and random ones by a seed.

import test from 'node:test'
import assert from 'node:assert'
import { headerBlock, parseHeaders } from '../src/headers.js'
import { parseServers } from '../src/client.js'
import { Inbox, Reassembly } from '../src/messages.js'
import { parseTable, table } from '../src/tables.js'
import * as wire from '../src/wire.js'

const { Kind } = wire

// The same numbers for the same seed, 0 to 1.
function dice(seed) {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

const full = wire.message(Kind.Deliver, { target: 7, token: { session: 1n, correlation: 2n }, origin: { publisher: 3n, id: 4n },
  delivery: { tag: 5n, queue: 6 }, fragment: { session: 7n, message: 8, total: 9, offset: 0 }, subject: 'a.b',
  headers: 'NATS/1.0\r\n\r\n', payload: 'hello' })

test('a message comes back as it was written', () => {
  const [m] = wire.parseFrame(wire.frame({ session: 1n, sequence: 1, messages: [full] })).messages
  assert.deepStrictEqual([m.kind, m.target, m.token, m.origin], [Kind.Deliver, 7, { session: 1n, correlation: 2n },
    { publisher: 3n, id: 4n }])
  assert.deepStrictEqual([m.delivery.tag, m.delivery.queue, m.fragment.total], [5n, 6, 9])
  assert.deepStrictEqual([m.subject, String(m.headers), String(m.payload)], ['a.b', 'NATS/1.0\r\n\r\n', 'hello'])
})

test('a message that is shorter than its parts is discarded and counted', () => {
  for (let bytes = 8; bytes < 8 + 16 + 16 + 16 + 24 + 4 + 3 + 12; bytes++) {
    const cut = Buffer.from(full.subarray(0, wire.padded(bytes)))
    cut.writeUInt16LE(bytes, 0)
    const f = wire.parseFrame(wire.frame({ messages: [cut, full] }))
    assert.deepStrictEqual([f.messages.length, f.faults], [1, 1], `${bytes} bytes`)
  }
})

test('lengths beyond the frame and counts that are wrong cost the rest alone', () => {
  const whole = wire.frame({ messages: [full, full] })
  for (const bytes of [0, 7, 0xffff]) {
    const bad = Buffer.from(whole)
    bad.writeUInt16LE(bytes, 24 + full.length)
    const f = wire.parseFrame(bad)
    assert.deepStrictEqual([f.messages.length, f.faults], [1, 1])
  }
  const more = Buffer.from(whole)
  more.writeUInt16LE(3, 2)
  assert.strictEqual(wire.parseFrame(more).faults, 1)
  const fewer = Buffer.from(whole)
  fewer.writeUInt16LE(1, 2)
  assert.deepStrictEqual([wire.parseFrame(fewer).messages.length, wire.parseFrame(fewer).faults], [1, 1])
})

test('no frame: too short, of another version, with unknown flags, of an odd length', () => {
  const good = wire.frame({ messages: [full] })
  const with_ = (at, value) => {
    const bytes = Buffer.from(good)
    bytes[at] = value
    return bytes
  }
  for (const bad of [Buffer.alloc(0), good.subarray(0, 16), with_(0, 2), with_(1, 4), Buffer.concat([good, Buffer.alloc(3)])]) {
    assert.strictEqual(wire.parseFrame(bad), null)
  }
})

test('a table comes back as it was written, wherever its fields stand', () => {
  const options = { policy: 3, messagesMax: 1n << 40n, ackTimeoutMs: 5, breakerProbes: 2 }
  const back = parseTable(table('ConsumeRequest', { subscription: 7, kind: 1, name: 'grün', options, recalls: true }))
  assert.strictEqual(back.name, 'ConsumeRequest')
  assert.deepStrictEqual([back.body.subscription, back.body.kind, back.body.name, back.body.recalls, back.body.weight],
    [7, 1, 'grün', 1, 0])
  assert.deepStrictEqual([back.body.options.messagesMax, back.body.options.policy, back.body.options.breakerProbes],
    [1n << 40n, 3, 2])
})

test('the example of the protocol page is read', () => {
  const bytes = Buffer.from('0c00000008000c000b000400080000001000000000000009' + '08000c0008000400080000000800000001000000' +
    '0400000064656d6f00000000', 'hex')
  assert.deepStrictEqual(parseTable(bytes), { name: 'HelloRequest', body: { version: 1, name: 'demo' } })
})

test('tables that are cut, forged or random give null or values, and never an error', () => {
  const good = table('Welcome', { nonce: 1n, session: 2n, secret: 3n, frameBytes: 1472, heartbeatMs: 1, serverVersion: 'x' })
  for (let bytes = 0; bytes < good.length; bytes++) parseTable(good.subarray(0, bytes))
  for (let at = 0; at < good.length; at++) {
    for (const value of [0, 1, 0x7f, 0x80, 0xff]) {
      const forged = Buffer.from(good)
      forged[at] = value
      parseTable(forged)
    }
  }
  const roll = dice(7)
  for (let i = 0; i < 20000; i++) {
    const bytes = Buffer.from(Array.from({ length: Math.floor(roll() * 96) }, () => Math.floor(roll() ** 3 * 256)))
    parseTable(bytes)
    wire.parseFrame(bytes)
  }
  assert.strictEqual(parseTable(Buffer.from('garbage, garbage, garbage')), null)
  assert.strictEqual(parseTable(Buffer.alloc(0)), null)
})

const fragment = (message, offset, total, payload) => ({ kind: Kind.Deliver, target: 1, headers: Buffer.alloc(0),
  payload: Buffer.from(payload), delivery: null, fragment: { session: 1n, message, total, offset } })

test('fragments are joined; holes, contradictions and a flood are given up', () => {
  let ignored = 0
  const pieces = new Reassembly(() => {
    ignored++
    return null
  })
  assert.strictEqual(pieces.take(fragment(1, 0, 6, 'abc'), 100), null)
  assert.strictEqual(String(pieces.take(fragment(1, 3, 6, 'def'), 100).payload), 'abcdef')
  pieces.take(fragment(2, 0, 9, 'abc'), 100)
  assert.strictEqual(pieces.take(fragment(2, 6, 9, 'ghi'), 100), null, 'a hole')
  assert.strictEqual(pieces.take(fragment(2, 3, 9, 'def'), 100), null, 'given up')
  assert.strictEqual(pieces.take(fragment(3, 0, 101, 'abc'), 100), null, 'larger than the bus says')
  pieces.take(fragment(4, 0, 6, 'abc'), 100)
  assert.strictEqual(pieces.take(fragment(4, 3, 7, 'defg'), 100), null, 'another total')
  pieces.take(fragment(5, 0, 4, 'abc'), 100)
  assert.strictEqual(pieces.take(fragment(5, 3, 4, 'de'), 100), null, 'more than the total')
  assert.strictEqual(ignored, 5)
  for (let i = 100; i < 1000; i++) pieces.take(fragment(i, 0, 6, 'abc'), 100)
  assert.ok(pieces.parts.size <= 16)
})

test('an inbox is bounded, and hands out what is there after its end', async () => {
  const inbox = new Inbox(2)
  assert.deepStrictEqual([inbox.put('a'), inbox.put('b'), inbox.put('c')], [true, true, false])
  inbox.end()
  assert.deepStrictEqual([(await inbox.next()).value, (await inbox.next()).value, (await inbox.next()).done], ['a', 'b', true])
})

test('headers: what is not of the form is refused, and skipped of others', () => {
  assert.strictEqual(headerBlock({ a: 1, b: 'x y' }), 'NATS/1.0\r\na: 1\r\nb: x y\r\n\r\n')
  assert.strictEqual(headerBlock(undefined), '')
  for (const bad of [{ 'a b': 'x' }, { 'a:': 'x' }, { a: 'x\r\ny: z' }, { a: 'x\0' }, { '': 'x' }]) {
    assert.throws(() => headerBlock(bad), { code: 'EINVAL' })
  }
  const read = (text) => [...parseHeaders(Buffer.from(text))]
  assert.deepStrictEqual(read('NATS/1.0\r\nTrace:  abc \r\n folded\r\nnone\r\ntrace: later\r\n\r\n'), [['trace', 'abc']])
  assert.deepStrictEqual(read('HTTP/1.1\r\na: b\r\n\r\n'), [])
})

test('addresses: several, IPv6, a default port; others are refused', () => {
  assert.deepStrictEqual(parseServers('udp://a, udp://b:1'), [{ host: 'a', port: 7400 }, { host: 'b', port: 1 }])
  assert.deepStrictEqual(parseServers(['udp://[::1]:5']), [{ host: '::1', port: 5 }])
  for (const bad of ['', 'shm:/run/x', 'udp://', 'udp://a:99999', 'a:7400']) {
    assert.throws(() => parseServers(bad), { code: 'EINVAL' })
  }
})
