/* Every view in a state worth looking at; each is opened by its address and waited for. */
const hits = (page) => page.locator('ul[aria-label=Hits] .tile').nth(5).waitFor();

export async function loaded(page) {
  await page.waitForFunction(() => [...document.images].filter((img) => {
    const box = img.getBoundingClientRect();
    return box.top < innerHeight && box.bottom > 0;
  }).every((img) => img.complete && img.naturalWidth > 0), null, { timeout: 10000 });
}

const view = (name, hash, ready) => ({ name, async open(page, context) {
  const at = typeof hash === 'function' ? hash(context) : hash;
  await page.goto('about:blank');
  if (at.startsWith('/')) await page.goto(context.daemon.url + at);
  else await page.open(at);
  await ready(page);
  await loaded(page);
} });

export const VIEWS = [
  view('browse', '#/search/stamps', (page) =>
    page.locator('ul[aria-label=Items] .tile').nth(5).waitFor()),
  view('search', '#/search/stamps?text=a+bird+that+swims&target=image', hits),
  view('filter', '#/search/stamps?text=something+sweet&f.label=food%2Ffruit&f.label=food%2Fdessert',
    async (page) => {
      await page.locator('ul[aria-label=Hits] .tile').first().waitFor();
      await page.locator('details.menu', { hasText: 'label' }).locator('summary').click();
    }),
  view('sides', ({ models }) => `#/search/stamps?text=a+red+flower&target=image&with=${models[1]}`,
    (page) => page.locator('.sides > section:nth-child(2) .tile').nth(3).waitFor()),
  view('item', '#/item/stamps/animals%2Fbirds%2Fpenguin.png', (page) =>
    page.locator('.strip .tile').nth(14).waitFor()),
  view('add', '#/add/stamps', (page) => page.locator('.dropzone').waitFor()),
  view('train', '#/train/stamps', (page) => page.locator('.run').first().waitFor()),
  view('compare', ({ models }) => `#/compare/stamps?models=${models.join()}`, async (page) => {
    await page.locator('.apart').nth(3).waitFor();
    await page.locator('.models-table').getByText('best', { exact: true }).waitFor();
  }),
  view('operate', '#/operate', (page) =>
    page.locator('section[aria-label=Encoders] tbody tr').first().waitFor()),
  view('docs', '/docs', (page) => page.locator('#putItem').waitFor()),
  view('nothing', '#/search/stamps?id=animals%2Fbirds%2Fpenguin.png&text=in+red', (page) =>
    page.locator('.face').waitFor()),
];
