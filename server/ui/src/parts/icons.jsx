/* Icons as strokes on a grid of 24; all are decoration, so screen readers pass over them. */
const PATHS = {
  search: 'M10.5 17a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13zM15.500 15.500 20 20',
  add: 'M12 5v14M5 12h14',
  train: 'M4 19c4 0 5-14 9-14s3 9 7 9M4 5v14h16',
  compare: 'M6 20V10M12 20V4M18 20v-7',
  operate: 'M4 7h10M18 7h2M4 17h2M10 17h10M16 5v4M8 15v4',
  docs: 'M6 4h9l4 4v12H6zM9 12h6M9 16h6',
  close: 'M6 6l12 12M18 6 6 18',
  picture: 'M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15.500 9.500h.01',
  similar: 'M4 4h9v9H4zM11 15v5h9v-9h-5',
  down: 'M6 9l6 6 6-6',
  back: 'M14 6l-6 6 6 6',
  columns: 'M4 5h16v14H4zM12 5v14',
  folder: 'M3 6h6l2 2h10v11H3z',
  check: 'M5 12.500l4.500 4.500L19 7.500',
  trash: 'M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13',
  edit: 'M4 20l1-5L16 4l4 4L9 19z',
  warning: 'M12 4 2.500 20h19zM12 10v5M12 17.500v.01',
  undo: 'M8 5 4 9l4 4M4 9h10a6 6 0 0 1 0 12h-3',
  up: 'M12 20V5M6 11l6-6 6 6',
};

export function Icon({ name, size = 20 }) {
  return (
    <svg class="icon" width={size} height={size} viewBox="0 0 24 24" aria-hidden="true"
      focusable="false" fill="none" stroke="currentColor" stroke-width="1.8"
      stroke-linecap="round" stroke-linejoin="round">
      <path d={PATHS[name]} />
    </svg>
  );
}
