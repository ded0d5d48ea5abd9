/* One item: its picture, all it says, what lies near it, and what the model makes of it. */
import { useEffect, useState } from 'preact/hooks';
import { collectionPath, fetchReply, get, getAll, imagePath, itemPath, post, request }
  from '../api.js';
import { bytes, plural, time } from '../format.js';
import { forgetPages } from '../pages.js';
import { ErrorFace, ErrorLine, Loading } from '../parts/faces.jsx';
import { Icon } from '../parts/icons.jsx';
import { Tile, Thumb } from '../parts/tile.jsx';
import { toast } from '../parts/toast.jsx';
import { go, href } from '../router.js';
import { useLoad, useTitle } from '../use.js';
import { ItemForm } from './itemform.jsx';

const NEIGHBOURS = 12;

/* ---- deleting, and taking it back ---- */

/* All that is needed to make an item again: it, with its vectors, its picture's bytes, and the
 * triples that go with it. */
async function copyOf(collection, id) {
  const triples = collectionPath(collection, `/triples?item=${encodeURIComponent(id)}`);
  const [item, itsTriples] = await Promise.all([get(itemPath(collection, id)),
    getAll(triples, 'triples', { most: Infinity })]);
  const picture = item.image
    ? await (await fetchReply('GET', imagePath(collection, id))).blob() : null;
  return { item, picture, triples: itsTriples };
}

async function putBack(collection, { item, picture, triples }) {
  const { image, ...rest } = item;
  const form = new FormData();
  if (picture) form.append('image', new Blob([picture], { type: image.type }), 'picture');
  form.append('item', new Blob([JSON.stringify(rest)], { type: 'application/json' }));
  await request('PUT', itemPath(collection, item.id), { body: form });
  if (!triples.length) return;
  const told = await request('POST', collectionPath(collection, '/triples:import?results=failed'), {
    body: triples.map((one) => `${JSON.stringify(one)}\n`).join(''),
    headers: { 'Content-Type': 'application/x-ndjson' } });
  const { error, summary } = JSON.parse(told.trim().split('\n').at(-1));
  if (error) throw new Error(`its triples: ${error.detail || error.title}`);
  if (summary.failed) toast(`${plural(summary.failed, 'triple')} of it could not be kept.`);
}

export async function removeItem(collection, id, after) {
  const copy = await copyOf(collection, id);
  await request('DELETE', itemPath(collection, id));
  forgetPages();
  after?.();
  toast(`${id} was deleted.`, { lasting: true, action: 'Undo', run: async () => {
    try {
      await putBack(collection, copy);
      forgetPages();
      toast(`${id} is back.`);
      go(href('item', collection, {}, id));
    } catch (error) {
      toast(`It could not be brought back: ${error.message}`, { tone: 'bad' });
    }
  } });
}

/* ---- what lies near ---- */

function Neighbours({ collection, id, target, model, title, keep }) {
  const body = { query: { id }, target, limit: NEIGHBOURS, return: ['image', 'texts', 'label'] };
  if (model) body.model = model;
  const near = useLoad(JSON.stringify([collection, body]), (signal) =>
    post(collectionPath(collection, '/query'), body, { signal }));
  if (near.error?.code === 'no_model') return null;
  return (
    <section class="strip">
      <h2>{title}</h2>
      {near.loading && !near.data && <Loading />}
      <ErrorLine error={near.error} retry={near.reload} />
      {near.data && (near.data.hits.length === 0 ? <p class="quiet">There are none.</p>
        : <ul class="grid">
          {near.data.hits.map((hit) => <Tile key={hit.id} collection={collection} item={hit}
            hit={hit} hasImage={hit.image !== null} keep={keep} />)}
        </ul>)}
    </section>
  );
}

/* ---- what the model can do besides ---- */

function Captions({ collection, id, model }) {
  const made = useLoad(`caption ${collection} ${model} ${id}`, (signal) =>
    post(collectionPath(collection, `/models/${model}:caption`), { image: { id } }, { signal }));
  const captions = (made.data?.captions || []).filter((one) => one.text);
  return (
    <section class="captions">
      <h2>What the model says</h2>
      {made.loading && <Loading what="Writing" />}
      <ErrorLine error={made.error} retry={made.reload} />
      {made.data && !captions.length && <p class="quiet">It finds no words.</p>}
      <ol>{captions.map((one) => <li key={one.text} class="said">{one.text}</li>)}</ol>
    </section>
  );
}

function Reconstruction({ collection, item, model, keep }) {
  const body = item.texts.length ? { text: item.texts[0] } : { id: item.id, modality: 'image' };
  const made = useLoad(`reconstruct ${collection} ${model} ${item.id}`, (signal) =>
    post(collectionPath(collection, `/models/${model}:reconstruct`), body, { signal }));
  const hits = made.data?.nearest || [];
  if (made.error?.status === 409) return null; /* it imagines pictures only, and there is no text */
  return (
    <section class="strip">
      <h2>Nearest to what the model imagines for {item.texts.length ? 'its text' : 'it'}</h2>
      {made.loading && <Loading what="Imagining" />}
      <ErrorLine error={made.error} retry={made.reload} />
      <ul class="grid">{hits.map((hit) => <Tile key={hit.id} collection={collection} item={hit}
        hit={hit} keep={keep} />)}</ul>
    </section>
  );
}

/* The page's policy takes pictures from the server and from blobs, not from data: addresses. */
function Drawn({ image, alt }) {
  const [url, setUrl] = useState(null);
  useEffect(() => {
    const made = URL.createObjectURL(new Blob(
      [Uint8Array.from(atob(image.base64), (c) => c.charCodeAt(0))], { type: image.type }));
    setUrl(made);
    return () => URL.revokeObjectURL(made);
  }, [image]);
  return <img src={url || undefined} alt={alt} width="96" height="96" />;
}

