import type { Logger } from '../../core/lifecycle.js'

/** Tells the logger what an operator should know of the server. */
export async function inspectServer(client: unknown, logger: Logger | undefined): Promise<void> {
  const facts = await (client as { info(): Promise<string> }).info()
  const fact = (name: string) => facts.match(new RegExp(`^${name}:(\\S+)`, 'm'))?.[1]
  const policy = fact('maxmemory_policy')
  if (policy === undefined || policy === 'noeviction') return
  logger?.warn('The Redis server of the queue may drop jobs when its memory is full.', {
    policy,
    advice: 'Set maxmemory-policy noeviction.',
  })
}
