// SPDX-License-Identifier: Apache-2.0
// arguments: the command lines of the examples: NAME [-n COUNT] WORD... [ADDRESS].
import { connect, NoRespondersError } from 'millrace'

const name = process.argv[1].replace(/^.*\/|\.js$/g, '')

/**
 * Connects, gives `work` the client, the words and the count, and closes. Exits with 2 for a wrong command line, 5 if
 * nobody serves it, 4 if no reply came, 1 for anything else that fails.
 */
export async function example(words, count, work, options = {}) {
  const given = process.argv.slice(2)
  if (given[0] === '-n') count = Number(given.splice(0, 2)[1])
  if (given.length < words.length) {
    console.error(`usage: ${name} [-n COUNT] ${words.join(' ')} [ADDRESS]`)
    process.exitCode = 2
    return
  }
  let client
  try {
    client = await connect(given[words.length], { name: `example ${name}`, ...options })
    client.on('gap', ({ missed }) => console.error(`${name}: missed ${missed} messages`))
    client.on('state', ({ connected }) => console.error(`${name}: the bus ${connected ? 'is back' : 'went away'}`))
    await work(client, given, count)
  } catch (error) {
    console.error(`${name}: ${error.message}`)
    process.exitCode = error instanceof NoRespondersError ? 5 : error.code === 'ETIMEDOUT' ? 4 : 1
  } finally {
    await client?.close()
  }
}
