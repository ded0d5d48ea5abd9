/* A picture of every view at three widths in both schemes; four of them for the README. */
import path from 'node:path';
import { ARTEFACTS, shoot, test } from './harness.mjs';
import { VIEWS } from './views.mjs';

const SIZES = [[360, 740], [1280, 800], [2560, 1300]];
const README = ['search', 'item', 'train', 'compare'];
const DOCS = path.resolve(import.meta.dirname, '../../docs');

for (const [width, height] of SIZES) {
  test(`every view at ${width} pixels`, async (context) => {
    const tab = await context.page({ width, height });
    for (const view of VIEWS) {
      await view.open(tab, context);
      for (const scheme of ['light', 'dark']) {
        await tab.emulateMedia({ colorScheme: scheme });
        await shoot(tab, `${view.name}-${width}-${scheme}`);
      }
      await tab.emulateMedia({ colorScheme: 'light' });
    }
    console.log(`      pictures in ${ARTEFACTS}`);
  });
}

test('pictures for the README', async (context) => {
  const tab = await context.page({ width: 1120, height: 700 });
  const renew = process.env.ISTHMUS_README === '1';
  for (const name of README) {
    const view = VIEWS.find((one) => one.name === name);
    await view.open(tab, context);
    const where = renew ? path.join(DOCS, `${name}.jpg`) : path.join(ARTEFACTS, `${name}.jpg`);
    await tab.screenshot({ path: where, type: 'jpeg', quality: 80 });
  }
});
