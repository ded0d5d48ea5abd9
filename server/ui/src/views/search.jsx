/* Search: words, a picture, or both; the grid; the same query under two models side by side. */
import { useEffect, useLayoutEffect, useMemo, useRef } from 'preact/hooks';
import { collectionPath, get, getAll, post } from '../api.js';
import { count, plural } from '../format.js';
import { usePages } from '../pages.js';
import { ErrorFace, ErrorLine, Face, SkeletonGrid } from '../parts/faces.jsx';
import { Filters } from '../parts/filters.jsx';
import { Icon } from '../parts/icons.jsx';
import { QueryBox } from '../parts/querybox.jsx';
import { Tile } from '../parts/tile.jsx';
import { filterText, isComposed, isEmpty, pictureBytes, queryBody, readQuery } from '../query.js';
import { go, href, takeScroll } from '../router.js';
import { useLoad, useTitle } from '../use.js';

const PAGE = 30;
const FIRST = 8; /* tiles whose pictures are asked for at once; others when they come near */

/* Parameters of the address with some of them changed; null takes one out. */
export function changed(params, changes) {
  const next = new URLSearchParams(params);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === '') next.delete(name);
    else next.set(name, value);
  }
  return next;
}

/* A row at the end of the grid that asks for more when it comes into sight. */
function More({ pages }) {
  const end = useRef(null);
  useEffect(() => {
    const seen = new IntersectionObserver((entries) => {
      if (entries.some((entry) => entry.isIntersecting)) pages.more();
    }, { rootMargin: '600px' });
    if (end.current) seen.observe(end.current);
    return () => seen.disconnect();
  });
  if (pages.done) return null;
  return (
    <div class="end" ref={end}>
      {pages.error ? <ErrorLine error={pages.error} retry={pages.retry} />
        : <button type="button" onClick={pages.more} disabled={pages.loading}>
          {pages.loading ? 'Loading…' : 'Show more'}
        </button>}
    </div>
  );
}

/* Scrolls to where this entry of the history was, once its rows are there. */
function useScrollBack(ready) {
  useLayoutEffect(() => {
    const y = ready ? takeScroll() : 0;
    if (y) scrollTo(0, y);
  }, [ready]);
}

function Grid({ pages, children, label }) {
  return (
    <ul class={`grid ${pages.stale ? 'stale' : ''}`} aria-label={label}
      aria-busy={pages.loading}>{children}</ul>
  );
}

/* ---- without a query: what is there ---- */

function Browse({ collection, query, params, total }) {
  const filter = filterText(query.filter);
  const pages = usePages(`browse ${collection} ${filter}`, async (cursor, signal) => {
    const search = new URLSearchParams({ limit: String(PAGE * 2) });
    if (cursor) search.set('cursor', cursor);
    if (filter) search.set('filter', filter);
    const page = await get(collectionPath(collection, `/items?${search}`), { signal });
    return { rows: page.items, next: page.next };
  });
  const items = pages.pages.flatMap((page) => page.rows);
  useScrollBack(items.length > 0);
  const tiles = useMemo(() => items.map((item, i) => <Tile key={item.id} collection={collection}
    item={item} first={i < FIRST} hasImage={item.image !== null} keep={keepOf(params)} />),
  [pages.pages, params]);
  if (pages.error && !items.length) return <ErrorFace error={pages.error} retry={pages.retry} />;
  if (pages.loading && !items.length) return <SkeletonGrid />;
  if (!items.length) {
    return filter
      ? <Face icon="search" title="Nothing has all of that">
        <p>No item of this collection passes the filter.</p>
        <a class="button" href={href('search', collection)}>Take the filter off</a>
      </Face>
      : <Face icon="picture" title="This collection is empty">
        <p>Add pictures and texts, then search them here.</p>
        <a class="button" href={href('add', collection)}>Add pictures</a>
      </Face>;
  }
  return (
    <section aria-label="Items">
      <p class="meta">
        {!filter && total !== undefined ? plural(total, 'item')
          : `${count(items.length)}${pages.done ? '' : '+'} items`} in order of their ids
      </p>
      <Grid pages={pages} label="Items">{tiles}</Grid>
      <More pages={pages} />
    </section>
  );
}

