/* A daemon on a folder of its own; it may be killed and started again at the same address. */
import { spawn, execFile } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

const BUILD = path.resolve(process.env.ISTHMUS_BUILD);
export const STAMPS = '/usr/share/tuxpaint/stamps';
const run = promisify(execFile);

/* Six times the seconds: a machine may be busy, and one that is not loses nothing by it. */
export async function until(what, seconds, condition) {
  const end = Date.now() + seconds * 6000;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) throw new Error(`${what}: not within ${seconds} s`);
    await new Promise((resolve) => { setTimeout(resolve, 20); });
  }
}

export class Daemon {
  constructor(...flags) {
    this.flags = flags;
    this.listen = '127.0.0.1:0';
  }

  async start() {
    this.folder ||= await fs.mkdtemp(path.join(os.tmpdir(), 'isthmus-browser-'));
    const ready = path.join(this.folder, 'ready');
    await fs.rm(ready, { force: true });
    const log = await fs.open(path.join(this.folder, 'log'), 'a');
    const env = { ...process.env };
    this.process = spawn(path.join(BUILD, 'isthmusd'), ['--data', path.join(this.folder, 'data'),
      '--listen', this.listen, '--ready-file', ready, ...this.flags],
    { stdio: ['ignore', 'ignore', log.fd], env });
    this.ended = once(this.process, 'exit');
    await log.close();
    const address = await until('the daemon is ready', 60, async () => {
      if (this.process.exitCode !== null) {
        throw new Error(`isthmusd ended: ${await fs.readFile(path.join(this.folder, 'log'))}`);
      }
      return fs.readFile(ready, 'utf8').catch(() => '');
    });
    this.listen = address.trim(); /* a second start takes the same port */
    this.url = `http://${this.listen}`;
    return this;
  }

  async kill(signal = 'SIGKILL') {
    this.process.kill(signal);
    await this.ended;
  }

  async remove() {
    if (this.process?.exitCode === null && this.process.signalCode === null) {
      await this.kill('SIGTERM');
    }
    await fs.rm(this.folder, { recursive: true, force: true });
  }

  /* The client program, for what is not under test. */
  async client(...words) {
    return (await run(path.join(BUILD, 'isthmus'), ['--server', this.url, ...words],
      { maxBuffer: 1 << 26 })).stdout;
  }

  async ask(method, at, body) {
    const reply = await fetch(this.url + at, { method, body: body && JSON.stringify(body),
      headers: body ? { 'Content-Type': 'application/json' } : {} });
    const text = await reply.text();
    if (!reply.ok) throw new Error(`${method} ${at}: ${reply.status} ${text}`);
    return text && JSON.parse(text);
  }

  /* NDJSON to an import; all of it must have been taken. */
  async lines(at, rows) {
    const reply = await fetch(this.url + at, { method: 'POST',
      headers: { 'Content-Type': 'application/x-ndjson' },
      body: rows.map((row) => `${JSON.stringify(row)}\n`).join('') });
    const text = await reply.text();
    if (!/"failed":0/.test(text)) throw new Error(`${at}: ${text}`);
  }

  async job(id, seconds = 60) {
    return until(`job ${id} is over`, seconds, async () => {
      const job = await this.ask('GET', `/v1/jobs/${id}`);
      return ['done', 'failed', 'cancelled'].includes(job.state) && job;
    });
  }

  async train(collection, body) {
    const job = await this.job((await this.ask('POST',
      `/v1/collections/${collection}/trainings`, body)).id);
    if (job.state !== 'done') throw new Error(JSON.stringify(job.error));
    return job.result.model;
  }
}

/* Tux Paint's stamps, or a part of them, under the encoders that need no file. */
export async function loadStamps(daemon, name = 'stamps', folder = STAMPS) {
  await daemon.ask('PUT', `/v1/collections/${name}`,
    { image_encoder: 'descriptor', text_encoder: 'ngrams' });
  await daemon.client('import', folder, '--collection', name, '--label-levels',
    folder === STAMPS ? '2' : '1',
    '--exclude', 'symbols/*', '--exclude', '*_mirror.*', '--exclude', '*_flip.*');
}

/* Scenes of one shape with a small model that writes and draws; gives the model's id. */
export async function loadScenes(daemon, name = 'scenes') {
  const folder = path.join(daemon.folder, name);
  await daemon.client('sample', 'shapes', folder, '--pictures', '48', '--objects', '1');
  await daemon.client('import', folder, '--collection', name, '--label-levels', '0',
    '--image-encoder', 'pixels', '--text-encoder', 'words');
  return daemon.train(name, { method: 'gxn', activate: 'never', params: { captions: true,
    generator: 'pixels', epochs: 2, batch: 32, channels: 2, code: 16, hidden: 8, word_width: 8,
    decoder: 16, generator_width: 2, critic_width: 2, z: 4, condition: 8 } });
}
