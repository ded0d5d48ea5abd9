/*
 * Every view at three widths in both schemes: held to WCAG AA by axe, no wider than its window, and
 * left as a picture to be looked at; four of them are the README's.
 */
import { fileURLToPath } from 'node:url';
import path from 'node:path';
import { ARTEFACTS, assert, checkAccess, resize, SIZES, snap, test } from './harness.mjs';
import { loaded, VIEWS } from './views.mjs';

/* Each is opened once and then resized, as people turn their tablets; axe looks where something is
 * new to it. */
const AXE = { 1280: { dark: 'contrast', light: 'all' }, 360: { light: 'form' }, 2560: {} };
const README = ['search', 'item', 'train', 'compare'];
const DOCS = fileURLToPath(new URL('../../docs', import.meta.url));

async function lookAt(tab, view, size) {
  await resize(tab, size);
  await loaded(tab);
  const wide = await tab.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert(wide <= 0, `${view.name} is ${wide} pixels too wide for ${size.width}`);
  for (const scheme of ['dark', 'light']) {
    await tab.emulateMedia({ colorScheme: scheme });
    const axe = AXE[size.width][scheme];
    if (axe) await checkAccess(tab, `${view.name}, ${scheme}`, axe);
    await snap(tab, `${view.name}-${size.width}-${scheme}`);
  }
}

for (const view of VIEWS) {
  test(`the view ${view.name} at three widths, in both schemes`, async (context) => {
    const tab = await context.page();
    await view.open(tab, context);
    for (const size of SIZES) await lookAt(tab, view, size);
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
