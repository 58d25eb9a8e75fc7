import { RagError } from '../core/errors.js'
import { importOptional } from './import-optional.js'

/** Where a service with OpenAI's API is, and who asks it. */
export interface OpenAiConnection<Client> {
  /** Address of the API, before the path of a call. Default OpenAI's. No user, password, query or fragment. */
  readonly baseURL?: string
  /**
   * Sent as `Authorization: Bearer`. Default: `OPENAI_API_KEY` of the environment when `baseURL` is absent, otherwise none: a key is never
   * sent to a host it was not given for. `undefined`, as of a variable that is not set, is none.
   */
  readonly apiKey?: string | undefined
  /** Sent with every call. */
  readonly headers?: Readonly<Record<string, string>>
  /**
   * A client of the `openai` package, made by you (`AzureOpenAI`, a proxy, keys that change). It decides the address, the key and
   * what is written to the console. Its own repetitions are switched off.
   */
  readonly client?: Client
}

/** How a request of the package `openai` is made. */
export interface OpenAiRequestOptions {
  signal?: AbortSignal
  maxRetries?: number
  timeout?: number
  headers?: Record<string, string | null>
}

/** The package's own limit ends with the head of an answer; whoever calls keeps time to the end of it. */
export const openAiTimeoutMs = 4_000_000

const openAiBaseURL = 'https://api.openai.com/v1'

/** The address that is asked. Throws `BAD_OPTION` where options contradict each other; `path` is that of a call, for the hint. */
export function openAiAddress(
  { baseURL, apiKey, client }: OpenAiConnection<{ readonly baseURL?: string }>,
  path: string,
): URL {
  if (client !== undefined && (baseURL !== undefined || apiKey !== undefined)) {
    throw new RagError('BAD_OPTION', 'A client has its own address and key.', {
      hint: 'Leave baseURL and apiKey out, or client.',
    })
  }
  const address = client === undefined ? (baseURL ?? openAiBaseURL) : (client.baseURL ?? 'http://client')
  const url = URL.canParse(address) ? new URL(address) : undefined
  const isPlain = url !== undefined && /^https?:$/.test(url.protocol) && url.username === '' && url.password === ''
  if (!isPlain || (client === undefined && (url.search !== '' || url.hash !== ''))) {
    // The address itself is not shown: it may hold a password.
    throw new RagError(
      'BAD_OPTION',
      'baseURL is not an http or https address without user, password, query and fragment.',
      {
        hint: `Give the address before '${path}', such as 'http://localhost:11434/v1'; keys go into apiKey or headers.`,
      },
    )
  }
  return url
}

/** The caller's client, or one of ours, which reads through `fetch`. Throws `BAD_OPTION` where OpenAI is asked without a key, `MISSING_PEER` without the package. */
export async function openOpenAiClient<Client extends object>(
  options: OpenAiConnection<Client>,
  url: URL,
  tools: { readonly fetch?: typeof fetch } = {},
): Promise<Client> {
  if (options.client !== undefined) return options.client
  const isOpenAi = options.baseURL === undefined
  const apiKey = keyOf(options)
  if (isOpenAi && apiKey === undefined) {
    throw new RagError('BAD_OPTION', 'OpenAI needs a key.', {
      hint: 'Set apiKey or the environment variable OPENAI_API_KEY, or baseURL for another service.',
    })
  }
  const { OpenAI } = await importOptional('openai', () => import('openai'), 'npm i openai@6')
  const client = new OpenAI({
    baseURL: url.href.replace(/\/+$/, ''),
    // Without a key the client takes OPENAI_API_KEY; a header of null (see `openAiHeaders`) keeps this one from being sent.
    apiKey: apiKey ?? 'none',
    ...(isOpenAi ? {} : { organization: null, project: null, adminAPIKey: null }),
    maxRetries: 0,
    // OPENAI_LOG=debug would write texts to the console.
    logLevel: 'off',
    ...tools,
  })
  // Its methods are declared by whoever uses them.
  return client as unknown as Client
}

/** What must never be shown: the key and the values of headers. */
export function openAiSecrets<Client extends object>(options: OpenAiConnection<Client>, client: Client): string[] {
  const own = 'apiKey' in client && typeof client.apiKey === 'string' ? client.apiKey : undefined
  return [keyOf(options), own, ...Object.values(options.headers ?? {})].filter((one) => one !== undefined)
}

function keyOf({ apiKey, baseURL, client }: OpenAiConnection<object>): string | undefined {
  if (client !== undefined) return undefined
  const key = apiKey ?? (baseURL === undefined ? process.env.OPENAI_API_KEY : undefined)
  return key === '' ? undefined : key
}

/** What is sent beside what the client sends by itself; null is not sent. */
export function openAiHeaders(options: OpenAiConnection<object>): Record<string, string | null> {
  const { headers = {}, baseURL } = options
  // The client, or the environment, was meant for this address.
  if (baseURL === undefined) return { ...headers }
  const key = keyOf(options)
  const hasOwnKey = Object.keys(headers).some((name) => name.toLowerCase() === 'authorization')
  return {
    ...Object.fromEntries(environmentHeaders().map((name) => [name, null])),
    ...(hasOwnKey ? {} : { authorization: key === undefined ? null : `Bearer ${key}` }),
    ...headers,
  }
}

/** Names in `OPENAI_CUSTOM_HEADERS`, lines of `name: value`: the package sends them to any address, but they were meant for OpenAI's. */
function environmentHeaders(): string[] {
  const lines = process.env.OPENAI_CUSTOM_HEADERS?.split('\n') ?? []
  const names = lines.map((line) => /^\s*([^:\s]+)\s*:/.exec(line)?.[1]?.toLowerCase())
  return names.filter((name) => name !== undefined)
}
