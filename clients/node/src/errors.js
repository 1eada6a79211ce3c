// SPDX-License-Identifier: Apache-2.0
// errors: errors with the codes of libmillrace.

const ERRNO = {
  EACCES: -13, EAGAIN: -11, EBADMSG: -74, EBUSY: -16, ECONNABORTED: -103, ECONNRESET: -104, EDQUOT: -122, EEXIST: -17,
  EHOSTUNREACH: -113, EINVAL: -22, EMFILE: -24, EMSGSIZE: -90, ENOBUFS: -105, ENOENT: -2, ENOMEM: -12, ENOSPC: -28,
  ENOSYS: -38, ENOTCONN: -107, EOPNOTSUPP: -95, EPERM: -1, EPROTO: -71, EREMOTEIO: -121, ESHUTDOWN: -108, ESRCH: -3,
  ESTALE: -116, ETIMEDOUT: -110
}
const NAMES = new Map(Object.entries(ERRNO).map(([name, number]) => [number, name]))

/** An error of the bus or of this client: `code` is the name of an errno ("ENOTCONN"), `errno` its negative number. */
export class MillraceError extends Error {
  constructor(code, text) {
    super(text)
    this.name = 'MillraceError'
    this.code = code
    this.errno = ERRNO[code] ?? 0
  }

  static ofErrno(errno, text) {
    const error = new MillraceError(NAMES.get(errno) ?? `E${-errno}`, text)
    error.errno = errno
    return error
  }
}

/** Nobody serves the subject or the service. */
export class NoRespondersError extends MillraceError {
  constructor(text = 'the request found no responder') {
    super('EHOSTUNREACH', text)
    this.name = 'NoRespondersError'
  }
}

const STATUS = {
  400: ['EINVAL', 'the bus found the message malformed'],
  404: ['ENOENT', 'it does not exist any more'],
  410: ['ESTALE', 'older than what the bus remembers'],
  429: ['EBUSY', 'every responder is full, or the queue stayed full'],
  500: ['EREMOTEIO', 'the worker gave up on the message'],
  502: ['EREMOTEIO', 'the worker died while it had the message'],
  507: ['ENOBUFS', 'the memory of all queues of the bus is full'],
  508: ['EDQUOT', 'this host has used its share of the memory of queues'],
  509: ['ECONNABORTED', 'the circuit breaker is open: the service failed too often']
}

/** The error of a StatusCode. */
export function statusError(status) {
  if (status === 503) return new NoRespondersError()
  if (status === 504) return new NoRespondersError('no worker took the call in time')
  const [code, text] = STATUS[status] ?? ['EPROTO', `the bus answered with status ${status}`]
  return new MillraceError(code, text)
}
