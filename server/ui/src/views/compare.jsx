/*
 * Compare: all models with both directions and their intervals, which differences are more than
 * luck, the queries on which two of them differ most; and which one queries use.
 */
import { useMemo, useState } from 'preact/hooks';
import { collectionPath, getAll, post, request } from '../api.js';
import { count, duration, figure, percent, time } from '../format.js';
import { waitForJob } from '../jobs.js';
import { forgetPages } from '../pages.js';
import { ErrorFace, ErrorLine, Face, Loading } from '../parts/faces.jsx';
import { Icon } from '../parts/icons.jsx';
import { Interval } from '../parts/interval.jsx';
import { Thumb } from '../parts/tile.jsx';
import { toast } from '../parts/toast.jsx';
import { go, href } from '../router.js';
import { useLoad, useTitle } from '../use.js';
import { changed } from './search.jsx';

const METRICS = [['map_all', 'MAP'], ['map_50', 'MAP@50'], ['r_1', 'R@1'], ['r_5', 'R@5'],
  ['r_10', 'R@10'], ['median_rank', 'median rank']];
const COMPOSED = 'Picture and words → picture';
const DIRECTIONS = [['image_to_text', 'Picture → text'], ['text_to_image', 'Text → picture']];
const QUERIES = 24;
const ANSWERS = 4;

/* ---- what is read ---- */

/* Models that were trained, each with the seconds that its job took. */
function useModels(collection) {
  return useLoad(`compare ${collection}`, async (signal) => {
    const jobsOf = `/v1/jobs?collection=${encodeURIComponent(collection)}`;
    const [models, jobs] = await Promise.all([
      getAll(collectionPath(collection, '/models'), 'models', { signal }),
      getAll(jobsOf, 'jobs', { signal, most: 500 })]);
    const seconds = {};
    for (const job of jobs) {
      if (job.result?.model && job.started_at && job.finished_at) {
        seconds[job.result.model] = (new Date(job.finished_at) - new Date(job.started_at)) / 1000;
      }
    }
    const compared = jobs.filter((job) => job.kind === 'compare' && job.state === 'done');
    return { models, seconds, compared };
  });
}

/* The newest comparison that holds all of these models. */
const latestOf = (compared, ids) => compared.find((job) => {
  const there = new Set((job.result?.table || []).map((one) => one.id));
  return ids.every((id) => there.has(id));
})?.result || null;

async function compare(collection, body, progress) {
  const job = await post(collectionPath(collection, '/models:compare'), body);
  return (await waitForJob(job, progress)).result;
}

/* ---- the table ---- */

const NOTE = {
  best: 'the best here',
  worse: 'worse than the best: the interval of the difference is below 0',
  same: 'no difference that is more than luck',
};

function Mark({ row, best }) {
  if (!row) return null;
  if (row.id === best) return <b class="good" title={NOTE.best}>best</b>;
  const difference = row.difference
    ? ` (${figure(row.difference.value)}; ${figure(row.difference.low)} to
      ${figure(row.difference.high)})` : '';
  return row.significant
    ? <span class="bad" title={NOTE.worse + difference}>▼ {figure(row.difference?.value)}</span>
    : <span class="quiet" title={NOTE.same + difference}>≈ {figure(row.difference?.value)}</span>;
}

function Actions({ collection, model, reload }) {
  const [busy, setBusy] = useState('');
  const run = (name, work) => async () => {
    setBusy(name);
    try {
      await work();
    } catch (error) {
      toast(error.message, { tone: 'bad' });
    }
    setBusy('');
    reload();
  };
  const path = collectionPath(collection, `/models/${model.id}`);
  const activate = run('activate', async () => {
    const reply = await post(`${path}:activate`, {});
    if (reply.kind) await waitForJob(reply);
    forgetPages();
    toast(`${model.id} is active.`);
  });
  const remove = run('remove', async () => {
    await request('DELETE', path);
    toast(`${model.id} was removed.`);
  });
  if (model.active) return <b class="active">active</b>;
  return (
    <span class="actions">
      <button type="button" class="quiet" onClick={activate} disabled={busy !== ''}
        aria-label={`Activate ${model.id}`}>{busy === 'activate' ? 'Activating…' : 'Activate'}
      </button>
      {model.id !== 'identity' && <button type="button" class="plain" onClick={remove}
        disabled={busy !== ''} aria-label={`Delete ${model.id}`} title="Delete">
        <Icon name="trash" size={18} /></button>}
    </span>
  );
}

