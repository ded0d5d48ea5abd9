/* Starts a daemon with stamps and two models, a browser, and runs every test. */
import { Daemon, loadStamps } from './daemon.mjs';
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
const daemon = await new Daemon('--train-threads', '1').start();
let browser = null;
let result = { passed: 0, failed: 1 };
try {
  await loadStamps(daemon);
  const models = [await daemon.train('stamps', { method: 'acmr', activate: 'always', seed: 1 }),
    await daemon.train('stamps', { method: 'linear', activate: 'never' })];
  browser = await openBrowser();
  console.log(`ready after ${((Date.now() - began) / 1000).toFixed(1)} s`);
  result = await runAll({ browser, daemon, models }, pattern);
} catch (error) {
  console.log(String(error.stack || error));
} finally {
  await browser?.close();
  await daemon.remove();
}
console.log(`in ${((Date.now() - began) / 1000).toFixed(1)} s`);
console.log(`${result.passed} passed, ${result.failed} failed`);
process.exitCode = result.failed || !result.passed ? 1 : 0;
