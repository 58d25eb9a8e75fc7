import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type Clock, systemClock } from '../util/clock.js'
import { retry } from '../util/retry.js'
import { retryAfterMs } from '../util/retry-after.js'
import { type Environment, expandHome, hubCache, hubEndpoint, isSet } from './places.js'

/** How patient downloads are; tests are less so. */
export interface HubPatience {
  /** Attempts of a request, and attempts in a row of a download that bring not one byte. */
  readonly attempts: number
  /** Longest wait before the second attempt; it doubles with each. */
  readonly baseDelayMs: number
  /** A connection without a byte for so long has died. */
  readonly stallMs: number
  /** Another process that has written nothing for so long has died, or might as well have. */
  readonly staleMs: number
  /** How often to look whether another process has finished. */
  readonly pollMs: number
  readonly clock: Clock
}

const usualPatience: HubPatience = {
  attempts: 5,
  baseDelayMs: 1000,
  stallMs: 30_000,
  staleMs: 60_000,
  pollMs: 500,
  clock: systemClock,
}

/** Longest that a hub may ask us to wait within a call; beyond it the caller is told instead. */
const longestWaitMs = 60_000

/** Speaks HTTP with the hub: with its token, again after hiccups, never waiting on a dead connection. */
export interface HubClient {
  /** `https://huggingface.co` or what `HF_ENDPOINT` names, without a slash at its end. */
  readonly endpoint: string
  readonly patience: HubPatience
  readonly signal: AbortSignal | undefined
  /** `fetch` for short answers: they are read whole before it resolves. Rejects with {@link HttpFailure} when the hub is busy. */
  readonly fetch: typeof fetch
  /** Opens a file from byte `start` on. The caller calls `alive` whenever bytes arrive, and `end` when it wants no more. */
  open(url: string, start: number): Promise<OpenedFile>
}

export interface OpenedFile {
  readonly response: Response
  alive(): void
  end(): void
}

/** An answer that is no success, after all attempts that make sense. */
export class HttpFailure extends Error {
  constructor(
    readonly statusCode: number,
    /** What the hub asked for; 0 when nothing. */
    readonly afterMs: number,
  ) {
    super(`HTTP status ${statusCode}`)
  }
}

export interface HubClientOptions {
  readonly environment: Environment
  readonly signal?: AbortSignal | undefined
  readonly patience?: Partial<HubPatience> | undefined
}

export async function createHubClient(options: HubClientOptions): Promise<HubClient> {
  const { environment, signal } = options
  const patience = { ...usualPatience, ...options.patience }
  const endpoint = hubEndpoint(environment)
  const token = await readToken(environment)

  /** One request: resolves with its head, whatever the status. */
  const request = async (url: string, init: RequestInit): Promise<OpenedFile> => {
    const watch = watchFor(patience.stallMs, signal)
    try {
      const headers = new Headers(init.headers)
      // The hub sends large files elsewhere; fetch itself drops the header where a redirect leads to another host.
      if (token !== undefined && new URL(url).origin === new URL(endpoint).origin) {
        headers.set('authorization', `Bearer ${token}`)
      }
      // Compressed answers have neither the announced length nor ranges.
      headers.set('accept-encoding', 'identity')
      const response = await fetch(url, { ...init, headers, signal: watch.signal })
      return { response, alive: watch.alive, end: watch.end }
    } catch (error) {
      watch.end()
      throw error
    }
  }

  const patiently = <Value>(run: () => Promise<Value>): Promise<Value> =>
    retry(run, {
      attempts: patience.attempts,
      baseDelayMs: patience.baseDelayMs,
      clock: patience.clock,
      ...(signal && { signal }),
      again: (error) => {
        if (!(error instanceof HttpFailure)) return { afterMs: 0 }
        return isPassing(error.statusCode) && error.afterMs <= longestWaitMs && { afterMs: error.afterMs }
      },
    })

  const failureOf = async ({ response, end }: OpenedFile): Promise<HttpFailure> => {
    await response.body?.cancel()
    end()
    const date = patience.clock.date()
    return new HttpFailure(
      response.status,
      retryAfterMs((name) => response.headers.get(name), date),
    )
  }

  return {
    endpoint,
    patience,
    signal,
    fetch: (input, init) =>
      patiently(async () => {
        const opened = await request(String(input), init ?? {})
        const { response, end } = opened
        if (isPassing(response.status)) throw await failureOf(opened)
        const body = await response.arrayBuffer().finally(end)
        return new Response(body, { status: response.status, headers: response.headers })
      }),
    open: (url, start) =>
      patiently(async () => {
        const opened = await request(url, start === 0 ? {} : { headers: { range: `bytes=${start}-` } })
        if (!opened.response.ok) throw await failureOf(opened)
        return opened
      }),
  }
}

/** Whether the same request may succeed a little later. */
function isPassing(status: number): boolean {
  return status === 408 || status === 429 || status >= 500
}

/** A signal that fires with the caller's, or when nothing was heard for so long. */
function watchFor(stallMs: number, signal: AbortSignal | undefined) {
  const controller = new AbortController()
  const follow = (): void => controller.abort(signal?.reason)
  const stall = (): void => controller.abort(new Error(`Nothing was heard for ${stallMs} ms.`))
  const timer = setTimeout(stall, stallMs)
  if (signal?.aborted) follow()
  signal?.addEventListener('abort', follow, { once: true })
  return {
    signal: controller.signal,
    alive: (): void => {
      timer.refresh()
    },
    end: (): void => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', follow)
      // Lets go of a connection whose answer nobody has read to its end; does nothing to one that was.
      controller.abort()
    },
  }
}

/** The token, from where Python's tools take it as well. */
async function readToken(environment: Environment): Promise<string | undefined> {
  const given = environment.HF_TOKEN ?? environment.HUGGING_FACE_HUB_TOKEN
  if (given !== undefined && given.trim() !== '') return given.trim()
  if (isSet(environment.HF_HUB_DISABLE_IMPLICIT_TOKEN)) return undefined
  const path = environment.HF_TOKEN_PATH ?? join(hubHome(environment), 'token')
  const text = await readFile(expandHome(path), 'utf8').catch(() => {
    // Nobody has logged in here.
    return ''
  })
  return text.trim() === '' ? undefined : text.trim()
}

/** The folder beside the cache where logging in leaves its token. */
function hubHome(environment: Environment): string {
  const { HF_HOME, XDG_CACHE_HOME } = environment
  return dirname(hubCache({ HF_HOME, XDG_CACHE_HOME }).path)
}
