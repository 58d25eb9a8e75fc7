import { presets, type Quantization } from '../../config/presets.js'
import { RagError } from '../../core/errors.js'
import type { PullProgress } from '../../index.js'
import { type Command, type CommandContext, exitCodes } from '../context.js'
import { type ProgressView, showProgress } from '../progress.js'

interface Flags {
  readonly quantization?: string
  readonly revision?: string
}

const quantizations: readonly Quantization[] = ['fp32', 'fp16', 'int8', 'int4']

/** `ufrag pull <model>`: fetches a model into the hub cache, so that it is found without network. */
export const pull: Command<Flags> = async (context, [model = ''], { quantization: named, revision }) => {
  const quantization = readQuantization(named) ?? configuredQuantization(context)
  const progress = await showProgress(context, view)
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

const view: ProgressView<PullProgress> = {
  format: '{bar} {received} of {size}, {file}',
  start: { value: 0, total: 1, details: { received: formatBytes(0), size: '?', file: '' } },
  bar: ({ file, receivedBytes, totalBytes }) => ({
    value: receivedBytes,
    total: totalBytes,
    details: { received: formatBytes(receivedBytes), size: formatBytes(totalBytes), file },
  }),
  line: ({ receivedBytes, totalBytes }) => `${formatBytes(receivedBytes)} of ${formatBytes(totalBytes)}`,
}

/** In the units of the hub's own pages: powers of ten. */
function formatBytes(bytes: number): string {
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`
}
