import { Command as Commander, CommanderError } from 'commander'
import { configFromEnv } from '../config/env.js'
import type { UltraFastRAGOptions } from '../config/options.js'
import { RagError } from '../core/errors.js'
import { cache } from './commands/cache.js'
import { config } from './commands/config.js'
import { distill } from './commands/distill.js'
import { doctor } from './commands/doctor.js'
import { documents } from './commands/documents.js'
import { enqueue } from './commands/enqueue.js'
import { evaluation } from './commands/eval.js'
import { ingest } from './commands/ingest.js'
import { mcp } from './commands/mcp.js'
import { pull } from './commands/pull.js'
import { query } from './commands/query.js'
import { reindex } from './commands/reindex.js'
import { remove } from './commands/remove.js'
import { stats } from './commands/stats.js'
import { watch } from './commands/watch.js'
import { worker } from './commands/worker.js'
import {
  type CliEnvironment,
  type Command,
  type CommandContext,
  describeError,
  errorData,
  exitCodes,
  type GlobalOptions,
} from './context.js'

/** Where documents are kept when neither `--storage` nor `UFRAG_STORAGE` says. */
const defaultStorage = '.ufrag'

const help = `
Exit codes: 0 done, 1 failed, 2 wrong usage or options, 3 some documents failed (ingest, enqueue), 4 no answer (query), 130 interrupted.
Every option of the library that has a UFRAG_ variable can be set by it; see docs/cli.md.`

/** Runs one command line (without `node` and the script) and resolves with its exit code. Never rejects. */
export async function runCli(parameters: readonly string[], environment: CliEnvironment): Promise<number> {
  let exitCode: number = exitCodes.ok
  const program = describeProgram(environment, async (command, given, options) => {
    const context = createContext(environment, program.opts<GlobalOptions>())
    exitCode = await command(context, given, options)
  })
  try {
    await program.parseAsync(parameters, { from: 'user' })
    return exitCode
  } catch (error) {
    return report(error, environment, parameters.includes('--json'))
  }
}

type Run = (command: Command<never>, parameters: readonly string[], options: never) => Promise<void>

function describeProgram(environment: CliEnvironment, run: Run): Commander {
  const program = new Commander('ufrag')
    .description('Files in, cited answers out.')
    .option('--storage <folder>', `where documents are kept (default: "${defaultStorage}")`)
    .option('--preset <name>', 'default, kaggle, production, research or extreme')
    .option('--namespace <name>', 'whose documents; namespaces do not see each other')
    .option('--json', 'results and errors as JSON, one value per line')
    .addHelpText('after', help)
    .exitOverride()
    .configureOutput({ writeOut: environment.write, writeErr: environment.complain, outputError: () => {} })

  const act =
    <Options>(command: Command<Options>) =>
    (...given: unknown[]) => {
      // Commander passes the arguments, then the options, then itself; a variadic argument is an array.
      const [options] = given.slice(-2) as [Options]
      return run(command as Command<never>, given.slice(0, -2).flat() as string[], options as never)
    }
  program
    .command('ingest <inputs...>')
    .description('store files, folders and globs')
    .option('--sync', 'remove documents whose files are gone from the folders')
    .option('--retry', 'try again what was left out because it had failed three times')
    .option('--verify <how>', 'tell unchanged files by their "stamp" (size, time, inode) or by their "hash"')
    .action(act(ingest))
  program
    .command('watch <folder>')
    .description('store a folder, and follow what changes in it until Ctrl-C')
    .option('--poll <milliseconds>', 'look at the files so often: for network file systems, which do not tell')
    .action(act(watch))
  program
    .command('query [question]')
    .description('answer a question from the stored documents')
    .option('--chat', 'then answer more of them, one a line of standard input, with what was said before')
    .option('--stream', 'print the answer as it is written')
    .option('--top-k <count>', 'passages to consider')
    .option('--budget-ms <milliseconds>', 'leave out what there is no time for before the first words')
    .action(act(query))
  program
    .command('documents')
    .description('list the stored documents')
    .option('--failed', 'list those whose last attempt failed instead')
    .action(act(documents))
  program.command('remove <ids...>').description('remove documents by id').action(act(remove))
  program
    .command('reindex')
    .description('embed anew what another embedder made, and rebuild the indexes')
    .action(act(reindex))
  program.command('stats').description('tell what is stored and indexed').action(act(stats))
  program
    .command('cache')
    .description('what was computed before: tell how much it is, forget it, or remove what has expired')
    .argument('<action>', 'stats, clear or prune')
    .action(act(cache))
  program
    .command('enqueue <inputs...>')
    .description('let workers ingest files, folders and globs: each is a job on a Redis server')
    .option(
      '--redis <url>',
      'where the queue is (default: UFRAG_REDIS_URL, which other users of the machine do not see)',
    )
    .option('--queue <name>', 'name of the queue (default: "ingest")')
    .option('--priority <priority>', 'high, normal or low (default: normal)')
    .option('--wait', 'until the jobs are over')
    .action(act(enqueue))
  program
    .command('worker')
    .description('ingest what others enqueue on a Redis server, until it is ended; SIGTERM lets it finish what it does')
    .option(
      '--redis <url>',
      'where the queue is (default: UFRAG_REDIS_URL, which other users of the machine do not see)',
    )
    .option('--queue <name>', 'name of the queue (default: "ingest")')
    .option('--concurrency <count>', 'jobs at a time (default: 2)')
    .option('--wait <seconds>', 'for running jobs, when it is ended; the rest is given back (default: 30)')
    .action(act(worker))
  program
    .command('mcp')
    .description('let models search the documents: a server of the Model Context Protocol on standard input and output')
    .option('--http <port>', 'serve Streamable HTTP to this machine instead: http://127.0.0.1:PORT/mcp')
    .option('--read-only', 'open the storage without ever writing to it')
    .option('--about <text>', 'what the documents are about, for the model')
    .action(act(mcp))
  program
    .command('pull <model>')
    .description('fetch a model into the hub cache, for use without network')
    .option(
      '--quantization <precision>',
      'fp32, fp16, int8 or int4 (default: UFRAG_QUANTIZATION, else of --preset, else fp32)',
    )
    .option('--revision <name>', 'branch, tag or commit (default: main)')
    .action(act(pull))
  program
    .command('distill')
    .description('turn a model into a static one: a hundred times faster, and coarser')
    .requiredOption('--model <model>', 'the teacher: a folder, a hub id or a short name')
    .requiredOption('--out <folder>', 'folder of the new model; it must not exist')
    .option('--dimensions <count>', 'values per vector (default: 256)')
    .option('--vocabulary <file>', 'words that get a row of their own, one a line')
    .option('--corpus <file>', 'texts whose words are counted, one a line')
    .option('--tokenizer <folder>', "folder of another tokenizer.json than the model's")
    .action(act(distill))
  program
    .command('eval <dataset>')
    .description('measure retrieval on a labelled set (layout of BEIR), words alone against presets')
    .option('--presets <names>', 'presets to compare, separated by commas (default: --preset)')
    .option('--k <count>', 'places that count (default: 10)')
    .option('--split <name>', 'judgements to take where there are several (default: test)')
    .option('--out <folder>', 'where NAME.eval.json, .md and .svg are written (default: here)')
    .action(act(evaluation))
  program.command('config').description('print the presets and what the options resolve to').action(act(config))
  program.command('doctor').description('check what is installed and what is missing').action(act(doctor))
  return program
}

