/*
 * Tests, pages, and what every page is held to: nothing is fetched from elsewhere, the policy
 * stops nothing, no script fails. A failed test leaves a picture of its page.
 */
import { createRequire } from 'node:module';
import fs from 'node:fs/promises';
import path from 'node:path';

const require = createRequire(`${process.env.ISTHMUS_MODULES}/`);
const { chromium } = require('playwright-core');
const axe = require.resolve('axe-core/axe.min.js');

export const ARTEFACTS = path.resolve(process.env.ISTHMUS_ARTEFACTS
  || path.join(process.env.ISTHMUS_BUILD, 'browser-artefacts'));
const TIMEOUT_MS = 30000; /* machines may be busy */

const tests = [];
/* `own`: it needs none of the daemon that the others share, and may run before that is ready. */
export const test = (name, run, { own = false } = {}) => tests.push({ name, run, own });

export function assert(condition, text) {
  if (!condition) throw new Error(text);
}

export function assertEqual(got, want, text = '') {
  const [a, b] = [JSON.stringify(got), JSON.stringify(want)];
  if (a !== b) throw new Error(`${text} got ${a}, want ${b}`);
}

export async function openBrowser() {
  return chromium.launch({ executablePath: process.env.ISTHMUS_CHROMIUM,
    args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'] });
}

/* What a browser says when a request fails is no fault of the page: tests provoke that. */
const expected = (text) => /Failed to load resource|net::ERR_|EventSource/.test(text);

/* A page of a daemon; `faults` are looked at when the test is over. */
export async function openPage(browser, daemon, { width = 1280, height = 800, dark = false,
  scale = 1, context = null } = {}) {
  const own = context || await browser.newContext({ viewport: { width, height },
    deviceScaleFactor: scale,
    colorScheme: dark ? 'dark' : 'light', reducedMotion: 'reduce', acceptDownloads: false });
  const page = await own.newPage();
  page.setDefaultTimeout(TIMEOUT_MS);
  page.faults = [];
  page.on('pageerror', (error) => page.faults.push(`script: ${error.stack || error}`));
  page.on('console', (message) => {
    const text = message.text();
    if (message.type() === 'error' && !expected(text)) page.faults.push(`console: ${text}`);
  });
  page.on('request', (request) => {
    const url = request.url();
    if (!url.startsWith(daemon.url) && !/^(blob|data):/.test(url)) {
      page.faults.push(`asked elsewhere: ${url}`);
    }
  });
  page.open = async (hash) => {
    await page.goto(`${daemon.url}/${hash}`);
  };
  return page;
}

const ALL = { type: 'tag', values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa',
  'best-practice'] };
const ONLY = { all: { runOnly: ALL }, contrast: { runOnly: ['color-contrast'] },
  form: { runOnly: ALL, rules: { 'color-contrast': { enabled: false } } } };

/* `only`: 'contrast', where nothing but colours is new to it; 'form', where all but these is. */
export async function checkAccess(page, name, only = 'all') {
  const there = await page.evaluate(() => Boolean(globalThis.axe));
  /* Not by a script tag: the policy holds. */
  if (!there) await page.evaluate(await fs.readFile(axe, 'utf8'));
  await page.evaluate(() => scrollTo(0, 0)); /* nothing lies under the head of the page */
  const found = await page.evaluate((options) => globalThis.axe.run(document, { ...options,
    resultTypes: ['violations'], preload: false }), ONLY[only]);
  const broken = found.violations.map((rule) => `${rule.id}: ${rule.help}\n    ${rule.nodes
    .slice(0, 3).map((node) => `${node.html.slice(0, 160)} ${node.failureSummary
      ?.split('\n')[1] || ''}`).join('\n    ')}`);
  assert(broken.length === 0, `${name}:\n  ${broken.join('\n  ')}`);
}

export async function keep(name, picture) {
  await fs.mkdir(ARTEFACTS, { recursive: true });
  await fs.writeFile(path.join(ARTEFACTS, `${name}.png`), picture);
}

export const shoot = async (page, name) => keep(name, await page.screenshot());

/* The window at another size, and pictures at a scale of their own: the widest are kept at half. */
export const SIZES = [{ width: 1280, height: 800 }, { width: 360, height: 740 },
  { width: 2560, height: 1300, scale: 0.5 }];

export async function resize(page, { width, height, scale = 1 }) {
  page.cdp ||= await page.context().newCDPSession(page);
  await page.cdp.send('Emulation.setDeviceMetricsOverride', { width, height, mobile: false,
    deviceScaleFactor: scale });
}

export async function snap(page, name) {
  const { data } = await page.cdp.send('Page.captureScreenshot', { format: 'png' });
  await keep(name, Buffer.from(data, 'base64'));
}

/* A state that a test has led to, at all sizes in both schemes, and through axe once. */
export async function lookAtState(page, name) {
  for (const size of SIZES) {
    await resize(page, size);
    for (const scheme of ['dark', 'light']) {
      await page.emulateMedia({ colorScheme: scheme });
      await snap(page, `${name}-${size.width}-${scheme}`);
    }
  }
  await resize(page, SIZES[0]);
  await checkAccess(page, name);
}

/* Runs the tests that have a daemon of their own, or the others, as far as their name matches;
 * `context` is handed to each. */
export async function runAll(context, pattern, isOwn) {
  let passed = 0;
  let failed = 0;
  for (const { name, run, own } of tests) {
    if (own !== isOwn || (pattern && !pattern.test(name))) continue;
    const pages = [];
    const began = Date.now();
    const page = async (options = {}) => {
      const opened = await openPage(context.browser, options.daemon || context.daemon, options);
      pages.push(opened);
      return opened;
    };
    try {
      await run({ ...context, page });
      const faults = pages.flatMap((one) => one.faults);
      assert(faults.length === 0, faults.join('\n'));
      passed++;
      console.log(`ok    ${name} (${Date.now() - began} ms)`);
    } catch (error) {
      failed++;
      console.log(`FAIL  ${name}\n${String(error.stack || error).replace(/^/gm, '      ')}`);
      for (const fault of pages.flatMap((one) => one.faults)) console.log(`      ${fault}`);
      const file = `failed-${name.replace(/\W+/g, '-')}`;
      await Promise.all(pages.map((one, i) => shoot(one, `${file}-${i}`).catch(() => {})));
    }
    const contexts = new Set(pages.map((one) => one.context()));
    await Promise.all([...contexts].map((one) => one.close().catch(() => {})));
  }
  return { passed, failed };
}
