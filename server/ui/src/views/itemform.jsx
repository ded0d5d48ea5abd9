/* Editing an item: texts, label, metadata. What was not touched is not sent. */
import { useState } from 'preact/hooks';
import { itemPath, request } from '../api.js';
import { forgetPages } from '../pages.js';
import { ErrorLine } from '../parts/faces.jsx';
import { Icon } from '../parts/icons.jsx';
import { toast } from '../parts/toast.jsx';

/* Metadata as one types it: JSON where it is JSON, else the words themselves. */
const shown = (value) => (typeof value === 'string' && readValue(value) === value
  ? value : JSON.stringify(value));
function readValue(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/* The merge patch from one object to another: null removes. */
function patchOf(before, after) {
  const patch = {};
  for (const name of Object.keys(before)) if (!(name in after)) patch[name] = null;
  for (const [name, value] of Object.entries(after)) {
    if (JSON.stringify(value) !== JSON.stringify(before[name])) patch[name] = value;
  }
  return patch;
}

function changesOf(item, texts, label, rows) {
  const changes = {};
  const kept = texts.map((text) => text.trim()).filter(Boolean);
  if (JSON.stringify(kept) !== JSON.stringify(item.texts)) changes.texts = kept;
  if ((label.trim() || null) !== item.label) changes.label = label.trim() || null;
  const after = Object.fromEntries(rows.filter(([name]) => name.trim())
    .map(([name, value]) => [name.trim(), readValue(value)]));
  const patch = patchOf(item.metadata || {}, after);
  if (Object.keys(patch).length) changes.metadata = patch;
  return changes;
}

export function ItemForm({ collection, item, close }) {
  const [texts, setTexts] = useState(item.texts.length ? item.texts : ['']);
  const [label, setLabel] = useState(item.label || '');
  const [rows, setRows] = useState(Object.entries(item.metadata || {})
    .map(([name, value]) => [name, shown(value)]));
  const [error, setError] = useState(null);
  const [saving, setSaving] = useState(false);
  const replace = (list, i, value) => list.map((old, k) => (k === i ? value : old));

  const save = async (event) => {
    event.preventDefault();
    setSaving(true);
    setError(null);
    try {
      const changes = changesOf(item, texts, label, rows);
      if (Object.keys(changes).length) {
        await request('PATCH', itemPath(collection, item.id), { body: changes });
        forgetPages();
        toast('Saved.');
      }
      close(true);
    } catch (failure) {
      setError(failure);
      setSaving(false);
    }
  };
  return (
    <form class="form" onSubmit={save} aria-label="Edit the item">
      <fieldset>
        <legend>Texts</legend>
        {texts.map((text, i) => (
          <textarea key={i} rows={2} value={text} aria-label={`Text ${i + 1}`}
            onInput={(event) => setTexts(replace(texts, i, event.target.value))} />
        ))}
        <button type="button" class="link" onClick={() => setTexts([...texts, ''])}>
          Another text</button>
      </fieldset>
      <label class="field"><span>Label</span>
        <input value={label} maxLength={255} onInput={(event) => setLabel(event.target.value)} />
      </label>
      <fieldset>
        <legend>Metadata</legend>
        {rows.map(([name, value], i) => (
          <div class="pair" key={i}>
            <input value={name} aria-label="Name" placeholder="name"
              onInput={(event) => setRows(replace(rows, i, [event.target.value, value]))} />
            <input value={value} aria-label={`Value of ${name || 'the new field'}`}
              placeholder="value"
              onInput={(event) => setRows(replace(rows, i, [name, event.target.value]))} />
            <button type="button" class="plain" aria-label={`Remove ${name || 'the new field'}`}
              onClick={() => setRows(rows.filter((_, k) => k !== i))}><Icon name="close" /></button>
          </div>
        ))}
        <button type="button" class="link" onClick={() => setRows([...rows, ['', '']])}>
          Another field</button>
      </fieldset>
      <ErrorLine error={error} />
      <p class="row">
        <button type="submit" disabled={saving}>Save</button>
        <button type="button" class="quiet" onClick={() => close(false)}>Cancel</button>
      </p>
    </form>
  );
}
