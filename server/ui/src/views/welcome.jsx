/* The first visit: an empty server says what to do. */
import { useTitle } from '../use.js';

export function Welcome() {
  useTitle('Welcome');
  return (
    <section class="welcome">
      <h1>Search pictures by words, and words by pictures</h1>
      <p>Isthmus learns a common space for images and text from your own pairs.</p>
    </section>
  );
}
