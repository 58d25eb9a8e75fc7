import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { killCampaign } from '../campaigns/store-campaign.js'

it('loses nothing acknowledged and shows nothing half in fifty kills', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'ufrag-kill-'))
  try {
    const { acknowledged, doneUnacknowledged, openMs } = await killCampaign({ directory, seed: 11, kills: 50 })
    console.log({ acknowledged, doneUnacknowledged, slowestOpenMs: Math.max(...openMs) })
    expect(acknowledged).toBeGreaterThan(1000)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
})
