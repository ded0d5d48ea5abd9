/* What a view looks like when there is nothing to show, something went wrong, or not yet. */
import { useEffect, useState } from 'preact/hooks';
import { Icon } from './icons.jsx';

const LATE_MS = 150;

export function Face({ icon, title, children, tone }) {
  return (
    <div class={`face ${tone || ''}`}>
      {icon && <Icon name={icon} size={36} />}
      <h2>{title}</h2>
      {children}
    </div>
  );
}

const TITLES = {
  gone: 'The server does not answer',
  too_busy: 'The server is too busy',
  model_loading: 'The model is still being loaded',
  unavailable: 'The server is not ready',
  no_model: 'There is no model for this yet',
  not_found: 'There is no such thing here',
  storage_full: 'The disk of the server is full',
};

/* `retry` is what the button does; a server that is gone is asked again without it. */
export function ErrorFace({ error, retry, children }) {
  const isGone = error.code === 'gone';
  return (
    <div role="alert">
      <Face icon="warning" tone="bad" title={TITLES[error.code] || 'That did not work'}>
        <p>{isGone ? 'The page goes on by itself when it is back.' : error.message}</p>
        {error.errors?.length > 0 && error.errors[0].pointer && (
          <p class="quiet">at <code>{error.errors[0].pointer}</code></p>
        )}
        {children}
        {retry && !isGone && <button type="button" onClick={retry}>Try again</button>}
      </Face>
    </div>
  );
}

/* In a line, beside what did work. */
export function ErrorLine({ error, retry }) {
  if (!error) return null;
  return (
    <p class="errorline" role="alert">
      <Icon name="warning" size={18} /> <span>{error.message}</span>
      {retry && <button type="button" class="link" onClick={retry}>Try again</button>}
    </p>
  );
}

export function Loading({ what = 'Loading' }) {
  return <p class="loading quiet" role="status"><span class="dots" aria-hidden="true" />{what}…</p>;
}

/* Tiles of the size that the pictures will have, a page of them, once waiting can be felt. */
export function SkeletonGrid({ n = 30 }) {
  const [late, setLate] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setLate(true), LATE_MS);
    return () => clearTimeout(timer);
  }, []);
  if (!late) return null;
  return (
    <div aria-hidden="true">
      <p class="meta">{'\u00a0'}</p>
      <div class="grid">
        {Array.from({ length: n }, (_, i) => (
          <div class="tile skeleton" key={i}><div class="pic" /><div class="lines" /></div>
        ))}
      </div>
    </div>
  );
}
