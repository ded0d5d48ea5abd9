/* Adding: a folder with sidecars and a bad file, a table, an empty server's demo data. */
import fs from 'node:fs/promises';
import path from 'node:path';
import { Daemon, STAMPS, until } from './daemon.mjs';
import { assert, assertEqual, lookAtState, test } from './harness.mjs';

/* A folder of two classes, with what goes with pictures and what does not. */
async function makeFolder(top) {
  const folder = path.join(top, 'pictures');
  const put = async (name, from) => {
    const to = path.join(folder, name);
    await fs.mkdir(path.dirname(to), { recursive: true });
    if (from.source) await fs.copyFile(path.join(STAMPS, from.source), to);
    else await fs.writeFile(to, from.text);
  };
  await put('birds/penguin.png', { source: 'animals/birds/penguin.png' });
  await put('birds/penguin.txt', { source: 'animals/birds/penguin.txt' });
  await put('birds/penguin.json', { text: '{"year": 2004, "label": "seabirds"}' });
  await put('flowers/one.png', { source: 'plants/flowers/flower1.png' });
  await put('flowers/one.txt', { text: 'A single flower.\n' });
  await put('flowers/broken.png', { text: 'this is no picture' });
  await put('flowers/empty.png', { text: '' });
  await put('flowers/bad.png', { source: 'plants/flowers/flower1.png' });
  await put('flowers/bad.json', { text: '{"year": ' });
  await put('notes.pdf', { text: 'nothing' });
  return folder;
}

test('a folder is looked at, added, and what fails is listed with its reason',
  async ({ page, daemon }) => {
    const folder = await makeFolder(daemon.folder);
    const tab = await page();
    await tab.open('#/add/stamps?new=1');
    await tab.getByRole('textbox', { name: 'Name' }).fill('mine');
    await tab.locator('[data-test=folder]').setInputFiles(folder);
    await tab.locator('section[aria-label="What will be added"]').waitFor();
    await lookAtState(tab, 'preview');
    const bar = await tab.locator('.bar', { hasText: 'with a text' }).textContent();
    assert(/3 items, 2 with a text/.test(bar) && /2 cannot be added/.test(bar)
      && /1 other file left out/.test(bar), bar);
    assert(await tab.getByText('the file is empty').count() === 1, 'no reason');
    await tab.getByRole('button', { name: /^Add 3 items/ }).click();
    await tab.getByRole('heading', { name: '2 items added, 3 failed' }).waitFor();
    await lookAtState(tab, 'added');
    const rows = await tab.locator('.failures tbody tr').allTextContents();
    assertEqual(rows.length, 3);
    assert(rows.some((row) => /broken\.png.*(PNG|picture|decod|format)/i.test(row)), rows.join());
    assertEqual(await tab.locator('.card .status.created').count(), 2);
    const item = await daemon.ask('GET', '/v1/collections/mine/items/birds%2Fpenguin.png');
    assertEqual(item.texts, ['A penguin.']);
    assertEqual([item.label, item.metadata], ['seabirds', { topic: 'birds', year: 2004 }]);
    const flower = await daemon.ask('GET', '/v1/collections/mine/items/flowers%2Fone.png');
    assertEqual([flower.texts, flower.label], [['A single flower.'], 'flowers']);
    await tab.getByRole('link', { name: 'See them' }).click();
    await tab.locator('ul[aria-label=Items] .tile').nth(1).waitFor();
  });

test('a table with pictures beside it', async ({ page, daemon }) => {
  const folder = path.join(daemon.folder, 'table');
  await fs.mkdir(folder, { recursive: true });
  await fs.copyFile(`${STAMPS}/food/fruit/apple.png`, path.join(folder, 'a.png')).catch(() =>
    fs.copyFile(`${STAMPS}/plants/flowers/flower1.png`, path.join(folder, 'a.png')));
  await fs.writeFile(path.join(folder, 'all.csv'), 'id,image,text,label,price\n'
    + 'apple,a.png,"An apple, ""red""",fruit,1.5\nword,,Only words,,\nlost,b.png,Lost,,\n');
  const tab = await page();
  await tab.open('#/add/mine');
  await tab.locator('[data-test=files]').setInputFiles(['a.png', 'all.csv'].map((name) =>
    path.join(folder, name)));
  await tab.getByText('there is no picture b.png among the files').waitFor();
  await tab.getByRole('button', { name: /^Add 2 items/ }).click();
  await tab.getByRole('heading', { name: '2 items added, 1 failed' }).waitFor();
  const item = await daemon.ask('GET', '/v1/collections/mine/items/apple');
  assertEqual([item.texts, item.label, item.metadata],
    [['An apple, "red"'], 'fruit', { price: 1.5 }]);
  await tab.open('#/item/mine/word');
  await tab.getByText('This item has no picture.').waitFor();
});

