/* Operate: collections, encoders, jobs, memory and disk, how fast requests are answered. */
import { useState } from 'preact/hooks';
import { collectionPath, get, getAll, request } from '../api.js';
import { bytes, count, duration, percent, plural, time } from '../format.js';
import { isOver, useLiveJobs } from '../jobs.js';
import { operations, parseMetrics, valueOf } from '../metrics.js';
import { forgetPages } from '../pages.js';
import { ErrorFace, ErrorLine, Loading } from '../parts/faces.jsx';
import { Icon } from '../parts/icons.jsx';
import { toast } from '../parts/toast.jsx';
import { go, href } from '../router.js';
import { useEvery, useLoad, useTitle } from '../use.js';
import { Encoders } from './encoders.jsx';

const POLL_MS = 5000;

/* ---- the server in figures ---- */

function Stat({ name, children, note }) {
  return (
    <div class="stat"><dt>{name}</dt><dd><b>{children}</b>{note && <small>{note}</small>}</dd></div>
  );
}

function Server({ info, metrics }) {
  const m = (name) => valueOf(metrics, name);
  const { storage, memory } = info;
  const disk = storage.database_bytes + storage.wal_bytes + storage.media_bytes;
  return (
    <dl class="stats">
      <Stat name="version" note={`up ${duration(info.uptime_s)}`}>{info.version}</Stat>
      <Stat name="memory" note={`${info.blas.kernel}, ${Math.round(info.blas.gflops)} GFLOP/s`}>
        {bytes(memory.resident_bytes)}</Stat>
      <Stat name="disk" note={`originals ${bytes(storage.media_bytes)}, database
        ${bytes(storage.database_bytes)}, its log ${bytes(storage.wal_bytes)}`}>{bytes(disk)}</Stat>
      {storage.disk_free_bytes !== undefined && <Stat name="disk free"
        note={`of ${bytes(storage.disk_bytes)}`}>{bytes(storage.disk_free_bytes)}</Stat>}
      <Stat name="requests waiting" note={`${count(m('workers_busy'))} of
        ${count(info.limits.workers)} workers busy`}>{count(m('queue'))}</Stat>
      <Stat name="queries answered" note={`${count(m('too_busy_total'))} refused as too busy`}>
        {count(m('queries_total'))}</Stat>
    </dl>
  );
}

function Speed({ metrics }) {
  const rows = operations(metrics).slice(0, 12);
  if (!rows.length) return null;
  const ms = (s) => `${(s * 1000).toFixed(s < 0.01 ? 1 : 0)} ms`;
  return (
    <section aria-label="Requests">
      <h2>Requests</h2>
      <table class="plain">
        <thead><tr><th scope="col">operation</th><th scope="col" class="number">requests</th>
          <th scope="col" class="number">half within</th>
          <th scope="col" class="number">99 % within</th></tr></thead>
        <tbody>{rows.map((row) => (
          <tr key={row.operation}><th scope="row"><code>{row.operation}</code></th>
            <td class="number">{count(row.n)}</td><td class="number">{ms(row.p50)}</td>
            <td class="number">{ms(row.p99)}</td></tr>))}</tbody>
      </table>
    </section>
  );
}

/* ---- collections ---- */

/* Deleting a collection cannot be undone, so its name must be typed. */
function DeleteCollection({ name, done }) {
  const [open, setOpen] = useState(false);
  const [typed, setTyped] = useState('');
  const remove = async (event) => {
    event.preventDefault();
    try {
      await request('DELETE', collectionPath(name));
      forgetPages();
      toast(`${name} was deleted.`);
      done();
    } catch (error) {
      toast(error.message, { tone: 'bad' });
    }
  };
  if (!open) {
    return <button type="button" class="plain" aria-label={`Delete ${name}`} title="Delete"
      onClick={() => setOpen(true)}><Icon name="trash" size={18} /></button>;
  }
  return (
    <form class="row" onSubmit={remove}>
      <label class="inline">Type <b>{name}</b> to delete it for good{' '}
        <input value={typed} onInput={(event) => setTyped(event.target.value)} autofocus /></label>
      <button type="submit" class="danger" disabled={typed !== name}>Delete</button>
      <button type="button" class="quiet" onClick={() => setOpen(false)}>Keep</button>
    </form>
  );
}

const recall = (index) => (index.recall === null || index.recall === undefined ? ''
  : `, recall ${index.recall.toFixed(3)}`);

