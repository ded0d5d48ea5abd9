/* States: loading, empty, gone and back, too busy, damaged replies, two tabs. */
import { Daemon, STAMPS, until } from './daemon.mjs';
import { assert, assertEqual, lookAtState, shoot, test } from './harness.mjs';

test('a daemon that is killed and comes back', async ({ page }) => {
  const daemon = await new Daemon().start();
  try {
    await daemon.ask('PUT', '/v1/collections/stamps',
      { image_encoder: 'descriptor', text_encoder: 'ngrams' });
    await daemon.client('import', `${STAMPS}/food/fruit`, '--collection', 'stamps');
    const tab = await page({ daemon });
    await tab.open('#/search/stamps?text=a+fruit&target=text');
    await tab.locator('ul[aria-label=Hits] .tile').first().waitFor();
    await daemon.kill();
    await tab.getByRole('searchbox').fill('bread');
    await tab.locator('.banner', { hasText: 'The server does not answer.' }).waitFor();
    await tab.getByText('The page goes on by itself when it is back.').waitFor();
    await tab.waitForFunction(() => /Asking again/.test(
      document.querySelector('.banner').textContent));
    await lookAtState(tab, 'state-gone');
    await daemon.start();
    await tab.locator('ul[aria-label=Hits] .tile').first().waitFor();
    assertEqual(await tab.locator('.banner').count(), 0);
    assert(tab.url().includes('text=bread'), tab.url());
  } finally {
    await daemon.remove();
  }
}, { own: true });

test('an import goes on when the daemon is back', async ({ page }) => {
  const daemon = await new Daemon().start();
  try {
    await daemon.ask('PUT', '/v1/collections/many',
      { image_encoder: 'descriptor', text_encoder: 'ngrams' });
    const tab = await page({ daemon });
    await tab.open('#/add/many');
    await tab.locator('[data-test=folder]').setInputFiles(`${STAMPS}/animals`);
    const add = tab.getByRole('button', { name: /^Add \d+ items/ });
    await add.waitFor();
    const n = Number((await add.textContent()).match(/\d+/)[0]);
    assert(n > 150, `${n} items`);
    await add.click();
    await until('some are there', 20, async () =>
      (await daemon.ask('GET', '/v1/collections/many')).counts.items > 20);
    await daemon.kill();
    await tab.locator('.banner', { hasText: 'The server does not answer.' }).waitFor();
    await daemon.start();
    await tab.getByRole('heading', { name: `${n} items added` }).waitFor({ timeout: 60000 });
    assertEqual((await daemon.ask('GET', '/v1/collections/many')).counts.items, n);
  } finally {
    await daemon.remove();
  }
}, { own: true });

test('a server that is too busy is asked again when it said', async ({ page }) => {
  const tab = await page();
  let refused = 0;
  await tab.route('**/query', async (route) => {
    if (refused++ > 1) return route.continue();
    return route.fulfill({ status: 429, contentType: 'application/problem+json',
      headers: { 'Retry-After': '1' }, body: JSON.stringify({ type: 'x', title: 'Busy',
        status: 429, detail: 'the queue is full', code: 'too_busy' }) });
  });
  await tab.open('#/search/stamps?text=a+boat');
  await tab.getByText('The server is busy; the page waits and asks again.').waitFor();
  await shoot(tab, 'state-busy-1280-light');
  await tab.locator('ul[aria-label=Hits] .tile').first().waitFor();
  assertEqual(refused, 3);
  assertEqual(await tab.locator('.banner').count(), 0);
});

test('a failure has a face with a way on', async ({ page }) => {
  const tab = await page();
  let failing = true;
  await tab.route('**/query', (route) => (failing ? route.fulfill({ status: 500,
    contentType: 'application/problem+json', body: JSON.stringify({ type: 'x', title: 'Internal',
      status: 500, detail: 'a wheel came off', code: 'internal' }) }) : route.continue()));
  await tab.open('#/search/stamps?text=a+boat');
  await tab.getByRole('alert').getByText('a wheel came off').waitFor();
  await lookAtState(tab, 'state-failed');
  failing = false;
  await tab.getByRole('button', { name: 'Try again' }).click();
  await tab.locator('ul[aria-label=Hits] .tile').first().waitFor();
});

test('tiles hold the place of what is loading', async ({ page }) => {
  const tab = await page();
  let go;
  const held = new Promise((resolve) => {
    go = resolve;
  });
  await tab.route('**/query', async (route) => {
    await held;
    await route.continue();
  });
  await tab.open('#/search/stamps?text=a+boat');
  await tab.locator('.skeleton').first().waitFor();
  await lookAtState(tab, 'state-loading');
  const before = await tab.locator('.skeleton .pic').first().boundingBox();
  go();
  await tab.locator('ul[aria-label=Hits] .tile').first().waitFor();
  const after = await tab.locator('.tile .pic').first().boundingBox();
  const place = (box) => [box.x, box.y, box.width].map(Math.round);
  assertEqual(place(after), place(before), 'the first picture');
  const shift = await tab.evaluate(() => new Promise((resolve) => {
    let sum = 0;
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) sum += entry.hadRecentInput ? 0 : entry.value;
    }).observe({ type: 'layout-shift', buffered: true });
    requestAnimationFrame(() => requestAnimationFrame(() => resolve(sum)));
  }));
  assert(shift < 0.1, `layout shift of ${shift}`);
});

