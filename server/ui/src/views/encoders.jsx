/* The encoders of this server: who uses them, adding one from a folder, removing one. */
import { useRef, useState } from 'preact/hooks';
import { get, request, segment } from '../api.js';
import { bytes } from '../format.js';
import { filesOfDrop, filesOfInput } from '../intake.js';
import { ErrorLine, Loading } from '../parts/faces.jsx';
import { Icon } from '../parts/icons.jsx';
import { useFileDrop } from '../parts/querybox.jsx';
import { toast } from '../parts/toast.jsx';
import { tarOfFolder } from '../tar.js';
import { useLoad } from '../use.js';

const path = (name) => `/v1/encoders/${segment(name)}`;
const MODALITIES = { image: 'pictures', text: 'texts' };

function Remove({ encoder, done }) {
  const remove = async () => {
    try {
      await request('DELETE', path(encoder.name));
      toast(`${encoder.name} was removed.`);
    } catch (error) {
      toast(error.message, { tone: 'bad' });
    }
    done();
  };
  const used = encoder.collections.length > 0;
  return (
    <button type="button" class="plain" aria-label={`Remove ${encoder.name}`} disabled={used}
      title={used ? 'Collections use it' : 'Remove'} onClick={remove}>
      <Icon name="trash" size={18} /></button>
  );
}

function Row({ encoder, reload }) {
  return (
    <tr>
      <th scope="row"><span>{encoder.name}</span> <small class="quiet">{encoder.title}</small>
        {encoder.error && <small class="bad"> {encoder.error}</small>}</th>
      <td data-title="for">{encoder.modalities.map((one) => MODALITIES[one]).join(' and ') || '–'}
      </td>
      <td class="number" data-title="width">{encoder.dim ?? '–'}</td>
      <td class="number" data-title="size">{encoder.builtin ? 'built in'
        : bytes(encoder.bytes)}</td>
      <td data-title="used by">{encoder.collections.join(', ') || '–'}</td>
      <td class="last">{encoder.removable && <Remove encoder={encoder} done={reload} />}</td>
    </tr>
  );
}

/* Choosing or dropping the folder sends it: the server checks all of it before it lists it. */
function AddEncoder({ done }) {
  const chooser = useRef(null);
  const [sending, setSending] = useState('');
  const [error, setError] = useState(null);
  const send = async (promise) => {
    setError(null);
    try {
      const { name, tar } = tarOfFolder(await promise);
      setSending(`Sending and checking ${name} (${bytes(tar.size)})`);
      await request('PUT', path(name), { body: tar });
      toast(`${name} can be used.`);
      done();
    } catch (failure) {
      setError(failure);
    }
    setSending('');
  };
  const over = useFileDrop((data) => send(filesOfDrop(data)));
  return (
    <div class={`adding ${over ? 'over' : ''}`}>
      <ErrorLine error={error} />
      {sending ? <Loading what={sending} /> : <p class="row">
        <button type="button" class="quiet" onClick={() => chooser.current.click()}>
          <Icon name="add" /> Add an encoder</button>
        <span class="quiet">A folder with <code>config.json</code>,{' '}
          <code>model.safetensors</code> and its tokenizer: choose it, or drop it here.</span>
      </p>}
      <input ref={chooser} type="file" webkitdirectory multiple hidden aria-hidden="true"
        tabIndex={-1} data-test="encoder" onChange={(event) => {
          const list = filesOfInput(event.target.files);
          event.target.value = '';
          if (list.length) send(Promise.resolve(list));
        }} />
    </div>
  );
}

export function Encoders() {
  const list = useLoad('encoders', async (signal) =>
    (await get('/v1/encoders', { signal })).encoders);
  return (
    <section aria-label="Encoders">
      <h2>Encoders</h2>
      <ErrorLine error={list.error} retry={list.reload} />
      {!list.data ? list.loading && <Loading /> : <table class="plain">
        <thead><tr><th scope="col">name</th><th scope="col">for</th>
          <th scope="col" class="number">width</th><th scope="col" class="number">size</th>
          <th scope="col">used by</th><td /></tr></thead>
        <tbody>{list.data.map((one) => <Row key={one.name} encoder={one} reload={list.reload} />)}
        </tbody>
      </table>}
      <AddEncoder done={list.reload} />
    </section>
  );
}
