/* Comparing: the table, significance, the queries on which two differ, activating, going back. */
import { until } from './daemon.mjs';
import { assert, assertEqual, test } from './harness.mjs';

const row = (page, id) => page.locator('.models-table tbody tr', { hasText: id });

test('all models with both directions and intervals', async ({ page, models, daemon }) => {
  const tab = await page();
  await tab.open('#/compare/stamps');
  await row(tab, models[0]).waitFor();
  const { report } = await daemon.ask('GET', `/v1/collections/stamps/models/${models[0]}`);
  const texts = await row(tab, models[0]).locator('.interval .value').allTextContents();
  assertEqual(texts, [report.image_to_text, report.text_to_image]
    .map((one) => one.map_all.value.toFixed(3)));
  assert(/95 % interval/.test(await row(tab, models[0]).locator('svg').first()
    .getAttribute('aria-label')), 'no interval');
  await tab.getByRole('radio', { name: 'R@10' }).check({ force: true });
  assertEqual(await row(tab, models[0]).locator('.interval .value').first().textContent(),
    report.image_to_text.r_10.value.toFixed(3));
});

test('differences are tested, and shown as the queries on which two models differ',
  async ({ page, models }) => {
    const tab = await page();
    await tab.open('#/compare/stamps');
    await tab.getByRole('button', { name: 'Test the differences' }).click();
    await tab.locator('.models-table').getByText('best', { exact: true }).waitFor();
    for (const id of models) await tab.getByRole('checkbox', { name: `Choose ${id}` }).check();
    await until('the address', 5, () => tab.url().includes('models='));
    await tab.locator('.apart').nth(3).waitFor();
    const answers = tab.locator('.apart').first().locator('.answers');
    await answers.nth(1).locator('li').nth(3).waitFor();
    assertEqual(await answers.count(), 2, 'each model has its answers');
    await until('pictures', 10, () => answers.first().locator('img').first()
      .evaluate((img) => img.naturalWidth > 0));
    assert(await tab.locator('.answers li.match').count() > 4, 'no answer is marked as a match');
    await tab.locator('.apart a').first().click();
    await until('side by side', 10, async () => await tab.locator('.sides .grid').count() === 2);
  });

test('activating and rolling back', async ({ page, models, daemon }) => {
  const active = async () => (await daemon.ask('GET', '/v1/collections/stamps')).active_model;
  const tab = await page();
  await tab.open('#/compare/stamps');
  await tab.getByRole('button', { name: `Activate ${models[1]}` }).click();
  await row(tab, models[1]).getByText('active', { exact: true }).waitFor();
  assertEqual(await active(), models[1]);
  await tab.getByRole('button', { name: 'Roll back' }).click();
  await row(tab, models[0]).getByText('active', { exact: true }).waitFor();
  assertEqual(await active(), models[0]);
});
