/* Training: cards, the form, live curves, cancelling, several runs in one picture, two tabs. */
import { until } from './daemon.mjs';
import { assert, assertEqual, checkAccess, shoot, test } from './harness.mjs';

test('the form is made from the table of parameters', async ({ page, daemon }) => {
  const { methods } = await daemon.ask('GET', '/v1/methods');
  const tab = await page();
  await tab.open('#/train/stamps');
  await tab.locator('.method').first().waitFor();
  assertEqual(await tab.locator('.method').count(), methods.length + 1, 'cards');
  for (const method of methods) {
    const card = tab.locator('.method', { has: tab.locator(`input[value="${method.name}"]`) });
    await card.locator('input').check();
    assert((await card.textContent()).includes(method.about), method.name);
    await tab.locator('.start summary').click();
    assertEqual(await tab.locator('.params .field').count(), method.params.length, method.name);
    await tab.locator('.start summary').click();
  }
  const acmr = tab.locator('.method', { has: tab.locator('input[value=acmr]') });
  assert(/labels: \d+ of \d+ items/.test(await acmr.textContent()), 'what it needs');
});

test('a training is begun, watched and cancelled; runs lie over each other',
  async ({ page, daemon }) => {
    const tab = await page();
    const other = await page();
    await tab.open('#/train/stamps');
    await tab.locator('.method input[value=acmr]').check();
    await tab.locator('.start summary').click();
    await tab.getByLabel('epochs', { exact: true }).fill('3000');
    await tab.getByRole('combobox', { name: 'Use it' }).selectOption('never');
    await tab.getByRole('button', { name: 'Train', exact: true }).click();
    const run = tab.locator('.run.running');
    await run.waitFor();
    await until('a stage', 20, async () => /epoch \d+ of 3000/.test(await run.textContent()));
    await until('the time left', 20, async () => / left/.test(await run.textContent()));
    const chart = tab.locator('.chart');
    const told = () => chart.getAttribute('aria-label');
    await until('a curve', 20, async () => /step \d/.test(await told()));
    await checkAccess(tab, 'a training');
    await shoot(tab, 'training-1280-light');
    const first = await told();
    await until('the curve grows', 20, async () => await told() !== first);
    await other.open('#/train/stamps');
    await other.locator('.run.running').waitFor();
    const id = (await run.locator('b').textContent()).trim();
    await run.getByRole('button', { name: 'Cancel' }).click();
    for (const one of [tab, other]) {
      await one.locator('.run.cancelled', { hasText: id }).waitFor();
    }
    assertEqual((await daemon.ask('GET', `/v1/jobs/${id}`)).state, 'cancelled');
    await tab.getByRole('checkbox', { name: 'Curve of j_1' }).check();
    await tab.getByRole('checkbox', { name: `Curve of ${id}` }).check();
    const label = await told();
    assert(label.includes('j_1') && label.includes(id), label);
  });

test('a value that the server refuses is shown where it is wrong', async ({ page }) => {
  const tab = await page();
  await tab.open('#/train/stamps');
  await tab.locator('.method input[value=acmr]').check();
  await tab.locator('.start summary').click();
  await tab.getByLabel('epochs', { exact: true }).evaluate((input) => {
    input.removeAttribute('max');
    input.removeAttribute('min');
  });
  await tab.getByLabel('epochs', { exact: true }).fill('-3');
  await tab.getByRole('button', { name: 'Train', exact: true }).click();
  await tab.getByText('/params/epochs').waitFor();
});
