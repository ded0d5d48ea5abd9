/*
 * The README's pictures of what models make: docs/made.png (held-out pictures with the sentence
 * that a GXN writes of each, sentences with what it draws) and docs/composed.png (a picture and
 * words on the page, answered by DMIM). Nothing is chosen by how well it came out: the pictures are
 * the first ones of the test part, the sentences theirs.
 *
 *   run pictures [SERVER]
 *
 * What is missing on SERVER is made: the collections `shapes` (scenes of one shape) and `edits`,
 * and a model that writes, one that draws and one that composes, which takes a quarter of an hour
 * on one core. Without SERVER a daemon is started for it.
 */
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Daemon } from './daemon.mjs';
import { openBrowser, openPage } from './harness.mjs';

const DOCS = fileURLToPath(new URL('../../docs', import.meta.url));
const SHOWN = 8; /* pictures with a sentence */
const ASKED = 4; /* sentences with pictures */
const DRAWN = 5; /* of each sentence */
/* Sentences as in tests/figures; the drawings' 2,700 steps are a quarter of those there. */
const COLLECTIONS = { shapes: { pictures: '2000', objects: '1' },
  edits: { pictures: '2000', objects: '3' } };
const TRAININGS = [
  ['caption', 'shapes', { method: 'gxn', params: { captions: true, lr: 0.003, sampling: 0,
    epochs: 8, scst_epochs: 0 } }],
  ['compose', 'edits', { method: 'dmim', params: { epochs: 15 }, activate: 'always' }],
  ['render', 'shapes', { method: 'gxn', params: { generator: 'pixels', generator_width: 16,
    epochs: 25 } }],
];

async function load(daemon, name, { pictures, objects }) {
  const folder = path.join(daemon.folder, name);
  await daemon.client('sample', 'shapes', folder, '--pictures', pictures, '--objects', objects);
  await daemon.client('import', folder, '--collection', name, '--label-levels', '0',
    '--image-encoder', 'pixels', '--text-encoder', 'words');
  await daemon.client('triples', name, path.join(folder, 'triples.ndjson'));
}

/* The newest model that can; undefined: there is none. */
async function able(daemon, collection, ability) {
  const { models } = await daemon.ask('GET', `/v1/collections/${collection}/models`);
  return models.findLast((model) => model.can.includes(ability))?.id;
}

/* A connection that is closed between two questions does not end minutes of waiting. */
async function ended(daemon, id) {
  for (;;) {
    const job = await daemon.ask('GET', `/v1/jobs/${id}`).catch((error) => {
      if (!(error instanceof TypeError)) throw error;
      return {};
    });
    if (job.state === 'done') return;
    if (['failed', 'cancelled'].includes(job.state)) throw new Error(JSON.stringify(job.error));
    await new Promise((resolve) => { setTimeout(resolve, 1000); });
  }
}

async function prepare(daemon) {
  const { collections } = await daemon.ask('GET', '/v1/collections');
  for (const [name, scenes] of Object.entries(COLLECTIONS)) {
    if (!collections.some((one) => one.name === name)) await load(daemon, name, scenes);
  }
  for (const [ability, collection, body] of TRAININGS) {
    if (await able(daemon, collection, ability)) continue;
    const { id } = await daemon.ask('POST', `/v1/collections/${collection}/trainings`,
      { activate: 'never', ...body });
    await ended(daemon, id);
  }
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

async function made(daemon, page) {
  const at = '/v1/collections/shapes';
  const writer = await able(daemon, 'shapes', 'caption');
  const painter = await able(daemon, 'shapes', 'render');
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

const url = process.argv[2];
const daemon = url
  ? Object.assign(new Daemon(), { url, folder: await fs.mkdtemp(path.join(os.tmpdir(), 'made-')) })
  : await new Daemon('--train-threads', '1').start();
const browser = await openBrowser();
const sheet = { width: 1040, height: 800, scale: 0.9 };
const screen = { width: 1280, height: 800, scale: 0.75 };
try {
  await prepare(daemon);
  await made(daemon, await openPage(browser, daemon, sheet));
  await composed(daemon, await openPage(browser, daemon, screen));
} finally {
  await browser.close();
  await (url ? fs.rm(daemon.folder, { recursive: true }) : daemon.remove());
}
