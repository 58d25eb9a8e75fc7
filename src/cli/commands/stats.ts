import { type Command, exitCodes, requireStorage } from '../context.js'

/** `ufrag stats`: what is stored and indexed, a name and a value per line. */
export const stats: Command = async (context) => {
  requireStorage(context)
  return context.withRag(async (rag) => {
    // What caches and embedder did is told where it was done: this process has embedded nothing.
    const { caches: _caches, embedder, ...stored } = await rag.stats()
    const facts =
      embedder === undefined
        ? stored
        : {
            ...stored,
            embedder: { id: embedder.id, dimensions: embedder.dimensions, fingerprint: embedder.fingerprint },
          }
    if (context.json) context.data(facts)
    else for (const [name, value] of flatten('', facts)) context.line(`${name}\t${value}`)
    return exitCodes.ok
  })
}

function flatten(prefix: string, value: object): [name: string, value: unknown][] {
  return Object.entries(value).flatMap(([key, inner]): [string, unknown][] => {
    const name = prefix === '' ? key : `${prefix}.${key}`
    return typeof inner === 'object' && inner !== null ? flatten(name, inner) : [[name, inner ?? '']]
  })
}
