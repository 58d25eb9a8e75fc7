import { RagError } from '../core/errors.js'
import { RangeSet } from '../core/range-set.js'
import { type Analyzer, analyzerFingerprint } from '../text/analyzer.js'
import { createAnalyzers } from '../text/analyzers.js'
import { languageProfile } from '../text/language.js'
import { queryTerms } from '../text/query-terms.js'
import { Readers } from '../util/readers.js'
import { WorkerPool } from '../util/worker-pool.js'
import { createTurns } from '../util/yield.js'
import { blockBytes } from './blocks.js'
import { BoundArrays } from './bound-arrays.js'
import { type Batch, buildSegment } from './build.js'
import { readSnapshot, type SavedSegment, writeSnapshot } from './files.js'
import { learntBytes } from './level.js'
import type { MergeInput } from './merge.js'
import { type Bm25Weights, searchViews } from './search.js'
import { type Segment, viewSegment } from './segment.js'
import type {
  LexicalDocumentPart,
  LexicalIndex,
  LexicalResult,
  LexicalSearchOptions,
  LexicalStats,
  LexicalUpdate,
} from './types.js'
import { continuedBases, type SegmentView, viewOf, viewOfMerged, withoutDocuments, withoutRanges } from './view.js'

export interface Bm25Options {
  /** Folder of the index alone, for snapshots; made by the first `persist()`. Absent: the index lives in memory. */
  readonly directory?: string
  /** Never write: `persist()` rejects with `READ_ONLY`. Default false. */
  readonly readOnly?: boolean
  /** How soon repetitions of a term stop to count. Default 1.5, from 0 (at once). */
  readonly k1?: number
  /** How much the length of a passage counts. Default 0.75, from 0 (not at all) to 1. */
  readonly b?: number
  /** Weight of the document's score where a search does not say. Default 0.5; 0 ranks by chunks alone. */
  readonly documentWeight?: number
  /** Told why a snapshot was not used or a merge failed; the index goes on. Default: nobody. */
  readonly warn?: (problem: RagError) => void
}

/** A lexical index of this module. */
export interface Bm25Index extends LexicalIndex {
  /** Merges until there is nothing to gain: removed chunks give back their memory, segments are as few as they get. */
  compact(): Promise<void>
}

const fingerprint = `bm25-1:${analyzerFingerprint}`

/**
 * Opens a BM25 index: immutable segments built and merged in a worker, searched on the calling thread. With a `directory` it begins with
 * the snapshot there; when that is missing or unsound it begins empty with epoch 0, and the caller adds everything
 * again. Rejects with `BAD_OPTION`, or `STORAGE` when the folder cannot be read.
 *
 * A document that is added again (same `base`) replaces what was published of it before. A document-level unit is a window of 20,000 tokens;
 * documents beyond 8 MB begin a new window at every 8 MB.
 */
export async function createBm25Index(options: Bm25Options = {}): Promise<Bm25Index> {
  const complete = completeOptions(options)
  const { directory, warn } = complete
  const snapshot = directory === undefined ? undefined : await readSnapshot(directory, fingerprint, warn)
  return new Index(complete, snapshot?.epoch ?? 0, snapshot?.views ?? [], snapshot?.files ?? new Map())
}

interface CompleteOptions extends Bm25Weights {
  readonly directory: string | undefined
  readonly readOnly: boolean
  readonly warn: (problem: RagError) => void
}

function completeOptions(options: Bm25Options): CompleteOptions {
  return {
    directory: options.directory,
    readOnly: options.readOnly ?? false,
    k1: checkRange('k1', options.k1 ?? 1.5, Number.MAX_VALUE),
    b: checkRange('b', options.b ?? 0.75, 1),
    documentWeight: checkRange('documentWeight', options.documentWeight ?? 0.5, Number.MAX_VALUE),
    warn: options.warn ?? (() => {}),
  }
}

