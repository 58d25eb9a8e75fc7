import { presets, type Quantization } from '../../config/presets.js'
import { RagError } from '../../core/errors.js'
import type { PullProgress } from '../../index.js'
import { type Command, type CommandContext, exitCodes } from '../context.js'

interface Flags {
  readonly quantization?: string
  readonly revision?: string
}

/** Milliseconds between two lines of progress where no bar can be drawn. */
const lineEveryMs = 2000
const quantizations: readonly Quantization[] = ['fp32', 'fp16', 'int8', 'int4']

/** `ufrag pull <model>`: fetches a model into the hub cache, so that it is found without network. */
export const pull: Command<Flags> = async (context, [model = ''], { quantization: named, revision }) => {
  const quantization = readQuantization(named) ?? configuredQuantization(context)
  const progress = await showProgress(context)
  try {
    const pulled = await context.environment.pull(model, {
      ...(quantization !== undefined && { quantization }),
      ...(revision !== undefined && { revision }),
      signal: context.environment.signal,
      onProgress: progress.update,
      logger: {
        debug: () => {},
        info: (message) => context.note(message),
        warn: (message) => context.note(message),
        error: (message) => context.note(message),
      },
    })
    progress.stop()
    if (context.json) context.data(pulled)
    else {
      const precision = pulled.quantization === undefined ? '' : ` ${pulled.quantization}`
      context.line(`${pulled.model}:${precision} weights of ${formatBytes(pulled.bytes)} in ${pulled.directory}`)
    }
    return exitCodes.ok
  } finally {
    progress.stop()
  }
}

function readQuantization(named: string | undefined): Quantization | undefined {
  if (named === undefined) return undefined
  const found = quantizations.find((one) => one === named)
  if (found !== undefined) return found
  throw new RagError(
    'BAD_OPTION',
    `--quantization must be one of ${quantizations.join(', ')}, but is ${JSON.stringify(named)}.`,
  )
}

/** The precision that embedders will look for, if anything says so. */
function configuredQuantization(context: CommandContext): Quantization | undefined {
  const { quantization, preset } = context.options()
  if (quantization !== undefined || preset === undefined) return quantization === 'none' ? 'fp32' : quantization
  if (Object.hasOwn(presets, preset)) return presets[preset].quantization
  throw new RagError('BAD_OPTION', `There is no preset ${JSON.stringify(preset)}.`, {
    hint: `There are ${Object.keys(presets).join(', ')}.`,
  })
}

interface Display {
  update(progress: PullProgress): void
  /** Safe twice. */
  stop(): void
}

async function showProgress(context: CommandContext): Promise<Display> {
  if (context.json) return { update: () => {}, stop: () => {} }
  return context.environment.terminal ? drawBar() : printLines(context)
}

async function drawBar(): Promise<Display> {
  const { SingleBar } = (await import('cli-progress')).default
  const format = '{bar} {received} of {total}, {file}'
  const bar = new SingleBar({ format, hideCursor: true, clearOnComplete: true })
  bar.start(1, 0, { received: formatBytes(0), total: '?', file: '' })
  return {
    update: ({ file, receivedBytes, totalBytes }) => {
      bar.setTotal(totalBytes)
      bar.update(receivedBytes, { received: formatBytes(receivedBytes), total: formatBytes(totalBytes), file })
    },
    stop: () => bar.stop(),
  }
}

function printLines(context: CommandContext): Display {
  let next = performance.now() + lineEveryMs
  return {
    update: ({ receivedBytes, totalBytes }) => {
      if (performance.now() < next) return
      next = performance.now() + lineEveryMs
      context.note(`${formatBytes(receivedBytes)} of ${formatBytes(totalBytes)}`)
    },
    stop: () => {},
  }
}

/** In the units of the hub's own pages: powers of ten. */
function formatBytes(bytes: number): string {
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`
}
