import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { vectorSaveCampaign } from '../campaigns/vector-save-campaign.js'

it('loses no saved vectors in sixty kills', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'ufrag-save-'))
  try {
    const { saves, kept } = await vectorSaveCampaign({ directory, seed: 21, kills: 60 })
    console.log({ saves, kept })
    expect(saves).toBeGreaterThan(60)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
})