/* What goes along to an item's page and to "more like this". */
function keepOf(params) {
  const keep = {};
  for (const name of ['target', 'model', 'with']) {
    if (params.get(name)) keep[name] = params.get(name);
  }
  return keep;
}

/* ---- with one ---- */

/* The first part of what the server says; the other tells programmers what to send. */
const reason = (error) => {
  const [text] = error.message.split('; ');
  return `${text[0].toUpperCase()}${text.slice(1)}.`;
};

function NoModel({ collection, query, params, error }) {
  return (
    <Face icon="train" title={isComposed(query)
      ? 'No model here can put a picture and words together' : 'No model reaches that far yet'}>
      <p>{isComposed(query) ? 'A method that can compose learns it from triples: a picture, words, '
        + 'and the picture that they lead to.'
        : `${reason(error)} One that was trained on your own pairs can.`}</p>
      <p class="row">
        <a class="button" href={href('train', collection)}>Train a model</a>
        {isComposed(query) && (
          <a class="button quiet"
            href={href('search', collection, changed(params, { text: null }))}>
            Search by the picture alone</a>
        )}
        {query.target !== 'any' && (
          <a class="button quiet"
            href={href('search', collection, changed(params, { target: null }))}>
            Search what can be reached</a>
        )}
      </p>
    </Face>
  );
}

function Meta({ page, hits, done, methods }) {
  const method = methods[page.model];
  return (
    <p class="meta" role="status">
      <span>{count(hits)}{done ? '' : '+'} {hits === 1 ? 'hit' : 'hits'}</span>
      <span title="Time that the server took">{page.took_ms.toFixed(1)} ms</span>
      <span>{method && method !== page.model ? `${page.model} (${method})` : page.model}</span>
      <span>{page.searched.map((m) => (m === 'image' ? 'pictures' : 'texts')).join(' and ')}</span>
      {page.space === 'feature' && <span title="No model is trained: the encoder's own space">
        the encoder’s own space</span>}
    </p>
  );
}

function Results({ collection, query, params, model, methods }) {
  const lost = query.picture && !pictureBytes(query.picture);
  const key = JSON.stringify([collection, queryBody(query, { model, limit: 0, offset: 0 })]);
  const pages = usePages(key, async (cursor, signal) => {
    const offset = cursor || 0;
    const page = await post(collectionPath(collection, '/query'),
      queryBody(query, { model, limit: PAGE, offset }), { signal });
    const next = offset + PAGE;
    const more = page.hits.length === PAGE && next + PAGE <= 10000;
    return { rows: page.hits, next: more ? next : null, page };
  });
  const hits = pages.pages.flatMap((page) => page.rows);
  useScrollBack(hits.length > 0 && !pages.stale);
  /* Kept while hits are the same: the collections and models that come later are not in them. */
  const tiles = useMemo(() => hits.map((hit, i) => <Tile key={hit.id} collection={collection}
    item={hit} hit={hit} first={i < FIRST} hasImage={hit.image !== null} keep={keepOf(params)} />),
  [pages.pages, params]);
  if (lost) {
    return (
      <Face icon="picture" title="The picture of this search is not in its address">
        <p>It has a format that browsers cannot draw. Drop it here again.</p>
      </Face>
    );
  }
  if (pages.error && !hits.length) {
    return pages.error.code === 'no_model'
      ? <NoModel collection={collection} query={query} params={params} error={pages.error} />
      : <ErrorFace error={pages.error} retry={pages.retry} />;
  }
  if (!hits.length && pages.loading) return <SkeletonGrid />;
  if (!hits.length) {
    return (
      <Face icon="search" title="Nothing was found">
        <p>{query.filter.length ? 'No item passes the filter.' : 'There is nothing to search.'}</p>
        {query.filter.length > 0 && <a class="button" href={href('search', collection,
          { text: query.text, id: query.id, picture: query.picture })}>Take the filter off</a>}
      </Face>
    );
  }
  return (
    <>
      <Meta page={pages.pages[0].page} hits={hits.length} done={pages.done} methods={methods} />
      <Grid pages={pages} label="Hits">{tiles}</Grid>
      <More pages={pages} />
    </>
  );
}

