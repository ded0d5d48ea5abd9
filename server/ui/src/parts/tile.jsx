/*
 * An item as a tile: the picture in a square of fixed size, so that nothing moves while pictures
 * come; an item without one shows its words there.
 */
import { imagePath } from '../api.js';
import { percent } from '../format.js';
import { href } from '../router.js';
import { Icon } from './icons.jsx';

const SIZES = [160, 256, 384, 512, 640, 1024]; /* of those that the server keeps */

export function Thumb({ collection, id, alt = '', wide, first }) {
  const source = (size) => imagePath(collection, id, size);
  return (
    <img src={source(256)} alt={alt} loading={first ? 'eager' : 'lazy'} decoding="async"
      elementtiming={first ? 'first' : undefined} width="256" height="256"
      srcset={SIZES.map((size) => `${source(size)} ${size}w`).join(', ')}
      sizes={wide || '(min-width: 50rem) 13rem, (min-width: 30rem) 30vw, 45vw'} />
  );
}

/* How sure the model is, as a line under the picture: full is certain. */
export function Score({ score, similarity }) {
  if (score === null || score === undefined) {
    return similarity === undefined ? null
      : <p class="score none" title="How near it is; not a probability">{similarity.toFixed(2)}</p>;
  }
  const text = `${percent(score)} likely a match`;
  return (
    <div class="score" role="img" aria-label={text} title={text}>
      <i style={{ width: `${Math.max(score * 100, 1)}%` }} />
    </div>
  );
}

/* `item` is a hit or an item; `hasImage` false where it is known to have none. */
export function Tile({ collection, item, hasImage = true, hit, keep = {}, first }) {
  const texts = item.texts || [];
  const caption = texts[hit?.text ?? 0] || item.label || item.id;
  const to = href('item', collection, keep, item.id);
  return (
    <li class="tile">
      <a class="open" href={to}>
        {hasImage
          ? <span class="pic"><Thumb collection={collection} id={item.id} first={first} /></span>
          : <span class="pic words" aria-hidden="true"><span>{caption}</span></span>}
        {hit && <Score score={hit.score} similarity={hit.similarity} />}
        <span class="caption">{caption}</span>
      </a>
      {item.label && <span class="label">{item.label}</span>}
      <a class="more" href={href('search', collection, { ...keep, id: item.id })}
        aria-label={`More like this: ${caption}`} title="More like this">
        <Icon name="similar" size={18} />
      </a>
    </li>
  );
}
