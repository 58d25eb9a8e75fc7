import type { PreparedJob } from '../prepare-job.js'

type About = Pick<PreparedJob, 'id' | 'document'>

/** Of each document with jobs that are not over: the job that was enqueued last, and the one that runs. */
export class Documents {
  readonly #known = new Map<string, { latest: string; running: string | undefined }>()

  get size(): number {
    return this.#known.size
  }

  /** The job with the document's newest content. */
  latest(document: string): string | undefined {
    return this.#known.get(document)?.latest
  }

  running(document: string): string | undefined {
    return this.#known.get(document)?.running
  }

  /** This job's content is the document's newest from now on. Returns the job that was, unless it is the same. */
  announce({ document, id }: About): string | undefined {
    const { latest, running } = this.#known.get(document) ?? {}
    this.#known.set(document, { latest: id, running })
    return latest === id ? undefined : latest
  }

  /** The older content that is being ingested is the newest again. */
  withdraw({ document, id }: About): void {
    const known = this.#known.get(document)
    if (known?.running !== undefined && known.latest === id) known.latest = known.running
  }

  begin({ document, id }: About): void {
    this.#known.set(document, { latest: this.latest(document) ?? id, running: id })
  }

  end(document: string): void {
    const known = this.#known.get(document)
    if (known !== undefined) known.running = undefined
  }

  /** A job is over: of a document without any other nothing is remembered. */
  finish({ document, id }: About, isPending: (id: string) => boolean): void {
    const known = this.#known.get(document)
    if (known === undefined || known.running !== undefined) return
    if (known.latest === id || !isPending(known.latest)) this.#known.delete(document)
  }
}
