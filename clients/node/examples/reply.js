// SPDX-License-Identifier: Apache-2.0
// reply: answers requests with their payload in capitals.
//
//   node examples/reply.js -n 1 greet
//
// A queue group: start several, and each request goes to one of them. Prints "serving" when it is ready, and ends after
// COUNT requests, 10 by default.
import { example } from './arguments.js'

await example(['SUBJECT'], 10, async (client, [subject], count) => {
  const requests = await client.subscribe(subject, { group: 'capitals' })
  let served = 0
  console.log('serving')
  for await (const m of requests) {
    if (!m.wantsReply) continue
    m.reply(m.text().toUpperCase())
    if (++served === count) break
  }
  console.log(`served ${served}`)
})
