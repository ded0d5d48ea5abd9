/* An item's page: what it says, its neighbours, editing, deleting and taking that back. */
import { loadScenes, until } from './daemon.mjs';
import { assert, assertEqual, checkAccess, shoot, test } from './harness.mjs';

const ID = 'animals/birds/penguin.png';
const DUCK = 'animals/birds/duck.png';
const AT = `#/item/stamps/${encodeURIComponent(ID)}`;
const path = `/v1/collections/stamps/items/${encodeURIComponent(ID)}`;

test('an item shows all it says and what lies near', async ({ page }) => {
  const tab = await page();
  await tab.open(AT);
  await tab.getByRole('heading', { level: 1, name: 'A penguin.' }).waitFor();
  assert(await tab.locator('.facts').getByText('animals/birds', { exact: true }).count() > 0,
    'no label');
  for (const title of ['Pictures near it', 'Texts near it']) {
    const strip = tab.locator('section.strip', { hasText: title });
    await strip.locator('.tile').first().waitFor();
    assertEqual(await strip.locator('.tile').count(), 12, title);
    assertEqual(await strip.locator(`a[href="${AT}"]`).count(), 0, 'it is no neighbour of itself');
  }
  await tab.locator('.facts').getByRole('link', { name: 'animals', exact: true }).click();
  await until('the topic', 5, () => tab.url().includes('f.metadata.topic=animals'));
});

test('texts, label and metadata are edited', async ({ page, daemon }) => {
  const before = await daemon.ask('GET', path);
  const tab = await page();
  await tab.open(AT);
  await tab.getByRole('button', { name: 'Edit' }).click();
  await tab.getByRole('textbox', { name: 'Text 1' }).fill('A proud penguin.');
  await tab.getByRole('button', { name: 'Another text' }).click();
  await tab.getByRole('textbox', { name: 'Text 2' }).fill('It stands.');
  await tab.getByRole('textbox', { name: 'Label' }).fill('');
  await tab.getByRole('button', { name: 'Another field' }).click();
  await tab.getByRole('textbox', { name: 'Name', exact: true }).last().fill('year');
  await tab.getByRole('textbox', { name: 'Value of year' }).fill('2004');
  await tab.getByRole('button', { name: 'Save' }).click();
  await tab.getByRole('heading', { level: 1, name: 'A proud penguin.' }).waitFor();
  const after = await daemon.ask('GET', path);
  assertEqual(after.texts, ['A proud penguin.', 'It stands.']);
  assertEqual(after.label, null);
  assertEqual(after.metadata, { topic: 'animals', year: 2004 });
  await daemon.ask('PATCH', path, { texts: before.texts, label: before.label,
    metadata: { year: null } });
});

test('what was deleted can be taken back', async ({ page, daemon }) => {
  const before = await daemon.ask('GET', path);
  await daemon.lines('/v1/collections/stamps/triples:import', [
    { reference: ID, text: 'swimming', target: DUCK },
    { reference: DUCK, text: 'with "feathers"', target: ID }]);
  const triples = async () => JSON.stringify((await daemon.ask('GET',
    `/v1/collections/stamps/triples?item=${encodeURIComponent(ID)}`)).triples);
  const kept = await triples();
  const tab = await page();
  await tab.open(AT);
  await tab.getByRole('button', { name: 'Delete' }).click();
  await tab.getByText(`${ID} was deleted.`).waitFor();
  await until('it is gone', 5, async () => (await fetch(daemon.url + path)).status === 404);
  const other = await page();
  await other.open(AT);
  await other.getByText('There is no such thing here').waitFor();
  await tab.getByRole('button', { name: 'Undo' }).click();
  await tab.getByRole('heading', { level: 1, name: 'A penguin.' }).waitFor();
  const after = await daemon.ask('GET', path);
  for (const member of ['image', 'texts', 'label', 'metadata']) {
    assertEqual(after[member], before[member], member);
  }
  assert(kept.includes('feathers') && await triples() === kept, 'its triples');
});

test('what a model imagines', async ({ page, daemon }) => {
  const model = await daemon.train('tiny', { method: 'corrae', activate: 'never',
    params: { epochs: 3 } });
  const tab = await page();
  await tab.open(`#/item/tiny/${encodeURIComponent('fruit/cherimoya.png')}?model=${model}`);
  const strip = tab.locator('section.strip', { hasText: 'what the model imagines' });
  await strip.locator('.tile').nth(3).waitFor();
});

/* A small GXN: what it says and draws is measured elsewhere, here it must be seen. */
test('what a model says of a picture and draws of a text', async ({ page, daemon }) => {
  const model = await loadScenes(daemon);
  const item = await daemon.ask('GET', '/v1/collections/scenes/items/000000.png');
  const said = await daemon.ask('POST', `/v1/collections/scenes/models/${model}:caption`,
    { image: { id: item.id } });
  const tab = await page();
  await tab.open(`#/item/scenes/000000.png?model=${model}`);
  const captions = tab.locator('section.captions');
  await captions.getByText(said.captions[0].text, { exact: true }).waitFor();
  assertEqual(await captions.locator('li').allTextContents(), said.captions.map((one) => one.text));
  const drawn = tab.locator('section.renders .drawn img');
  const seen = () => drawn.evaluateAll((list) => list.filter((img) => img.naturalWidth === 32)
    .map((img) => {
      const canvas = document.createElement('canvas');
      canvas.width = canvas.height = 32;
      const pen = canvas.getContext('2d');
      pen.drawImage(img, 0, 0);
      return pen.getImageData(0, 0, 32, 32).data.join();
    }));
  const first = await until('four drawings', 10, async () => {
    const list = await seen();
    return list.length === 4 && list;
  });
  assertEqual(new Set(first).size, 4, 'drawings of different noise');
  await checkAccess(tab, 'an item with captions and drawings');
  await shoot(tab, 'item-drawn');
  await tab.setViewportSize({ width: 360, height: 1400 });
  const wide = await tab.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert(wide <= 0, `${wide} pixels too wide for 360`);
  await shoot(tab, 'item-drawn-360');
  await tab.getByRole('button', { name: 'Draw 4 others' }).click();
  await until('four others', 10, async () => {
    const list = await seen();
    return list.length === 4 && list.every((one) => !first.includes(one));
  });
  await tab.open('#/item/scenes/000000.png?model=identity');
  await tab.getByRole('heading', { name: 'Pictures near it' }).waitFor();
  assertEqual(await tab.locator('section.captions, section.renders').count(), 0,
    'identity neither writes nor draws');
  await daemon.ask('DELETE', '/v1/collections/scenes');
});
