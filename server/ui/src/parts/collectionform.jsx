/* The name and the encoders of a collection that is to be made. */
import { get } from '../api.js';
import { useLoad } from '../use.js';

export function NewCollection({ name, setName }) {
  return (
    <label class="inline">Name{' '}
      <input value={name} required maxLength={64} pattern="[A-Za-z0-9_\-][A-Za-z0-9._\-]*"
        placeholder="pictures" onInput={(event) => setName(event.target.value)} />
    </label>
  );
}

const KINDS = [['image', 'Pictures by'], ['text', 'Texts by']];

/* Encoders are fixed when a collection is made; the server knows which are best. */
export function EncoderPick({ value, set }) {
  const info = useLoad('info', (signal) => get('/v1/info', { signal }));
  const all = (info.data?.encoders || []).filter((one) => !one.error);
  return KINDS.map(([modality, title]) => {
    const list = all.filter((one) => one.modalities.includes(modality));
    const name = `${modality}_encoder`;
    if (list.length < 2) return null;
    return (
      <label class="inline" key={modality}>{title}{' '}
        <select value={value[name] || ''} onChange={(event) => {
          const { [name]: _, ...rest } = value;
          set(event.target.value ? { ...rest, [name]: event.target.value } : rest);
        }}>
          <option value="">the best there is</option>
          {list.map((one) => <option key={one.name} value={one.name}>{one.name}</option>)}
        </select>
      </label>
    );
  });
}