function Collections({ list, reload }) {
  return (
    <section aria-label="Collections">
      <h2>Collections</h2>
      {list.length === 0 ? <p class="quiet">There are none.</p> : <table class="plain">
        <thead><tr><th scope="col">name</th><th scope="col" class="number">items</th>
          <th scope="col">encoders</th><th scope="col">model</th><th scope="col">index</th><td />
        </tr></thead>
        <tbody>{list.map((one) => (
          <tr key={one.name}>
            <th scope="row"><a href={href('search', one.name)}>{one.name}</a></th>
            <td class="number" data-title="items">{count(one.counts.items)}
              {one.counts.failed > 0 && <small class="bad">{' '}
                {count(one.counts.failed)} failed</small>}</td>
            <td data-title="encoders">{one.image_encoder.name}, {one.text_encoder.name}
              {one.geometry && <small class="quiet"> {one.geometry}</small>}</td>
            <td data-title="model">{one.active_model}</td>
            <td data-title="index">{one.index.kind}, {one.index.state}{recall(one.index)}</td>
            <td><DeleteCollection name={one.name} done={reload} /></td>
          </tr>))}</tbody>
      </table>}
      <p><a class="button quiet" href={href('add', '', { new: 1 })}>
        <Icon name="add" /> New collection</a></p>
    </section>
  );
}

/* ---- jobs ---- */

function Jobs({ list, reload }) {
  const live = useLiveJobs(list, reload);
  const cancel = async (job) => {
    try {
      await request('DELETE', `/v1/jobs/${job.id}`);
    } catch (error) {
      toast(error.message, { tone: 'bad' });
    }
    reload();
  };
  return (
    <section aria-label="Jobs">
      <h2>Jobs</h2>
      {live.length === 0 ? <p class="quiet">There were none.</p> : <table class="plain">
        <thead><tr><th scope="col">job</th><th scope="col">what</th><th scope="col">state</th>
          <th scope="col">begun</th><td /></tr></thead>
        <tbody>{live.map((job) => (
          <tr key={job.id}>
            <th scope="row">{job.id}</th>
            <td data-title="what">{job.kind} {job.collection}</td>
            <td data-title="state">
              {isOver(job) ? <span class={job.state === 'failed' ? 'bad' : ''}>{job.state}
                {job.error && <small>: {job.error.detail}</small>}</span>
                : <span>{job.stage || job.state}
                  <progress value={job.progress} max={1} aria-label={percent(job.progress)} />
                </span>}</td>
            <td data-title="begun">{time(job.created_at)}</td>
            <td>{!isOver(job) && <button type="button" class="quiet"
              onClick={() => cancel(job)}>Cancel</button>}</td>
          </tr>))}</tbody>
      </table>}
    </section>
  );
}

/* ---- what this version of the server may have ---- */

function Optional({ path, list, title, columns }) {
  const rows = useLoad(path, async (signal) => {
    try {
      return (await get(path, { signal }))[list];
    } catch (error) {
      if (error.status === 404) return null;
      throw error;
    }
  });
  if (rows.error) return <ErrorLine error={rows.error} retry={rows.reload} />;
  if (!rows.data) return null;
  return (
    <section aria-label={title}>
      <h2>{title}</h2>
      {rows.data.length === 0 ? <p class="quiet">There are none.</p> : <table class="plain">
        <thead><tr>{columns.map((name) => <th scope="col" key={name}>{name}</th>)}</tr></thead>
        <tbody>{rows.data.map((row) => <tr key={row.id || row.name}>{columns.map((name) => (
          <td key={name} data-title={name}>{String(row[name] ?? '–')}</td>))}</tr>)}</tbody>
      </table>}
    </section>
  );
}

/* ---- the view ---- */

export function Operate({ collections }) {
  useTitle('Operate');
  const state = useLoad('operate', async (signal) => {
    const [info, text, jobs] = await Promise.all([get('/v1/info', { signal }),
      get('/metrics', { signal }), getAll('/v1/jobs', 'jobs', { signal, most: 30 })]);
    return { info, metrics: parseMetrics(text), jobs };
  });
  const all = useLoad('operate collections', (signal) =>
    getAll('/v1/collections', 'collections', { signal }));
  const reload = () => {
    state.reload();
    all.reload();
  };
  useEvery(POLL_MS, reload);
  if (state.error && !state.data) return <ErrorFace error={state.error} retry={reload} />;
  if (!state.data) return <Loading />;
  const { info, metrics, jobs } = state.data;
  return (
    <div class="wide operate">
      <h1>This server</h1>
      <Server info={info} metrics={metrics} />
      {all.data && <Collections list={all.data} reload={() => {
        reload();
        collections.reload();
        go(href('operate'));
      }} />}
      <ErrorLine error={all.error} retry={all.reload} />
      <Jobs list={jobs} reload={reload} />
      <Encoders />
      <Optional path="/v1/snapshots" list="snapshots" title="Snapshots"
        columns={['id', 'created_at', 'bytes']} />
      <Optional path="/v1/keys" list="keys" title="Keys" columns={['id', 'name', 'created_at']} />
      <Speed metrics={metrics} />
      <p class="quiet">{plural(info.encoders.length, 'encoder')}, indexes {info.indexes.join(', ')}.
        {' '}<a href="/metrics">Metrics for Prometheus</a>, <a href="/docs">the API</a>.</p>
    </div>
  );
}