/* ---- the controls ---- */

const TARGETS = [['any', 'All'], ['image', 'Pictures'], ['text', 'Texts']];

function Target({ query, set }) {
  return (
    <fieldset class="segments">
      <legend class="hidden">Search in</legend>
      {TARGETS.map(([value, title]) => (
        <label key={value}>
          <input type="radio" name="target" value={value} checked={query.target === value}
            onChange={() => set({ target: value === 'any' ? null : value })} />
          <span>{title}</span>
        </label>
      ))}
    </fieldset>
  );
}

function ModelChoice({ models, value, label, onChange }) {
  const active = models.find((model) => model.active);
  const name = (model) => (model.id === model.method ? model.id : `${model.id} · ${model.method}`);
  return (
    <label class="pick">
      <span class="hidden">{label}</span>
      <select value={value} onChange={(event) => onChange(event.target.value)}>
        <option value="">{active ? `${name(active)} (active)` : 'active model'}</option>
        {models.filter((model) => !model.active || model.id === value).map((model) => (
          <option key={model.id} value={model.id}>{name(model)}</option>))}
      </select>
    </label>
  );
}

function Models({ models, query, set }) {
  if (models.length < 2) return null;
  const other = models.findLast((model) => !model.active && model.id !== 'identity') || models[0];
  return (
    <div class="models">
      <ModelChoice models={models} value={query.model} label="Model"
        onChange={(model) => set({ model })} />
      {query.second
        ? <>
          <span class="quiet">beside</span>
          <ModelChoice models={models} value={query.second} label="Second model"
            onChange={(model) => set({ with: model || models.find((m) => m.active).id })} />
          <button type="button" class="plain" aria-label="Close the second model"
            onClick={() => set({ with: null })}><Icon name="close" size={18} /></button>
        </>
        : <button type="button" class="plain" aria-label="Side by side with another model"
          title="Side by side" onClick={() => set({ with: other.id })}>
          <Icon name="columns" /></button>}
    </div>
  );
}

/* ---- the view ---- */

/* Of a picture and words: the active model if it can, else the newest that can. */
function composing(models) {
  const able = models.filter((model) => model.can.includes('compose'));
  return able.some((model) => model.active) ? '' : able.at(-1)?.id || '';
}

function useModels(collection) {
  const list = useLoad(`models ${collection}`, (signal) =>
    getAll(collectionPath(collection, '/models'), 'models', { signal, most: 200 }));
  return list.data || [];
}

export function Search({ route, collection, collections }) {
  const { params } = route;
  const query = useMemo(() => readQuery(params), [params]);
  const models = useModels(collection);
  const model = query.model || (isComposed(query) ? composing(models) : '');
  const methods = Object.fromEntries(models.map((model) => [model.id, model.method]));
  const set = (changes, options) =>
    go(href('search', collection, changed(params, changes)), options);
  useTitle(query.text || (isEmpty(query) ? collection : 'Search by picture'));
  const info = collections.data?.find((one) => one.name === collection);
  return (
    <>
      <h1 class="hidden">Search in {collection}</h1>
      <QueryBox collection={collection} query={query} set={set} />
      <div class="controls">
        {!isEmpty(query) && <Target query={query} set={set} />}
        <Filters collection={collection} params={params}
          apply={(next) => go(href('search', collection, next))} />
        {!isEmpty(query) && <Models models={models} query={query} set={set} />}
      </div>
      {isEmpty(query)
        ? <Browse collection={collection} query={query} params={params}
          total={info?.counts.items} />
        : query.second
          ? <div class="sides">
            {[model, query.second].map((one, i) => (
              <section key={i} aria-label={`Model ${one || 'active'}`}>
                <Results collection={collection} query={query} params={params} model={one}
                  methods={methods} />
              </section>))}
          </div>
          : <section aria-label="Results">
            <Results collection={collection} query={query} params={params} model={model}
              methods={methods} />
          </section>}
    </>
  );
}
