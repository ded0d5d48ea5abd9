/*
 * Sending items: batches as imports, two under way, each answered line by line. It belongs to the
 * page and not to a view, so that it goes on while one looks elsewhere; when the server is gone it
 * waits, and sends again what was not answered (what was stored meanwhile answers `unchanged`).
 */
import { collectionPath, fetchReply, Gone, whenBack } from './api.js';
import { observable } from './observable.js';
import { forgetPages } from './pages.js';
import { base64Of } from './query.js';

const BATCH_RECORDS = 32;
const BATCH_BYTES = 6 << 20;
const IN_FLIGHT = 2;

/* null, or {collection, records, counts, state: 'sending' | 'done' | 'stopped', error}. */
export const upload = observable(null);

const COUNTED = { created: 0, updated: 0, unchanged: 0, failed: 0 };

/* Each record gets `status` (waiting, sending, created, …) and, if it failed, `problem`. */
function publish(run) {
  const counts = { ...COUNTED };
  for (const { status } of run.records) if (status in counts) counts[status]++;
  run.counts = counts;
  run.finished = Object.values(counts).reduce((a, b) => a + b, 0);
  upload.set({ ...run });
}

function batches(records) {
  const all = [];
  let batch = [];
  let bytes = 0;
  for (const record of records) {
    const size = (record.file?.size || 0) * 1.4 + 500;
    if (batch.length && (batch.length === BATCH_RECORDS || bytes + size > BATCH_BYTES)) {
      all.push(batch);
      batch = [];
      bytes = 0;
    }
    batch.push(record);
    bytes += size;
  }
  if (batch.length) all.push(batch);
  return all;
}

async function lineOf(record) {
  const item = { ...record.item };
  if (record.file) item.image = { base64: await base64Of(record.file) };
  if (item.label === null) delete item.label;
  return JSON.stringify(item);
}

/* A file that cannot be read any more is that record's failure, not the batch's. */
async function linesOf(batch) {
  const lines = [];
  const sent = [];
  for (const record of batch) {
    try {
      lines.push(await lineOf(record));
      sent.push(record);
    } catch {
      record.status = 'failed';
      record.problem = 'the browser could not read the file';
    }
  }
  return { lines, sent };
}

function takeAnswer(text, sent) {
  for (const answer of text.split('\n').filter(Boolean).map((line) => JSON.parse(line))) {
    if (answer.error) throw new Error(answer.error.detail || answer.error.title);
    const record = sent[answer.line - 1];
    if (!record) continue;
    record.status = answer.status;
    record.problem = answer.detail?.replace(/^\/\w+: /, '') || null; /* the pointer is ours */
  }
}

async function sendBatch(run, batch) {
  for (const record of batch) record.status = 'sending';
  publish(run);
  const { lines, sent } = await linesOf(batch);
  while (lines.length && run.state === 'sending') {
    try {
      const reply = await fetchReply('POST', collectionPath(run.collection, '/items:import'), {
        body: `${lines.join('\n')}\n`, headers: { 'Content-Type': 'application/x-ndjson' },
        signal: run.abort.signal });
      takeAnswer(await reply.text(), sent);
      break;
    } catch (error) {
      if (!(error instanceof Gone) && !(error instanceof TypeError)) throw error;
      await whenBack();
    }
  }
  publish(run);
}

async function drain(run, queue) {
  while (queue.length && run.state === 'sending') await sendBatch(run, queue.shift());
}

const leaving = (event) => event.preventDefault();

export async function startUpload(collection, records) {
  const run = { collection, records, state: 'sending', error: null, abort: new AbortController() };
  const good = records.filter((record) => !record.problem);
  for (const record of records) record.status = record.problem ? 'failed' : 'waiting';
  publish(run);
  addEventListener('beforeunload', leaving);
  const queue = batches(good);
  try {
    await Promise.all(Array.from({ length: IN_FLIGHT }, () => drain(run, queue)));
    if (run.state === 'sending') run.state = 'done';
  } catch (error) {
    run.state = 'stopped';
    run.error = error.name === 'AbortError' ? null : error;
    run.abort.abort();
  }
  for (const record of records) {
    if (record.status === 'sending') record.status = 'waiting';
  }
  removeEventListener('beforeunload', leaving);
  forgetPages();
  publish(run);
}

export function stopUpload() {
  const run = upload.get();
  if (run?.state === 'sending') run.abort.abort();
}

export const clearUpload = () => upload.set(null);

/* Failed ones again (a picture may have been mended), and what was never sent. */
export function sendAgain() {
  const { collection, records } = upload.get();
  for (const record of records) if (record.status === 'failed') record.problem = null;
  const rest = records.filter((r) => r.status === 'failed' || r.status === 'waiting');
  return startUpload(collection, rest);
}
