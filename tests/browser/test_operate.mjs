/* Operating: the server in figures, deleting a collection, the page of the API. */
import fs from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { until } from './daemon.mjs';
import { assert, assertEqual, checkAccess, test } from './harness.mjs';

const CLIP = fileURLToPath(new URL('../golden/clip', import.meta.url));

test('the server in figures', async ({ page, daemon }) => {
  const info = await daemon.ask('GET', '/v1/info');
  const tab = await page();
  await tab.open('#/operate');
  await tab.locator('.stats').waitFor();
  const stats = await tab.locator('.stats').textContent();
  assert(stats.includes(info.version) && /\d MiB/.test(stats), stats);
  const encoders = tab.locator('section[aria-label=Encoders]');
  await encoders.getByText('descriptor', { exact: true }).waitFor();
  const { jobs } = await daemon.ask('GET', '/v1/jobs?limit=30');
  await until('the jobs', 5, async () =>
    await tab.locator('section[aria-label=Jobs] tbody tr').count() === jobs.length);
  assert(await tab.getByText('getPage').count() > 0, 'no operations');
});

test('a collection is deleted only by its name', async ({ page, daemon }) => {
  await daemon.ask('PUT', '/v1/collections/gone-soon', {});
  const tab = await page();
  await tab.open('#/operate');
  await tab.getByRole('button', { name: 'Delete gone-soon' }).click();
  const form = tab.locator('form', { hasText: 'gone-soon' });
  assert(await form.getByRole('button', { name: 'Delete' }).isDisabled(), 'it can be deleted');
  await form.getByRole('textbox').fill('gone-soon');
  await form.getByRole('button', { name: 'Delete' }).click();
  await tab.getByText('gone-soon was deleted.').waitFor();
  assertEqual((await fetch(`${daemon.url}/v1/collections/gone-soon`)).status, 404);
});

/* This server has neither; the page asks, and shows them where one has. */
test('snapshots and keys are shown where there are some', async ({ page }) => {
  const tab = await page();
  const rows = { snapshots: [{ id: 's_1', created_at: '2026-01-02T03:04:05Z', bytes: 4711 }],
    keys: [] };
  for (const [name, list] of Object.entries(rows)) {
    await tab.route(`**/v1/${name}`, (route) => route.fulfill({ json: { [name]: list } }));
  }
  await tab.open('#/operate');
  const snapshots = tab.locator('section[aria-label=Snapshots]');
  await snapshots.waitFor();
  assertEqual(await snapshots.locator('tbody td').allTextContents(),
    ['s_1', '2026-01-02T03:04:05Z', '4711']);
  await tab.locator('section[aria-label=Keys]').getByText('There are none.').waitFor();
  await tab.unroute('**/v1/snapshots');
  await tab.reload();
  await tab.locator('section[aria-label=Keys]').waitFor();
  assertEqual(await snapshots.count(), 0);
});

test('an encoder is added from its folder, and removed', async ({ page, daemon }) => {
  const tab = await page();
  await tab.open('#/operate');
  const section = tab.locator('section[aria-label=Encoders]');
  const chooser = section.locator('[data-test=encoder]');
  await chooser.setInputFiles(fileURLToPath(new URL('.', import.meta.url)));
  await section.getByText('There is no config.json in that folder.').waitFor();
  await chooser.setInputFiles(CLIP);
  const row = section.locator('tbody tr', { has: tab.getByText('clip', { exact: true }) });
  await row.waitFor();
  assert((await row.textContent()).includes('pictures and texts'), await row.textContent());
  const { encoders } = await daemon.ask('GET', '/v1/encoders');
  assertEqual(encoders.filter((one) => one.removable).map((one) => one.name), ['clip']);
  assertEqual(await section.getByText('There is no config.json').count(), 0);
  await daemon.ask('PUT', '/v1/collections/clips', { image_encoder: 'clip', text_encoder: 'clip' });
  await tab.reload();
  const remove = tab.getByRole('button', { name: 'Remove clip' });
  assert(await remove.isDisabled(), 'it is in use');
  await checkAccess(tab, 'encoders');
  await daemon.ask('DELETE', '/v1/collections/clips');
  await tab.reload();
  await remove.click();
  await tab.getByText('clip was removed.').waitFor();
  await until('it is gone', 5, async () => await row.count() === 0);
});

test('an encoder that is broken says what of it', async ({ page, daemon }) => {
  const folder = path.join(daemon.folder, 'broken');
  await fs.cp(CLIP, folder, { recursive: true });
  await fs.writeFile(path.join(folder, 'config.json'), '{"model_type": "clip"}');
  const tab = await page();
  await tab.open('#/operate');
  await tab.locator('[data-test=encoder]').setInputFiles(folder);
  const alert = tab.locator('section[aria-label=Encoders]').getByRole('alert');
  await alert.waitFor();
  assert(/config\.json/.test(await alert.textContent()), await alert.textContent());
});

test('the page of the API shows every operation of the contract', async ({ page, daemon }) => {
  const text = await (await fetch(`${daemon.url}/openapi.yaml`)).text();
  const tab = await page();
  await tab.goto(`${daemon.url}/docs`);
  await tab.locator('#putItem').waitFor();
  for (const [, id] of text.matchAll(/operationId: (\w+)/g)) {
    assertEqual(await tab.locator(`#${id}`).count(), 1, id);
  }
  await tab.locator('#query summary').click();
  const example = await tab.locator('#query pre').textContent();
  assert(example.includes(`${daemon.url}/v1/collections/stamps/query`), example);
  await tab.getByRole('searchbox', { name: 'Find an operation' }).fill('facets');
  await until('one', 5, async () => await tab.locator('.operation').count() === 1);
});
