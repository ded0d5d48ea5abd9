/* Train: a method from cards, its parameters as a form, the runs with live curves. */
import { useMemo, useState } from 'preact/hooks';
import { collectionPath, get, getAll, post, request } from '../api.js';
import { count, duration, figure, percent, plural, time } from '../format.js';
import { isOver, useLiveJobs } from '../jobs.js';
import { ErrorFace, ErrorLine, Face, Loading } from '../parts/faces.jsx';
import { ParamForm, readParams } from '../parts/form.jsx';
import { Icon } from '../parts/icons.jsx';
import { later } from '../parts/later.jsx';
import { toast } from '../parts/toast.jsx';
import { href } from '../router.js';
import { useEvery, useLoad, useTitle } from '../use.js';

const CHART_HEIGHT = 260;
const Chart = later(() => import('../parts/chart.jsx'),
  ({ height }) => <div class="chart" style={{ height: `${height}px` }} />);

const AUTO = {
  name: 'auto', title: 'Let it choose', paper: null, needs: [], can: [],
  about: 'Trains several methods within a time that you give, and keeps the one that does best '
    + 'on held-back data.',
  params: [{ name: 'budget_s', title: 'time', type: 'int', default: 600, min: 1, max: 604800,
    help: 'seconds that it may take in all' },
  { name: 'aim', type: 'choice', default: null, choices: ['class', 'instance'],
    help: 'what is best: to find items of the same label, or the very item' }],
};

/* ---- what a method needs, and what of that is here ---- */

const NEEDS = {
  labels: (c) => ({ have: c.labelled, text: `labels: ${count(c.labelled)} of ${plural(c.items,
    'item')}` }),
  triples: (c) => ({ have: c.triples, text: `triples (a picture, words, a picture):
    ${count(c.triples)}` }),
  tokens: (c) => ({ have: c.texts, text: `texts in words: ${count(c.texts)}` }),
  pixels: (c) => ({ have: c.images, text: `the pictures themselves: ${count(c.images)}` }),
};

function needsOf(method, counts) {
  const pairs = Math.min(counts.images || counts.items, counts.texts || counts.items);
  return [
    { have: pairs, text: `pictures with texts: ${count(pairs)}` },
    ...method.needs.map((name) => NEEDS[name]?.(counts) || { have: 1, text: name }),
  ];
}

const firstAuthor = (authors) => (authors.includes(',')
  ? `${authors.split(',')[0]} et al.` : authors);

/* Where the form is not beside the cards it may be far below them. */
function showForm() {
  document.querySelector('.start').scrollIntoView();
  document.querySelector('.start summary').focus({ preventScroll: true });
}

function Card({ method, counts, checked, choose }) {
  const needs = needsOf(method, counts);
  const lacking = needs.some((need) => need.have === 0);
  const extra = method.can.filter((what) => !what.startsWith('embed'));
  return (
    <label class={`method ${checked ? 'chosen' : ''} ${lacking ? 'lacking' : ''}`}>
      <input type="radio" name="method" value={method.name} checked={checked} onChange={choose} />
      <b>{method.title}</b>
      <code>{method.name}</code>
      {method.about && <p>{method.about}</p>}
      {method.paper && <small class="quiet paper">{firstAuthor(method.paper.authors)},{' '}
        {method.paper.venue} {method.paper.year}</small>}
      <ul class="needs">
        {needs.map((need) => (
          <li key={need.text} class={need.have ? 'good' : 'bad'}>
            <Icon name={need.have ? 'check' : 'close'} size={16} />
            <span class="hidden">{need.have ? 'has' : 'lacks'} </span>{need.text}
          </li>))}
      </ul>
      {extra.length > 0 && <small class="quiet">can also {extra.join(', ')}</small>}
      {checked && <button type="button" class="quiet setup" onClick={showForm}>Set it up</button>}
    </label>
  );
}

/* ---- starting one ---- */

const ACTIVATE = [['if_better', 'if it is better'], ['always', 'always'], ['never', 'never']];