function createContext(environment: CliEnvironment, flags: GlobalOptions): CommandContext {
  const options = () => optionsFrom(environment, flags)
  const withRoot: CommandContext['withRoot'] = async (use, changes = {}) => {
    const root = await environment.open({ ...options(), ...changes })
    try {
      return await use(root)
    } finally {
      await root.close()
    }
  }
  return {
    environment,
    json: flags.json === true,
    namespace: flags.namespace,
    options,
    withRag: (use, changes) =>
      withRoot((root) => use(flags.namespace === undefined ? root : root.namespace(flags.namespace)), changes),
    withRoot,
    line: (text) => environment.write(`${text}\n`),
    data: (value) => environment.write(`${JSON.stringify(value)}\n`),
    note: (text) => environment.complain(`${text}\n`),
  }
}

function optionsFrom(environment: CliEnvironment, flags: GlobalOptions): UltraFastRAGOptions {
  const options = {
    storage: defaultStorage,
    ...configFromEnv(environment.variables),
    ...(flags.storage === undefined ? {} : { storage: flags.storage }),
    ...(flags.preset === undefined ? {} : { preset: flags.preset }),
  }
  // The preset is any text here; the library's own check names those there are.
  return options as UltraFastRAGOptions
}

function report(error: unknown, environment: CliEnvironment, json: boolean): number {
  if (environment.signal.aborted) {
    environment.complain('Interrupted. What was stored until now stays.\n')
    return exitCodes.interrupted
  }
  const isUsage = error instanceof CommanderError
  if (isUsage && error.exitCode === 0) return exitCodes.ok
  // No command was given: commander has printed the help instead of a complaint.
  if (isUsage && error.code === 'commander.help') return exitCodes.usage
  const text = isUsage ? error.message.replace(/^error: /, '') : describeError(error)
  const hint = isUsage ? '\n  "ufrag --help" tells more.' : ''
  if (json) environment.complain(`${JSON.stringify({ error: errorData(error) })}\n`)
  else environment.complain(`${text}${hint}\n`)
  return isUsage || RagError.isInstance(error, 'BAD_OPTION') ? exitCodes.usage : exitCodes.failed
}
