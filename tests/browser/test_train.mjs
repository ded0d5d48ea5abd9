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

test('"auto" is chosen by its card and watched to its end; what it tried is listed',
  async ({ page, daemon }) => {
    const tab = await page();
    await tab.open('#/train/tiny');
    await tab.locator('.method input[value=auto]').check();
    await tab.getByLabel('time', { exact: true }).fill('3');
    await tab.getByLabel('aim', { exact: true }).selectOption('class');
    await tab.getByRole('combobox', { name: 'Use it' }).selectOption('always');
    await tab.getByRole('button', { name: 'Train', exact: true }).click();
    await tab.getByText(/^j_\d+ has begun\.$/).waitFor();
    const run = tab.locator('.run').first();
    const stages = new Set();
    await until('it is over', 60, async () => {
      stages.add(await run.locator('.what').textContent());
      return await run.locator('.tried').count() === 1;
    });
    assert(stages.size > 2, `stages: ${[...stages].join('; ')}`);
    const { jobs: [job] } = await daemon.ask('GET', '/v1/jobs?collection=tiny&limit=1');
    assertEqual([job.kind, job.state, job.request.budget_s], ['auto', 'done', 3]);
    assert((await run.textContent()).includes(`${job.result.model} became active`), 'the outcome');
    await run.locator('.tried summary').click();
    const rows = await run.locator('.tried tbody th').allTextContents();
    assertEqual(rows, job.result.table.map((row) => `${row.method} ${row.id}`));
    await run.getByText('Left out:').waitFor();
    await checkAccess(tab, 'what auto tried');
    await shoot(tab, 'auto-1280-light');
    await tab.getByRole('link', { name: 'Compare the models' }).click();
    await tab.locator('.models-table .is-active', { hasText: job.result.model }).waitFor();
  });

test('two trainings that are over lie over each other', async ({ page, daemon }) => {
  const short = (seed) => daemon.ask('POST', '/v1/collections/tiny/trainings', { method: 'acmr',
    params: { epochs: 5 }, activate: 'never', seed });
  const jobs = [await short(1), await short(2)];
  const tab = await page();
  await tab.open('#/train/tiny');
  for (const { id } of jobs) {
    await tab.locator('.run.done', { hasText: `${id} ` }).waitFor();
    await tab.getByRole('checkbox', { name: `Curve of ${id}`, exact: true }).check();
  }
  const chart = tab.locator('.chart');
  await until('both curves', 10, async () => {
    const told = await chart.getAttribute('aria-label');
    return jobs.every(({ id }) =>
      new RegExp(`${id} from [\\d.−]+ to\\s+[\\d.−]+ at step`).test(told));
  });
  const names = await tab.locator('.segments.curves span').allTextContents();
  assert(names.length > 1, 'one curve only');
  await tab.getByRole('radio', { name: names[1], exact: true }).check({ force: true });
  await until('the other curve', 5, async () =>
    (await chart.getAttribute('aria-label')).startsWith(`${names[1]}: `));
  await until('it is drawn', 10, () => chart.locator('canvas').evaluate((canvas) => {
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    return data.some((value) => value !== 0);
  }));
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