const DRAWN = 4;

function Rendering({ collection, text, model }) {
  const [seed, setSeed] = useState(1);
  const made = useLoad(`render ${collection} ${model} ${seed} ${text}`, (signal) =>
    post(collectionPath(collection, `/models/${model}:render`), { text, count: DRAWN, seed },
      { signal }));
  return (
    <section class="renders">
      <h2>Pictures that the model draws from its text</h2>
      <ErrorLine error={made.error} retry={made.reload} />
      <div class="drawn" aria-busy={made.loading}>
        {!made.data && made.loading && <Loading what="Drawing" />}
        {made.data?.images.map((image, i) => (
          <Drawn key={i} image={image} alt={`Drawing ${i + 1} of: ${text}`} />))}
      </div>
      <p><button type="button" class="quiet" disabled={made.loading}
        onClick={() => setSeed(seed + 1)}>Draw {DRAWN} others</button></p>
    </section>
  );
}

/* ---- the page ---- */

/* A value of the metadata leads to all items that have it. */
function Value({ collection, field, value }) {
  const isPlain = ['string', 'number', 'boolean'].includes(typeof value);
  if (!isPlain) return <code>{JSON.stringify(value)}</code>;
  return <a href={href('search', collection, { [`f.${field}`]: value })}>{String(value)}</a>;
}

function Facts({ collection, item }) {
  return (
    <dl class="facts">
      {item.label && <>
        <dt>label</dt>
        <dd><Value collection={collection} field="label" value={item.label} /></dd>
      </>}
      {Object.entries(item.metadata || {}).map(([name, value]) => (
        <>
          <dt>{name}</dt>
          <dd><Value collection={collection} field={`metadata.${name}`} value={value} /></dd>
        </>
      ))}
      {item.image && <>
        <dt>picture</dt>
        <dd>{item.image.width} × {item.image.height}, {bytes(item.image.bytes)},{' '}
          <a href={imagePath(collection, item.id)}>original</a></dd>
      </>}
      <dt>changed</dt>
      <dd><time dateTime={item.updated_at}>{time(item.updated_at)}</time></dd>
      <dt>id</dt>
      <dd><code>{item.id}</code></dd>
    </dl>
  );
}

function Head({ collection, item, keep, reload }) {
  const [editing, setEditing] = useState(false);
  const [error, setError] = useState(null);
  const remove = async () => {
    setError(null);
    try {
      await removeItem(collection, item.id, () => go(href('search', collection)));
    } catch (failure) {
      setError(failure);
    }
  };
  return (
    <div class="item">
      <div class="picture">
        {item.image
          ? <Thumb collection={collection} id={item.id} wide="(min-width: 50rem) 40rem, 92vw"
            alt={item.texts[0] || item.id} />
          : <p class="nothing quiet">This item has no picture.</p>}
      </div>
      <div class="about">
        <h1>{item.texts[0] || item.id}</h1>
        {item.texts.length > 1 && <ul class="texts">
          {item.texts.slice(1).map((text, i) => <li key={i}>{text}</li>)}</ul>}
        {editing
          ? <ItemForm collection={collection} item={item} close={(saved) => {
            setEditing(false);
            if (saved) reload();
          }} />
          : <>
            <Facts collection={collection} item={item} />
            <p class="row">
              <a class="button" href={href('search', collection, { ...keep, id: item.id })}>
                <Icon name="similar" /> More like this</a>
              <button type="button" class="quiet" onClick={() => setEditing(true)}>
                <Icon name="edit" /> Edit</button>
              <button type="button" class="danger" onClick={remove}>
                <Icon name="trash" /> Delete</button>
            </p>
          </>}
        <ErrorLine error={error} />
      </div>
    </div>
  );
}

export function Item({ route, collection }) {
  const { id, params } = route;
  const item = useLoad(`item ${collection} ${id}`, (signal) =>
    get(itemPath(collection, id, '?vectors=false'), { signal }));
  const models = useLoad(`models ${collection}`, (signal) =>
    getAll(collectionPath(collection, '/models'), 'models', { signal, most: 200 }));
  useTitle(item.data?.texts[0] || id);
  if (item.error && !item.data) return <ErrorFace error={item.error} retry={item.reload} />;
  if (!item.data) return <Loading />;

  const keep = Object.fromEntries(['target', 'model', 'with'].map((n) => [n, params.get(n)]));
  const asked = params.get('model') || '';
  const model = models.data?.find((one) => (asked ? one.id === asked : one.active));
  const can = model?.can || [];
  const { image, texts } = item.data;
  return (
    <div class="wide">
      <p><button type="button" class="link" onClick={() => history.length > 1
        ? history.back() : go(href('search', collection))}><Icon name="back" size={18} /> Back
      </button></p>
      <Head collection={collection} item={item.data} keep={keep} reload={item.reload} />
      <div class="made">
        {can.includes('caption') && image && <Captions collection={collection} id={id}
          model={model.id} />}
        {can.includes('render') && texts.length > 0 && <Rendering collection={collection}
          text={texts[0]} model={model.id} />}
      </div>
      <Neighbours collection={collection} id={id} target="image" model={asked} keep={keep}
        title="Pictures near it" />
      <Neighbours collection={collection} id={id} target="text" model={asked} keep={keep}
        title="Texts near it" />
      {can.includes('reconstruct') && <Reconstruction collection={collection} item={item.data}
        model={model.id} keep={keep} />}
    </div>
  );
}
