// SPDX-License-Identifier: Apache-2.0
// The reliable flow on a network that loses, duplicates and reorders, by a seed; and its session.

import { test as nodeTest } from 'node:test'
import assert from 'node:assert'
import { Client } from '../src/client.js'
import { FakeBus } from './fake_bus.js'
import { Receiver, Sender } from '../src/reliable.js'
import { Flag, Kind } from '../src/wire.js'

// Names a test that hangs, before the scenario ends all of them.
const test = (name, run) => nodeTest(name, { timeout: 30000 }, run)

// The same numbers for the same seed, 0 to 1.
function dice(seed) {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

// Moves `count` messages from one end to the other by its own clock; returns the received ones in order.
function simulate(seed, lossShare, count) {
  const roll = dice(seed)
  const tx = new Sender(64)
  const rx = new Receiver()
  const wires = [] // {at, deliver}
  const came = []
  const post = (now, deliver) => {
    for (let copies = roll() < 0.1 ? 2 : 1; copies > 0; copies--) {
      if (roll() >= lossShare) wires.push({ at: now + 0.2 + (roll() < 0.2 ? roll() * 2 : 0), deliver })
    }
  }
  for (let i = 0; i < count; i++) tx.put([i])
  for (let now = 0; now < 100000 && !tx.idle; now += 0.1) {
    for (const frame of [...tx.again(now), ...tx.fresh(now)]) {
      post(now, () => {
        for (const ready of rx.take(frame)) came.push(...ready.messages)
      })
    }
    for (const due of wires.filter(({ at }) => at <= now)) {
      wires.splice(wires.indexOf(due), 1)
      due.deliver(now)
    }
    if (rx.owes) {
      const say = rx.say()
      post(now, (then) => assert.ok(tx.acked(say.ack, say.credit, say.came, then)))
    }
  }
  assert.ok(tx.idle, 'everything is acknowledged in the end')
  return came
}

for (const share of [0, 0.01, 0.1, 0.3]) {
  test(`everything comes once and in order at ${100 * share} % loss`, () => {
    const expected = Array.from({ length: 300 }, (_, i) => i)
    for (let seed = 1; seed <= 5; seed++) assert.deepStrictEqual(simulate(seed, share, 300), expected)
  })
}

test('an ack of what was never sent changes nothing', () => {
  const tx = new Sender(8)
  tx.put(['x'])
  assert.strictEqual(tx.fresh(0).length, 1)
  assert.strictEqual(tx.acked(9, 8, [], 1), false)
  assert.strictEqual(tx.idle, false)
  assert.strictEqual(tx.acked(2, 8, [], 1), true)
  assert.strictEqual(tx.idle, true)
})

test('no more is sent than was granted', () => {
  const tx = new Sender(3)
  for (let i = 0; i < 5; i++) tx.put([i])
  assert.deepStrictEqual(tx.fresh(0).map((f) => f.sequence), [1, 2, 3])
  tx.acked(2, 3, [], 1)
  assert.deepStrictEqual(tx.fresh(1).map((f) => f.sequence), [4])
})

test('frames that the program has not taken use up the credit', () => {
  const rx = new Receiver()
  const first = rx.say().credit
  for (let sequence = 1; sequence <= first; sequence++) {
    assert.strictEqual(rx.take({ sequence, messages: [] }).length, 1)
    rx.held++
  }
  const full = rx.say()
  assert.deepStrictEqual([full.ack, full.credit], [first + 1, 0])
  assert.strictEqual(rx.take({ sequence: first + 1, messages: [] }).length, 0, 'beyond the credit')
  for (let i = 0; i < first / 2; i++) rx.release()
  assert.strictEqual(rx.atOnce, true)
  assert.strictEqual(rx.say().credit, first / 2)
})

test('a session repeats what the network lost', async (t) => {
  const bus = new FakeBus({ credit: 64 })
  const { host, port } = await bus.listen()
  const client = new Client(`udp://${host}:${port}`, { name: 'tester', reconnect: false })
  t.after(async () => {
    await client.close()
    bus.close()
  })
  await client.open()
  bus.lose(2)
  const accepted = client.promise('a.b', 'first')
  const m = await bus.message(Kind.Publish)
  assert.strictEqual(m.payload.toString(), 'first')
  assert.strictEqual(m.flags & Flag.High, Flag.High)
  await accepted
  await client.settle()
  assert.ok(client.session.reliable.tx.repeated >= 2)
  assert.strictEqual(bus.got.filter(({ kind }) => kind === Kind.Publish).length, 1)
})
