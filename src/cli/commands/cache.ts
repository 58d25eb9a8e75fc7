import { RagError } from '../../core/errors.js'
import { nearest } from '../../util/nearest.js'
import { type CliRag, type Command, exitCodes, requireStorage } from '../context.js'

/** What each action does; what it tells, by name. */
const actions: Readonly<Record<string, (rag: CliRag) => Promise<Readonly<Record<string, unknown>>>>> = {
  stats: async (rag) => ({ ...(await rag.cacheStats()) }),
  clear: async (rag) => {
    const { entries } = await rag.cacheStats()
    await rag.clearCache()
    return { cleared: entries ?? 'all' }
  },
  prune: async (rag) => ({ pruned: await rag.pruneCache() }),
}

/** `ufrag cache stats | clear | prune`: for all namespaces, and all who share the cache. */
export const cache: Command = async (context, [name = '']) => {
  const action = Object.hasOwn(actions, name) ? actions[name] : undefined
  if (action === undefined) {
    const known = Object.keys(actions)
    const meant = nearest(name, known)
    throw new RagError('BAD_OPTION', `"ufrag cache" does ${known.join(', ')}, but not "${name.slice(0, 64)}".`, {
      ...(meant === undefined ? {} : { hint: `Did you mean "${meant}"?` }),
    })
  }
  requireStorage(context)
  const told = await context.withRoot(action)
  if (context.json) context.data(told)
  else for (const [key, value] of Object.entries(told)) context.line(`${key}\t${value}`)
  return exitCodes.ok
}