const mostOf = (models, metric) => Math.max(1e-9, ...models.flatMap((model) =>
  ['image_to_text', 'text_to_image', 'composed'].map((name) =>
    model.report?.[name]?.[metric]?.high || 0))) * 1.05;

function Row({ collection, model, data, metric, most, result, picked, pick, reload }) {
  const compared = result?.table.find((one) => one.id === model.id);
  const figures = compared || model.report || {};
  const digits = metric === 'median_rank' ? 0 : 3;
  const composed = figures.image_to_text ? null : model.report?.composed;
  return (
    <tr class={model.active ? 'is-active' : ''}>
      <td class="pickcell"><input type="checkbox" checked={picked} onChange={pick}
        disabled={!model.report?.image_to_text} aria-label={`Choose ${model.id}`} /></td>
      <th scope="row"><span>{model.id}</span> <code>{model.method}</code>
        {figures.similarity && <small class="quiet"> by {figures.similarity}</small>}
        <small class="quiet when">{time(model.created_at)}</small></th>
      {composed ? <td colSpan={2} data-title={COMPOSED} class="figure">
        <small class="quiet">{COMPOSED}</small>
        <Interval of={composed[metric]} most={most} digits={digits}
          chance={composed.chance?.[metric]?.value ?? composed.chance?.[metric]}
          label={`${model.id}, ${COMPOSED}`} />
      </td> : DIRECTIONS.map(([name, title]) => (
        <td key={name} data-title={title} class="figure">
          <Interval of={figures[name]?.[metric]} most={most} digits={digits}
            chance={model.report?.chance?.[name]?.[metric]?.value}
            label={`${model.id}, ${title}`} />
        </td>))}
      <td data-title="Difference" class={compared ? '' : 'empty'}>
        <Mark row={compared} best={result?.best} /></td>
      <td data-title="Trained in" class="number">
        {duration(compared?.training_s ?? data.seconds[model.id])}</td>
      <td class="last"><Actions collection={collection} model={model} reload={reload} /></td>
    </tr>
  );
}

/* ---- two of them ---- */

function Side({ name, value, best }) {
  return (
    <span class={`side ${best ? 'better' : ''}`}>
      <small>{name}</small>
      <span class="measure"><i style={{ width: `${Math.max(1, value * 100)}%` }} /></span>
      <small>{figure(value, 2)}</small>
    </span>
  );
}

/* What a model finds first, as pictures: also of texts, by the items that they are of. */
function Answers({ collection, name, hits, isMatch }) {
  return (
    <ul class="answers" aria-label={`First answers of ${name}`}>
      {hits.map((hit) => {
        const words = hit.texts[hit.text ?? 0] || hit.label || hit.id;
        return (
          <li key={hit.id} class={isMatch(hit) ? 'match' : ''} title={words}>
            {hit.image ? <Thumb collection={collection} id={hit.id} wide="3rem" alt={words} />
              : <span class="cut">{words}</span>}
            {isMatch(hit) && <span class="hidden">, a match</span>}
          </li>
        );
      })}
    </ul>
  );
}

