import { stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { UltraFastRAGOptions } from '../../config/options.js'
import { presets as knownPresets, type PresetName } from '../../config/presets.js'
import { RagError } from '../../core/errors.js'
import type { RetrieveOptions } from '../../core/search.js'
import { type LabelledSet, readDataset } from '../../eval/dataset.js'
import { documentsOf, type Evaluation, evaluate } from '../../eval/evaluate.js'
import { reportOf } from '../../eval/report.js'
import { formatTable } from '../../util/table.js'
import { type Command, type CommandContext, exitCodes } from '../context.js'
import { type ProgressView, showProgress } from '../progress.js'

interface Flags {
  readonly presets?: string
  readonly split?: string
  readonly out?: string
  readonly k?: string
}

/** A way of searching that is evaluated. */
interface System {
  readonly name: string
  readonly options: UltraFastRAGOptions
  /** Per question, each with a name of its own; the first is the system as it is. */
  readonly asked: readonly { readonly name: string; readonly retrieve: Pick<RetrieveOptions, 'rerank'> }[]
}

/**
 * `ufrag eval <dataset>`: ingests a labelled set in memory, asks all of its questions, and compares words alone with the chosen presets.
 * Writes `NAME.eval.json`, `.md` and `.svg`.
 */
export const evaluation: Command<Flags> = async (context, [folder = ''], flags) => {
  const out = flags.out ?? '.'
  await requireFolder(out)
  const set = await readDataset(folder, flags.split === undefined ? {} : { split: flags.split })
  const k = flags.k === undefined ? 10 : readCount(flags.k)
  const evaluations: Evaluation[] = []
  for (const system of systemsOf(context, flags)) evaluations.push(...(await measure(context, { set, system, k })))
  const base = join(out, `${set.name}.eval`)
  const report = reportOf(evaluations as [Evaluation, ...Evaluation[]], { pictureFile: `${set.name}.eval.svg` })
  await writeFile(`${base}.json`, `${JSON.stringify(report.data, undefined, 2)}\n`)
  await writeFile(`${base}.md`, report.text)
  await writeFile(`${base}.svg`, report.picture)
  if (context.json) context.data(report.data)
  else {
    for (const line of formatTable(report.rows)) context.line(line)
    context.note(`Written: ${base}.json, .md and .svg`)
  }
  return exitCodes.ok
}

/** Before the work, not after it. */
async function requireFolder(folder: string): Promise<void> {
  if ((await stat(folder).catch(() => undefined))?.isDirectory()) return
  throw new RagError('NOT_FOUND', `The folder of "--out", "${folder}", does not exist.`, { hint: 'Make it first.' })
}

function readCount(text: string): number {
  if (/^[1-9]\d{0,3}$/.test(text)) return Number(text)
  throw new RagError('BAD_OPTION', `--k must be a whole number from 1 to 9,999, but is ${JSON.stringify(text)}.`)
}

/** Words alone first, which the others are compared with; then each preset, and without its reranker where it has one. */
function systemsOf({ options: readOptions }: CommandContext, { presets }: Flags): System[] {
  const options = { ...readOptions(), storage: { kind: 'memory' } } as const
  const { readOnly: _readOnly, ...common } = options
  const names = presets === undefined ? [common.preset ?? 'default'] : presets.split(',').map((name) => name.trim())
  const plain: System = {
    name: 'words',
    options: { ...common, preset: 'default', embedder: false, rerank: false },
    asked: [{ name: 'words', retrieve: {} }],
  }
  const chosen = names.map((name): System => {
    // Any text here; the library's own check names the presets there are.
    const preset = name as PresetName
    const asked = [
      { name, retrieve: {} },
      { name: `${name}, not reranked`, retrieve: { rerank: false } },
    ] as const
    const reranks = Object.hasOwn(knownPresets, name) && knownPresets[preset].rerank !== false
    return { name, options: { ...common, preset }, asked: reranks ? asked : asked.slice(0, 1) }
  })
  return [plain, ...chosen]
}

interface Measured {
  readonly set: LabelledSet
  readonly system: System
  readonly k: number
}

async function measure(context: CommandContext, { set, system, k }: Measured): Promise<Evaluation[]> {
  const { environment, note } = context
  const { signal } = environment
  const rag = await environment.open(system.options)
  const progress = await showProgress(context, viewOf(system.name))
  try {
    const { failed } = await rag.ingest(documentsOf(set), { signal })
    if (failed.length > 0) note(`${system.name}: ${failed.length} documents could not be read; they are never found.`)
    // All questions are asked of the same indexes, and share no core with what builds them.
    await rag.settled({ signal })
    const evaluations: Evaluation[] = []
    for (const { name, retrieve } of system.asked) {
      evaluations.push(await evaluate(rag, set, { name, retrieve, k, signal, onProgress: progress.update }))
    }
    return evaluations
  } finally {
    progress.stop()
    await rag.close()
  }
}

function viewOf(name: string): ProgressView<{ readonly done: number; readonly total: number }> {
  return {
    format: `${name.replace(/[{}]/g, '')}: {bar} {value}/{total} questions`,
    start: { value: 0, total: undefined, details: {} },
    bar: ({ done, total }) => ({ value: done, total, details: {} }),
    line: ({ done, total }) => `${name}: ${done} of ${total} questions`,
  }
}
