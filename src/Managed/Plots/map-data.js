// What the map shows: the points as the page holds them, their importance, their colours.

const data = JSON.parse(document.getElementById('data').textContent);
const xs = take('x', Float32Array);
const ys = take('y', Float32Array);
const count = xs.length;
const named = data.labels.length > 0; // else a point goes by its row
const written = named && data.written; // names stand on the map; else those of the classes do
const anchors = take('anchors', Float32Array);
const weights = take('weights', Float32Array);
const colours = take('colours', Uint16Array);
const neighbours = take('neighbours', data.wide ? Int32Array : Uint16Array);
const scores = take('scores', Float32Array);

/** Decodes an array and lets go of its text, which is larger. */
function take(name, Type) {
  const bytes = atob(data[name]);
  data[name] = null;
  const buffer = new Uint8Array(bytes.length);
  for (let i = 0; i < bytes.length; i++) buffer[i] = bytes.charCodeAt(i);
  return new Type(buffer.buffer);
}

const clamp = (v, low, high) => Math.min(high, Math.max(low, v));

// Importance: order[0] is the most important point, rank[i] the place of point i.
const order = new Uint32Array(count).map((_, i) => i);
if (weights.length) order.sort((a, b) => weights[b] - weights[a] || a - b);
const rank = new Uint32Array(count);
for (let r = 0; r < count; r++) rank[order[r]] = r;

const FONTS = [[20, 15.5, 600], [90, 13, 600], [400, 12, 500], [Infinity, 11, 400]]
  .map(([upTo, size, weight]) => ({ upTo, size, weight }));
const FAMILY = getComputedStyle(document.body).fontFamily;
const DOT_SCALE = [1.5, 1.25, 1.05, 0.92];
// The class of size of each dot and label.
const classes = new Uint8Array(count).fill(FONTS.length - 1);
for (let r = 0, c = 0; written && r < count && c < FONTS.length - 1; r++) {
  while (r >= FONTS[c].upTo) c++;
  classes[order[r]] = c;
}
const fontOf = (size, weight) => `${weight} ${size}px ${FAMILY}`;

const labelOf = i => (named ? data.labels[i] : `${data.noun} ${i}`);
const groupName = g => data.groups[g] || '(none)';
const groupOf = i => (data.groups.length ? groupName(colours[i]) : '');

// How many points each group has; the groups, the largest first.
const tally = new Uint32Array(data.groups.length);
if (data.groups.length) for (let i = 0; i < count; i++) tally[colours[i]]++;
const groupsBySize = data.groups.map((_, g) => g).sort((a, b) => tally[b] - tally[a] || a - b);

/** A label as one drawn line: white space folded, shortened to 32 characters. */
function shortLabel(i, most = 32) {
  return oneLine(labelOf(i), most);
}

function oneLine(text, most) {
  if (text.length > 4 * most) text = text.slice(0, 4 * most);
  text = text.replace(/[\s\u0000-\u001f\u007f-\u009f]+/g, ' ').trim();
  if (text.length <= most) return text;
  const characters = Array.from(text);
  return characters.length <= most ? text : characters.slice(0, most - 1).join('') + '…';
}

// ---- Colours: follow the system's light or dark scheme.

const dark = matchMedia('(prefers-color-scheme: dark)');
const theme = {};
function readTheme() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ['ground', 'ink', 'muted', 'accent']) theme[name] = style.getPropertyValue('--' + name).trim();
  theme.dots = data.palette.map(p => p[dark.matches ? 1 : 0]);
  theme.text = data.palette.map(p => p[dark.matches ? 3 : 2]);
}
readTheme();
