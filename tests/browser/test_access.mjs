/* By keyboard alone, and with reduced motion; what axe finds is in test_views.mjs. */
import { until } from './daemon.mjs';
import { assert, assertEqual, test } from './harness.mjs';

test('a search by keyboard alone', async ({ page }) => {
  const tab = await page();
  await tab.open('');
  await tab.locator('ul[aria-label=Items] .tile').first().waitFor();
  await tab.keyboard.press('Tab');
  assertEqual(await tab.evaluate(() => document.activeElement.textContent), 'Skip to the view');
  await tab.keyboard.press('Enter');
  assertEqual(await tab.evaluate(() => document.activeElement.id), 'view');
  await tab.keyboard.press('Tab');
  await tab.keyboard.type('a lion');
  await tab.keyboard.press('Enter');
  await tab.locator('ul[aria-label=Hits] .tile').first().waitFor();
  for (let i = 0; i < 20; i++) {
    await tab.keyboard.press('Tab');
    if (await tab.evaluate(() => document.activeElement.matches('.tile .open'))) break;
  }
  const outline = await tab.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
  assertEqual(outline, 'solid', 'the focus must be seen');
  await tab.keyboard.press('Enter');
  await tab.getByText('Pictures near it').waitFor();
  assertEqual(await tab.evaluate(() => document.activeElement.id), 'view');
  await tab.goBack();
  await tab.locator('ul[aria-label=Hits] .tile').first().waitFor();
});

test('what has the focus is not covered', async ({ page }) => {
  const tab = await page({ width: 360, height: 740 });
  await tab.open('#/search/stamps?text=a+cat');
  await tab.locator('ul[aria-label=Hits] .tile').nth(20).waitFor();
  const look = () => tab.evaluate(() => {
    const { activeElement: node } = document;
    const { x, y, width, height } = node.getBoundingClientRect();
    const there = document.elementFromPoint(x + width / 2, y + Math.min(height / 2, 20));
    return node.contains(there) || node.querySelector('input')?.contains(there)
      ? '' : `${node.outerHTML.slice(0, 90)} at ${Math.round(y)}`;
  });
  await tab.getByRole('searchbox').focus();
  for (const key of ['Tab', 'Shift+Tab']) {
    for (let i = 0; i < 30; i++) {
      await tab.keyboard.press(key);
      const visible = await tab.evaluate(() => document.activeElement.matches('.tile a'));
      if (visible) assertEqual(await look(), '', key);
    }
  }
});

test('menus open, choose and close by keys', async ({ page }) => {
  const tab = await page();
  await tab.open('#/search/stamps');
  const summary = tab.locator('details.menu summary').first();
  await summary.focus();
  await tab.keyboard.press('Enter');
  await tab.locator('.sheet').first().waitFor();
  await tab.keyboard.press('Escape');
  await until('it closes', 5, () => tab.evaluate(() => !document.querySelector('.menu[open]')));
  assert(await summary.evaluate((node) => node === document.activeElement), 'focus is lost');
});

test('nothing moves where motion is unwanted', async ({ page }) => {
  const tab = await page();
  await tab.open('#/search/stamps?text=a+cat');
  await tab.locator('ul[aria-label=Hits] .tile').first().waitFor();
  assertEqual(await tab.evaluate(() => document.getAnimations().length), 0);
});