function Query({ collection, row, models, item, answers, byLabel }) {
  const fromImage = row.direction === 'image_to_text';
  const [a, b] = models;
  const best = Math.max(...row.values);
  const to = href('search', collection, { id: row.id, side: fromImage ? 'image' : 'text',
    target: fromImage ? 'text' : 'image', model: a, with: b });
  const isMatch = (hit) => hit.id === row.id || (byLabel && item && hit.label === item.label);
  return (
    <li class="apart">
      <a href={to}>
        {fromImage
          ? <span class="pic"><Thumb collection={collection} id={row.id} wide="10rem" /></span>
          : <span class="pic words"><span>{item?.texts[0] || row.id}</span></span>}
        <span class="hidden">Both models on {row.id}</span>
      </a>
      <div>
        <small class="quiet">{fromImage ? 'picture → text' : 'text → picture'}</small>
        {models.map((id, i) => (
          <div key={id}>
            <Side name={id} value={row.values[i]} best={row.values[i] === best} />
            <Answers collection={collection} name={id} hits={answers?.[i] || []}
              isMatch={isMatch} />
          </div>))}
      </div>
    </li>
  );
}

/* The items that the queries are taken from, by id. */
function useItems(collection, rows) {
  const ids = [...new Set(rows.map((row) => row.id))];
  const list = useLoad(ids.length ? `items ${collection} ${ids.join()}` : null, async (signal) => {
    const quoted = ids.map((id) => `"${id.replace(/[\\"]/g, '\\$&')}"`).join(', ');
    const search = new URLSearchParams({ filter: `id in [${quoted}]` });
    const items = await getAll(collectionPath(collection, `/items?${search}`), 'items',
      { signal, most: ids.length });
    return Object.fromEntries(items.map((item) => [item.id, item]));
  });
  return list.data;
}

const queryOf = (row, item, model) => ({ model, limit: ANSWERS, return: ['image', 'texts', 'label'],
  ...(row.direction === 'image_to_text'
    ? { query: { image: { id: row.id } }, target: 'text' }
    : { query: { text: item?.texts[0] || row.id }, target: 'image' }) });

/* The first answers of both models to each row, all in one request. */
function useAnswers(collection, rows, models, items) {
  const key = items && JSON.stringify([collection, models, rows.map((row) => [row.id,
    row.direction])]);
  const list = useLoad(key && `answers ${key}`, async (signal) => {
    const queries = rows.flatMap((row) => models.map((id) => queryOf(row, items[row.id], id)));
    const { results } = await post(collectionPath(collection, '/query:batch'), { queries },
      { signal });
    return rows.map((_, i) => models.map((__, k) => results[i * models.length + k].hits || []));
  });
  return list.data;
}

function Apart({ collection, result, models }) {
  const rows = result.apart || [];
  const items = useItems(collection, rows);
  const answers = useAnswers(collection, rows, models, items);
  if (!rows.length) return <p class="quiet">There is no held-out query on which they differ.</p>;
  return (
    <>
      <p class="quiet note">{result.metric === 'map_all' ? 'Average precision'
        : 'One over the rank of the match'} among the held-out pairs; beside it what each model
        finds first in the whole collection, matches marked.</p>
      <ul class="aparts">
        {rows.map((row, i) => <Query key={`${row.id} ${row.direction}`} collection={collection}
          row={row} models={models} item={items?.[row.id]} answers={answers?.[i]}
          byLabel={result.aim === 'class'} />)}
      </ul>
    </>
  );
}

function Two({ collection, models, done }) {
  const [progress, setProgress] = useState(null);
  const result = useLoad(`two ${collection} ${models.join()}`, async () => {
    const compared = await compare(collection, { models, queries: QUERIES }, setProgress);
    done();
    return compared;
  });
  return (
    <section aria-label="Where they differ">
      <h2>Where {models[0]} and {models[1]} differ most</h2>
      {result.loading && <Loading what={progress?.stage || 'Comparing'} />}
      <ErrorLine error={result.error} retry={result.reload} />
      {result.data && <Apart collection={collection} result={result.data} models={models} />}
    </section>
  );
}

/* ---- the view ---- */

function Significance({ collection, ids, result, done }) {
  const [progress, setProgress] = useState(null);
  const [error, setError] = useState(null);
  const start = async () => {
    setError(null);
    setProgress({ progress: 0 });
    try {
      await compare(collection, { models: ids }, setProgress);
      done();
    } catch (failure) {
      setError(failure);
    }
    setProgress(null);
  };
  return (
    <>
      {progress ? <progress value={progress.progress} max={1}
        aria-label={`Comparing: ${percent(progress.progress)}`} />
        : <button type="button" class={result ? 'quiet' : ''} onClick={start}>
          {result ? 'Test the differences again' : 'Test the differences'}</button>}
      <ErrorLine error={error} />
    </>
  );
}

