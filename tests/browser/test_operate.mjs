/* Operating: the server in figures, deleting a collection, the page of the API. */
import { until } from './daemon.mjs';
import { assert, assertEqual, test } from './harness.mjs';

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
