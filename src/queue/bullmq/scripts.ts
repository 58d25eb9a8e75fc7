/** What is used of a client of BullMQ to run scripts. */
export interface ScriptClient {
  defineCommand(name: string, definition: { numberOfKeys: number; lua: string }): void
  runCommand(name: string, parameters: (string | number)[]): Promise<unknown>
}

/** Milliseconds that marks of documents and of cancelled jobs are kept: far longer than a job waits. */
export const marksMs = 30 * 86_400_000

/** Where our own facts lie, beside the keys of BullMQ: `base` is `PREFIX:NAME:`. */
export function keysOf(base: string, { id, document }: { readonly id: string; readonly document: string }) {
  return {
    /** The id of the job with the document's newest content; ` *` after it once that has begun. */
    latest: `${base}x:latest:${document}`,
    /** `ID TOKEN` of the job that ingests the document now; expires when nobody renews it. */
    running: `${base}x:running:${document}`,
    /** There while the job is to be cancelled, and for a while after. */
    cancelled: `${base}x:cancelled:${id}`,
    /** The storage that the jobs are written to; expires when nobody renews it. */
    target: `${base}x:target`,
  }
}

/**
 * Whether a newer content of the document was enqueued. One that was only about to be (who did it died) is none: its job is not there,
 * and has not begun.
 */
const isOld = `
      local function isOld(latest, base, id)
        local newest = redis.call('GET', latest)
        if not newest or string.match(newest, '^%S+') == id then return false end
        return string.sub(newest, -1) == '*' or redis.call('EXISTS', base .. newest) == 1
      end`

/** Each runs in one piece on the server, so that two processes cannot come between two lines of it. */
const scripts = {
  /**
   * Names a job before it is added: `{ id, state }` with `'full'`, `'over'` (there is one that is over, to be removed first) or `'free'`.
   * From here on its content is the document's newest. For content that is not known, the other id is taken while a job with the first runs.
   */
  claim: {
    keys: 5,
    lua: `
      local latest, running, wait, prioritized, delayed = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
      local base, id, other, maxWaiting, keepMs = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
      if other ~= '' then
        if other < id then id, other = other, id end
        local run = redis.call('GET', running)
        if run and string.sub(run, 1, #id + 1) == id .. ' ' then id = other end
      end
      local there = redis.call('EXISTS', base .. id) == 1
      local over = there and redis.call('HEXISTS', base .. id, 'finishedOn') == 1
      if not there or over then
        local waiting = redis.call('LLEN', wait) + redis.call('ZCARD', prioritized) + redis.call('ZCARD', delayed)
        if waiting >= maxWaiting then return {id, 'full'} end
      end
      local newest = redis.call('GET', latest)
      if newest ~= id .. ' *' then redis.call('SET', latest, id, 'PX', keepMs) end
      redis.call('DEL', base .. 'x:cancelled:' .. id)
      return {id, over and 'over' or 'free'}`,
  },
  /** Whether a job may run now: `'go'`, `'busy'`, `'superseded'`, `'cancelled'` or `'foreign'`. */
  begin: {
    keys: 4,
    lua: `${isOld}
      local latest, running, cancelled, target = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
      local base, id, token, lockMs, own, keepMs = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
      local known = redis.call('GET', target)
      if known and known ~= own then return 'foreign' end
      redis.call('SET', target, own, 'PX', 2 * lockMs)
      if redis.call('EXISTS', cancelled) == 1 then return 'cancelled' end
      if isOld(latest, base, id) then return 'superseded' end
      local run = redis.call('GET', running)
      if run and string.sub(run, 1, #id + 1) ~= id .. ' ' then return 'busy' end
      redis.call('SET', latest, id .. ' *', 'PX', keepMs)
      redis.call('SET', running, id .. ' ' .. token, 'PX', lockMs)
      return 'go'`,
  },
  /** 1 when a newer content of the document was enqueued. */
  old: {
    keys: 1,
    lua: `${isOld}
      return isOld(KEYS[1], ARGV[1], ARGV[2]) and 1 or 0`,
  },
  /**
   * A sign of life of a job that runs: `'go'`, `'cancelled'`, or `'lost'` when its lock is not ours any more. A job that the server has
   * forgotten altogether goes on: it can only be of use.
   */
  beat: {
    keys: 3,
    lua: `
      local running, cancelled, target = KEYS[1], KEYS[2], KEYS[3]
      local base, id, token, lockMs, own = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
      if redis.call('EXISTS', cancelled) == 1 then return 'cancelled' end
      if redis.call('EXISTS', base .. id) == 0 then return 'go' end
      if redis.call('GET', base .. id .. ':lock') ~= token then return 'lost' end
      redis.call('SET', running, id .. ' ' .. token, 'PX', lockMs)
      redis.call('SET', target, own, 'PX', 2 * lockMs)
      return 'go'`,
  },
  /** The document is free for another job. */
  release: {
    keys: 1,
    lua: `
      if redis.call('GET', KEYS[1]) == ARGV[1] .. ' ' .. ARGV[2] then redis.call('DEL', KEYS[1]) end
      return 1`,
  },
  /** Marks a job as cancelled, unless it is over or unknown (0). An older content that is being ingested is the newest again. */
  cancel: {
    keys: 3,
    lua: `
      local latest, running, cancelled = KEYS[1], KEYS[2], KEYS[3]
      local base, id, keepMs = ARGV[1], ARGV[2], ARGV[3]
      if redis.call('EXISTS', base .. id) == 0 or redis.call('HEXISTS', base .. id, 'finishedOn') == 1 then return 0 end
      redis.call('SET', cancelled, '1', 'PX', keepMs)
      local newest = redis.call('GET', latest)
      if not newest or string.match(newest, '^%S+') ~= id then return 1 end
      local run = redis.call('GET', running)
      local other = run and string.match(run, '^%S+')
      if other and other ~= id then redis.call('SET', latest, other .. ' *', 'PX', keepMs) else redis.call('DEL', latest) end
      return 1`,
  },
  /** Removes a job that ended as it was cancelled; 0 when it is wanted again meanwhile. */
  forget: {
    keys: 2,
    lua: `
      local cancelled, failed = KEYS[1], KEYS[2]
      local base, id = ARGV[1], ARGV[2]
      if redis.call('EXISTS', cancelled) == 0 then return 0 end
      redis.call('ZREM', failed, id)
      redis.call('DEL', base .. id, base .. id .. ':logs')
      return 1`,
  },
} as const satisfies Record<string, { readonly keys: number; readonly lua: string }>

type ScriptName = keyof typeof scripts

const defined = new WeakSet<ScriptClient>()

/** Runs one of the scripts: its keys, then its parameters. */
export async function runScript(
  client: ScriptClient,
  name: ScriptName,
  keys: readonly string[],
  parameters: readonly (string | number)[],
): Promise<unknown> {
  if (!defined.has(client)) {
    for (const [own, { keys: numberOfKeys, lua }] of Object.entries(scripts))
      client.defineCommand(commandName(own), { numberOfKeys, lua })
    defined.add(client)
  }
  return client.runCommand(commandName(name), [...keys, ...parameters])
}

/** Of our own, for a client may have commands of that name already. */
function commandName(name: string): string {
  return `ufrag-${name}`
}