test('an empty collection, an untrained one, an unknown one', async ({ page, daemon }) => {
  await daemon.ask('PUT', '/v1/collections/empty', {});
  const tab = await page();
  await tab.open('#/search/empty');
  await tab.getByText('This collection is empty').waitFor();
  await lookAtState(tab, 'state-empty');
  await tab.open('#/train/empty');
  await tab.getByText('There is nothing to learn from yet').waitFor();
  await tab.open('#/compare/empty');
  await tab.getByText('There is no model to compare yet').waitFor();
  await tab.open('#/search/none');
  await tab.getByText('There is no such thing here').waitFor();
  await tab.open('#/search/stamps?text=x&model=identity&target=image');
  await tab.getByText('No model reaches that far yet').waitFor();
  await lookAtState(tab, 'state-no-model');
  await daemon.ask('DELETE', '/v1/collections/empty');
});

test('what fails beside what works is told in its place', async ({ page }) => {
  const tab = await page();
  let failing = true;
  await tab.route(/v1\/encoders$/, (route) => (failing ? route.fulfill({
    status: 500, contentType: 'application/problem+json', body: JSON.stringify({ type: 'x',
      title: 'Internal', status: 500, detail: 'a wheel came off', code: 'internal' }) })
    : route.continue()));
  await tab.open('#/operate');
  const encoders = tab.locator('section[aria-label=Encoders]');
  await encoders.getByText('a wheel came off').waitFor();
  await tab.locator('section[aria-label=Collections] tbody tr').first().waitFor();
  await encoders.scrollIntoViewIfNeeded();
  await lookAtState(tab, 'state-partly-failed');
  failing = false;
  await encoders.getByRole('button', { name: 'Try again' }).click();
  await encoders.locator('tbody tr').first().waitFor();
  assertEqual(await encoders.getByText('a wheel came off').count(), 0);
});

test('more hits that do not come leave those that are there, and a way on', async ({ page }) => {
  const tab = await page();
  let failing = true;
  await tab.route('**/query', (route) => (failing && route.request().postDataJSON().offset > 0
    ? route.fulfill({ status: 500, contentType: 'application/problem+json',
      body: JSON.stringify({ type: 'x', title: 'Internal', status: 500,
        detail: 'a wheel came off', code: 'internal' }) }) : route.continue()));
  await tab.open('#/search/stamps?text=a+boat');
  await tab.locator('ul[aria-label=Hits] .tile').first().waitFor();
  await tab.evaluate(() => scrollTo(0, document.body.scrollHeight));
  const end = tab.locator('.end');
  await end.getByText('a wheel came off').waitFor();
  await shoot(tab, 'state-more-failed-1280-light');
  const before = await tab.locator('ul[aria-label=Hits] .tile').count();
  assert(before >= 30, `${before} hits`);
  failing = false;
  await end.getByRole('button', { name: 'Try again' }).click();
  await until('more', 10, async () => await tab.locator('ul[aria-label=Hits] .tile').count()
    > before);
});

test('a script that does not come is asked for again', async ({ page, daemon }) => {
  const tab = await page();
  await tab.route(/\/ui\/docs\./, (route) => route.abort());
  await tab.goto(`${daemon.url}/docs`);
  await tab.getByText('A part of the page did not come.').waitFor();
  await tab.unroute(/\/ui\/docs\./);
  /* The page may have asked by itself meanwhile, as it does when the server comes back. */
  const again = tab.getByRole('button', { name: 'Try again' });
  const shown = tab.locator('#putItem');
  await again.or(shown).first().waitFor();
  if (await again.isVisible()) await again.click({ timeout: 2000 }).catch(() => {});
  await shown.waitFor();
});

test('two tabs: what one adds, the other finds', async ({ page, daemon }) => {
  await daemon.ask('PUT', '/v1/collections/shared',
    { image_encoder: 'descriptor', text_encoder: 'ngrams' });
  const one = await page();
  const two = await page({ context: one.context() });
  await one.open('#/add/shared');
  await two.open('#/search/shared');
  await two.getByText('This collection is empty').waitFor();
  await one.locator('[data-test=files]').setInputFiles(`${STAMPS}/plants/flowers/flower1.png`);
  await one.getByRole('button', { name: /^Add 1 item/ }).click();
  await one.getByRole('heading', { name: '1 item added' }).waitFor();
  await two.getByRole('searchbox').fill('flower1');
  await two.getByRole('button', { name: 'Clear the search' }).click();
  await two.reload();
  await two.locator('ul[aria-label=Items] .tile').waitFor();
  await daemon.ask('DELETE', '/v1/collections/shared');
});

