/*
 * Every view at three widths in both schemes: held to WCAG AA by axe, no wider than its window, and
 * left as a picture to be looked at; four of them are the README's.
 */
import { fileURLToPath } from 'node:url';
import path from 'node:path';
import { ARTEFACTS, assert, checkAccess, shoot, test } from './harness.mjs';
import { VIEWS } from './views.mjs';

/* axe looks where something is new to it: both schemes at one width, the narrow page once. The
 * widest pictures are taken at half their size. */
const SIZES = [{ width: 360, height: 740, axe: ['light'] },
  { width: 1280, height: 800, axe: ['dark', 'light'] },
  { width: 2560, height: 1300, axe: [], scale: 0.5 }];
const README = ['search', 'item', 'train', 'compare'];
const DOCS = fileURLToPath(new URL('../../docs', import.meta.url));

for (const { width, height, axe, scale } of SIZES) {
  test(`every view at ${width} pixels`, async (context) => {
    const tab = await context.page({ width, height, scale });
    for (const view of VIEWS) {
      await view.open(tab, context);
      const wide = await tab.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert(wide <= 0, `${view.name} is ${wide} pixels too wide`);
      for (const scheme of ['dark', 'light']) {
        await tab.emulateMedia({ colorScheme: scheme });
        if (axe.includes(scheme)) await checkAccess(tab, `${view.name}, ${scheme}`);
        await shoot(tab, `${view.name}-${width}-${scheme}`);
      }
    }
  });
}

test('pictures for the README', async (context) => {
  const tab = await context.page({ width: 1280, height: 800, scale: 0.75 });
  const folder = process.env.ISTHMUS_README === '1' ? DOCS : ARTEFACTS;
  for (const name of README) {
    const view = VIEWS.find((one) => one.name === name);
    await view.open(tab, context);
    await tab.mouse.move(0, 0);
    await tab.screenshot({ path: path.join(folder, `${name}.png`) });
  }
});
