// SPDX-License-Identifier: Apache-2.0
// push: pushes jobs to a queue, and ends when the queue has accepted them all.
//
//   node examples/push.js -n 3 example.jobs 'a job'
//
// COUNT is 1 by default.
import { example } from './arguments.js'

await example(['QUEUE', 'PAYLOAD'], 1, async (client, [name, payload], count) => {
  const queue = await client.queue(name)
  let accepted = 0
  for (let i = 0; i < count; i++) {
    await client.room() // back-pressure: a full queue accepts nothing, and the buffer fills
    queue.push(payload).then(() => accepted++, (error) => console.error(`push: ${error.message}`))
  }
  await client.settle()
  console.log(`accepted ${accepted}`)
})
