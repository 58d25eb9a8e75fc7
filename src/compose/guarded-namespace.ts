import type { DocumentWriter, StoreNamespace } from '../store/types.js'

/**
 * A namespace in which nothing becomes visible before somebody has agreed, and only if nobody has replaced the document since: a process
 * that was frozen after it was agreed with, and wakes up later, replaces nothing that is newer.
 */
export function guardNamespace(namespace: StoreNamespace, agree: () => Promise<void>): StoreNamespace {
  const begin = (documentId: string): DocumentWriter => {
    const writer = namespace.begin(documentId)
    return {
      write: (...piece) => writer.write(...piece),
      abort: (failure) => writer.abort(failure),
      async commit(document) {
        // Looked at first: whatever is stored between this and the agreement is noticed by the store.
        const replaces = namespace.get(documentId)?.generation ?? 0
        await agree()
        return writer.commit(document, { replaces })
      },
    }
  }
  return new Proxy(namespace, {
    get(target, key) {
      if (key === 'begin') return begin
      const value: unknown = Reflect.get(target, key, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}
