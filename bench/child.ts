import type { ChildReply, ChildTask } from './lib/child.js'

/** The fresh process behind `BenchContext.child`: imports one module, calls its default export, answers once. */
process.once('message', async (task: ChildTask) => {
  const reply = await answer(task)
  process.send?.(reply, () => process.disconnect())
})

async function answer({ module, argument }: ChildTask): Promise<ChildReply> {
  try {
    const loaded: { readonly default: (argument: unknown) => unknown } = await import(
      new URL(module, import.meta.url).href
    )
    return { result: await loaded.default(argument) }
  } catch (error) {
    return { failure: error instanceof Error ? (error.stack ?? error.message) : String(error) }
  }
}
