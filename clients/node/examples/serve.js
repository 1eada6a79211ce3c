// SPDX-License-Identifier: Apache-2.0
// serve: a worker of a service, which answers with the payload in capitals.
//
//   node examples/serve.js -n 2 capitals
//
// Start several: each request goes to the least recently used worker, and to another if that one dies. Prints "serving"
// when it is ready, and ends after COUNT requests, 10 by default.
import { example } from './arguments.js'

await example(['SERVICE'], 10, async (client, [name], count) => {
  let served = 0
  let last
  const all = new Promise((resolve) => { last = resolve })
  const service = await client.serve(name, (request) => {
    if (++served === count) setImmediate(last)
    return request.text().toUpperCase() // the reply
  })
  console.log('serving')
  await all
  await service.close()
  console.log(`served ${served}`)
})
