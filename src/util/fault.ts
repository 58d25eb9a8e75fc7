import { RagError } from '../core/errors.js'
import { retryAfterMs } from './retry-after.js'

/**
 * What a failed call of a service tells.
 *
 * | kind | what happened | what follows |
 * |---|---|---|
 * | `refused` | 400, 413, 422: a text, or their number, may be the reason | smaller calls may fare better |
 * | `denied` | any other 4xx, a bad certificate, an empty account: no text will fare better | everything stops |
 * | `limited` | 429 | tried again, all calls wait |
 * | `unavailable` | 408, 409, 425, 5xx, a broken connection | tried again |
 * | `answer` | a success that holds nothing usable | tried again |
 * | `timeout` | no answer within `timeoutMs` | tried again |
 * | `broken` | anything else: a mistake in a program | everything stops |
 */
export type FaultKind = 'refused' | 'denied' | 'limited' | 'unavailable' | 'answer' | 'timeout' | 'broken'

export interface Fault {
  readonly kind: FaultKind
  /** Whether the very same call may succeed later. */
  readonly again: boolean
  /** HTTP status, when there was an answer. */
  readonly status?: number
  /** A word for the cause: an error code of the service or of the network. */
  readonly reason?: string
  /** Milliseconds the service asks to be left alone. */
  readonly afterMs: number
  /** What the service said in words. Only of calls whose texts are ours. */
  readonly words?: string
  /** Replaces the hint of the kind. */
  readonly hint?: string
}

/** How a call fails inside the library; users get {@link faultError}. */
export class CallFailure extends Error {
  constructor(readonly fault: Fault) {
    super(fault.reason ?? fault.kind)
  }
}

export interface FaultContext {
  /** `secrets`: what must never be shown, such as keys. */
  readonly endpoint: { readonly secrets: readonly string[] }
  /** What was sent: no part of it is taken for a reason. */
  readonly texts: readonly string[]
  /**
   * Whether the words of the service may be repeated: they often quote the texts. `'denials'`: where it does not let us in or has no such
   * model, as far as they repeat nothing that was sent, and without keys.
   */
  readonly quote: boolean | 'denials'
  /** Milliseconds since 1970. */
  readonly date: number
}

const retried: readonly FaultKind[] = ['limited', 'unavailable', 'answer', 'timeout']
/** An account without money is a 429 at OpenAI; waiting does not fill it. */
const emptyAccount = /quota|billing|credit/i
const badCertificate = /CERT|SELF_SIGNED|UNABLE_TO_|^ERR_(?:TLS|SSL|INVALID)|_INVALID_ARG$/
const brokenConnection =
  /^(?:ECONN\w+|ETIMEDOUT|EPIPE|EAI_AGAIN|ENOTFOUND|E(?:HOST|NET)\w+|UND_ERR_\w+|HPE_\w+|AbortError|TimeoutError)$/
/** What clients and Node's fetch say of a connection that broke, when they give no code. */
const brokenConnectionWords = /^(?:fetch failed|terminated|connection error\.|request timed out\.)$/i

/** Reads a failure of any client of a service: statuses, headers and codes are looked for along the chain of causes. */
export function describeFault(error: unknown, context: FaultContext): Fault {
  const chain = causes(error)
  const status = first(chain, (one) => statusOf(one.status) ?? statusOf(one.statusCode))
  const reason = safeReason(chain, context)
  const header = (name: string) =>
    first(chain, (one) => headerOf(one.headers, name) ?? headerOf(one.responseHeaders, name))
  const kind = status === undefined ? kindOfError(chain) : kindOfStatus(status, reason)
  return {
    kind,
    again: retried.includes(kind) && header('x-should-retry') !== 'false',
    afterMs: retryAfterMs(header, context.date),
    ...(status === undefined ? {} : { status }),
    ...(reason === undefined ? {} : { reason }),
    ...quotation(chain, status, context),
  }
}

/** Who failed, for {@link faultError}. */
export interface FailedService {
  /** What it is, as in `'embedding service'`. */
  readonly noun: string
  readonly name: string
  /** Facts for the error's data beside those of the fault. */
  readonly data: Readonly<Record<string, unknown>>
  /** What to do, by kind of fault and by HTTP status; the status goes first. */
  readonly hints: Readonly<Record<FaultKind, string>>
  readonly hintsByStatus?: Readonly<Record<number, string>>
}