export function Compare({ route, collection, collections }) {
  useTitle('Compare');
  const data = useModels(collection);
  const [metric, setMetric] = useState(null);
  const { params } = route;
  const picked = useMemo(() => (params.get('models') || '').split(',').filter(Boolean), [params]);
  if (data.error && !data.data) return <ErrorFace error={data.error} retry={data.reload} />;
  if (!data.data) return <Loading />;

  const { models, compared } = data.data;
  const trained = models.filter((model) => model.report);
  if (!trained.length) {
    return (
      <Face icon="compare" title="There is no model to compare yet">
        <p>Train two, and see which one finds more of what it has never seen.</p>
        <a class="button" href={href('train', collection)}>Train a model</a>
      </Face>
    );
  }
  const ids = trained.filter((model) => model.report.image_to_text).map((model) => model.id);
  const result = latestOf(compared, ids);
  const byLabel = trained.some((model) => model.report.image_to_text?.map_all?.value !== null);
  const shown = metric || (byLabel ? 'map_all' : 'r_10');
  const reload = () => {
    data.reload();
    collections.reload();
  };
  const pick = (id) => {
    const next = picked.includes(id) ? picked.filter((one) => one !== id)
      : [...picked, id].slice(-2);
    go(href('compare', collection, changed(params, { models: next.join(',') || null })),
      { replace: true });
  };
  const rollBack = async () => {
    try {
      const reply = await post(collectionPath(collection, '/models:rollback'), {});
      if (reply.kind) await waitForJob(reply);
      forgetPages();
      toast('The latest activation was undone.');
    } catch (error) {
      toast(error.message, { tone: 'bad' });
    }
    reload();
  };
  const rows = [...models].reverse();
  return (
    <div class="wide">
      <h1>Compare models</h1>
      <div class="bar">
        <div class="segments" role="radiogroup" aria-label="Measure">
          {METRICS.map(([name, title]) => (
            <label key={name}>
              <input type="radio" name="metric" checked={shown === name}
                onChange={() => setMetric(name)} /><span>{title}</span>
            </label>))}
        </div>
        <p class="row">
          {ids.length > 1 && <Significance collection={collection} ids={ids} result={result}
            done={reload} />}
          <button type="button" class="quiet" onClick={rollBack}><Icon name="undo" /> Roll back
          </button>
        </p>
      </div>
      <ErrorLine error={data.error} retry={data.reload} />
      <table class="models-table">
        <caption class="hidden">Models with figures of held-out queries</caption>
        <thead>
          <tr>
            <td />
            <th scope="col">Model</th>
            {DIRECTIONS.map(([name, title]) => <th scope="col" key={name}>{title}</th>)}
            <th scope="col" title="To the best, on the same held-out queries">Difference</th>
            <th scope="col">Trained in</th>
            <td />
          </tr>
        </thead>
        <tbody>
          {rows.map((model) => (
            <Row key={model.id} collection={collection} model={model} data={data.data}
              metric={shown} most={mostOf(trained, shown)} result={result} reload={reload}
              picked={picked.includes(model.id)} pick={() => pick(model.id)} />))}
        </tbody>
      </table>
      <p class="quiet note">
        Held-out pairs that no training saw, with 95 % intervals; the upright line is chance.
        {result && ' ▼ marks a difference to the best that is more than luck, ≈ one that may be.'}
        {ids.length > 1 && ' Choose two models to see the queries on which they differ.'}
        {trained[0].report.split && ` ${count(trained[0].report.split.test)} pairs were held out.`}
      </p>
      {picked.length === 2 && ids.includes(picked[0]) && ids.includes(picked[1])
        && <Two key={picked.join()} collection={collection} models={picked} done={data.reload} />}
    </div>
  );
}
