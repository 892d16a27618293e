// The map itself: places, the index of points, the choice of labels, drawing. What surrounds it is in map.js.

const data = JSON.parse(document.getElementById('data').textContent);
const count = data.labels.length;
const xs = decode(data.x, Float32Array);
const ys = decode(data.y, Float32Array);
const weights = decode(data.weights, Float32Array);
const colours = decode(data.colours, Uint16Array);
const neighbours = decode(data.neighbours, data.wide ? Int32Array : Uint16Array);
const scores = decode(data.scores, Float32Array);

function decode(text, Type) {
  const bytes = atob(text);
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
const sizeClass = i => FONTS.findIndex(f => rank[i] < f.upTo);
const classes = new Uint8Array(count).map((_, i) => sizeClass(i));
const fontOf = (size, weight) => `${weight} ${size}px ${FAMILY}`;

/** A label as one drawn line: white space folded, shortened to 32 characters. */
function shortLabel(i, most = 32) {
  let text = data.labels[i];
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

// ---- The view: the map's place at the middle of the canvas, and pixels per unit.

const canvas = document.getElementById('map');
const context = canvas.getContext('2d', { alpha: false });
const size = { width: 0, height: 0, dpr: 1 };
const view = { x: 0, y: 0, scale: 1 };
const limits = { home: { x: 0, y: 0, scale: 1 }, least: 1, most: 1 };

const toX = wx => (wx - view.x) * view.scale + size.width / 2;
const toY = wy => (view.y - wy) * view.scale + size.height / 2;

/** Fits the canvas to its element; insets is the room that the controls take at each edge. */
function resize(insets) {
  const wasHome = atHome();
  size.width = Math.max(1, canvas.clientWidth);
  size.height = Math.max(1, canvas.clientHeight);
  size.dpr = clamp(window.devicePixelRatio || 1, 1, 3);
  canvas.width = Math.round(size.width * size.dpr);
  canvas.height = Math.round(size.height * size.dpr);
  const width = Math.max(80, size.width - insets.left - insets.right);
  const height = Math.max(80, size.height - insets.top - insets.bottom);
  const scale = Math.min(width / 2 / Math.max(data.width, 1e-3), height / 2 / Math.max(data.height, 1e-3), Math.max(width, height));
  limits.home = {
    x: (insets.right - insets.left) / 2 / scale,
    y: (insets.top - insets.bottom) / 2 / scale,
    scale,
  };
  limits.least = scale * 0.5;
  limits.most = scale * Math.max(30, 1.6 * Math.sqrt(count));
  if (wasHome) Object.assign(view, limits.home);
  placement.restart();
  scene.valid = false;
}

function atHome() {
  return Math.abs(view.scale / limits.home.scale - 1) < 1e-6 && Math.abs(view.x - limits.home.x) + Math.abs(view.y - limits.home.y) < 1e-6;
}

/** Keeps some of the map on the canvas. */
function settle() {
  view.scale = clamp(view.scale, limits.least, limits.most);
  view.x = clamp(view.x, -data.width - size.width * 0.3 / view.scale, data.width + size.width * 0.3 / view.scale);
  view.y = clamp(view.y, -data.height - size.height * 0.3 / view.scale, data.height + size.height * 0.3 / view.scale);
}

function zoomAt(x, y, factor) {
  const scale = clamp(view.scale * factor, limits.least, limits.most);
  const dx = x - size.width / 2, dy = size.height / 2 - y;
  view.x += dx / view.scale - dx / scale;
  view.y += dy / view.scale - dy / scale;
  view.scale = scale;
  settle();
}

// ---- The index of points: cells of about four points, for picking and for drawing what is in view.

const grid = (() => {
  const width = 2 * data.width + 1e-6, height = 2 * data.height + 1e-6;
  const cell = Math.max(Math.sqrt(width * height * 4 / Math.max(1, count)), Math.max(width, height) / 512);
  const columns = Math.floor(width / cell) + 1, rows = Math.floor(height / cell) + 1;
  const column = x => clamp(Math.floor((x + data.width) / cell), 0, columns - 1);
  const row = y => clamp(Math.floor((y + data.height) / cell), 0, rows - 1);
  const start = new Uint32Array(columns * rows + 1);
  const cellOf = new Uint32Array(count);
  for (let i = 0; i < count; i++) start[(cellOf[i] = row(ys[i]) * columns + column(xs[i])) + 1]++;
  for (let c = 0; c < columns * rows; c++) start[c + 1] += start[c];
  const items = new Uint32Array(count);
  const next = start.slice();
  for (let r = count - 1; r >= 0; r--) items[next[cellOf[order[r]]]++] = order[r]; // the most important on top
  return { columns, column, row, start, items };
})();

/** Calls visit(i) for each shown point of a box in map units, and of its surroundings to whole cells. */
function forBox(x0, y0, x1, y1, visit) {
  const c0 = grid.column(x0), c1 = grid.column(x1);
  for (let r = grid.row(y0), last = grid.row(y1); r <= last; r++) {
    const from = grid.start[r * grid.columns + c0], to = grid.start[r * grid.columns + c1 + 1];
    for (let k = from; k < to; k++) if (shown[colours[grid.items[k]]]) visit(grid.items[k]);
  }
}

const shown = new Uint8Array(Math.max(1, data.palette.length)).fill(1);

/** The point at a place of the canvas: the label there, or the nearest dot within reach; -1 if none. */
function pick(x, y, reach) {
  for (const l of scene.labels) {
    const left = toX(xs[l.i]) + l.dx, middle = toY(ys[l.i]);
    if (x >= left && x <= left + l.width && Math.abs(y - middle) <= l.height / 2) return l.i;
  }
  const wx = view.x + (x - size.width / 2) / view.scale, wy = view.y + (size.height / 2 - y) / view.scale;
  const r = reach / view.scale;
  let best = -1, nearest = r * r;
  forBox(wx - r, wy - r, wx + r, wy + r, i => {
    const d = (xs[i] - wx) ** 2 + (ys[i] - wy) ** 2;
    if (d < nearest || (d === nearest && rank[i] < rank[best])) { nearest = d; best = i; }
  });
  return best;
}

// ---- The choice of labels.
// A label stands beside its dot in a fixed direction and size, so two labels that are apart at one scale are apart at every
// larger one. Hence a ladder of scales a constant step apart: on each rung labels are chosen by importance where there is
// room in the whole map, and hold until the next rung. Nothing overlaps at any scale and nothing depends on the part in
// view. A label shown on the rung below gives way only to one far more important, so that few vanish while one zooms in.
// Rungs are computed in slices of a few milliseconds.

const placement = (() => {
  // Finer steps look smoother and cost more.
  const STEP = 2 ** (count > 20000 ? 1 / 2 : 1 / 4), PAD_X = 5, PAD_Y = 2, CELL_X = 64, CELL_Y = 20, LOYALTY = 4;
  const widths = new Float32Array(count);
  const was = new Uint8Array(count); // shown on the rung below
  const measure = document.createElement('canvas').getContext('2d');
  const heads = new Int32Array(1 << 16);
  let nodes = new Int32Array(4096); // pairs: next node, point
  let used = 0, measured = -1, rungs = [], wanted = 1, base = 1, worker = null;

  function width(i) {
    if (!widths[i]) {
      if (measured !== classes[i]) {
        measured = classes[i];
        measure.font = fontOf(FONTS[measured].size, FONTS[measured].weight);
      }
      widths[i] = Math.max(1, measure.measureText(shortLabel(i)).width);
    }
    return widths[i];
  }

  const least = i => 0.22 * FONTS[classes[i]].size * Math.min(data.labels[i].length, 32);

  // The dot grows a little with the zoom; the box takes its largest size, or the rule above would not hold.
  const dotRadius = i => MOST_RADIUS * DOT_SCALE[classes[i]];
  const left = i => -dotRadius(i) - 1;
  const right = (i, text) => dotRadius(i) + 4 + text;
  const half = i => FONTS[classes[i]].size * 0.62;

  function forCells(x, y, i, text, visit) {
    const x0 = Math.floor((x + left(i) - PAD_X) / CELL_X), x1 = Math.floor((x + right(i, text) + PAD_X) / CELL_X);
    const y0 = Math.floor((y - half(i) - PAD_Y) / CELL_Y), y1 = Math.floor((y + half(i) + PAD_Y) / CELL_Y);
    for (let cy = y0; cy <= y1; cy++) {
      for (let cx = x0; cx <= x1; cx++) {
        if (visit((Math.imul(cx, 0x9E3779B1) ^ Math.imul(cy, 0x85EBCA6B)) >>> 16)) return true;
      }
    }
    return false;
  }

  function occupy(i, scale) {
    forCells(xs[i] * scale, -ys[i] * scale, i, width(i), cell => {
      if (2 * used + 2 > nodes.length) {
        const larger = new Int32Array(2 * nodes.length);
        larger.set(nodes);
        nodes = larger;
      }
      nodes[2 * used] = heads[cell];
      nodes[2 * used + 1] = i;
      heads[cell] = used++;
      return false;
    });
  }

  function isTaken(i, scale, text) {
    const x = xs[i] * scale, y = -ys[i] * scale;
    return forCells(x, y, i, text, cell => {
      for (let n = heads[cell]; n >= 0; n = nodes[2 * n]) {
        const j = nodes[2 * n + 1], dx = xs[j] * scale - x;
        if (Math.abs(-ys[j] * scale - y) < half(i) + half(j) + PAD_Y
          && (dx >= 0 ? right(i, text) - left(j) : right(j, width(j)) - left(i)) + PAD_X > Math.abs(dx)) return true;
      }
      return false;
    });
  }

  function* place() {
    const all = order.filter(i => shown[colours[i]]);
    let before = [];
    was.fill(0);
    for (let l = 0; l < wanted; l++) {
      const scale = base * STEP ** l, kept = [], added = [];
      heads.fill(-1);
      used = 0;
      for (let o = 0, a = 0, steps = 1; o < before.length || a < all.length; steps++) {
        if ((steps & 127) === 0) yield;
        const old = a >= all.length || (o < before.length && rank[before[o]] <= LOYALTY * rank[all[a]]);
        const i = old ? before[o++] : all[a++];
        // First with the least width that the text can have: most are refused there, and need not be measured.
        if ((!old && was[i]) || (!widths[i] && isTaken(i, scale, least(i))) || isTaken(i, scale, width(i))) continue;
        occupy(i, scale);
        (old ? kept : added).push(i);
      }
      const labels = Uint32Array.from(kept.concat(added)).sort((a, b) => rank[a] - rank[b]);
      rungs.push({ labels, isNew: Uint8Array.from(labels, i => (l > 0 && !was[i] ? 1 : 0)) });
      was.fill(0);
      for (const i of labels) was[i] = 1;
      before = labels;
      if (labels.length === all.length) break;
    }
  }

  const rungAt = scale => Math.max(0, Math.min(wanted - 1, Math.floor(Math.log(scale / base) / Math.log(STEP) + 1e-9)));
  const isReady = scale => !worker || rungs.length > rungAt(scale);

  return {
    restart() {
      base = limits.least / 1.06; // so that the whole map is just past the fading in of a rung
      wanted = Math.ceil(Math.log(limits.most / base) / Math.log(STEP)) + 1;
      rungs = [];
      worker = place();
    },
    /** Works for some milliseconds towards the rung of a scale; true if there is a new one to show. */
    work(scale, milliseconds) {
      const before = rungs.length, until = performance.now() + milliseconds;
      while (!isReady(scale) && performance.now() < until) if (worker.next().done) worker = null;
      return rungs.length > before;
    },
    isReady,
    /** Calls visit(i, opacity) for the labels of a scale, the most important first. */
    forEach(scale, visit) {
      const l = Math.min(rungAt(scale), rungs.length - 1);
      if (l < 0) return;
      const { labels, isNew } = rungs[l], fresh = clamp((scale / (base * STEP ** l) - 1) / 0.05, 0, 1);
      for (let k = 0; k < labels.length; k++) visit(labels[k], isNew[k] ? fresh : 1);
    },
    width,
    half,
  };
})();

// ---- Drawing: the scene (dots and labels) on a canvas larger than the view, which is only moved while one pans; above it,
// drawn each time, what is chosen.

const MOST_LABELS = 900; // of one scene, whatever the size of the screen
const MOST_RADIUS = clamp(9 - 1.7 * Math.log10(Math.max(1, count)), 2.6, 6);
const scene = { canvas: document.createElement('canvas'), labels: [], image: null, valid: false, cost: 0, x: 0, y: 0, scale: 1, marginX: 0, marginY: 0 };
const sceneContext = scene.canvas.getContext('2d', { alpha: false });
const emphasis = { mask: null, ids: [] }; // points that stay bright while the others fade

function baseRadius(scale) {
  const start = clamp(5.2 - 0.92 * Math.log10(Math.max(1, count)), 0.9, MOST_RADIUS);
  return clamp(start * (scale / limits.home.scale) ** 0.28, 0.8, MOST_RADIUS);
}

// Dots are set as pixels: ten times faster than any canvas call where no graphics processor helps, so 70,000 of them take some
// 20 ms. A stamp is the coverage (0..256) of a disc in its square, for each size and each of 4 x 4 places within a pixel.
const PHASES = 4;
const stamps = { radius: 0, side: [], cover: [] };
function prepareStamps(radius) {
  if (stamps.radius === radius) return;
  stamps.radius = radius;
  DOT_SCALE.forEach((factor, c) => {
    const r = radius * factor, reach = Math.ceil(r + 0.5), side = 2 * reach + 1;
    const cover = new Uint16Array(PHASES * PHASES * side * side);
    let k = 0;
    for (let py = 0; py < PHASES; py++) {
      for (let px = 0; px < PHASES; px++) {
        for (let y = -reach; y <= reach; y++) {
          for (let x = -reach; x <= reach; x++) {
            const away = Math.hypot(x + 0.5 - (px + 0.5) / PHASES, y + 0.5 - (py + 0.5) / PHASES);
            cover[k++] = Math.round(256 * clamp(r + 0.5 - away, 0, 1));
          }
        }
      }
    }
    stamps.side[c] = side;
    stamps.cover[c] = cover;
  });
}

const channels = hex => [1, 3, 5].map(k => parseInt(hex.slice(k, k + 2), 16));

function drawDots(c, width, height) {
  const pixelsX = c.canvas.width, pixelsY = c.canvas.height;
  if (!scene.image || scene.image.width !== pixelsX || scene.image.height !== pixelsY) scene.image = c.createImageData(pixelsX, pixelsY);
  const pixels = scene.image.data;
  const [r0, g0, b0] = channels(theme.ground);
  new Uint32Array(pixels.buffer).fill((255 << 24 | b0 << 16 | g0 << 8 | r0) >>> 0);

  prepareStamps(Math.round(baseRadius(view.scale) * size.dpr * 8) / 8);
  const red = theme.dots.map(d => channels(d)[0]), green = theme.dots.map(d => channels(d)[1]), blue = theme.dots.map(d => channels(d)[2]);
  const scale = view.scale * size.dpr;
  const left = width / 2 * size.dpr - view.x * scale, top = height / 2 * size.dpr + view.y * scale;
  let opacity = 1;
  const dot = i => {
    const x = left + xs[i] * scale, y = top - ys[i] * scale, c = classes[i];
    const px = Math.floor(x), py = Math.floor(y), side = stamps.side[c], reach = side >> 1, cover = stamps.cover[c];
    if (px < reach || py < reach || px + reach >= pixelsX || py + reach >= pixelsY) return;
    let k = (Math.floor((y - py) * PHASES) * PHASES + Math.floor((x - px) * PHASES)) * side * side;
    const r = red[colours[i]], g = green[colours[i]], b = blue[colours[i]];
    for (let row = 0; row < side; row++) {
      let p = ((py - reach + row) * pixelsX + px - reach) * 4;
      for (let column = 0; column < side; column++, k++, p += 4) {
        const a = cover[k] * opacity;
        if (a === 0) continue;
        pixels[p] += (r - pixels[p]) * a / 256;
        pixels[p + 1] += (g - pixels[p + 1]) * a / 256;
        pixels[p + 2] += (b - pixels[p + 2]) * a / 256;
      }
    }
  };
  const reachX = width / 2 / view.scale, reachY = height / 2 / view.scale;
  opacity = emphasis.mask ? (dark.matches ? 0.2 : 0.22) : dark.matches ? 0.86 : 0.8;
  forBox(view.x - reachX, view.y - reachY, view.x + reachX, view.y + reachY, dot);
  opacity = 1;
  for (const i of emphasis.ids) if (shown[colours[i]]) dot(i);
  c.putImageData(scene.image, 0, 0);
}

function drawLabels(c, width, height) {
  c.setTransform(size.dpr, 0, 0, size.dpr, 0, 0);
  c.textBaseline = 'middle';
  c.textAlign = 'left';
  c.lineJoin = 'round';
  c.lineWidth = 3;
  c.strokeStyle = theme.ground;
  const radius = baseRadius(view.scale);
  scene.labels = [];
  const byFont = FONTS.map(() => []);
  placement.forEach(view.scale, (i, opacity) => {
    const x = (xs[i] - view.x) * view.scale + width / 2, y = (view.y - ys[i]) * view.scale + height / 2;
    if (x > width || y < -12 || y > height + 12 || x < -300 || scene.labels.length >= MOST_LABELS || !shown[colours[i]]) return;
    const dx = radius * DOT_SCALE[classes[i]] + 3;
    scene.labels.push({ i, dx, width: placement.width(i), height: 2 * placement.half(i) });
    if (!emphasis.mask || !emphasis.mask[i]) byFont[classes[i]].push(i, x + dx, y, opacity);
  });
  const dim = emphasis.mask ? 0.24 : 1;
  for (let f = FONTS.length - 1; f >= 0; f--) {
    c.font = fontOf(FONTS[f].size, FONTS[f].weight);
    const list = byFont[f];
    for (let k = 0; k < list.length; k += 4) {
      const text = shortLabel(list[k]);
      c.globalAlpha = list[k + 3] * dim;
      if (!emphasis.mask) c.strokeText(text, list[k + 1], list[k + 2]);
      c.fillStyle = theme.text[colours[list[k]]];
      c.fillText(text, list[k + 1], list[k + 2]);
    }
  }
  c.globalAlpha = 1;
}

function drawScene() {
  const began = performance.now();
  scene.marginX = Math.round(size.width * 0.16);
  scene.marginY = Math.round(size.height * 0.16);
  const width = size.width + 2 * scene.marginX, height = size.height + 2 * scene.marginY;
  const pixelsX = Math.round(width * size.dpr), pixelsY = Math.round(height * size.dpr);
  if (scene.canvas.width !== pixelsX || scene.canvas.height !== pixelsY) {
    scene.canvas.width = pixelsX;
    scene.canvas.height = pixelsY;
  }
  drawDots(sceneContext, width, height);
  drawLabels(sceneContext, width, height);
  Object.assign(scene, { x: view.x, y: view.y, scale: view.scale, valid: true });
  scene.cost = performance.now() - began;
}

/** Draws a frame; returns the milliseconds after which a sharper one is due, or -1. */
function draw(sinceZoom) {
  const moved = () => [(scene.x - view.x) * view.scale, (view.y - scene.y) * view.scale];
  let due = -1;
  const ratio = view.scale / scene.scale;
  const [mx, my] = moved();
  const covers = Math.abs(mx) <= scene.marginX - 12 && Math.abs(my) <= scene.marginY - 12; // dots on the very edge are left out
  if (!scene.valid || (ratio === 1 ? !covers : true)) {
    // A costly scene is stretched while one zooms and drawn afresh when the zoom rests.
    if (!scene.valid || ratio === 1 || scene.cost < 24 || sinceZoom > 110 || ratio > 1.9 || ratio < 0.8) drawScene();
    else due = 120 - sinceZoom;
  }
  const r = view.scale / scene.scale;
  const [dx, dy] = moved();
  const width = (size.width + 2 * scene.marginX) * r, height = (size.height + 2 * scene.marginY) * r;
  let left = (size.width / 2 + dx - width / 2) * size.dpr, top = (size.height / 2 + dy - height / 2) * size.dpr;
  context.setTransform(1, 0, 0, 1, 0, 0);
  if (r === 1) {
    left = Math.round(left); // whole pixels, or the picture would blur
    top = Math.round(top);
    context.drawImage(scene.canvas, left, top);
  } else {
    context.fillStyle = theme.ground;
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(scene.canvas, left, top, width * size.dpr, height * size.dpr);
  }
  context.setTransform(size.dpr, 0, 0, size.dpr, 0, 0);
  return due;
}

/** Draws lines from a point to others, the first of them strongest. */
function drawLines(from, ids) {
  const x = toX(xs[from]), y = toY(ys[from]);
  context.strokeStyle = theme.text[colours[from]];
  context.lineWidth = 1.1;
  ids.forEach((i, k) => {
    context.globalAlpha = 0.62 - 0.4 * k / Math.max(1, ids.length);
    context.beginPath();
    context.moveTo(x, y);
    context.lineTo(toX(xs[i]), toY(ys[i]));
    context.stroke();
  });
  context.globalAlpha = 1;
}

function drawRing(i, width, colour) {
  context.beginPath();
  context.arc(toX(xs[i]), toY(ys[i]), baseRadius(view.scale) * DOT_SCALE[classes[i]] + 2.5, 0, 7);
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.stroke();
}

/** Draws the labels of chosen points where they fit beside, above or below their dots; the first one as a plate. */
function drawChosen(ids, plate) {
  const taken = [];
  context.textBaseline = 'middle';
  context.textAlign = 'left';
  context.lineJoin = 'round';
  ids.forEach((i, k) => {
    const isPlate = plate && k === 0;
    const font = isPlate ? 15 : 13, pad = isPlate ? 8 : 0, high = isPlate ? 26 : 17;
    const x = toX(xs[i]), y = toY(ys[i]);
    if (x < -260 || x > size.width + 260 || y < -40 || y > size.height + 40) return;
    context.font = fontOf(font, 600);
    const text = shortLabel(i);
    const wide = context.measureText(text).width + 2 * pad;
    const gap = baseRadius(view.scale) * DOT_SCALE[classes[i]] + (isPlate ? 6 : 4);
    const near = gap * 0.7;
    const places = [
      [x + gap, y - high / 2], [x - gap - wide, y - high / 2], [x - wide / 2, y - gap - high], [x - wide / 2, y + gap],
      [x + near, y - near - high], [x + near, y + near], [x - near - wide, y - near - high], [x - near - wide, y + near],
    ];
    if (isPlate) places.unshift(places.splice(2, 1)[0]);
    for (const [left, top] of places) {
      const box = { i, left, top, right: left + wide, bottom: top + high };
      if (taken.some(t => t.left < box.right + 4 && box.left < t.right + 4 && t.top < box.bottom && box.top < t.bottom)) continue;
      taken.push(box);
      if (isPlate) {
        context.fillStyle = theme.ink;
        context.beginPath();
        if (context.roundRect) context.roundRect(left, top, wide, high, 7);
        else context.rect(left, top, wide, high);
        context.fill();
        context.fillStyle = theme.ground;
      } else {
        context.strokeStyle = theme.ground;
        context.lineWidth = 4;
        context.strokeText(text, left, top + high / 2);
        context.fillStyle = theme.text[colours[i]];
      }
      context.fillText(text, left + pad, top + high / 2 + 0.5);
      break;
    }
  });
  return taken;
}
