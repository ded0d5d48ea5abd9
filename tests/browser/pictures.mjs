/*
 * The README's pictures of what models make: docs/made.png (held-out pictures with the sentence
 * that a GXN writes of each, sentences with what it draws) and docs/composed.png (a picture and
 * words on the page, answered by DMIM). Nothing is chosen by how well it came out: the pictures are
 * the first ones of the test part, the sentences theirs.
 *
 *   run pictures [SERVER]
 *
 * SERVER has what an earlier call made, or anybody else: a collection `shapes` with a model that
 * writes and one that draws (the newest of each), and a collection `edits` with one that composes.
 * Without it a daemon is started and they are trained, which takes half an hour on one core that
 * has nothing else to do.
 */
import { fileURLToPath } from 'node:url';
import path from 'node:path';
import { Daemon } from './daemon.mjs';
import { openBrowser, openPage } from './harness.mjs';

const DOCS = fileURLToPath(new URL('../../docs', import.meta.url));
const HOUR_S = 3600;
const SHOWN = 8; /* pictures with a sentence */
const ASKED = 4; /* sentences with pictures */
const DRAWN = 5; /* of each sentence */
/* The settings of tests/figures, and as many steps. */
const TRAININGS = [
  ['shapes', { method: 'gxn', params: { captions: true, lr: 0.003, sampling: 0, epochs: 5,
    scst_epochs: 0 } }],
  ['shapes', { method: 'gxn', params: { generator: 'pixels', generator_width: 16, epochs: 51 } }],
  ['edits', { method: 'dmim', params: { epochs: 15 }, activate: 'always' }],
];

async function load(daemon, name, pictures, objects) {
  const folder = path.join(daemon.folder, name);
  await daemon.client('sample', 'shapes', folder, '--pictures', pictures, '--objects', objects);
  await daemon.client('import', folder, '--collection', name, '--label-levels', '0',
    '--image-encoder', 'pixels', '--text-encoder', 'words');
  await daemon.client('triples', name, path.join(folder, 'triples.ndjson'));
}

async function train(daemon, collection, body) {
  const { id } = await daemon.ask('POST', `/v1/collections/${collection}/trainings`,
    { activate: 'never', ...body });
  const job = await daemon.job(id, HOUR_S);
  if (job.state !== 'done') throw new Error(JSON.stringify(job.error));
}

async function prepare(daemon) {
  await load(daemon, 'shapes', '3600', '1');
  await load(daemon, 'edits', '2000', '3');
  for (const [collection, body] of TRAININGS) await train(daemon, collection, body);
}

/* ---- sentences and drawings ---- */

/* The first of the test part that differ in shape, colour and place from those before. */
async function heldOut(daemon, collection, n) {
  const filter = encodeURIComponent('part=test');
  const { items } = await daemon.ask('GET',
    `/v1/collections/${collection}/items?limit=100&filter=${filter}`);
  const looks = ({ metadata }) => metadata.scene.map((one) => [one.colour, one.shape]).join();
  return items.filter((item, i) => items.findIndex((other) => looks(other) === looks(item)) === i)
    .slice(0, n);
}

async function original(daemon, collection, id) {
  const reply = await fetch(`${daemon.url}/v1/collections/${collection}/items/${
    encodeURIComponent(id)}/image`);
  return Buffer.from(await reply.arrayBuffer()).toString('base64');
}

const figure = (base64, text) => `<figure><img src="data:image/png;base64,${base64}">${
  text ? `<figcaption>${text}</figcaption>` : ''}</figure>`;

const STYLE = `body { font: 15px "DejaVu Sans", sans-serif; margin: 0; padding: 4px 20px 16px;
  width: 980px; height: max-content;
  background: #fff; color: #222 } h2 { font-size: 17px; margin: 14px 0 8px }
  .grid { display: grid; grid-template-columns: repeat(4, 1fr); gap: 12px 16px }
  figure { margin: 0 } img { width: 84px; height: 84px; border: 1px solid #ccc;
  image-rendering: pixelated } .grid figure { display: flex; gap: 10px; align-items: center }
  .row { display: flex; gap: 10px; align-items: center; margin-bottom: 8px }
  .row p { flex: none; width: 330px; margin: 0; text-align: right }`;

/* The newest model that can. */
async function able(daemon, at, ability) {
  const { models } = await daemon.ask('GET', `${at}/models`);
  const found = models.findLast((model) => model.can.includes(ability));
  if (!found) throw new Error(`no model of ${at} can ${ability}`);
  return found.id;
}

async function made(daemon, page) {
  const at = '/v1/collections/shapes';
  const writer = await able(daemon, at, 'caption');
  const painter = await able(daemon, at, 'render');
  const items = await heldOut(daemon, 'shapes', SHOWN);
  const said = await Promise.all(items.map(async ({ id }) => {
    const reply = await daemon.ask('POST', `${at}/models/${writer}:caption`, { image: { id } });
    return figure(await original(daemon, 'shapes', id), reply.captions[0].text);
  }));
  const drawn = await Promise.all(items.slice(0, ASKED).map(async ({ texts: [text] }) => {
    const reply = await daemon.ask('POST', `${at}/models/${painter}:render`,
      { text, count: DRAWN, seed: 1 });
    return `<div class="row"><p>${text}</p>${reply.images.map((one) => figure(one.base64)).join('')}
      </div>`;
  }));
  await page.setContent(`<style>${STYLE}</style>
    <h2>Pictures that it never saw, and what it says of them</h2>
    <div class="grid">${said.join('')}</div>
    <h2>Sentences, and what it draws</h2>${drawn.join('')}`);
  await page.locator('body').screenshot({ path: path.join(DOCS, 'made.png') });
}

/* ---- a composed query ---- */

/* The first edit of a held-out scene of several shapes; its target is held out, too. */
async function edit(daemon) {
  const items = await heldOut(daemon, 'edits', 100);
  const { id } = items.find((item) => item.metadata.objects > 1);
  const { triples } = await daemon.ask('GET',
    `/v1/collections/edits/triples?item=${encodeURIComponent(id)}`);
  return triples.find((one) => one.reference === id);
}

async function composed(daemon, page) {
  const { reference, text } = await edit(daemon);
  await page.open(`#/search/edits?id=${encodeURIComponent(reference)}&text=${
    encodeURIComponent(text)}&target=image`);
  await page.locator('ul[aria-label=Hits] .tile').nth(5).waitFor();
  await page.waitForFunction(() => [...document.images].every((img) => img.complete));
  await page.mouse.move(0, 0);
  await page.screenshot({ path: path.join(DOCS, 'composed.png') });
}

let daemon = { url: process.argv[2] };
if (daemon.url) {
  daemon.ask = Daemon.prototype.ask;
} else {
  daemon = await new Daemon('--train-threads', '1').start();
  await prepare(daemon);
}
const browser = await openBrowser();
const sheet = { width: 1040, height: 800, scale: 0.9 };
const screen = { width: 1280, height: 800, scale: 0.75 };
try {
  await made(daemon, await openPage(browser, daemon, sheet));
  await composed(daemon, await openPage(browser, daemon, screen));
} finally {
  await browser.close();
  if (!process.argv[2]) await daemon.remove();
}
