// SPDX-License-Identifier: Apache-2.0
// request: sends one request and prints the reply.
//
//   node examples/request.js greet hello
//
// Start the example reply first. Exits with 5 if nobody serves the subject, with 4 if no reply comes in two seconds.
import { example } from './arguments.js'

await example(['SUBJECT', 'PAYLOAD'], 1, async (client, [subject, payload]) => {
  const reply = await client.request(subject, payload, { timeoutMs: 2000 })
  console.log(reply.text())
})
