// SPDX-License-Identifier: Apache-2.0
// outputs: pushes the outputs of an input under numbers made from the input's (docs/protocol.md, "Handing over").
import { MillraceError } from './errors.js'

export const OUTPUTS_MAX = 64
const FLAGS = { high: 64, low: 128 }
const u64 = (n) => BigInt.asUintN(64, n)

/** The publisher number of the output that is at `place` among those to its queue. */
export function outputPublisher(publisher, queue, place) {
  const bytes = [Buffer.alloc(8), Buffer.from(queue.replace(/\.dead$/, '')), Buffer.from([place & 255, place >> 8])]
  bytes[0].writeBigUInt64LE(publisher)
  let h = 0xcbf29ce484222325n
  for (const byte of Buffer.concat(bytes)) h = u64((h ^ BigInt(byte)) * 0x100000001b3n)
  h = u64((h ^ (h >> 32n)) * 0xd6e8feb86659fd93n)
  return (h ^ (h >> 32n)) | 1n
}

// Checks all outputs before the first is pushed, and gives each its parts and its number.
function prepare(client, input, from, outputs, atLeastOnce) {
  if (outputs.length > OUTPUTS_MAX) throw new MillraceError('EINVAL', `more than ${OUTPUTS_MAX} outputs`)
  if (input.publisher === 0n && outputs.length > 0 && !atLeastOnce) {
    throw new MillraceError('EINVAL', 'the input has no number, as it was not pushed exactly once: its outputs could be ' +
      'there twice; atLeastOnce accepts that')
  }
  const places = new Map()
  const all = outputs.map(({ queue, payload = '', ...options }) => {
    if (options.id !== undefined || options.publisher !== undefined) {
      throw new MillraceError('EINVAL', 'an output gets its number from its input')
    }
    const place = places.get(queue.name) ?? 0
    places.set(queue.name, place + 1)
    const origin = input.publisher === 0n
      ? { publisher: 0n, id: client.nextId() }
      : { publisher: outputPublisher(input.publisher, from, place), id: input.id }
    return { queue, parts: queue.parts(payload, options), origin, flags: FLAGS[options.priority] ?? 0 }
  })
  if (client.outboxBytes + all.reduce((sum, o) => sum + o.parts.bytes, 0) > client.options.bufferBytesMax) {
    throw new MillraceError('EAGAIN', 'too much is not accepted yet: wait for room()')
  }
  return all
}

// An output that is under way, pushed by an earlier delivery of the same input, is waited for.
function push({ queue, parts, origin, flags }) {
  const key = `${origin.publisher} ${origin.id}`
  const known = queue.outputs.get(key)
  if (known) return known
  const promise = queue.give(parts, { flags, origin }, false).finally(() => queue.outputs.delete(key))
  promise.catch(() => {})
  queue.outputs.set(key, promise)
  return promise
}

/** Pushes all outputs, or throws and pushes none. Resolves when they are accepted. */
export function pushOutputs(client, input, from, outputs, atLeastOnce) {
  return Promise.all(prepare(client, input, from, outputs, atLeastOnce).map(push))
}
