/* Add: a folder, files or a table; what will be added; how it goes, file by file. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { collectionPath, request } from '../api.js';
import { count, percent, plural } from '../format.js';
import { filesOfDrop, filesOfInput, readFiles } from '../intake.js';
import { useValue } from '../observable.js';
import { EncoderPick, NewCollection } from '../parts/collectionform.jsx';
import { ErrorLine, Loading } from '../parts/faces.jsx';
import { Icon } from '../parts/icons.jsx';
import { useFileDrop } from '../parts/querybox.jsx';
import { toast } from '../parts/toast.jsx';
import { go, href } from '../router.js';
import { clearUpload, sendAgain, startUpload, stopUpload, upload } from '../upload.js';
import { useTitle } from '../use.js';

const SHOWN = 60;

/* ---- choosing ---- */

function DropZone({ take, over }) {
  const files = useRef(null);
  const folder = useRef(null);
  const chosen = (event) => {
    const list = filesOfInput(event.target.files);
    event.target.value = '';
    if (list.length) take(Promise.resolve(list));
  };
  return (
    <div class={`dropzone ${over ? 'over' : ''}`}>
      <Icon name="up" size={40} />
      <p class="large">Drop a folder, pictures or a table here</p>
      <p class="row">
        <button type="button" onClick={() => folder.current.click()}>
          <Icon name="folder" /> Choose a folder</button>
        <button type="button" class="quiet" onClick={() => files.current.click()}>
          Choose files</button>
      </p>
      <input ref={folder} type="file" webkitdirectory multiple hidden onChange={chosen}
        aria-hidden="true" tabIndex={-1} data-test="folder" />
      <input ref={files} type="file" multiple hidden onChange={chosen} aria-hidden="true"
        tabIndex={-1} data-test="files" />
      <details class="rules">
        <summary>What goes with a picture</summary>
        <ul>
          <li><code>boat.txt</code> beside <code>boat.jpg</code> is its text.</li>
          <li><code>boat.json</code> may hold <code>texts</code>, <code>label</code> and
            metadata.</li>
          <li>The folder that it lies in becomes its label.</li>
          <li>A CSV has the columns <code>id</code>, <code>image</code>, <code>text</code>,{' '}
            <code>label</code>; others are metadata.</li>
          <li>NDJSON holds an item a line, as the API takes it.</li>
        </ul>
      </details>
    </div>
  );
}

/* ---- looking at it first ---- */

function usePictureUrl(file) {
  const [url, setUrl] = useState(null);
  useEffect(() => {
    if (!file) return undefined;
    const made = URL.createObjectURL(file);
    setUrl(made);
    return () => URL.revokeObjectURL(made);
  }, [file]);
  return url;
}

const SIGNS = { created: 'check', updated: 'check', unchanged: 'check', failed: 'warning' };

function Card({ record }) {
  const url = usePictureUrl(record.file);
  const [broken, setBroken] = useState(false);
  const { item, status } = record;
  const words = item.texts?.[0] || item.id?.split('/').at(-1) || record.origin;
  return (
    <li class={`card ${record.problem ? 'bad' : ''}`}>
      <span class="pic">
        {url && !broken ? <img src={url} alt="" onError={() => setBroken(true)} />
          : <Icon name={record.file ? 'picture' : 'docs'} size={28} />}
        {status && <span class={`status ${status}`}>
          {SIGNS[status] && <Icon name={SIGNS[status]} size={14} />}{status}</span>}
      </span>
      <span class="caption">{words}</span>
      <small class="quiet">{record.problem || item.label || ''}</small>
    </li>
  );
}

function Cards({ records }) {
  const [all, setAll] = useState(false);
  const shown = all ? records : records.slice(0, SHOWN);
  return (
    <>
      <ul class="cards">{shown.map((record) => <Card key={record.origin} record={record} />)}</ul>
      {records.length > shown.length && <p><button type="button" class="quiet"
        onClick={() => setAll(true)}>Show the other {count(records.length - shown.length)}</button>
      </p>}
    </>
  );
}

const hasFolders = (files) => files.some(({ path }) => path.split('/').length > 2);

function Preview({ plan, levels, setLevels, send, cancel }) {
  const { records, ignored } = plan;
  const good = records.filter((record) => !record.problem);
  const withText = good.filter((record) => record.item.texts?.length).length;
  const labels = new Set(good.map((record) => record.item.label).filter(Boolean));
  return (
    <section aria-label="What will be added">
      <div class="bar">
        <p>
          <b>{plural(good.length, 'item')}</b>, {count(withText)} with a text,{' '}
          {plural(labels.size, 'label')}
          {records.length > good.length && <span class="bad">,{' '}
            {count(records.length - good.length)} cannot be added</span>}
          {ignored.length > 0 && <span class="quiet" title={ignored.slice(0, 20).join('\n')}>,{' '}
            {plural(ignored.length, 'other file')} left out</span>}
        </p>
        {hasFolders(plan.files) && (
          <label class="inline">Label from{' '}
            <select value={levels} onChange={(event) => setLevels(Number(event.target.value))}>
              <option value={0}>no folder</option>
              <option value={1}>the first folder</option>
              <option value={2}>two folders</option>
              <option value={3}>three folders</option>
            </select>
          </label>
        )}
        <p class="row">
          <button type="button" disabled={!good.length} onClick={send}>
            Add {plural(good.length, 'item')}</button>
          <button type="button" class="quiet" onClick={cancel}>Not these</button>
        </p>
      </div>
      <Cards records={records} />
    </section>
  );
}

