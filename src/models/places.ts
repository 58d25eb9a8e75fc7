import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { RagError } from '../core/errors.js'

/** Environment variables, usually `process.env`. */
export type Environment = Readonly<Record<string, string | undefined>>

/** A folder that models are looked for in. */
export interface ModelPlace {
  /** `'folder'`: of models by their names, put there by hand. `'cache'`: the hub cache, in the layout that Python's tools share. */
  readonly kind: 'folder' | 'cache'
  /** Absolute. */
  readonly path: string
  /** The option or variable that names it; `'default'` when none does. */
  readonly from: string
}

/** Where hub ids are looked for, in this order: the option, the variable `UFRAG_MODELS`, the hub cache (always last, always one). */
export function modelPlaces(
  options: { readonly modelsDir?: string; readonly environment?: Environment } = {},
): readonly [...ModelPlace[], ModelPlace] {
  const { modelsDir, environment = process.env } = options
  const places = new Map<string, ModelPlace>()
  const add = (path: string | undefined, from: string): void => {
    if (path === undefined || path === '') return
    const place: ModelPlace = { kind: 'folder', path: resolve(expandHome(path)), from }
    if (!places.has(place.path)) places.set(place.path, place)
  }
  add(modelsDir, 'modelsDir')
  add(environment.UFRAG_MODELS, 'UFRAG_MODELS')
  return [...places.values(), hubCache(environment)]
}

/** The hub cache, by the same variables and in the same order of precedence as in `huggingface_hub` of Python. */
export function hubCache(environment: Environment): ModelPlace {
  const candidates: readonly (readonly [from: string, ...path: string[]])[] = [
    ['HF_HUB_CACHE'],
    ['HUGGINGFACE_HUB_CACHE'],
    ['HF_HOME', 'hub'],
    ['XDG_CACHE_HOME', 'huggingface', 'hub'],
  ]
  for (const [from, ...rest] of candidates) {
    const value = environment[from]
    if (value !== undefined && value !== '') {
      return { kind: 'cache', path: resolve(join(expandHome(value), ...rest)), from }
    }
  }
  return { kind: 'cache', path: join(homedir(), '.cache', 'huggingface', 'hub'), from: 'default' }
}

/**
 * The folder of models as this processor computes them: what the option says, `UFRAG_PREPACKED` (`off` for none), else one in the user's cache.
 * `undefined` for none, and where the user has no home.
 */
export function prepackedDirectory(
  given: string | false | undefined,
  environment: Environment = process.env,
): string | undefined {
  if (given === false) return undefined
  const { UFRAG_PREPACKED: variable = '', XDG_CACHE_HOME: cache = '' } = environment
  const named = given || variable
  if (!given && /^(?:off|no|false|0)$/i.test(named)) return undefined
  if (named !== '') return resolve(expandHome(named))
  const base = cache === '' ? userCache() : expandHome(cache)
  return base === undefined ? undefined : resolve(base, 'ultrafast-rag', 'prepacked')
}

function userCache(): string | undefined {
  try {
    return join(homedir(), '.cache')
  } catch {
    // A user without an entry in the system's list, as in some containers.
    return undefined
  }
}

/** Variables in a service file or a Dockerfile are not expanded by a shell. */
export function expandHome(path: string): string {
  return path === '~' || path.startsWith('~/') ? join(homedir(), path.slice(1)) : path
}

/** Address of the hub, without a slash at its end: `HF_ENDPOINT`, else the public one. Throws `BAD_OPTION` for what is no address. */
export function hubEndpoint({ HF_ENDPOINT: named }: Environment): string {
  const endpoint = named === undefined || named === '' ? 'https://huggingface.co' : named.replace(/\/+$/, '')
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined
  // A password would show up in messages, and fetch does not take one either.
  if (url !== undefined && /^https?:$/.test(url.protocol) && url.username === '' && url.password === '') return endpoint
  throw new RagError(
    'BAD_OPTION',
    'The variable HF_ENDPOINT is not an http or https address, or it has a password in it.',
    {
      hint: 'Set it to the address of your mirror, or unset it for https://huggingface.co. Passwords go into HF_TOKEN.',
    },
  )
}

/** Whether the hub must not be asked. */
export function isOffline(environment: Environment): boolean {
  return isSet(environment.HF_HUB_OFFLINE) || isSet(environment.TRANSFORMERS_OFFLINE)
}

/** Switches, as Python's tools read them. */
export function isSet(value: string | undefined): boolean {
  return value !== undefined && /^(?:1|on|yes|true)$/i.test(value.trim())
}
