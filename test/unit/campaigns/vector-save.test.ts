import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { vectorSaveCampaign } from '../../campaigns/vector-save-campaign.js'

it('loses no saved vectors when a process is killed that saves them', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'ufrag-save-'))
  try {
    const { saves, kept } = await vectorSaveCampaign({ directory, seed: 3, kills: 3 })
    expect(saves).toBeGreaterThan(0)
    expect(kept).toBeGreaterThan(0)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
})
