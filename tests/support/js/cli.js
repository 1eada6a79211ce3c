// SPDX-License-Identifier: Apache-2.0
// cli: the client's command line for scenarios, like that of millrace.
//
//   cli.js udp://HOST:PORT sub PATTERN COUNT [GROUP]   prints "subscribed" on standard error, then a line of JSON each
//                          pub SUBJECT PAYLOAD COUNT   the first one inline, the others by alias
//                          request SUBJECT PAYLOAD     prints the answer; exits with 5 without a responder
//                          reply PATTERN PAYLOAD COUNT
//                          move SUBJECT                publishes to itself, goes to another port, does so again
//                          push QUEUE COUNT            messages 1 to COUNT, each accepted before it ends
//                          pull QUEUE COUNT            acks and prints each
//                          call SERVICE PAYLOAD        prints the answer
//                          serve SERVICE COUNT         answers with the request in capitals
//                          promise SUBJECT COUNT       publishes 1 to COUNT at least once
//                          block PATTERN COUNT         subscribes with Block; prints as sub does
//                          hold                        prints "open", waits for the end of the session, prints the reason
//
// Leaves with a Close. Exits with 1 and a text if something fails. With MILLRACE_JS_PATIENCE_S in the environment
// it exits with 3 after that many seconds, and prints the condition that it waited for.
'use strict'

const { Client } = require('./client.js')

const say = (text) => process.stderr.write(`${text}\n`)
const print = (value) => process.stdout.write(`${JSON.stringify(value)}\n`)
const headersOf = (block) =>
  Object.fromEntries(block.split('\r\n').slice(1).filter((line) => /^[^\x00- :\x7f]+:/.test(line)).map((line) => line.split(/:[ \t]*(.*?)[ \t]*$/s, 2)))

// Resolves when `each` has been called with that many deliveries.
function take(client, pattern, count, each, options) {
  let came = 0
  return new Promise((resolve, reject) => {
    const handler = (m) => {
      if (came < count) each(m)
      if (++came === count) resolve()
    }
    client.subscribe(pattern, handler, options).then(() => say('subscribed'), reject)
  })
}

const verbs = {
  sub(client, pattern, count, group) {
    const show = (m) => print({ subject: m.subject, payload: m.payload.toString(), headers: headersOf(m.headers) })
    return take(client, pattern, Number(count), show, { group })
  },

  async pub(client, subject, payload, count) {
    client.publish(subject, payload, { headers: 'NATS/1.0\r\nfrom: js\r\n\r\n' })
    const alias = await client.alias(subject)
    for (let i = 1; i < Number(count); i++) client.publish(alias, payload)
  },

  async request(client, subject, payload) {
    process.stdout.write(`${(await client.request(subject, payload)).payload}\n`)
  },

  reply(client, pattern, payload, count) {
    return take(client, pattern, Number(count), (m) => client.reply(m, payload))
  },

  // Publishes from the new port are lost until the bus has asked for the proof and received it.
  async move(client, subject) {
    let here
    await client.subscribe(subject, (m) => here === m.payload.toString() && client.arrived())
    const goTo = (name) => new Promise((resolve) => {
      here = name
      const timer = setInterval(() => client.publish(subject, name), 50)
      client.arrived = () => {
        here = undefined // a retransmission is no news
        clearInterval(timer)
        print(name)
        resolve()
      }
    })
    await goTo('one port')
    await client.session.move()
    await goTo('another port')
    say(`paths proved: ${client.session.stats.pathsProved}`)
  },

  async push(client, name, count) {
    const queue = await client.queue(name)
    for (let i = 1; i <= Number(count); i += 500) {
      const last = Math.min(i + 500, Number(count) + 1)
      await Promise.all(Array.from({ length: last - i }, (_, n) => client.push(queue, String(i + n))))
    }
  },

  pull(client, name, count) {
    let came = 0
    return new Promise((resolve, reject) => {
      const handler = (m) => {
        print(m.payload.toString())
        client.settle(m)
        if (++came === Number(count)) resolve()
      }
      client.consume(name, handler).then(() => say('subscribed'), reject)
    })
  },

  async call(client, name, payload) {
    const service = await client.queue(name, 1)
    process.stdout.write(`${(await client.callService(service, payload)).payload}\n`)
  },

  serve(client, name, count) {
    let came = 0
    return new Promise((resolve, reject) => {
      const handler = (m) => {
        client.respond(m, m.payload.toString().toUpperCase())
        if (++came === Number(count)) resolve()
      }
      client.consume(name, handler, { kind: 1 }).then(() => say('subscribed'), reject)
    })
  },

  async promise(client, subject, count) {
    for (let i = 1; i <= Number(count); i++) client.promise(subject, String(i))
    await client.session.drain(30000)
  },

  block(client, pattern, count) {
    return take(client, pattern, Number(count), (m) => print({ subject: m.subject, payload: m.payload.toString() }),
      { block: true })
  },

  async hold(client) {
    print('open')
    print(await client.ended)
  }
}

function giveUp(client, verb) {
  const { state, stats } = client.session
  const waits = { calls: client.calls.size, requests: client.requests.size, pushes: client.pushes.size }
  say(`${verb} hangs: ${JSON.stringify({ state, ...stats, ...waits, missed: String(client.missed) })}`)
  process.exit(3)
}

async function main([server, verb, ...args]) {
  const { hostname, port } = new URL(server.replace(/^udp:/, 'http:'))
  const client = new Client({ host: hostname.replace(/^\[(.*)\]$/, '$1'), port: Number(port || 7400),
    name: `js ${verb}`, connectTimeoutMs: 20000 })
  const patience = Number(process.env.MILLRACE_JS_PATIENCE_S)
  if (patience > 0) setTimeout(giveUp, patience * 1000, client, verb).unref()
  await client.open()
  const lost = client.ended.then(({ code, text }) => {
    if (verb !== 'hold' && code !== 0) throw Object.assign(new Error(text), { code })
  })
  try {
    await Promise.race([verbs[verb](client, ...args), lost])
  } finally {
    await client.leave()
  }
}

main(process.argv.slice(2)).catch((error) => {
  say(`${error.message} (${error.code ?? 'no code'})`)
  process.exitCode = error.code === 503 ? 5 : 1
})