test('a drop that holds nothing of use says so', async ({ page }) => {
  const tab = await page();
  await tab.open('#/add/stamps');
  await tab.locator('[data-test=files]').setInputFiles({ name: 'a.pdf', mimeType: 'application/pdf',
    buffer: Buffer.from('x') });
  await tab.getByText('There is no picture and no table among these files.').waitFor();
});

test('files are dropped anywhere on the page', async ({ page }) => {
  const tab = await page();
  await tab.open('#/add/stamps');
  await tab.locator('.dropzone').waitFor();
  const bytes = (await fs.readFile(`${STAMPS}/animals/birds/penguin.png`)).toString('base64');
  await tab.evaluate((data) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([Uint8Array.from(atob(data), (c) => c.charCodeAt(0))], 'bird.png'));
    transfer.items.add(new File(['A dropped bird.'], 'bird.txt'));
    document.body.dispatchEvent(new DragEvent('drop', { dataTransfer: transfer, bubbles: true,
      cancelable: true }));
  }, bytes);
  await tab.locator('.card', { hasText: 'A dropped bird.' }).waitFor();
  await tab.getByRole('button', { name: 'Not these' }).click();
  await tab.locator('.dropzone').waitFor();
});

/* A drop as the system makes it: the browser itself reads the folder. */
test('a folder is dragged onto the page', async ({ page, daemon }) => {
  const folder = path.join(daemon.folder, 'dragged');
  const put = async (name, from) => {
    await fs.mkdir(path.dirname(path.join(folder, name)), { recursive: true });
    await fs.copyFile(path.join(STAMPS, from), path.join(folder, name));
  };
  for (const name of ['penguin', 'duck']) {
    for (const end of ['png', 'txt']) {
      await put(`birds/${name}.${end}`, `animals/birds/${name}.${end}`);
    }
  }
  await put('plants/flowers/one.png', 'plants/flowers/flower1.png');
  await put('plants/.hidden/two.png', 'plants/flowers/flower1.png');
  for (let i = 0; i < 120; i++) { /* a browser hands out entries by the hundred */
    await fs.writeFile(path.join(folder, `birds/a${i}.txt`), 'of no picture');
  }
  const tab = await page();
  await tab.open('#/add/stamps?new=1');
  await tab.getByRole('textbox', { name: 'Name' }).fill('dragged');
  const zone = tab.locator('.dropzone');
  const box = await zone.boundingBox();
  const cdp = await tab.context().newCDPSession(tab);
  const drag = (type) => cdp.send('Input.dispatchDragEvent', { type, x: box.x + box.width / 2,
    y: box.y + box.height / 2, data: { items: [], files: [folder], dragOperationsMask: 1 } });
  await drag('dragEnter');
  await drag('dragOver');
  await tab.locator('.dropzone.over').waitFor();
  await drag('drop');
  await tab.getByText('3 items', { exact: true }).waitFor();
  assertEqual(await tab.locator('.card .caption').allTextContents(),
    ['A duck.', 'A penguin.', 'one.png']);
  await tab.getByRole('button', { name: /^Add 3 items/ }).click();
  await tab.getByRole('heading', { name: '3 items added' }).waitFor();
  const { items } = await daemon.ask('GET', '/v1/collections/dragged/items');
  assertEqual(items.map((item) => [item.id, item.label]), [['birds/duck.png', 'birds'],
    ['birds/penguin.png', 'birds'], ['plants/flowers/one.png', 'plants']]);
  await daemon.ask('DELETE', '/v1/collections/dragged');
});

test('an empty server says what to do, and the demo data are one click away', async ({ page }) => {
  const folder = '/usr/share/tuxpaint/stamps/food';
  const daemon = await new Daemon('--demo', folder).start();
  try {
    const tab = await page({ daemon });
    await tab.open('');
    await tab.getByRole('heading', { name: /Search pictures by words/ }).waitFor();
    await lookAtState(tab, 'welcome');
    await tab.getByRole('button', { name: /Try it with Tux Paint/ }).click();
    await tab.getByRole('heading', { name: /items added/ }).waitFor({ timeout: 30000 });
    const { counts } = await daemon.ask('GET', '/v1/collections/stamps');
    assert(counts.images > 80 && counts.labelled > 80, JSON.stringify(counts));
    await tab.getByRole('link', { name: 'See them' }).click();
    await until('pictures', 10, () => tab.locator('ul[aria-label=Items] img').first()
      .evaluate((img) => img.naturalWidth > 0));
    assertEqual(await tab.getByRole('combobox', { name: 'Collection' }).inputValue(), 'stamps');
  } finally {
    await daemon.remove();
  }
}, { own: true });
