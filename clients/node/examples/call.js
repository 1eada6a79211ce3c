// SPDX-License-Identifier: Apache-2.0
// call: calls a service and prints the reply.
//
//   node examples/call.js capitals hello
//
// A call without a reply in two seconds is tried once more. Start the example serve first. Exits with 5 if no worker
// serves the name, with 4 if no reply comes.
import { example } from './arguments.js'

await example(['SERVICE', 'PAYLOAD'], 1, async (client, [service, payload]) => {
  const reply = await client.call(service, payload, { timeoutMs: 2000, retries: 1 })
  console.log(reply.text())
})
