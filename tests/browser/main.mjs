/* Starts a browser and a daemon with stamps and two models, and runs every test: those with a
 * daemon of their own while the shared one is being filled. */
import { Daemon, loadStamps, STAMPS } from './daemon.mjs';
import { openBrowser, runAll } from './harness.mjs';
import './test_search.mjs';
import './test_item.mjs';
import './test_add.mjs';
import './test_train.mjs';
import './test_compare.mjs';
import './test_operate.mjs';
import './test_states.mjs';
import './test_access.mjs';
import './test_views.mjs';

const at = process.argv.indexOf('-k');
const pattern = at > 0 ? new RegExp(process.argv[at + 1], 'i') : null;
const began = Date.now();
const seconds = () => ((Date.now() - began) / 1000).toFixed(1);

/* The daemon that tests share: all stamps with two models, and a few for short trainings. */
async function prepare() {
  const daemon = await new Daemon('--train-threads', '1').start();
  try {
    await loadStamps(daemon);
    await loadStamps(daemon, 'tiny', `${STAMPS}/food`);
    const models = [await daemon.train('stamps', { method: 'acmr', activate: 'always', seed: 1 }),
      await daemon.train('stamps', { method: 'linear', activate: 'never' })];
    console.log(`ready after ${seconds()} s`);
    return { daemon, models };
  } catch (error) {
    await daemon.remove();
    throw error;
  }
}

let browser = null;
let shared = null;
const results = [];
try {
  browser = await openBrowser();
  const preparing = prepare();
  preparing.catch(() => {}); /* told where it is waited for */
  results.push(await runAll({ browser }, pattern, true));
  shared = await preparing;
  results.push(await runAll({ browser, ...shared }, pattern, false));
} catch (error) {
  results.push({ passed: 0, failed: 1 });
  console.log(String(error.stack || error));
} finally {
  await browser?.close();
  await shared?.daemon.remove();
}
const sum = (name) => results.reduce((n, one) => n + one[name], 0);
console.log(`in ${seconds()} s`);
console.log(`${sum('passed')} passed, ${sum('failed')} failed`);
process.exitCode = sum('failed') || !sum('passed') ? 1 : 0;