/**
 * The error that users see. It has no `cause`: errors of clients hold the texts of the request, the answer, which may quote them, and
 * sometimes headers.
 */
export function faultError(fault: Fault, service: FailedService): RagError {
  const { kind, status, reason, words } = fault
  const facts = [status, reason].filter((fact) => fact !== undefined).join(' ')
  const message = `The ${service.noun} "${service.name}" ${happened[kind]}${facts === '' ? '' : ` (${facts})`}${words === undefined ? '' : `: ${words}`}.`
  return new RagError(kind === 'timeout' ? 'TIMEOUT' : 'PROVIDER', message.replace(/\.\.$/, '.'), {
    data: {
      ...service.data,
      ...(status === undefined ? {} : { status }),
      ...(reason === undefined ? {} : { reason }),
    },
    hint: fault.hint ?? (status === undefined ? undefined : service.hintsByStatus?.[status]) ?? service.hints[kind],
    retryable: fault.again,
  })
}

const happened: Readonly<Record<FaultKind, string>> = {
  refused: 'refused what it was sent',
  denied: 'refused the call',
  limited: 'kept refusing calls because there were too many',
  unavailable: 'could not be reached or failed',
  answer: 'answered with nothing usable',
  timeout: 'did not answer in time',
  broken: 'could not be called',
}

function kindOfStatus(status: number, reason: string | undefined): FaultKind {
  if (status === 400 || status === 413 || status === 422) return 'refused'
  if (status === 429) return emptyAccount.test(reason ?? '') ? 'denied' : 'limited'
  if (status === 408 || status === 409 || status === 425 || status >= 500) return 'unavailable'
  return status >= 200 && status < 300 ? 'answer' : 'denied'
}

function kindOfError(chain: readonly Cause[]): FaultKind {
  const codes = chain.flatMap(({ code, name }) => [code, name]).filter((code) => typeof code === 'string')
  if (codes.some((code) => badCertificate.test(code))) return 'denied'
  if (codes.some((code) => brokenConnection.test(code))) return 'unavailable'
  if (chain.some(({ message }) => brokenConnectionWords.test(String(message)))) return 'unavailable'
  if (codes.some((code) => unreadable.has(code))) return 'answer'
  // In the middle of a stream there is no status any more: the package openai throws what an event says.
  if (chain.some(({ error }) => typeof error === 'object' && error !== null)) return 'unavailable'
  // The AI SDK says it in one word, errors of our own in another.
  return chain.some(({ isRetryable, retryable }) => isRetryable === true || retryable === true)
    ? 'unavailable'
    : 'broken'
}

/** A service that says of itself that it failed. */
export const modelFailed: Fault = { kind: 'unavailable', again: true, reason: 'model_error', afterMs: 0 }

/** Names of errors about what came back: no JSON, or of another form, or broken off. */
const unreadable: ReadonlySet<unknown> = new Set([
  'SyntaxError',
  'AI_JSONParseError',
  'AI_InvalidResponseDataError',
  'AI_TypeValidationError',
  'AI_EmptyResponseBodyError',
])

type Cause = Readonly<Record<string, unknown>>

const longestChain = 8

/** An error and what led to it, outermost first. */
function causes(error: unknown): Cause[] {
  const chain: Cause[] = []
  for (let next = error; typeof next === 'object' && next !== null && chain.length < longestChain; ) {
    const one = next as Cause
    chain.push(one)
    // What the service said of the error is a cause in all but name: `error` at openai, `data.error` at the AI SDK.
    const said = one.error ?? (one.data as Cause | undefined)?.error
    if (typeof said === 'object' && said !== null)
      chain.push({ code: (said as Cause).code, type: (said as Cause).type })
    // The AI SDK gives up with an error that holds the last one of its own attempts.
    next = one.cause ?? one.lastError
  }
  return chain
}

function first<Value>(chain: readonly Cause[], read: (one: Cause) => Value | undefined): Value | undefined {
  for (const one of chain) {
    const value = read(one)
    if (value !== undefined) return value
  }
  return undefined
}