function checkRange(option: string, value: number, max: number): number {
  if (value >= 0 && value <= max) return value
  throw new RagError('BAD_OPTION', `The option "${option}" is out of range.`, {
    data: { option, value },
    hint: `Give a number from 0${max === Number.MAX_VALUE ? ' on' : ` to ${max}`}.`,
  })
}

class Index implements Bm25Index {
  readonly id = 'bm25'
  readonly fingerprint = fingerprint
  readonly #options: CompleteOptions
  readonly #pool = new WorkerPool({ worker: 'lexical', size: 1 })
  readonly #analyzerFor = createAnalyzers()
  readonly #turns = createTurns()
  readonly #bounds = new BoundArrays()
  /** Of segments. */
  readonly #readers = new Readers()
  #epoch: number
  #views: readonly SegmentView[]
  #files: ReadonlyMap<Segment, SavedSegment>
  /** What the last snapshot holds: the list is replaced whenever anything changes. */
  #saved: { readonly epoch: number; readonly views: readonly SegmentView[] }
  #update: Update | undefined
  /** The last merge that was asked for; they run one after the other and do not reject. */
  #merging: Promise<void> = Promise.resolve()
  #mergeWaits = false
  #merges = 0
  #persisting: Promise<void> = Promise.resolve()
  #closed = false

  constructor(
    options: CompleteOptions,
    epoch: number,
    views: readonly SegmentView[],
    files: ReadonlyMap<Segment, SavedSegment>,
  ) {
    this.#options = options
    this.#epoch = epoch
    this.#views = views
    this.#files = files
    this.#saved = { epoch, views }
  }

  get epoch(): number {
    return this.#epoch
  }

  stats(): LexicalStats {
    const sum = (value: (view: SegmentView) => number) => this.#views.reduce((total, view) => total + value(view), 0)
    return {
      chunks: sum(({ chunks }) => chunks),
      documents: sum(({ documents }) => documents) - countContinued(this.#views),
      segments: this.#views.length,
      bytes:
        this.#bounds.bytes +
        sum(
          ({ segment, removed }) =>
            segment.buffer.byteLength +
            blockBytes(segment) +
            learntBytes(segment) +
            (removed === undefined ? 0 : removed.chunks.length + removed.windows.length),
        ),
      building: this.#isMerging,
    }
  }

  update(): LexicalUpdate {
    this.#assertOpen()
    if (this.#update !== undefined)
      throw new RagError('BAD_INPUT', 'An update of the lexical index is open already.', {
        hint: 'Publish or abort it first.',
      })
    this.#update = new Update({
      build: (batch, bytes) => this.#build(batch, bytes),
      publish: (staged, epoch) => this.#publish(staged, epoch),
      ended: () => {
        this.#update = undefined
      },
    })
    return this.#update
  }

  async search(text: string, options: LexicalSearchOptions): Promise<LexicalResult> {
    this.#assertOpen()
    const { k1, b } = this.#options
    const documentWeight = checkRange(
      'documentWeight',
      options.documentWeight ?? this.#options.documentWeight,
      Number.MAX_VALUE,
    )
    const views = this.#views
    const topK = Math.max(0, Math.floor(options.topK))
    return this.#readers.while(async () => {
      await this.#turns.next()
      const terms = await queryTerms(text, await this.#queryAnalyzers(views, options.language), this.#turns)
      const { allow, alsoScore } = options
      const plan = { views, terms, topK, allow, alsoScore, k1, b, documentWeight }
      return searchViews(plan, this.#turns, this.#bounds)
    })
  }

  persist(): Promise<void> {
    // One after the other; the one before tells its own caller when it fails.
    this.#persisting = this.#persisting.catch(() => {}).then(() => this.#persistNow())
    return this.#persisting
  }

