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
//                          gather SUBJECT COUNT        prints the answers of that many responders
//                          stamped SUBJECT             publishes to itself, prints who sent it, and when: "now"
//                          stream SERVICE WORD...      calls with the words as parts; prints each reply
//                          parts SERVICE COUNT         answers each part in capitals, and the last with their number
//                          promise SUBJECT COUNT       publishes 1 to COUNT at least once
//                          block PATTERN COUNT         subscribes with Block; prints as sub does
//                          hold                        prints "open", waits for the end of the session, prints the reason
//
// Leaves with a Close. Exits with 1 and a text if something fails. With MILLRACE_JS_PATIENCE_S in the environment
// it exits with 3 after that many seconds, and prints the condition that it waited for.

import { connect } from '../../../clients/node/src/index.js'

const say = (text) => process.stderr.write(`${text}\n`)
const print = (value) => process.stdout.write(`${JSON.stringify(value)}\n`)
const show = (m) => print({ subject: m.subject, payload: m.text(), headers: Object.fromEntries(m.headers) })

// Resolves when `each` has been called with that many messages; `open` makes the receiver of a function.
function take(open, count, each) {
  let came = 0
  return new Promise((resolve, reject) => {
    const handler = (m) => {
      if (came >= count) return
      each(m)
      if (++came === count) resolve()
    }
    open(handler).then(() => say('subscribed'), reject)
  })
}

const verbs = {
  sub(client, pattern, count, group) {
    return take((handler) => client.subscribe(pattern, handler, { group }), Number(count), show)
  },

  async pub(client, subject, payload, count) {
    client.publish(subject, payload, { headers: { from: 'js' } })
    for (let i = 1; i < Number(count); i++) {
      client.publish(subject, payload)
      await client.ping() // the answer to the request for an alias has come before
    }
  },

  async request(client, subject, payload) {
    process.stdout.write(`${(await client.request(subject, payload)).text()}\n`)
  },

  async gather(client, subject, count) {
    const replies = await client.requestMany(subject, '', { repliesMax: Number(count) })
    for (const text of replies.map((reply) => reply.text()).sort()) process.stdout.write(`${text}\n`)
  },

  async stamped(client, subject) {
    const subscription = await client.subscribe(subject, { time: true, sender: true })
    client.publish(subject, 'x', { headers: { a: 'b' } })
    for await (const m of subscription) {
      const when = Math.abs(Number(m.timeNs / 1000000n) - Date.now()) < 60000 ? 'now' : m.timeNs
      const who = m.sender === client.session.id ? 'itself' : m.sender
      process.stdout.write(`${who} ${m.senderName} ${when} ${m.headers.get('a')} ${m.text()}\n`)
      return
    }
  },

  reply(client, pattern, payload, count) {
    return take((handler) => client.subscribe(pattern, handler), Number(count), (m) => m.reply(payload))
  },

  // Publishes from the new port are lost until the bus has asked for the proof and received it.
  async move(client, subject) {
    let here
    let arrived
    await client.subscribe(subject, (m) => here === m.text() && arrived())
    const goTo = (name) => new Promise((resolve) => {
      here = name
      const timer = setInterval(() => client.publish(subject, name), 50)
      arrived = () => {
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
    for (let i = 1; i <= Number(count); i++) queue.push(String(i))
    await client.settle(30000)
  },

  pull(client, name, count) {
    return take((handler) => client.consume(name, handler), Number(count), (job) => {
      print(job.text())
      job.ack()
    })
  },

  async call(client, name, payload) {
    process.stdout.write(`${(await client.call(name, payload)).text()}\n`)
  },

  serve(client, name, count) {
    return take((handler) => client.serve(name, handler), Number(count),
      (request) => request.respond(request.text().toUpperCase()))
  },

  async stream(client, name, ...words) {
    const stream = await client.stream(name)
    const send = async () => {
      for (const word of words) await stream.send(word)
      await stream.end()
    }
    const sending = send()
    for await (const reply of stream) process.stdout.write(`${reply.text()}\n`)
    await sending
  },

  async parts(client, name, count) {
    let left = Number(count)
    let done
    const all = new Promise((resolve) => { done = resolve })
    await client.serve(name, async (request) => {
      let parts = 0
      for await (const part of request.parts) {
        if (part.payload.length === 0) continue
        await request.room()
        request.respond(part.text().toUpperCase(), { more: true })
        parts++
      }
      request.respond(`${parts} parts`)
      if (--left === 0) done()
    }, { streams: true })
    say('subscribed')
    await all
  },

  async promise(client, subject, count) {
    for (let i = 1; i <= Number(count); i++) client.promise(subject, String(i))
    await client.settle(30000)
  },

  block(client, pattern, count) {
    const each = (m) => print({ subject: m.subject, payload: m.text() })
    return take((handler) => client.subscribe(pattern, handler, { promised: true }), Number(count), each)
  },

  async hold(client) {
    print('open')
    const { errno, message } = await client.ended
    print({ code: errno, text: message })
  }
}

function giveUp(client, verb) {
  const { state, stats } = client.session
  const waits = { controls: client.controls.size, requests: client.requests.size, outbox: client.outbox.size }
  say(`${verb} hangs: ${JSON.stringify({ state, ...stats, ...waits, missed: String(client.missed) })}`)
  process.exit(3)
}

async function main([server, verb, ...args]) {
  const client = await connect(server, { name: `js ${verb}`, connectTimeoutMs: 20000, reconnect: false })
  const patience = Number(process.env.MILLRACE_JS_PATIENCE_S)
  if (patience > 0) setTimeout(giveUp, patience * 1000, client, verb).unref()
  let leaving = false
  const lost = client.ended.then((error) => {
    if (verb !== 'hold' && !leaving) throw error
  })
  try {
    await Promise.race([verbs[verb](client, ...args), lost])
  } finally {
    leaving = true
    await client.close()
  }
}

main(process.argv.slice(2)).catch((error) => {
  say(`${error.message} (${error.code ?? 'no code'})`)
  process.exitCode = error.code === 'EHOSTUNREACH' ? 5 : 1
})