/* ---- how it goes ---- */

function Failures({ records }) {
  const failed = records.filter((record) => record.status === 'failed');
  if (!failed.length) return null;
  return (
    <details class="failures" open={failed.length <= 20}>
      <summary>{plural(failed.length, 'failure')}</summary>
      <table>
        <thead><tr><th scope="col">File</th><th scope="col">Why</th></tr></thead>
        <tbody>
          {failed.slice(0, 500).map((record) => (
            <tr key={record.origin}><td><code>{record.origin}</code></td>
              <td>{record.problem}</td></tr>))}
        </tbody>
      </table>
    </details>
  );
}

function Progress({ run }) {
  const { records, counts, finished, state } = run;
  const sending = state === 'sending';
  const share = records.length ? finished / records.length : 1;
  const good = finished - counts.failed;
  const title = sending ? `Adding ${plural(records.length, 'item')}`
    : state === 'stopped' ? 'Stopped' : counts.failed
      ? `${plural(good, 'item')} added, ${count(counts.failed)} failed`
      : `${plural(good, 'item')} added`;
  return (
    <section aria-label="Progress">
      <div class="bar column">
        <div role="status"><h2>{title}</h2></div>
        <progress value={share} max={1} aria-label={`${percent(share)} done`} />
        <p class="quiet">{count(counts.created)} new, {count(counts.updated)} changed,{' '}
          {count(counts.unchanged)} were there already
          {finished < records.length && `, ${count(records.length - finished)} to go`}</p>
        <ErrorLine error={run.error} />
        <p class="row">
          {sending ? <button type="button" class="quiet" onClick={stopUpload}>Stop</button> : <>
            <a class="button" href={href('search', run.collection)}>See them</a>
            {(counts.failed > 0 || finished < records.length) && <button type="button"
              class="quiet" onClick={sendAgain}>Try the rest again</button>}
            <button type="button" class="quiet" onClick={clearUpload}>Add more</button>
          </>}
        </p>
      </div>
      <Failures records={records} />
      <Cards records={records} />
    </section>
  );
}

/* ---- the view ---- */

const NEW = '';

export function Add({ route, collection, collections }) {
  const run = useValue(upload);
  const names = collections.data?.map((one) => one.name) || [];
  const [target, setTarget] = useState(
    (!route.params.get('new') && collection) || NEW);
  const [name, setName] = useState(names.length ? '' : 'pictures');
  const [encoders, setEncoders] = useState({});
  const [plan, setPlan] = useState(null);
  const [reading, setReading] = useState(false);
  const [levels, setLevels] = useState(1);
  const [error, setError] = useState(null);
  useTitle('Add');

  const look = async (promise, depth) => {
    setReading(true);
    setError(null);
    try {
      const files = await promise;
      const read = await readFiles(files, depth);
      if (!read.records.length) toast('There is no picture and no table among these files.',
        { tone: 'bad' });
      else setPlan({ ...read, files });
    } catch (failure) {
      setError(failure);
    }
    setReading(false);
  };
  const take = (promise) => {
    if (run?.state === 'sending') return toast('Wait until the files before are added.');
    clearUpload();
    return look(promise, levels);
  };
  const over = useFileDrop((data) => take(filesOfDrop(data)));

  const send = async () => {
    setError(null);
    try {
      const into = target === NEW ? name : target;
      if (target === NEW) {
        await request('PUT', collectionPath(into), { body: encoders });
        collections.reload();
        go(href('add', into), { replace: true });
      }
      const { records } = plan;
      setPlan(null);
      await startUpload(into, records);
      collections.reload();
    } catch (failure) {
      setError(failure);
    }
  };
  return (
    <div class="wide">
      <h1>Add pictures and texts</h1>
      {run ? <Progress run={run} /> : <>
        <div class="bar">
          {names.length > 0 && (
            <label class="inline">To{' '}
              <select value={target} onChange={(event) => setTarget(event.target.value)}>
                {names.map((one) => <option key={one} value={one}>{one}</option>)}
                <option value={NEW}>a new collection…</option>
              </select>
            </label>
          )}
          {target === NEW && <>
            <NewCollection name={name} setName={setName} />
            <EncoderPick value={encoders} set={setEncoders} />
          </>}
        </div>
        <ErrorLine error={error} />
        {reading ? <Loading what="Reading the files" />
          : plan ? <Preview plan={plan} levels={levels} send={send} cancel={() => setPlan(null)}
            setLevels={(depth) => {
              setLevels(depth);
              look(Promise.resolve(plan.files), depth);
            }} />
            : <DropZone take={take} over={over} />}
      </>}
    </div>
  );
}