function Start({ collection, method, started }) {
  const [values, setValues] = useState({});
  const [seed, setSeed] = useState('');
  const [activate, setActivate] = useState('if_better');
  const [error, setError] = useState(null);
  const [sending, setSending] = useState(false);
  const isAuto = method.name === 'auto';

  const start = async (event) => {
    event.preventDefault();
    setError(null);
    setSending(true);
    const params = readParams(method.params, values);
    const body = { method: method.name, activate };
    if (isAuto) Object.assign(body, params);
    else if (Object.keys(params).length) body.params = params;
    if (seed !== '') body.seed = Number(seed);
    try {
      started(await post(collectionPath(collection, '/trainings'), body));
    } catch (failure) {
      setError(failure);
    }
    setSending(false);
  };
  return (
    <form class="start" onSubmit={start} aria-label={`Train ${method.title}`}>
      <h2>{method.title}</h2>
      {method.params.length > 0 && (
        <details open={isAuto}>
          <summary>{plural(method.params.length, 'parameter')}
            {Object.keys(values).length > 0 && <b> · {plural(Object.keys(values).length, 'change')}
            </b>}</summary>
          <ParamForm params={method.params} values={values} set={setValues} />
        </details>
      )}
      <div class="row">
        <label class="inline">Seed{' '}
          <input type="number" min="0" step="1" value={seed} placeholder="0" class="short"
            onInput={(event) => setSeed(event.target.value)} />
        </label>
        <label class="inline">Use it{' '}
          <select value={activate} onChange={(event) => setActivate(event.target.value)}>
            {ACTIVATE.map(([value, text]) => <option key={value} value={value}>{text}</option>)}
          </select>
        </label>
        <button type="submit" disabled={sending}>Train</button>
      </div>
      {error && <ErrorLine error={error} />}
      {error?.errors?.map((one) => <p key={one.pointer} class="bad"><code>{one.pointer}</code>{' '}
        {one.detail}</p>)}
    </form>
  );
}

/* ---- the runs ---- */

const STATES = { queued: 'waits', running: 'runs', done: 'done', failed: 'failed',
  cancelled: 'cancelled' };

function outcome(job) {
  if (job.state === 'failed') return job.error?.detail || 'failed';
  if (job.state !== 'done') return STATES[job.state];
  const { model, activated, reason } = job.result || {};
  const asked = job.request?.activate !== 'if_better'; /* then it was not the figures' choice */
  const verdict = activated ? 'became active' : asked ? 'was kept' : 'was not made active';
  return `${model || ''} ${verdict}${reason && !asked ? `: ${reason}` : ''}`;
}

function Run({ job, n, shown, toggle, cancel }) {
  const over = isOver(job);
  const hasCurves = Object.keys(job.curves || {}).length > 0;
  const took = job.started_at && job.finished_at
    ? (new Date(job.finished_at) - new Date(job.started_at)) / 1000 : null;
  return (
    <li class={`run ${job.state}`}>
      <label class="which" title={hasCurves ? 'Show its curve' : 'It has no curve'}>
        <input type="checkbox" checked={shown} disabled={!hasCurves} onChange={toggle}
          aria-label={`Curve of ${job.id}`} />
        {hasCurves && <i class="swatch"
          style={shown ? { background: `var(--series-${n % 6})` } : undefined} />}
        <b>{job.id}</b> <code class="quiet">{job.request?.method || job.kind}</code>
      </label>
      <span class="what">{over ? outcome(job) : job.stage || STATES[job.state]}</span>
      <small class="quiet">{over ? `${time(job.created_at)}${took ? `, ${duration(took)}` : ''}`
        : job.eta_s !== null ? `${duration(job.eta_s)} left` : ''}</small>
      {!over && <>
        <progress value={job.progress} max={1} aria-label={`${job.id}: ${percent(job.progress)}`} />
        <button type="button" class="quiet" onClick={cancel}>Cancel</button>
      </>}
      <Tried result={job.result} />
    </li>
  );
}

/* [[reason, methods]]: most are left out for the same one. */
function byReason(list) {
  const all = new Map();
  for (const { method, reason } of list) all.set(reason, [...all.get(reason) || [], method]);
  return [...all];
}

/* What `auto` tried, the best first, and what it left out. */
function Tried({ result }) {
  if (!result?.table) return null;
  return (
    <details class="tried">
      <summary>{plural(result.table.length, 'model')} tried</summary>
      <table class="plain">
        <thead><tr><th scope="col">method</th><th scope="col" class="number">mean, held out</th>
          <th scope="col" class="number">cross-validated</th><th scope="col" class="number">took
          </th></tr></thead>
        <tbody>{result.table.map((row) => (
          <tr key={row.id}><th scope="row">{row.method} <small class="quiet">{row.id}</small></th>
            <td class="number" data-title="mean">{figure(row.mean?.value)}</td>
            <td class="number" data-title="cross-validated">{figure(row.cross_validated)}</td>
            <td class="number" data-title="took">{duration(row.training_s)}</td></tr>))}</tbody>
      </table>
      {result.left_out?.length > 0 && <div class="quiet note">
        <p>Left out:</p>
        <ul>{byReason(result.left_out).map(([reason, methods]) => (
          <li key={reason}>{methods.join(', ')}: {reason}</li>))}</ul>
      </div>}
    </details>
  );
}

/* The curves that a choice of runs has, the common ones first. */
function curveNames(jobs) {
  const n = new Map();
  for (const job of jobs) {
    for (const name of Object.keys(job.curves || {})) n.set(name, (n.get(name) || 0) + 1);
  }
  return [...n].sort((a, b) => b[1] - a[1]).map(([name]) => name);
}