function statusOf(value: unknown): number | undefined {
  return Number.isInteger(value) && (value as number) >= 100 && (value as number) < 600 ? (value as number) : undefined
}

function headerOf(headers: unknown, name: string): string | undefined {
  if (typeof headers !== 'object' || headers === null) return undefined
  if (headers instanceof Headers) return headers.get(name) ?? undefined
  const entry = Object.entries(headers).find(([key]) => key.toLowerCase() === name)
  return typeof entry?.[1] === 'string' ? entry[1] : undefined
}

/** A code or type, or else a name, that is an identifier and no part of a text or a key: a service may answer with anything. */
function safeReason(chain: readonly Cause[], { texts, endpoint }: FaultContext): string | undefined {
  const hidden = [...texts, ...endpoint.secrets]
  const isSafe = (word: unknown): word is string =>
    typeof word === 'string' &&
    /^[A-Za-z][A-Za-z0-9_.-]{2,63}$/.test(word) &&
    !hidden.some((one) => one.includes(word) || (one.length > 3 && word.includes(one)))
  return (
    chain.flatMap(({ code, type }) => [code, type]).find(isSafe) ??
    (chain.map(({ name }) => name).find((name) => name !== 'Error' && isSafe(name)) as string | undefined)
  )
}

/** Statuses that say who may ask, and for which model; what was asked plays no part. */
const denials: readonly unknown[] = [401, 402, 403, 404]

function quotation(chain: readonly Cause[], status: number | undefined, context: FaultContext): { words?: string } {
  const { endpoint, quote, texts } = context
  if (quote === 'denials') {
    if (!denials.includes(status)) return {}
    const said = withoutKeyParts(words(chain, endpoint), endpoint)
    return said === '' || repeats(said, texts) ? {} : { words: said }
  }
  return quote && status !== 401 && status !== 403 ? { words: words(chain, endpoint) } : {}
}

/** Characters of a key in a row that tell too much of it. */
const keyPart = 5

/** Services show a key they do not know in part (`ab12****yz`), some of them whole. */
function withoutKeyParts(said: string, { secrets }: FaultContext['endpoint']): string {
  return said.replace(/\S+/g, (word) => {
    if (/\*{2,}|…|\.{3,}\w/.test(word)) return '***'
    for (let at = 0; at + keyPart <= word.length; at++) {
      const part = word.slice(at, at + keyPart)
      if (secrets.some((secret) => secret.includes(part))) return '***'
    }
    return word
  })
}

/** Whether three words in a row stand in what was sent. */
function repeats(said: string, texts: readonly string[]): boolean {
  const wordsOf = (text: string) => text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []
  const sent = texts.map((text) => ` ${wordsOf(text).join(' ')} `)
  const own = wordsOf(said)
  const runs = own.length < 3 ? [own] : own.slice(2).map((_, at) => own.slice(at, at + 3))
  return runs.some((run) => sent.some((text) => text.includes(` ${run.join(' ')} `)))
}

const maxWords = 300
/** The usual prefixes, long mixtures of letters of both cases and digits, long hexadecimal numbers. */
const likeKey =
  /\b(?:(?:sk|pk|key|hf|gsk|nvapi|pplx|xai)[-_]|AIza)[\w*-]{6,}|(?=[\w-]*[A-Z])(?=[\w-]*[a-z])(?=[\w-]*\d)[\w*-]{20,}|\b[\da-f]{32,}\b/g

/** The outermost message without keys: those we know, and whatever looks like one. */
function words(chain: readonly Cause[], { secrets }: FaultContext['endpoint']): string {
  // The status that the package openai puts in front is told already.
  let text = String(chain[0]?.message ?? '')
    .replace(/^\d{3} /, '')
    .replace(/\s+/g, ' ')
  for (const secret of secrets) if (secret !== '') text = text.replaceAll(secret, '***')
  text = text.replace(/bearer\s+\S+/gi, 'Bearer ***').replace(likeKey, '***')
  return text.length > maxWords ? `${text.slice(0, maxWords)}…`.toWellFormed() : text
}
