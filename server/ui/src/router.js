/*
 * The address behind # is the state of the page: #/search/stamps?text=a+seal. A view reads its
 * parameters from there and writes them there, so that an address can be sent and Back works.
 */
import { observable, useValue } from './observable.js';

function parse(hash) {
  const [path, search = ''] = hash.replace(/^#?\/?/, '').split(/\?(.*)/s);
  const [view = '', collection = '', id = ''] = path.split('/').map((part) => {
    try {
      return decodeURIComponent(part);
    } catch {
      return '';
    }
  });
  return { view, collection, id, params: new URLSearchParams(search), hash };
}

export const route = observable(parse(location.hash));
export const useRoute = () => useValue(route);

/* `params` is an object (values that are null, '' or false are left out) or URLSearchParams. */
export function href(view, collection = '', params = {}, id = '') {
  const path = [view, collection, id].filter((part) => part !== '').map(encodeURIComponent);
  const search = new URLSearchParams();
  const entries = params instanceof URLSearchParams ? params : Object.entries(params);
  for (const [name, value] of entries) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== null && one !== undefined && one !== '' && one !== false) {
        search.append(name, String(one));
      }
    }
  }
  const text = search.toString();
  return `#/${path.join('/')}${text ? `?${text}` : ''}`;
}

export function go(to, { replace = false } = {}) {
  if (to === location.hash) return;
  if (replace) {
    history.replaceState({ ...history.state }, '', to);
    route.set(parse(to));
  } else {
    rememberScroll();
    history.pushState({}, '', to);
    arrive(0);
  }
}

/* Where this entry of the history was scrolled to; a view asks for it when its rows are there. */
let restore = 0;
export function takeScroll() {
  const y = restore;
  restore = 0;
  return y;
}

function rememberScroll() {
  history.replaceState({ ...history.state, y: Math.round(scrollY) }, '');
}

function arrive(y) {
  const before = route.get();
  const now = parse(location.hash);
  restore = y;
  route.set(now);
  if (before.view !== now.view || before.id !== now.id) {
    if (!y) scrollTo(0, 0);
    document.getElementById('view')?.focus({ preventScroll: true });
  }
}

export function startRouter() {
  history.scrollRestoration = 'manual';
  let timer = 0;
  addEventListener('scroll', () => {
    clearTimeout(timer);
    timer = setTimeout(rememberScroll, 150);
  }, { passive: true });
  addEventListener('popstate', (event) => arrive(event.state?.y || 0));
  addEventListener('click', (event) => {
    const link = event.target.closest?.('a[href^="#/"]');
    const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey;
    if (!link || !plain || event.defaultPrevented) return;
    event.preventDefault();
    go(link.getAttribute('href'));
  });
}