  async settled(): Promise<void> {
    while (this.#isMerging) await this.#merging
  }

  async compact(): Promise<void> {
    this.#assertOpen()
    const merge = this.#merging.then(() => this.#mergeAll(chooseAnyMerge))
    // The caller is told; what comes after only has to wait.
    this.#merging = merge.catch(() => {})
    await merge
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#update?.abort()
    await this.#pool.close()
    await this.#merging
    await this.#persisting.catch(() => {
      // Whoever called persist() was told.
    })
    this.#views = []
    this.#bounds.clear()
    this.#files = new Map()
    this.#saved = { epoch: 0, views: [] }
  }

  get #isMerging(): boolean {
    return this.#mergeWaits || this.#merges > 0
  }

  async #build({ parts, partial }: Batch, bytes: number): Promise<Segment> {
    if (bytes <= inlineBytes) return buildSegment({ parts, partial }, this.#analyzerFor)
    const buffers = new Set(parts.flatMap(({ pieces }) => pieces.map((piece) => piece.buffer as ArrayBuffer)))
    const payload = { parts, partial }
    return viewSegment(await this.#pool.run<ArrayBuffer>({ type: 'build', payload, transfer: [...buffers] }))
  }

  /** Swaps the list of segments: from one statement to the next every search sees everything staged, or nothing. */
  #publish({ segments, replaced, removed }: Staged, epoch: number): void {
    this.#assertOpen()
    const before = this.#views.map((view) => withoutDocuments(withoutRanges(view, removed), replaced))
    this.#views = [...before, ...segments].filter(({ chunks }) => chunks > 0)
    this.#epoch = epoch
    this.#mergeSoon()
  }

  /** Starts merging in the background unless it is about to start anyway. */
  #mergeSoon(): void {
    if (this.#mergeWaits) return
    this.#mergeWaits = true
    this.#merging = this.#merging
      .then(() => {
        this.#mergeWaits = false
        return this.#mergeAll(chooseMerge)
      })
      .catch((error: unknown) => {
        // Nothing is lost but memory and time: the segments stay, and the next publication tries again.
        if (!this.#closed) this.#options.warn(asProblem(error))
      })
  }

  async #mergeAll(choose: (views: readonly SegmentView[]) => readonly SegmentView[] | undefined): Promise<void> {
    this.#merges++
    try {
      for (let group = choose(this.#views); group !== undefined; group = choose(this.#views)) await this.#merge(group)
    } finally {
      this.#merges--
    }
  }

  async #merge(group: readonly SegmentView[]): Promise<void> {
    const inputs = group.map(
      ({ segment, removed }): MergeInput => ({ buffer: segment.buffer, removed: removed?.chunks }),
    )
    const merged = viewSegment(await this.#pool.run<ArrayBuffer>({ type: 'merge', payload: inputs }))
    const sources = new Set(group.map(({ segment }) => segment))
    const view = viewOfMerged(merged, group, (segment) => this.#views.find((view) => view.segment === segment))
    this.#views = [...this.#views.filter(({ segment }) => !sources.has(segment)), view].filter(
      ({ chunks }) => chunks > 0,
    )
    void this.#retire(group)
  }

  /**
   * Gives the memory of merged segments back when nobody reads them any more. The collector of this thread would let them lie: it
   * does not see how large they are. Moved to the worker they are young garbage there, which is looked at every few megabytes.
   */
  async #retire(group: readonly SegmentView[]): Promise<void> {
    await this.#readers.left()
    if (this.#closed) return
    const buffers = group.map(({ segment }) => segment.buffer)
    // A pool that is being closed ends with its memory.
    await this.#pool.run({ type: 'drop', payload: buffers, transfer: buffers }).catch(() => {})
  }

  async #persistNow(): Promise<void> {
    const { directory, readOnly } = this.#options
    if (directory === undefined) return
    this.#assertOpen()
    if (readOnly) throw new RagError('READ_ONLY', 'The lexical index was opened read-only.')
    const snapshot = { epoch: this.#epoch, views: this.#views, files: this.#files }
    if (this.#saved.epoch === snapshot.epoch && this.#saved.views === snapshot.views) return
    this.#files = await this.#readers.while(() => writeSnapshot(directory, snapshot, fingerprint))
    this.#saved = { epoch: snapshot.epoch, views: snapshot.views }
  }

  async #queryAnalyzers(views: readonly SegmentView[], language: string | undefined): Promise<readonly Analyzer[]> {
    const languages = new Set(views.flatMap(({ segment }) => segment.languages))
    const asked = language === undefined ? undefined : languageProfile(language).id
    if (asked !== undefined && languages.has(asked)) return [await this.#analyzerFor(asked)]
    return Promise.all(
      (languages.size === 0 ? ['english'] : [...languages]).map((language) => this.#analyzerFor(language)),
    )
  }

  #assertOpen(): void {
    if (this.#closed) throw new RagError('CLOSED', 'The lexical index was closed.')
  }
}

/** Documents counted once too often because several segments hold their windows. */
function countContinued(views: readonly SegmentView[]): number {
  const bases = views.flatMap(continuedBases)
  return bases.length - new Set(bases).size
}

function asProblem(error: unknown): RagError {
  return RagError.isInstance(error) ? error : new RagError('WORKER', 'Segments could not be merged.', { cause: error })
}

/** Batches up to this size take about a millisecond and are built on the calling thread. */
const inlineBytes = 4_096
/** Bytes of pieces after which a batch ends with its last document. */
const batchBytes = 4 << 20
/** Bytes of a buffer that copies of pieces share; a lone small piece pays for one of its own. */
const slabBytes = 256 << 10
/** Bytes of one document after which it is continued in another segment. */
const documentBytes = 8 << 20
/** Builds under way while more is taken. */
const maxBuilds = 2

interface Staged {
  readonly segments: readonly SegmentView[]
  /** Bases of all documents that were added. */
  readonly replaced: ReadonlySet<number>
  readonly removed: RangeSet
}

interface UpdateHost {
  build(batch: Batch, bytes: number): Promise<Segment>
  publish(staged: Staged, epoch: number): void
  ended(): void
}

type NumberRange = readonly [start: number, end: number]

/** Gathers parts into batches, has segments made of them, and hands everything over at once. */
class Update implements LexicalUpdate {
  readonly #host: UpdateHost
  readonly #builds: Promise<Segment>[] = []
  readonly #removals: { readonly ranges: readonly NumberRange[]; readonly builds: number }[] = []
  readonly #bases = new Set<number>()
  #parts: LexicalDocumentPart[] = []
  #partial: number[] = []
  #bytes = 0
  #slab = new Uint8Array(0)
  #slabUsed = 0
  #document: number | undefined
  #documentBytes = 0
  #ended = false

  constructor(host: UpdateHost) {
    this.#host = host
  }

  async add(part: LexicalDocumentPart): Promise<void> {
    this.#assertOpen()
    if (part.base !== this.#document) this.#beginDocument(part.base)
    // The caller keeps its bytes, which may be a view of far more memory; the copies are moved to the worker.
    const pieces = part.pieces.map((piece) => this.#copy(piece))
    const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0)
    this.#parts.push({ ...part, pieces })
    this.#bytes += bytes
    this.#documentBytes += bytes
    if (this.#documentBytes >= documentBytes) this.#cutDocument(part.base)
    await this.#builds.at(-maxBuilds)
  }

  remove(ranges: readonly NumberRange[]): void {
    this.#assertOpen()
    // What was staged before is removed too, what comes after is not.
    this.#flush()
    this.#removals.push({ ranges, builds: this.#builds.length })
  }

  async publish(epoch: number): Promise<void> {
    this.#assertOpen()
    try {
      this.#flush()
      this.#ended = true
      const segments = await Promise.all(this.#builds)
      this.#host.publish(
        {
          segments: segments.map((segment, place) => withoutRanges(viewOf(segment), this.#removedAfter(place))),
          replaced: this.#bases,
          removed: this.#removedAfter(-1),
        },
        epoch,
      )
    } finally {
      this.#end()
    }
  }

  abort(): void {
    if (this.#ended) return
    this.#end()
  }

  /** Copies into slabs: moving one large buffer to the worker is far cheaper than moving thousands of small ones. */
  #copy(piece: Uint8Array): Uint8Array {
    if (this.#slabUsed + piece.length > this.#slab.length) {
      this.#slab = new Uint8Array(Math.max(slabBytes, piece.length))
      this.#slabUsed = 0
    }
    const copy = this.#slab.subarray(this.#slabUsed, this.#slabUsed + piece.length)
    copy.set(piece)
    this.#slabUsed += piece.length
    return copy
  }

  #beginDocument(base: number): void {
    if (this.#bytes >= batchBytes) this.#flush()
    this.#document = base
    this.#documentBytes = 0
    this.#bases.add(base)
  }

  /** The rest of the document goes on in another segment; both sides are marked, so that its best window is looked for in both. */
  #cutDocument(base: number): void {
    this.#partial.push(base)
    this.#flush()
    this.#partial.push(base)
    this.#documentBytes = 0
  }

  #flush(): void {
    if (this.#parts.length > 0) {
      const build = this.#host.build({ parts: this.#parts, partial: this.#partial }, this.#bytes)
      build.catch(() => {
        // add() or publish() awaits it; an aborted update has nobody left to tell.
      })
      this.#builds.push(build)
    }
    this.#parts = []
    this.#partial = []
    this.#bytes = 0
    this.#slab = new Uint8Array(0)
    this.#slabUsed = 0
  }

  #removedAfter(place: number): RangeSet {
    return RangeSet.from(this.#removals.filter(({ builds }) => builds > place).flatMap(({ ranges }) => ranges))
  }

  #end(): void {
    this.#ended = true
    this.#parts = []
    this.#host.ended()
  }

  #assertOpen(): void {
    if (this.#ended) throw new RagError('CLOSED', 'The update has ended.')
  }
}

/** Segments of a tier that are merged when there are so many; each tier is so many times larger than the one below. */
const tierSize = 4
/** Chunks up to which segments are merged: about 6 MB. Larger segments would save little time and cost twice their size while they are made. */
const maxMergedChunks = 1 << 15
/** Share of removed chunks above which a segment is rewritten. */
const maxRemovedShare = 0.25

/** Segments of about the same size, or one that holds too much that was removed. */
function chooseMerge(views: readonly SegmentView[]): readonly SegmentView[] | undefined {
  const tiers = new Map<number, SegmentView[]>()
  for (const view of views) {
    if (view.chunks > maxMergedChunks / 2) continue
    const tier = Math.floor(Math.log(view.chunks) / Math.log(tierSize))
    const group = tiers.get(tier) ?? []
    tiers.set(tier, group)
    group.push(view)
  }
  const full = [...tiers.values()].find((group) => group.length >= tierSize)
  if (full !== undefined) return fitting(full)
  const holey = views.find((view) => removedShare(view) > maxRemovedShare)
  return holey === undefined ? undefined : [holey]
}

/** For `compact()`: any two that fit together, or one that holds anything that was removed. */
function chooseAnyMerge(views: readonly SegmentView[]): readonly SegmentView[] | undefined {
  const bySize = views.toSorted((a, b) => a.chunks - b.chunks)
  const group = fitting(bySize)
  if (group.length > 1) return group
  const holey = views.find((view) => removedShare(view) > 0)
  return holey === undefined ? undefined : [holey]
}

/** The first few that come to no more chunks than a segment should have. */
function fitting(views: readonly SegmentView[]): readonly SegmentView[] {
  let chunks = 0
  return views.filter((view) => {
    if (chunks + view.chunks > maxMergedChunks) return false
    chunks += view.chunks
    return true
  })
}

function removedShare({ segment, chunks }: SegmentView): number {
  return 1 - chunks / segment.chunkOrdinals.length
}
