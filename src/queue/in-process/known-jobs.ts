import { type Entry, isOver } from './entry.js'

/** Bytes of the inputs of failed jobs that are kept for another try. */
const maxFailedBytes = 64 << 20

/** Jobs by their ids: all that are not over, and the last that are. */
export class KnownJobs {
  readonly #keep: number
  readonly #entries = new Map<string, Entry>()
  /** Ids of jobs that are over, the first to be forgotten first. */
  readonly #over = new Set<string>()

  /** `keep`: how many that are over are remembered. */
  constructor(keep: number) {
    this.#keep = keep
  }

  get(id: string): Entry | undefined {
    return this.#entries.get(id)
  }

  values(): Iterable<Entry> {
    return this.#entries.values()
  }

  add(entry: Entry): void {
    const { id } = entry.job
    this.#over.delete(id)
    this.#entries.set(id, entry)
  }

  isPending(id: string): boolean {
    const entry = this.#entries.get(id)
    return entry !== undefined && !isOver(entry)
  }

  /** Failed jobs, the last first. */
  failed(): Entry[] {
    const entries = [...this.#over].reverse().flatMap((id) => this.#entries.get(id) ?? [])
    return entries.filter(({ state }) => state === 'failed')
  }

  /** A job is over: it is remembered, and the oldest that were are forgotten. */
  finish({ job: { id } }: Entry): void {
    this.#over.add(id)
    while (this.#over.size > this.#keep) this.#forget(this.#over.values().next().value as string)
    this.#boundFailed()
  }

  /** Whether a newer content of the document ended after this job did. */
  hasLater({ job: { document, id } }: Entry): boolean {
    const ended = [...this.#over]
    return ended.slice(ended.indexOf(id) + 1).some((other) => {
      const later = this.#entries.get(other)
      return later?.job.document === document && later.state !== 'cancelled'
    })
  }

  /** Forgets the oldest failed jobs while what they hold for another try is too much. */
  #boundFailed(): void {
    const held = [...this.#over].flatMap((id) => this.#entries.get(id) ?? []).filter(({ job }) => job.bytes > 0)
    let bytes = held.reduce((sum, { job }) => sum + job.bytes, 0)
    for (const { job } of held) {
      if (bytes <= maxFailedBytes) return
      bytes -= job.bytes
      this.#forget(job.id)
    }
  }

  #forget(id: string): void {
    this.#over.delete(id)
    this.#entries.delete(id)
  }
}
