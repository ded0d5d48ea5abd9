/* Filters made from the labels and metadata that the collection has; each field is a menu. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { collectionPath, get } from '../api.js';
import { count, fieldName } from '../format.js';
import { readFilter, writeValue } from '../query.js';
import { useLoad } from '../use.js';
import { Icon } from './icons.jsx';

const FIND_FROM = 10; /* values from which a list gets a field to find one */

/* A disclosure that closes by Escape and by a click elsewhere; `children` makes what is in it,
 * maybe hundreds of values, and is not asked before it is opened. */
function Menu({ title, marked, children }) {
  const box = useRef(null);
  const [open, setOpen] = useState(false);
  useEffect(() => {
    const close = (event) => {
      if (box.current?.open && !box.current.contains(event.target)) box.current.open = false;
    };
    const escape = (event) => {
      if (event.key !== 'Escape' || !box.current?.open) return;
      box.current.open = false;
      box.current.querySelector('summary').focus();
    };
    addEventListener('pointerdown', close);
    addEventListener('keydown', escape);
    return () => {
      removeEventListener('pointerdown', close);
      removeEventListener('keydown', escape);
    };
  }, []);
  return (
    <details class="menu" ref={box} onToggle={(event) => setOpen(event.target.open)}>
      <summary class={marked ? 'marked' : ''}>{title}<Icon name="down" size={16} /></summary>
      <div class="sheet">{open && children()}</div>
    </details>
  );
}

function Values({ facet, row, setValues }) {
  const [find, setFind] = useState('');
  const wanted = find.toLowerCase();
  const shown = facet.values.filter(({ value }) => String(value).toLowerCase().includes(wanted));
  const toggle = (value, on) => setValues(on ? [...row.values, value]
    : row.values.filter((one) => one !== value));
  return (
    <>
      {facet.values.length > FIND_FROM && (
        <input type="search" value={find} placeholder="Find" aria-label={`Find in
          ${fieldName(facet.field)}`} onInput={(event) => setFind(event.target.value)} />
      )}
      <ul class="values">
        {shown.map(({ value, count: n }) => (
          <li key={JSON.stringify(value)}>
            <label>
              <input type="checkbox" checked={row.values.includes(value)}
                onChange={(event) => toggle(value, event.target.checked)} />
              <span>{String(value)}</span><small>{count(n)}</small>
            </label>
          </li>
        ))}
      </ul>
      {facet.more && <p class="quiet">the most frequent ones</p>}
    </>
  );
}

function Range({ facet, row, setRange }) {
  return (
    <div class="range">
      {[['min', 'from'], ['max', 'to']].map(([end, word]) => (
        <label key={end}>
          <span>{word}</span>
          <input type="number" step="any" value={row[end] ?? ''} placeholder={facet[end]}
            onChange={(event) => setRange(end, event.target.value)} />
        </label>
      ))}
    </div>
  );
}

const isRange = (facet) => facet.min !== null && (facet.more || facet.values.length > FIND_FROM);

/* A field is of use where it parts the items: not if all say the same, or each something else. */
function tellsApart(facet) {
  if (facet.min !== null && facet.min !== facet.max) return true;
  if (facet.field === 'has') return new Set(facet.values.map((one) => one.count)).size > 1;
  return facet.values.length > 1 && facet.values[0].count > 1;
}

export function Filters({ collection, params, apply }) {
  const facets = useLoad(`facets ${collection}`, (signal) =>
    get(collectionPath(collection, '/facets?limit=100'), { signal }));
  const rows = readFilter(params);
  const rowOf = (field) => rows.find((row) => row.field === field)
    || { field, values: [], min: null, max: null };
  const list = (facets.data?.facets || []).filter((facet) => tellsApart(facet)
    || rows.some((row) => row.field === facet.field));
  if (!list.length && !rows.length) return null;

  const setValues = (field, values) => {
    const next = new URLSearchParams(params);
    next.delete(`f.${field}`);
    for (const value of values) next.append(`f.${field}`, writeValue(value));
    apply(next);
  };
  const setRange = (field, end, text) => {
    const next = new URLSearchParams(params);
    if (text === '') next.delete(`${end}.${field}`);
    else next.set(`${end}.${field}`, text);
    apply(next);
  };
  const clear = () => {
    const next = new URLSearchParams(params);
    for (const name of [...next.keys()]) if (/^(f|min|max)\./.test(name)) next.delete(name);
    apply(next);
  };
  const summary = (row) => {
    const parts = row.values.map(String);
    if (row.min !== null) parts.push(`≥ ${row.min}`);
    if (row.max !== null) parts.push(`≤ ${row.max}`);
    return parts.length > 2 ? `${parts.length} values` : parts.join(', ');
  };
  return (
    <div class="filters" role="group" aria-label="Filters">
      {list.map((facet) => {
        const row = rowOf(facet.field);
        const text = summary(row);
        return (
          <Menu key={facet.field} marked={text !== ''}
            title={<span class="name">{fieldName(facet.field)}{text && <b>{text}</b>}</span>}>
            {() => (isRange(facet)
              ? <Range facet={facet} row={row}
                setRange={(...more) => setRange(facet.field, ...more)} />
              : <Values facet={facet} row={row}
                setValues={(values) => setValues(facet.field, values)} />)}
          </Menu>
        );
      })}
      {rows.length > 0 && <button type="button" class="link" onClick={clear}>Clear filters</button>}
    </div>
  );
}
