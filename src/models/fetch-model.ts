import { RagError } from '../core/errors.js'
import { byHand, suggest } from './explain.js'
import { isWeightsFile } from './files.js'
import { type HubRepository, openRepository } from './hub.js'
import { cachedRepository, markAbsent } from './hub-cache.js'
import { createHubClient, HttpFailure, type HubClient } from './hub-client.js'
import type { LocatedModel, ModelNeeds, ModelRequest, WeightsPath } from './locate.js'
import { hubCache } from './places.js'
import { repositoriesOf } from './registry.js'

/** A model that was fetched, and where it came from. */
export interface FetchedModel<Choice extends WeightsPath> extends LocatedModel<Choice> {
  /** Hub id of the repository, which may be a mirror. */
  readonly repository: string
  readonly commit: string
}

export interface FetchModelOptions {
  /** Checks also the hashes of files that are here already, and fetches those again that are damaged. */
  readonly verify: boolean
  /** Whether the commit is noted as what the revision stands for. Default `true`; `false` while files are still to come. */
  readonly conclude?: boolean
}

/**
 * Fetches a model from the hub into the hub cache: configuration, tokenizer, one file of weights with what it refers to, and nothing else.
 * Mirrors are asked when the original lacks the weights that are wanted. Small files come first, so that a model that cannot be used
 * is refused before its weights are here.
 *
 * Rejects with `MISSING_PEER`, `NOT_FOUND` (no such model, or no usable weights in it), `PROVIDER` (refused, busy, or out of reach;
 * `retryable` tells which), `INTEGRITY`, `STORAGE_FULL`, `STORAGE`, or the signal's reason.
 */
export async function fetchModel<Choice extends WeightsPath>(
  request: ModelRequest,
  needs: ModelNeeds<Choice>,
  { verify, conclude = true }: FetchModelOptions,
): Promise<FetchedModel<Choice>> {
  const { model, environment = process.env, signal, patience, logger, onProgress } = request
  const client = await createHubClient({ environment, signal, patience })
  try {
    const { repository, weights } = await chooseRepository(client, request, needs)
    const { id, commit, directory } = repository
    const options = {
      verify,
      onProgress,
      onWaiting: (file: string) => logger?.info('Another process fetches this file already.', { model: id, file }),
    }
    const name = repositoriesOf(model)[0] as string
    await repository.fetch(repository.files.filter(needs.beside), options)
    await needs.check?.({ name, directory, byId: true })
    await repository.fetch([weights.path], options)
    await repository.fetch((await needs.further?.(directory, weights)) ?? [], options)
    const files = await needs.complete(directory, weights)
    if (conclude) await repository.conclude()
    return { name, directory, byId: true, weights, files, repository: id, commit }
  } catch (error) {
    throw signal?.aborted ? signal.reason : failureOf(error, { client, request, needs })
  }
}

interface Chosen<Choice extends WeightsPath> {
  readonly repository: HubRepository
  readonly weights: Choice
}

/** The first repository with exactly the weights that are wanted, else the first with a substitute. */
async function chooseRepository<Choice extends WeightsPath>(
  client: HubClient,
  request: ModelRequest,
  needs: ModelNeeds<Choice>,
): Promise<Chosen<Choice>> {
  const { model, revision = 'main', environment = process.env } = request
  const cache = hubCache(environment).path
  const [original, ...mirrors] = repositoriesOf(model) as readonly [string, ...string[]]
  const first = await openRepository(client, { id: original, revision, cache })
  const substitutes: Chosen<Choice>[] = []
  const consider = (repository: HubRepository): Chosen<Choice> | undefined => {
    const weights = needs.choose(repository.files)
    if (weights === undefined || needs.required.some((file) => !repository.files.includes(file))) return undefined
    if (!weights.exact) substitutes.push({ repository, weights })
    return weights.exact ? { repository, weights } : undefined
  }
  const exact = consider(first)
  if (exact !== undefined) return exact
  for (const id of mirrors) {
    // Branches and commits are those of the original.
    const mirror = await openRepository(client, { id, revision: 'main', cache }).catch((error) => {
      // Mirrors come and go.
      if (isRefused(statusOf(error))) return undefined
      throw error
    })
    const found = mirror && consider(mirror)
    if (found !== undefined) return found
  }
  const [substitute] = substitutes
  if (substitute === undefined) throw noWeights(first, needs)
  await markAbsent(cachedRepository(cache, original), { commit: first.commit, paths: needs.wanted }).catch(() => {
    // A cache that may only be read: then the hub is asked again next time.
  })
  return substitute
}

