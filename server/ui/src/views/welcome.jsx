/* The first visit: an empty server says what to do. */
import { useState } from 'preact/hooks';
import { collectionPath, fetchReply, get, request } from '../api.js';
import { plural } from '../format.js';
import { ErrorLine } from '../parts/faces.jsx';
import { Icon } from '../parts/icons.jsx';
import { go, href } from '../router.js';
import { startUpload } from '../upload.js';
import { useLoad, useTitle } from '../use.js';

/* A line of the demo data as a record of an upload: the picture is a file like any other. */
function recordOf(line) {
  const { image, ...item } = JSON.parse(line);
  const data = Uint8Array.from(atob(image.base64), (c) => c.charCodeAt(0));
  const type = /\.svg$/i.test(item.id) ? 'image/svg+xml' : ''; /* others tell it by themselves */
  return { origin: item.id, file: new Blob([data], { type }), problem: null,
    item: { texts: [], label: null, metadata: {}, ...item } };
}

async function readDemo(progress) {
  const reply = await fetchReply('GET', '/v1/demo/items');
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  const records = [];
  let rest = '';
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
    const lines = (rest + piece.value).split('\n');
    rest = lines.pop();
    for (const line of lines) if (line) records.push(recordOf(line));
    progress(records.length);
  }
  return records;
}

function Demo({ collections }) {
  const demo = useLoad('demo', (signal) => get('/v1/demo', { signal }));
  const [read, setRead] = useState(null);
  const [error, setError] = useState(null);
  if (!demo.data?.available) {
    return demo.data && <p class="quiet">Demo data would be one click away: install
      the Debian package <code>tuxpaint-stamps-default</code>.</p>;
  }
  const { collection, title, items } = demo.data;
  const start = async () => {
    setError(null);
    setRead(0);
    try {
      const records = await readDemo(setRead);
      await request('PUT', collectionPath(collection), { body: {} });
      startUpload(collection, records).then(collections.reload);
      collections.reload();
      go(href('add', collection));
    } catch (failure) {
      setError(failure);
      setRead(null);
    }
  };
  return (
    <>
      <button type="button" class="quiet" onClick={start} disabled={read !== null}>
        {read === null ? `Try it with ${title} (${plural(items, 'picture')})`
          : `Reading ${read} of ${items}…`}</button>
      <ErrorLine error={error} />
    </>
  );
}

const STEPS = [
  ['add', 'Add', 'Drop a folder of pictures with captions, labels, metadata; or a table.'],
  ['train', 'Train', 'Choose a method and watch it learn a common space from your own pairs.'],
  ['compare', 'Compare', 'See on held-out pairs what a model is worth, beside chance.'],
  ['search', 'Search', 'Words find pictures; pictures find words, and each other.'],
];

export function Welcome({ collections }) {
  useTitle('Welcome');
  return (
    <section class="welcome">
      <h1>Search pictures by words, and words by pictures</h1>
      <p class="large">Isthmus learns a common space for images and text from your own pairs.
        This server holds nothing yet.</p>
      <ol class="steps">
        {STEPS.map(([icon, title, text]) => (
          <li key={icon}><Icon name={icon} size={28} /><h2>{title}</h2><p>{text}</p></li>))}
      </ol>
      <p class="row">
        <a class="button" href={href('add')}><Icon name="add" /> Add your pictures</a>
        <Demo collections={collections} />
      </p>
    </section>
  );
}
