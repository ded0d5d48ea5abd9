/*
 * The public API, as the page calls it. Three things happen to every request: a server that does
 * not answer is noticed once for the whole page and asked again until it does; a busy one (429,
 * or 503 while a model is loaded) is asked again when it said so; and what else fails becomes a
 * Problem with the words of the problem document.
 */
import { observable } from './observable.js';

/* null: it answers; else {since, next}: since when not, and when it is asked again. */
export const gone = observable(null);
/* How many requests wait because the server said that it is busy. */
export const busy = observable(0);
/* Grows when the server is back: what shows its data reads them again. */
export const epoch = observable(0);

const RETRIES = 6;

export class Problem extends Error {
  constructor(document, retryAfter) {
    super(document.detail || document.title);
    Object.assign(this, { name: 'Problem', code: document.code, status: document.status,
      title: document.title, errors: document.errors || [], id: document.request_id,
      retryAfter });
  }
}

export class Gone extends Error {
  constructor() {
    super('The server does not answer.');
    this.name = 'Gone';
    this.code = 'gone';
  }
}

export const pause = (ms, signal) => new Promise((resolve, reject) => {
  const timer = setTimeout(resolve, ms);
  signal?.addEventListener('abort', () => {
    clearTimeout(timer);
    reject(signal.reason);
  }, { once: true });
});

let asking = false;

/* Asks until the server answers, less and less often up to every five seconds. */
async function waitForServer() {
  if (asking) return;
  asking = true;
  const since = Date.now();
  for (let wait = 500; ; wait = Math.min(wait * 1.6, 5000)) {
    gone.set({ since, next: Date.now() + wait });
    await pause(wait);
    try {
      const reply = await fetch('/readyz', { cache: 'no-store' });
      if (reply.ok) break;
    } catch { /* not yet */ }
  }
  asking = false;
  gone.set(null);
  epoch.set(epoch.get() + 1);
}

/* Resolves when the server answers; at once where it does. */
export function whenBack() {
  return new Promise((resolve) => {
    if (gone.get() === null) return resolve();
    const stop = gone.watch((value) => {
      if (value === null) {
        stop();
        resolve();
      }
    });
    return undefined;
  });
}

async function problemOf(reply) {
  let document;
  try {
    document = await reply.json();
  } catch {
    document = { status: reply.status, title: reply.statusText || `Status ${reply.status}` };
  }
  return new Problem(document, Number(reply.headers.get('Retry-After')) || 1);
}

async function send(method, path, { body, headers = {}, signal }) {
  const init = { method, headers: { ...headers }, signal };
  if (body instanceof Blob || body instanceof FormData || typeof body === 'string') {
    init.body = body;
  } else if (body !== undefined) {
    init.body = JSON.stringify(body);
    init.headers['Content-Type'] = 'application/json';
  }
  try {
    return await fetch(path, init);
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    waitForServer();
    throw new Gone();
  }
}

const canWait = (problem) => problem.status === 429
  || (problem.status === 503 && problem.code !== 'internal');

/* The reply, once the server has time for it. */
export async function fetchReply(method, path, options = {}) {
  for (let tries = 0; ; tries++) {
    const reply = await send(method, path, options);
    if (reply.ok) return reply;
    const problem = await problemOf(reply);
    if (!canWait(problem) || tries === RETRIES) throw problem;
    busy.set(busy.get() + 1);
    try {
      await pause(problem.retryAfter * 1000 * (0.7 + 0.6 * Math.random()), options.signal);
    } finally {
      busy.set(busy.get() - 1);
    }
  }
}

export async function request(method, path, options = {}) {
  const reply = await fetchReply(method, path, options);
  if (reply.status === 204) return null;
  const type = reply.headers.get('Content-Type') || '';
  return type.includes('json') && !type.includes('ndjson') ? reply.json() : reply.text();
}

export const get = (path, options) => request('GET', path, options);
export const post = (path, body, options) => request('POST', path, { ...options, body });

/* All pages of a list, up to `most` rows. */
export async function getAll(path, key, { most = 1000, signal } = {}) {
  const rows = [];
  let cursor = null;
  do {
    const query = new URLSearchParams({ limit: String(Math.min(most - rows.length, 1000)) });
    if (cursor) query.set('cursor', cursor);
    const page = await get(`${path}${path.includes('?') ? '&' : '?'}${query}`, { signal });
    rows.push(...page[key]);
    cursor = page.next;
  } while (cursor && rows.length < most);
  return rows;
}

export const segment = encodeURIComponent;
export const collectionPath = (name, rest = '') => `/v1/collections/${segment(name)}${rest}`;
export const itemPath = (name, id, rest = '') =>
  collectionPath(name, `/items/${segment(id)}${rest}`);
export const imagePath = (name, id, size) =>
  itemPath(name, id, `/image${size ? `?size=${size}` : ''}`);
