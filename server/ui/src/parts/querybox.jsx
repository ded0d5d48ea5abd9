/*
 * The field for words and a picture: typed, dropped anywhere on the page, pasted, or chosen. What
 * is typed is searched for after a moment; one run of typing is one entry of the history.
 */
import { useEffect, useRef, useState } from 'preact/hooks';
import { pictureBlob, pictureParameter } from '../query.js';
import { Icon } from './icons.jsx';
import { Thumb } from './tile.jsx';
import { toast } from './toast.jsx';

const IDLE_MS = 350;

/* A picture that the browser made for itself, shown until another one comes. */
function Preview({ parameter }) {
  const [url, setUrl] = useState(null);
  useEffect(() => {
    const blob = pictureBlob(parameter);
    if (!blob) return undefined;
    const made = URL.createObjectURL(blob);
    setUrl(made);
    return () => URL.revokeObjectURL(made);
  }, [parameter]);
  return url ? <img src={url} alt="" onError={() => setUrl(null)} /> : <Icon name="picture" />;
}

function Chip({ collection, query, set }) {
  if (!query.id && !query.picture) return null;
  return (
    <span class="chip">
      {query.id ? <Thumb collection={collection} id={query.id} wide="3rem" />
        : <Preview parameter={query.picture} />}
      <span class="hidden">{query.id ? `Like the item ${query.id}` : 'Like the picture'}</span>
      <button type="button" class="plain" aria-label="Take the picture out of the search"
        onClick={() => set({ id: null, picture: null, side: null })}>
        <Icon name="close" size={16} /></button>
    </span>
  );
}

/* The first picture of a drop or a paste. */
function pictureOf(data) {
  return [...(data?.files || [])].find((file) => file.type.startsWith('image/')
    || /\.(tiff?|bmp|svg|webp|gif|png|jpe?g)$/i.test(file.name));
}

/* Files that are dragged over the window, wherever: the page says that it takes them. */
export function useFileDrop(take) {
  const [over, setOver] = useState(false);
  const latest = useRef(take);
  latest.current = take;
  useEffect(() => {
    let depth = 0;
    const isFiles = (event) => event.dataTransfer?.types.includes('Files');
    const enter = (event) => {
      if (!isFiles(event)) return;
      depth++;
      setOver(true);
    };
    const leave = (event) => {
      if (!isFiles(event)) return;
      depth = Math.max(0, depth - 1);
      if (depth === 0) setOver(false);
    };
    const hold = (event) => isFiles(event) && event.preventDefault();
    const drop = (event) => {
      if (!isFiles(event)) return;
      event.preventDefault();
      depth = 0;
      setOver(false);
      latest.current(event.dataTransfer);
    };
    const pairs = [['dragenter', enter], ['dragleave', leave], ['dragover', hold], ['drop', drop]];
    for (const [name, f] of pairs) addEventListener(name, f);
    return () => pairs.forEach(([name, f]) => removeEventListener(name, f));
  }, []);
  return over;
}

export function QueryBox({ collection, query, set }) {
  const [text, setText] = useState(query.text);
  const [typing, setTyping] = useState(false);
  const input = useRef(null);
  const chooser = useRef(null);
  useEffect(() => setText(query.text), [query.text]);

  const search = (words) => {
    if (words.trim() === query.text) return;
    set({ text: words.trim() || null }, { replace: typing });
    setTyping(true);
  };
  useEffect(() => {
    if (text.trim() === query.text) return undefined;
    const timer = setTimeout(() => search(text), IDLE_MS);
    return () => clearTimeout(timer);
  }, [text]);

  const take = async (file) => {
    if (!file) {
      toast('That was no picture.', { tone: 'bad' });
      return;
    }
    set({ picture: await pictureParameter(file), id: null, side: null });
  };
  const over = useFileDrop((data) => take(pictureOf(data)));
  useEffect(() => {
    const paste = (event) => {
      const file = pictureOf(event.clipboardData);
      if (file) {
        event.preventDefault();
        take(file);
      }
    };
    const key = (event) => {
      if (event.key === '/' && !event.target.closest?.('input, textarea, select')) {
        event.preventDefault();
        input.current?.focus();
      }
    };
    addEventListener('paste', paste);
    addEventListener('keydown', key);
    return () => {
      removeEventListener('paste', paste);
      removeEventListener('keydown', key);
    };
  });

  const hasPicture = query.id || query.picture;
  return (
    <>
      <form class="querybox" role="search" onSubmit={(event) => {
        event.preventDefault();
        search(text);
        setTyping(false);
      }}>
        <Icon name="search" size={22} />
        <Chip collection={collection} query={query} set={set} />
        <input ref={input} type="search" value={text} aria-label="Words to search for"
          placeholder={hasPicture ? '…and what should be different' : 'Words, or drop a picture'}
          autocomplete="off" spellcheck={false} maxLength={4000}
          onInput={(event) => setText(event.target.value)}
          onBlur={() => setTyping(false)} />
        {(text || hasPicture) && (
          <button type="button" class="plain" aria-label="Clear the search" onClick={() => {
            setText('');
            set({ text: null, id: null, picture: null, side: null });
            input.current.focus();
          }}><Icon name="close" /></button>
        )}
        <button type="button" class="plain" aria-label="Search with a picture"
          title="Search with a picture (or drop or paste one)"
          onClick={() => chooser.current.click()}><Icon name="picture" size={22} /></button>
        <input ref={chooser} type="file" accept="image/*" hidden aria-hidden="true" tabIndex={-1}
          onChange={(event) => {
            const [file] = event.target.files;
            event.target.value = '';
            if (file) take(file);
          }} />
      </form>
      {over && (
        <div class="dropping" aria-hidden="true"><p>Drop the picture to search with it</p></div>
      )}
    </>
  );
}