function Curves({ jobs, order }) {
  const names = curveNames(jobs);
  const [wanted, setWanted] = useState(null);
  const name = names.includes(wanted) ? wanted : names[0];
  if (!name) return null;
  const runs = jobs.filter((job) => job.curves?.[name]?.length)
    .map((job) => ({ label: job.id, n: order.get(job.id), points: job.curves[name] }));
  const describe = runs.map((run) => `${run.label} from ${figure(run.points[0][1])} to
    ${figure(run.points.at(-1)[1])} at step ${run.points.at(-1)[0]}`).join('; ');
  return (
    <section aria-label="Curves">
      <div class="segments curves" role="radiogroup" aria-label="Curve">
        {names.map((one) => (
          <label key={one}>
            <input type="radio" name="curve" checked={one === name}
              onChange={() => setWanted(one)} />
            <span>{one}</span>
          </label>))}
      </div>
      <Chart runs={runs} label={`${name}: ${describe}`} height={CHART_HEIGHT} />
      <ul class="legend">
        {runs.map((run) => (
          <li key={run.label}><i class="swatch"
            style={{ background: `var(--series-${run.n % 6})` }} />
            {run.label} <span class="quiet">{figure(run.points.at(-1)[1])}</span></li>))}
      </ul>
    </section>
  );
}

function Runs({ collection, jobs, reload, ended }) {
  const live = useLiveJobs(jobs, ended);
  const [picked, setPicked] = useState({});
  const order = useMemo(() => new Map([...jobs].reverse().map((job, n) => [job.id, n])), [jobs]);
  const newest = live.find((job) => Object.keys(job.curves || {}).length > 0);
  const isShown = (job) => picked[job.id] ?? (job === newest || job.state === 'running');
  const cancel = async (job) => {
    try {
      await request('DELETE', `/v1/jobs/${job.id}`);
      toast(`${job.id} is being cancelled.`);
    } catch (error) {
      toast(error.message, { tone: 'bad' });
    }
    reload();
  };
  if (!live.length) {
    return <p class="quiet">Nothing was trained here yet. A model that was trained on your own
      pairs finds pictures by words, and words by pictures.</p>;
  }
  return (
    <>
      <Curves jobs={live.filter(isShown)} order={order} />
      <ul class="runs">
        {live.map((job) => (
          <Run key={job.id} job={job} n={order.get(job.id)} shown={isShown(job)}
            toggle={() => setPicked({ ...picked, [job.id]: !isShown(job) })}
            cancel={() => cancel(job)} />))}
      </ul>
      {live.some((job) => job.state === 'done') && <p>
        <a class="button quiet" href={href('compare', collection)}>Compare the models</a></p>}
    </>
  );
}

/* ---- the view ---- */

export function Train({ collection, collections }) {
  useTitle('Train');
  const methods = useLoad('methods', (signal) => get('/v1/methods', { signal }));
  const info = useLoad(`collection ${collection}`, (signal) =>
    get(collectionPath(collection), { signal }));
  const jobs = useLoad(`jobs ${collection}`, async (signal) =>
    (await getAll(`/v1/jobs?collection=${encodeURIComponent(collection)}`, 'jobs',
      { signal, most: 200 })).filter((job) => ['train', 'auto'].includes(job.kind)).slice(0, 40));
  const [name, setName] = useState(null);
  useEvery(5000, jobs.reload); /* what others start */

  if (methods.error && !methods.data) {
    return <ErrorFace error={methods.error} retry={methods.reload} />;
  }
  if (info.error && !info.data) return <ErrorFace error={info.error} retry={info.reload} />;
  if (!methods.data || !info.data) return <Loading />;
  const list = [AUTO, ...methods.data.methods];
  const { counts } = info.data;
  const fits = (one) => needsOf(one, counts).every((need) => need.have > 0);
  const method = list.find((one) => one.name === name)
    || list.find((one) => one.paper && one.needs.length > 0 && fits(one))
    || list.find((one) => fits(one)) || list[0];
  if (counts.items === 0) {
    return (
      <Face icon="train" title="There is nothing to learn from yet">
        <p>Add pictures with texts first.</p>
        <a class="button" href={href('add', collection)}>Add pictures</a>
      </Face>
    );
  }
  return (
    <div class="wide train">
      <div>
        <h1>Train a model</h1>
        <fieldset class="methods">
          <legend class="hidden">Method</legend>
          {list.map((one) => <Card key={one.name} method={one} counts={counts}
            checked={one === method} choose={() => setName(one.name)} />)}
        </fieldset>
      </div>
      <section aria-label="Runs">
        <Start key={method.name} collection={collection} method={method} started={(job) => {
          toast(`${job.id} has begun.`);
          jobs.reload();
        }} />
        <h2>Runs</h2>
        <ErrorLine error={jobs.error} retry={jobs.reload} />
        {jobs.data ? <Runs collection={collection} jobs={jobs.data} reload={jobs.reload}
          ended={(job) => {
            if (job.state === 'done') toast(`${job.id}: ${outcome(job)}`);
            jobs.reload();
            collections.reload();
          }} /> : !jobs.error && <Loading />}
      </section>
    </div>
  );
}