function noWeights<Choice extends WeightsPath>({ id, files }: HubRepository, needs: ModelNeeds<Choice>): RagError {
  const missing = needs.required.filter((file) => !files.includes(file))
  const lacking = missing.length > 0 ? missing.join(', ') : 'weights that can be used'
  return new RagError('NOT_FOUND', `The model "${id}" on the hub lacks ${lacking}.`, {
    data: { model: id, missing, lookedFor: needs.wanted, found: files.filter(isWeightsFile) },
    hint: 'Choose a model that is published as ONNX, or convert it (Optimum: "optimum-cli export onnx") and give the folder.',
  })
}

/** HTTP status of a failure, ours or that of `@huggingface/hub`. */
function statusOf(error: unknown): number | undefined {
  const status = error instanceof Error && 'statusCode' in error ? error.statusCode : undefined
  return typeof status === 'number' ? status : undefined
}

function isRefused(status: number | undefined): boolean {
  return status === 401 || status === 403 || status === 404 || status === 410
}

interface FailureContext<Choice extends WeightsPath> {
  readonly client: HubClient
  readonly request: ModelRequest
  readonly needs: ModelNeeds<Choice>
}

/** A failure in our words. */
function failureOf<Choice extends WeightsPath>(
  cause: unknown,
  { client, request, needs }: FailureContext<Choice>,
): unknown {
  const { model, revision = 'main' } = request
  const [id = model] = repositoriesOf(model)
  if (RagError.isInstance(cause, 'MISSING_PEER')) {
    return new RagError('MISSING_PEER', `The model "${id}" cannot be fetched. ${cause.message}`, {
      cause: cause.cause,
      data: { ...cause.data, model: id },
      hint: `${cause.hint}. ${byHand(request, needs)}`,
    })
  }
  if (RagError.isInstance(cause)) return cause
  const status = statusOf(cause)
  const address = `${client.endpoint}/${id}`
  const data = { model: id, revision, endpoint: client.endpoint, ...(status === undefined ? {} : { status }) }
  if (status === 404 || status === 410) {
    const at = revision === 'main' ? '' : ` at "${revision}"`
    return new RagError('NOT_FOUND', `The hub has no model "${id}"${at} (status ${status}, ${address}).`, {
      cause,
      data,
      hint: `${suggest(id)}Check its spelling at ${client.endpoint}/models.`,
    })
  }
  if (status === 401 || status === 403) {
    // To strangers the hub says the same of models that do not exist.
    return new RagError(
      'PROVIDER',
      `The hub does not give out the model "${id}" (status ${status}): it is private, gated, or does not exist.`,
      {
        cause,
        data,
        hint: `${suggest(id)}If it is there, accept its conditions at ${address} and set HF_TOKEN.`,
      },
    )
  }
  if (status !== undefined) {
    const afterMs = cause instanceof HttpFailure ? cause.afterMs : 0
    const wait = afterMs > 0 ? ` in ${Math.ceil(afterMs / 1000)} seconds` : ' later'
    return new RagError('PROVIDER', `The hub did not answer for the model "${id}" (status ${status}).`, {
      cause,
      data: { ...data, afterMs },
      hint: `Try again${wait}; what has arrived is kept.${status === 429 ? ' With HF_TOKEN set, more requests are allowed.' : ''}`,
      retryable: true,
    })
  }
  return new RagError(
    'PROVIDER',
    `The hub cannot be reached at ${client.endpoint} for the model "${id}": ${reasonOf(cause)}.`,
    {
      cause,
      data: { ...data, reason: reasonOf(cause), attempts: client.patience.attempts },
      hint: byHand(request, needs),
      retryable: true,
    },
  )
}

/** `fetch failed` says nothing; its cause does. */
function reasonOf(error: unknown): string {
  const inner = error instanceof Error && error.cause instanceof Error ? error.cause : error
  if (!(inner instanceof Error)) return String(inner)
  return 'code' in inner && typeof inner.code === 'string' ? inner.code : inner.message
}
