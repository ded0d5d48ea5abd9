/* Where the page starts. */
import { render } from 'preact';
import 'uplot/dist/uPlot.min.css';
import './style/base.css';
import './style/parts.css';
import './style/views.css';
import { App } from './app.jsx';
import { startRouter } from './router.js';

startRouter();
render(<App />, document.getElementById('app'));
