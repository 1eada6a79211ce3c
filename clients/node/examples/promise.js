// SPDX-License-Identifier: Apache-2.0
// promise: publishes numbers exactly once, and receives them itself.
//
//   node examples/promise.js -n 10000 example.promise
//
// COUNT is 1000 by default. A program that must be recognised after a restart keeps its publisher's number and its
// count.
import { randomBytes } from 'node:crypto'
import { example } from './arguments.js'

await example(['SUBJECT'], 1000, async (client, [subject], count) => {
  const publisher = randomBytes(8).readBigUInt64LE() | 1n
  let came = 0
  let last
  const all = new Promise((resolve) => { last = resolve })
  const take = (m) => {
    if (m.text() === String(came) && ++came === count) last()
  }
  await client.subscribe(subject, take, { promised: true })
  for (let i = 0; i < count; i++) {
    await client.room()
    client.promise(subject, String(i), { publisher, id: i + 1 })
  }
  await client.settle()
  const patience = setTimeout(last, 5000)
  await all
  clearTimeout(patience)
  console.log(`${came} of ${count} came, in order`)
  if (came !== count) process.exitCode = 1
})
