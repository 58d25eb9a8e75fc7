import type { CommandContext } from './context.js'

/** How the progress of one command looks. */
export interface ProgressView<Progress> {
  /** Format of `cli-progress`: `{bar}`, `{value}`, `{total}` and what `bar` gives beside them. */
  readonly format: string
  /** Where the bar stands. A total of `undefined`: nobody knows it, so the bar stays empty while the count goes on. */
  bar(progress: Progress): BarState
  /** What the bar shows before anything is known. */
  readonly start: BarState
  /** One line, where no bar can be drawn. */
  line(progress: Progress): string
  /** Milliseconds since the beginning, where the progress itself tells. Default: measured here. */
  elapsedMs?(progress: Progress): number
}

interface BarState {
  readonly value: number
  readonly total: number | undefined
  readonly details: Readonly<Record<string, string | number>>
}

/** Progress on standard error. */
export interface ProgressDisplay<Progress> {
  update(progress: Progress): void
  /** Safe twice. */
  stop(): void
}

/** Milliseconds between two lines where no bar can be drawn. */
const lineEveryMs = 2000

/** Shows progress as a bar on a terminal, else as a line now and then, and not at all beside JSON. */
export async function showProgress<Progress>(
  context: CommandContext,
  view: ProgressView<Progress>,
): Promise<ProgressDisplay<Progress>> {
  if (context.json) return { update: () => {}, stop: () => {} }
  return context.environment.terminal ? drawBar(view) : printLines(context, view)
}

async function drawBar<Progress>({
  bar: read,
  format,
  start,
}: ProgressView<Progress>): Promise<ProgressDisplay<Progress>> {
  const { SingleBar } = (await import('cli-progress')).default
  const bar = new SingleBar({ format, hideCursor: true, clearOnComplete: true, etaBuffer: 1 })
  const total = (state: BarState) => state.total ?? Number.MAX_SAFE_INTEGER
  bar.start(total(start), start.value, start.details)
  return {
    update: (progress) => {
      const state = read(progress)
      bar.setTotal(total(state))
      bar.update(state.value, state.details)
    },
    stop: () => bar.stop(),
  }
}

function printLines<Progress>(context: CommandContext, view: ProgressView<Progress>): ProgressDisplay<Progress> {
  const began = performance.now()
  const { elapsedMs = () => performance.now() - began, line } = view
  let nextMs = lineEveryMs
  return {
    update: (progress) => {
      const elapsed = elapsedMs(progress)
      if (elapsed < nextMs) return
      nextMs = elapsed + lineEveryMs
      context.note(line(progress))
    },
    stop: () => {},
  }
}
