/* The frame of the page: head, the way to the views, what concerns all of them, the view. */
import { busy, getAll, gone } from './api.js';
import { useValue } from './observable.js';
import { ErrorFace, Loading } from './parts/faces.jsx';
import { Icon } from './parts/icons.jsx';
import { later } from './parts/later.jsx';
import { Toasts } from './parts/toast.jsx';
import { go, href, useRoute } from './router.js';
import { useEvery, useLoad } from './use.js';
import { useEffect, useState } from 'preact/hooks';
import { Add } from './views/add.jsx';
import { Compare } from './views/compare.jsx';
import { Item } from './views/item.jsx';
import { Operate } from './views/operate.jsx';
import { Search } from './views/search.jsx';
import { Train } from './views/train.jsx';
import { Welcome } from './views/welcome.jsx';

/* `alone`: it makes sense without a collection. */
const VIEWS = {
  search: { title: 'Search', view: Search, tab: true },
  add: { title: 'Add', view: Add, tab: true, alone: true },
  train: { title: 'Train', view: Train, tab: true },
  compare: { title: 'Compare', view: Compare, tab: true },
  operate: { title: 'Operate', view: Operate, tab: true, alone: true },
  item: { view: Item },
};
const isDocs = location.pathname === '/docs';
const Docs = later(() => import('./views/docs.jsx'), () => <Loading />);
if (isDocs) Docs.read();

const REMEMBERED = 'isthmus.collection';

/* The collection of the address, else the one that was looked at last, else the first. */
function choose(route, collections) {
  if (route.collection) return route.collection;
  const names = collections?.map((c) => c.name) || [];
  const before = localStorage.getItem(REMEMBERED);
  return names.includes(before) ? before : names[0] || '';
}

function GoneBanner() {
  const state = useValue(gone);
  const [, tick] = useState(0);
  useEvery(state ? 500 : null, () => tick((n) => n + 1));
  if (!state) return null;
  const left = Math.max(0, Math.ceil((state.next - Date.now()) / 1000));
  return (
    <div class="banner bad" role="alert">
      <Icon name="warning" />
      <p>The server does not answer.{' '}
        <span aria-hidden="true">{left > 0 ? `Asking again in ${left} s…` : 'Asking again…'}</span>
      </p>
    </div>
  );
}

function BusyBanner() {
  const n = useValue(busy);
  const state = useValue(gone);
  if (n === 0 || state) return null;
  return (
    <div class="banner" role="status">
      <span class="dots" aria-hidden="true" />
      <span>The server is busy; the page waits and asks again.</span>
    </div>
  );
}

function Head({ route, collection, collections }) {
  const names = collections?.map((c) => c.name) || [];
  if (collection && !names.includes(collection)) names.unshift(collection);
  const isSearch = route.view === 'item' || !VIEWS[route.view];
  const view = isDocs ? '' : isSearch ? 'search' : route.view;
  return (
    <header class="head">
      <a class="brand" href="/#/"><Mark /> <span>Isthmus</span></a>
      {names.length > 0 && !isDocs && (
        <label class="which">
          <span class="hidden">Collection</span>
          <select value={collection} onChange={(event) =>
            go(href(view || 'search', event.target.value))}>
            {names.map((name) => <option key={name}>{name}</option>)}
          </select>
        </label>
      )}
      <nav aria-label="Views">
        {Object.entries(VIEWS).filter(([, row]) => row.tab).map(([name, row]) => (
          <a key={name} href={(isDocs ? '/' : '') + href(name, collection)} class="tab"
            aria-current={view === name ? 'page' : undefined}>
            <Icon name={name} /> <span>{row.title}</span>
          </a>
        ))}
      </nav>
      <a class="tab docs" href="/docs" aria-current={isDocs ? 'page' : undefined}>
        <Icon name="docs" /> <span>API</span></a>
    </header>
  );
}

function Mark() {
  return (
    <svg class="mark" viewBox="0 0 32 32" width="26" height="26" aria-hidden="true">
      <circle cx="9" cy="9.500" r="6.500" /><circle cx="23" cy="22.500" r="6.500" />
      <path d="M13 11c2 4 4 3 7 6M12 13c2 4 4 5 6 8" fill="none" stroke="currentColor"
        stroke-width="2.500" />
    </svg>
  );
}

export function App() {
  const route = useRoute();
  const list = useLoad('collections', (signal) => getAll('/v1/collections', 'collections',
    { signal }));
  const collection = choose(route, list.data);
  useEffect(() => {
    if (route.collection) localStorage.setItem(REMEMBERED, route.collection);
  }, [route.collection]);
  const known = VIEWS[route.view];
  const nothing = list.data?.length === 0 && !route.collection;
  const View = isDocs ? Docs : nothing && !known?.alone ? Welcome : known?.view || Search;
  const waiting = !isDocs && !collection && !list.data && !list.error;
  return (
    <>
      <a class="skip" href="#view" onClick={(event) => {
        event.preventDefault();
        document.getElementById('view').focus();
      }}>Skip to the view</a>
      <Head route={route} collection={collection} collections={list.data} />
      <GoneBanner />
      <BusyBanner />
      <main id="view" tabIndex={-1}>
        {waiting ? null : list.error && !collection && !known?.alone
          ? <ErrorFace error={list.error} retry={list.reload} />
          : <View key={`${route.view}/${route.view === 'operate' ? '' : collection}`} route={route}
            collection={collection} collections={list} />}
      </main>
      <Toasts />
    </>
  );
}
