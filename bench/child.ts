import type { ChildReply, ChildTask } from './lib/child.js'

/** The fresh process behind `BenchContext.child`: calls one function with what it is sent, and answers once. */
export function serve(run: (argument: never) => unknown): void {
  process.once('message', async ({ argument }: ChildTask) => {
    const reply = await answer(run, argument)
    process.send?.(reply, () => process.disconnect())
  })
}

async function answer(run: (argument: never) => unknown, argument: unknown): Promise<ChildReply> {
  try {
    return { result: await run(argument as never) }
  } catch (error) {
    return { failure: error instanceof Error ? (error.stack ?? error.message) : String(error) }
  }
}
