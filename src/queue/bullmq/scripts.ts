import { type Payload, placeOf } from './payload.js'

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
    /** `ID PLACE` of the job with the document's newest content, which may be about to be added. */
    latest: `${base}x:latest:${document}`,
    /** The place of the document's last job that has begun. */
    begun: `${base}x:begun:${document}`,
    /** `ID TOKEN` of the job that ingests the document now; expires when nobody renews it. */
    running: `${base}x:running:${document}`,
    /** There while the job is to be cancelled, and for a while after. */
    cancelled: `${base}x:cancelled:${id}`,
    /** The storage that the jobs are written to; expires when nobody renews it. */
    target: `${base}x:target`,
  }
}

/** Fields of ours in the hash that BullMQ keeps for a job. */
const fields = {
  /** The place of a job that was enqueued again while it was there; otherwise its payload tells it. */
  place: 'x:place',
  /** There once it was decided that the job does nothing: it is as good as over. */
  superseded: 'x:superseded',
}

/**
 * Whether a newer content of the document was enqueued. Jobs have places in the order in which they were announced. One that is announced
 * and not there (who enqueued it died, or is about to add it) makes no other old, nor one that is being cancelled.
 */
const oldness = `
      local function isOld(latest, begun, base, id, place)
        local own = math.max(tonumber(place), tonumber(redis.call('HGET', base .. id, '${fields.place}') or '0'))
        local old = tonumber(redis.call('GET', begun) or '0') > own
        local newest = redis.call('GET', latest)
        if newest and not old then
          local other, otherPlace = string.match(newest, '^(%S+) (%d+)$')
          old = other ~= id and tonumber(otherPlace) > own and redis.call('EXISTS', base .. other) == 1
            and redis.call('EXISTS', base .. 'x:cancelled:' .. other) == 0
        end
        if old and redis.call('EXISTS', base .. id) == 1 then redis.call('HSET', base .. id, '${fields.superseded}', '1') end
        return old, own
      end`

/** Each runs in one piece on the server, so that two processes cannot come between two lines of it. */
const scripts = {
  /**
   * Names a job before it is added: `{ id, state, place }` with `'full'`, `'ending'` (there is one that does nothing, and is about to be
   * over), `'over'` (there is one that is over, to be removed first) or `'free'`. Unless it is full or ending, its content is the document's
   * newest from here on. For content that is not known, the other id is taken while a job with the first runs.
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
      if there and not over and redis.call('HEXISTS', base .. id, '${fields.superseded}') == 1 then
        return {id, 'ending', 0}
      end
      if not there or over then
        local waiting = redis.call('LLEN', wait) + redis.call('ZCARD', prioritized) + redis.call('ZCARD', delayed)
        if waiting >= maxWaiting then return {id, 'full', 0} end
      end
      local place = redis.call('INCR', base .. 'x:places')
      redis.call('SET', latest, id .. ' ' .. place, 'PX', keepMs)
      if there and not over then redis.call('HSET', base .. id, '${fields.place}', place) end
      redis.call('DEL', base .. 'x:cancelled:' .. id)
      return {id, over and 'over' or 'free', place}`,
  },
  /** Whether a job may run now: `'go'`, `'busy'`, `'superseded'`, `'cancelled'` or `'foreign'`. */
  begin: {
    keys: 5,
    lua: `${oldness}
      local latest, begun, running, cancelled, target = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
      local base, id, place, token, lockMs, own, keepMs = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7]
      local known = redis.call('GET', target)
      if known and known ~= own then return 'foreign' end
      redis.call('SET', target, own, 'PX', 2 * lockMs)
      if redis.call('EXISTS', cancelled) == 1 then return 'cancelled' end
      local old, ownPlace = isOld(latest, begun, base, id, place)
      if old then return 'superseded' end
      local run = redis.call('GET', running)
      if run and string.sub(run, 1, #id + 1) ~= id .. ' ' then return 'busy' end
      redis.call('SET', begun, ownPlace, 'PX', keepMs)
      redis.call('HDEL', base .. id, '${fields.superseded}')
      redis.call('SET', running, id .. ' ' .. token, 'PX', lockMs)
      return 'go'`,
  },
  /** 1 when a newer content of the document was enqueued. */
  old: {
    keys: 2,
    lua: `${oldness}
      return isOld(KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3]) and 1 or 0`,
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
  /** Marks a job as cancelled, unless it is over or unknown (0). */
  cancel: {
    keys: 1,
    lua: `
      local base, id, keepMs = ARGV[1], ARGV[2], ARGV[3]
      if redis.call('EXISTS', base .. id) == 0 or redis.call('HEXISTS', base .. id, 'finishedOn') == 1 then return 0 end
      redis.call('SET', KEYS[1], '1', 'PX', keepMs)
      return 1`,
  },
  /** Removes a job that ended as it was cancelled (-1); its place, 0 for that of its payload, when it is wanted again meanwhile. */
  forget: {
    keys: 2,
    lua: `
      local cancelled, failed = KEYS[1], KEYS[2]
      local base, id = ARGV[1], ARGV[2]
      if redis.call('EXISTS', cancelled) == 0 then
        return tonumber(redis.call('HGET', base .. id, '${fields.place}') or '0')
      end
      redis.call('ZREM', failed, id)
      redis.call('DEL', base .. id, base .. id .. ':logs')
      return -1`,
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

/** Whether a newer content of the job's document was enqueued: then the job is as good as over. */
export async function isOld(client: ScriptClient, base: string, { data, id = '' }: AnyJob): Promise<boolean> {
  const { begun, latest } = keysOf(base, { id, document: data.document })
  return (await runScript(client, 'old', [latest, begun], [base, id, placeOf(data)])) === 1
}

interface AnyJob {
  readonly id?: string | undefined
  readonly data: Payload
}

/** Of our own, for a client may have commands of that name already. */
function commandName(name: string): string {
  return `ufrag-${name}`
}
