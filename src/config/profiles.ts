/** Names of the profiles. */
export type ProfileName = 'laptop' | 'server' | 'high-traffic'

/** What a profile decides: how much of a machine is used. It lies over the preset and under the caller's own options. */
export interface Profile {
  /** Whom it is for. */
  readonly for: string
  readonly batchSize: number
  /** Threads; `'cores'` is as many as the machine has, which is also the limit. */
  readonly maxWorkers: number | 'cores'
  /** Questions answered at a time. */
  readonly maxConcurrentQueries: number
  readonly maxOpenNamespaces: number
}

/** The profiles, as plain data. */
export const profiles: Readonly<Record<ProfileName, Profile>> = {
  laptop: {
    for: 'leaves the machine usable',
    batchSize: 16,
    maxWorkers: 2,
    maxConcurrentQueries: 64,
    maxOpenNamespaces: 16,
  },
  server: {
    for: 'one service of several on a machine',
    batchSize: 64,
    maxWorkers: 8,
    maxConcurrentQueries: 256,
    maxOpenNamespaces: 64,
  },
  'high-traffic': {
    for: 'the machine is its own; smaller batches keep queries short',
    batchSize: 32,
    maxWorkers: 'cores',
    maxConcurrentQueries: 1_024,
    maxOpenNamespaces: 256,
  },
}
