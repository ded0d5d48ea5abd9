/* Short messages at the lower edge; one may carry an action, such as undo. */
import { observable, useValue } from '../observable.js';
import { Icon } from './icons.jsx';

const toasts = observable([]);
let last = 0;

export function closeToast(id) {
  toasts.set(toasts.get().filter((toast) => toast.id !== id));
}

/* `lasting` ones stay until they are closed or another view's work needs the room. */
export function toast(text, { action, run, lasting = false, tone = '' } = {}) {
  const id = ++last;
  toasts.set([...toasts.get().slice(-3), { id, text, action, run, tone }]);
  if (!lasting) setTimeout(() => closeToast(id), 6000);
  return id;
}

export function Toasts() {
  const list = useValue(toasts);
  return (
    <div class="toasts" role="status" aria-live="polite">
      {list.map((one) => (
        <div class={`toast ${one.tone}`} key={one.id}>
          <span>{one.text}</span>
          {one.action && (
            <button type="button" class="link" onClick={() => {
              closeToast(one.id);
              one.run();
            }}>{one.action}</button>
          )}
          <button type="button" class="plain" aria-label="Close message"
            onClick={() => closeToast(one.id)}><Icon name="close" size={16} /></button>
        </div>
      ))}
    </div>
  );
}
