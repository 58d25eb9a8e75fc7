import { basename, dirname, join } from 'node:path'

/** Tells of everything that may have changed in a folder: too much rather than too little. */
export interface FolderObserver {
  /** Safe twice. Nothing is told after it was called. */
  close(): Promise<void>
}

export interface ObserveFolderOptions {
  /** Absolute. */
  readonly folder: string
  /** Whether an absolute path below the folder is of no interest. */
  readonly ignores: (path: string) => boolean
  /** Milliseconds between two looks at every file, instead of being told by the system. 0: told by the system. */
  readonly pollMs: number
  /** A file or folder at this absolute path came, changed or went. */
  readonly onChange: (path: string) => void
  /** Something cannot be observed: what happens there is not told. */
  readonly onError: (error: unknown) => void
}

export type ObserveFolder = (options: ObserveFolderOptions) => Promise<FolderObserver>

/** Observes a folder by chokidar. Resolves when everything that is there is observed: what changes from then on is told. */
export const observeFolder: ObserveFolder = async ({ folder, ignores, pollMs, onChange, onError }) => {
  const { watch } = await import('chokidar')
  const polling = pollMs > 0 ? { usePolling: true, interval: pollMs, binaryInterval: pollMs } : {}
  const watcher = watch(folder, {
    ignored: (path) => ignores(path),
    // What is there is found by a scan, which also sees what came before the observing began.
    ignoreInitial: true,
    followSymlinks: false,
    // Whoever is told waits until a file has settled, and looks at it then.
    atomic: false,
    ...polling,
  })
  let isClosed = false
  const tell = (path: string): void => {
    if (!isClosed && !ignores(path)) onChange(path)
  }
  watcher.on('all', (_event, path) => tell(path))
  // Without these a file that was written twice within one tick of its clock changes once.
  watcher.on('raw', (_event, name, details) => {
    const { watchedPath } = (details ?? {}) as { readonly watchedPath?: string } // Not in its types; absent while polling.
    if (typeof name !== 'string' || watchedPath === undefined) return
    // An event of a file names the file, one of a folder what is in it: the folder may hold something of its own name.
    if (basename(watchedPath) === name) tell(join(dirname(watchedPath), name))
    else tell(join(watchedPath, name))
  })
  watcher.on('error', (error) => {
    if (!isClosed) onError(error)
  })
  await new Promise<void>((resolve) => watcher.once('ready', resolve))
  return {
    close: async () => {
      isClosed = true
      await watcher.close()
    },
  }
}
