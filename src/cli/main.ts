#!/usr/bin/env node
import { exitCodes } from './context.js'
import { runCli } from './program.js'

const controller = new AbortController()
// Once: a second Ctrl-C ends the process at once, for whoever does not want to wait for a clean close.
process.once('SIGINT', () => controller.abort())
process.once('SIGTERM', () => controller.abort())
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // The reader has seen enough (`ufrag documents | head`): nothing more to say, and no reason to complain.
  if (error.code === 'EPIPE') process.exit(exitCodes.ok)
  process.stderr.write(`The results cannot be written: ${error.message}\n`)
  process.exit(exitCodes.failed)
})

process.exitCode = await runCli(process.argv.slice(2), {
  variables: process.env,
  write: (text) => process.stdout.write(text),
  complain: (text) => process.stderr.write(text),
  terminal: process.stderr.isTTY === true,
  signal: controller.signal,
  // Loaded when a command needs it: --help is instant, and doctor works when something else does not.
  open: async (options) => new (await import('../ultra-fast-rag.js')).UltraFastRAG(options),
  openQueue: async (options) => (await import('../queue/index.js')).createBullmqQueue(options),
  distill: async (teacher, options) => (await import('../index.js')).distillStatic(teacher, options),
  pull: async (model, options) => (await import('../index.js')).pullModel(model, options),
})
