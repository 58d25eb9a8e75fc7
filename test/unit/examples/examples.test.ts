import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { startRedis } from '../../lib/redis-server.js'
import { inSoak } from '../../lib/soak.js'

const run = promisify(execFile)

/** What an example prints. */
async function printed(name: string, ...options: string[]): Promise<string> {
  const path = fileURLToPath(new URL(`../../../examples/${name}.ts`, import.meta.url))
  const { stdout } = await run(process.execPath, ['--import', 'tsx', path, ...options], { timeout: 25_000 })
  return stdout
}

describe('examples', () => {
  it.concurrent('a LangChain chain answers from documents', async () => {
    expect(await printed('langchain-retriever')).toContain(
      'A: (tea.md) Green tea is brewed with water of 75 degrees. [1]',
    )
  })

  it.concurrent('a model of the AI SDK looks something up', async () => {
    const text = await printed('ai-sdk-tool')
    expect(text).toContain('the model asks: {"query":"How hot is the water for green tea?"}')
    expect(text).toContain('[1] Tea (tea.md)')
    expect(text).toContain('Green tea is brewed with water of 75 degrees.')
  })

  it.concurrent('an MCP client starts ufrag, and asks it', async () => {
    const text = await printed('mcp-client')
    expect(text).toContain('ultrafast-rag offers search, answer, list_documents')
    expect(text).toContain('1/5 Searching the documents')
    expect(text).toContain('A: Green tea is brewed with water of 75 degrees. [1]\n   [1] tea.md')
  })

  it.concurrent('a model of the AI SDK answers, and sentences are quoted where it is down', async () => {
    const [, written, , , quoted] = (await printed('ai-sdk-answer')).split('\n')
    expect(written).toBe('A: It takes water of 75 degrees [1].')
    expect(quoted).toBe('A: Green tea is brewed with water of 75 degrees. [1]')
  })

  it.concurrent('a conversation is understood with what was said before', async () => {
    const text = await printed('chat')
    expect(text).toContain('The Eiffel Tower is 330 metres tall. [1]')
    expect(text).toContain('understood as: When was it built? (Eiffel Tower)')
    expect(text).toMatch(/Q: When was it built\?\nA: It was built in 1889/)
    expect(text).toContain('96 metres tall')
    expect(text).toContain('its bell weighs 13.7 tonnes')
    expect(text).toContain('4 questions are remembered')
  })

  it.concurrent('an answer is streamed over http, and from a Hono app as events and as messages of the AI SDK', async () => {
    const [http, hono] = await Promise.all([printed('http-chat'), printed('hono-chat')])
    expect([...new Set(http.match(/^event: (?:sources|citation|metadata)$/gm))]).toEqual([
      'event: sources',
      'event: citation',
      'event: metadata',
    ])
    for (const text of [http, hono]) expect(text).toContain('Phobos and Deimos. [1]')
    expect(hono).toMatch(/"type":"text-delta"[\s\S]*"type":"finish"[\s\S]*data: \[DONE\]/)
  })

  it('a folder is kept in step', async () => {
    const text = await printed('sync-folder')
    expect(text).toContain('Two notes: 2 stored, 0 unchanged, 0 removed')
    expect(text).toContain('One changed, one gone: 1 stored, 0 unchanged, 1 removed')
    expect(text).toContain('the index holds cocoa.md and green-tea.md')
    expect(text).toContain('75 degrees')
  })

  inSoak('what one process computes another finds on Redis', async (test) => {
    const redis = await startRedis()
    if (redis === undefined) return test.skip('there is no redis-server')
    try {
      const [first = '', second = ''] = (await printed('shared-cache', redis.url)).split('The second process:')
      expect(first).toMatch(/embedder called [1-9]\d*, model 4 times/)
      expect(second).toContain('embedder called 0, model 0 times')
    } finally {
      await redis.stop()
    }
  })

  inSoak('an ingest that is killed goes on where it was', async () => {
    const lines = (await printed('resumable-ingest', '150')).trim().split('\n')
    const [, , second, third] = lines.map((line) => line.match(/\d+/g)?.map(Number) ?? [])
    expect(lines[1]).toContain('killed by SIGKILL')
    expect((second?.[0] ?? 0) + (second?.[1] ?? 0)).toBe(150)
    expect(second?.[1]).toBeGreaterThan(0)
    expect(second?.[2]).toBe(150)
    expect(third).toEqual([0, 150, 150])
  })
})
