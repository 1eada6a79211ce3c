// SPDX-License-Identifier: Apache-2.0
// subscribe: prints the messages of a pattern.
//
//   node examples/subscribe.js -n 1 'orders.>'
//
// Prints "subscribed" once every message published from then on will be delivered. Ends after COUNT messages, 10 by
// default. The subscription survives a lost connection.
import { example } from './arguments.js'

await example(['PATTERN'], 10, async (client, [pattern], count) => {
  const subscription = await client.subscribe(pattern)
  console.log('subscribed')
  for await (const m of subscription) {
    const language = m.headers.get('language')
    console.log(`${m.subject}: ${m.text()}${language ? ` (from ${language})` : ''}`)
    if (--count === 0) break // unsubscribes
  }
})
