import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A real Redis server, on a port of its own, without files. */
export interface RedisServer {
  readonly url: string
  readonly port: number
  /** Ends it as a crash would. */
  kill(): Promise<void>
  /** Starts it again, empty, on the same port. */
  restart(): Promise<void>
  /** It stops answering, its connections stay. */
  pause(): void
  resume(): void
  stop(): Promise<void>
}

/** Starts `redis-server` as found on the PATH; `undefined`, said loudly, where there is none. */
export async function startRedis(options: readonly string[] = []): Promise<RedisServer | undefined> {
  try {
    execFileSync('redis-server', ['--version'])
  } catch {
    console.warn('Skipped: everything that wants a Redis, for there is no redis-server on the PATH.')
    return undefined
  }
  const folder = mkdtempSync(join(tmpdir(), 'ufrag-redis-'))
  const port = await freePort()
  const start = async (): Promise<ChildProcess> => {
    const server = spawn(
      'redis-server',
      ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', folder, ...options],
      { stdio: 'ignore' },
    )
    await answering(port)
    return server
  }
  let server = await start()
  const kill = async () => {
    if (server.exitCode !== null || server.signalCode !== null) return
    server.kill('SIGKILL')
    await once(server, 'exit')
  }
  process.once('exit', () => server.kill('SIGKILL'))
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    kill,
    restart: async () => {
      await kill()
      server = await start()
    },
    pause: () => void server.kill('SIGSTOP'),
    resume: () => void server.kill('SIGCONT'),
    stop: async () => {
      await kill()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address !== null ? address.port : 0
}

async function answering(port: number): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const socket = connect(port, '127.0.0.1')
    const answer = new Promise<string>((resolve) => {
      socket.once('connect', () => socket.write('PING\r\n'))
      socket.once('data', (data) => resolve(String(data)))
      socket.once('error', () => resolve(''))
    })
    const said = await answer
    socket.destroy()
    if (said.startsWith('+PONG')) return
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
  throw new Error('The redis-server did not start.')
}
