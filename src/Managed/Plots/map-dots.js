// The dots: an index of the points, for picking and for drawing what is in view, and their drawing, pixel by pixel.

const shown = new Uint8Array(Math.max(1, data.palette.length)).fill(1); // which groups are
const emphasis = { mask: null, ids: [] }; // points that stay bright while the others fade

// Cells of about four points, row by row. Places and colours lie here once more in the order of the cells, so that drawing
// reads memory from front to back.
const grid = (() => {
  const width = 2 * data.width + 1e-6, height = 2 * data.height + 1e-6;
  const cell = Math.max(Math.sqrt(width * height * 4 / Math.max(1, count)), Math.max(width, height) / 1024);
  const columns = Math.floor(width / cell) + 1, rows = Math.floor(height / cell) + 1;
  const column = x => clamp(Math.floor((x + data.width) / cell), 0, columns - 1);
  const row = y => clamp(Math.floor((y + data.height) / cell), 0, rows - 1);
  const start = new Uint32Array(columns * rows + 1);
  const cellOf = new Uint32Array(count);
  for (let i = 0; i < count; i++) start[(cellOf[i] = row(ys[i]) * columns + column(xs[i])) + 1]++;
  let squares = 0;
  for (let c = 0; c < columns * rows; c++) {
    squares += start[c + 1] ** 2;
    start[c + 1] += start[c];
  }
  const items = new Uint32Array(count), next = start.slice();
  for (let r = count - 1; r >= 0; r--) items[next[cellOf[order[r]]]++] = order[r]; // the most important on top
  const x = new Float32Array(count), y = new Float32Array(count), colour = new Uint16Array(count), sizes = new Uint8Array(count);
  for (let k = 0; k < count; k++) {
    const i = items[k];
    x[k] = xs[i];
    y[k] = ys[i];
    colour[k] = colours[i];
    sizes[k] = classes[i];
  }
  // Points in a unit of area where a typical point lies.
  const density = squares / Math.max(1, count) / cell ** 2;
  return { columns, column, row, start, items, x, y, colour, sizes, density };
})();

/** The shown point nearest to a place, within reach, in map units; -1 if none. */
function nearestPoint(wx, wy, reach) {
  let best = -1, nearest = reach * reach;
  const c0 = grid.column(wx - reach), c1 = grid.column(wx + reach);
  for (let r = grid.row(wy - reach), last = grid.row(wy + reach); r <= last; r++) {
    for (let k = grid.start[r * grid.columns + c0], end = grid.start[r * grid.columns + c1 + 1]; k < end; k++) {
      const d = (grid.x[k] - wx) ** 2 + (grid.y[k] - wy) ** 2;
      if (d > nearest || !shown[grid.colour[k]]) continue;
      const i = grid.items[k];
      if (d < nearest || (best >= 0 && rank[i] < rank[best])) { nearest = d; best = i; }
    }
  }
  return best;
}

// ---- Size and strength of the dots.

const MOST_RADIUS = clamp(9 - 1.7 * Math.log10(Math.max(1, count)), 2.6, 6);

function baseRadius(scale) {
  const start = clamp(5.2 - 0.92 * Math.log10(Math.max(1, count)), 0.9, MOST_RADIUS);
  return clamp(start * (scale / limits.home.scale) ** 0.28, 0.8, MOST_RADIUS);
}

/** Where many dots lie on each other each is fainter, so that the densest places are not just a flat surface. */
function dotOpacity(scale) {
  const most = dark.matches ? 0.86 : 0.8;
  const overlap = grid.density * Math.PI * baseRadius(scale) ** 2 / scale ** 2;
  return clamp(1 - 0.06 ** (1 / Math.max(0.1, overlap)), 0.22, most);
}

// ---- Dots are set as pixels: many times faster than any canvas call where no graphics processor helps. A stamp is the
// coverage (1..256) of a disc and the pixels that it covers, for each size and each of 4 x 4 places within a pixel.

const PHASES = 4;
const stamps = { key: '', start: new Uint32Array(0), offset: new Int32Array(0), cover: new Uint16Array(0), reach: [] };

function prepareStamps(radius, opacity, stride) {
  const key = `${radius} ${opacity} ${stride}`;
  if (stamps.key === key) return;
  stamps.key = key;
  const start = [], offset = [], cover = [];
  DOT_SCALE.forEach((factor, c) => {
    const r = radius * factor, reach = stamps.reach[c] = Math.ceil(r + 0.5);
    for (let phase = 0; phase < PHASES * PHASES; phase++) {
      const cx = (phase % PHASES + 0.5) / PHASES, cy = (Math.floor(phase / PHASES) + 0.5) / PHASES;
      start.push(offset.length);
      for (let y = -reach; y <= reach; y++) {
        for (let x = -reach; x <= reach; x++) {
          const a = Math.round(256 * opacity * clamp(r + 0.5 - Math.hypot(x + 0.5 - cx, y + 0.5 - cy), 0, 1));
          if (a === 0) continue;
          offset.push(y * stride + x);
          cover.push(a);
        }
      }
    }
  });
  start.push(offset.length);
  stamps.start = Uint32Array.from(start);
  stamps.offset = Int32Array.from(offset);
  stamps.cover = Uint16Array.from(cover);
}

/** #rrggbb as a pixel, without its opacity. */
const pixelOf = hex => parseInt(hex.slice(5, 7), 16) << 16 | parseInt(hex.slice(3, 5), 16) << 8 | parseInt(hex.slice(1, 3), 16);

let image = null, pixels = null;

/**
 * Draws the shown dots of a view on a canvas of the given size in css pixels, whose middle is the view's; only the part that
 * lies at least insetX, insetY device pixels from its edges. Yields now and then; the canvas changes at the end.
 */
function* paintDots(c, width, height, insetX, insetY, at) {
  const stride = c.canvas.width, lines = c.canvas.height;
  if (!image || image.width !== stride || image.height !== lines) {
    image = c.createImageData(stride, lines);
    pixels = new Uint32Array(image.data.buffer);
  }
  const ground = (0xff000000 | pixelOf(theme.ground)) >>> 0;
  if (insetX + insetY === 0) pixels.fill(ground);
  else for (let y = insetY; y < lines - insetY; y++) pixels.fill(ground, y * stride + insetX, (y + 1) * stride - insetX);

  const scale = at.scale * size.dpr;
  const left = width / 2 * size.dpr - at.x * scale, top = height / 2 * size.dpr + at.y * scale;
  const radius = Math.round(baseRadius(at.scale) * size.dpr * 8) / 8;
  const colourOf = Int32Array.from(theme.dots, pixelOf);

  function stamp(gx, gy, colour, sizeClass) {
    const x = left + gx * scale, y = top - gy * scale, px = Math.floor(x), py = Math.floor(y), reach = stamps.reach[sizeClass];
    if (px < insetX + reach || py < insetY + reach || px + reach >= stride - insetX || py + reach >= lines - insetY) return;
    const s = sizeClass * PHASES * PHASES + Math.floor((y - py) * PHASES) * PHASES + Math.floor((x - px) * PHASES);
    const middle = py * stride + px, end = stamps.start[s + 1], { offset, cover } = stamps;
    // Red and blue are mixed together, 16 bits apart.
    const redBlue = colour & 0xff00ff, green = colour & 0xff00;
    for (let m = stamps.start[s]; m < end; m++) {
      const p = middle + offset[m], a = cover[m], rest = 256 - a, old = pixels[p];
      pixels[p] = 0xff000000
        | (Math.imul(old & 0xff00ff, rest) + Math.imul(redBlue, a) + 0x800080) >>> 8 & 0xff00ff
        | (Math.imul(old & 0xff00, rest) + Math.imul(green, a) + 0x8000) >>> 8 & 0xff00;
    }
  }

  const opacity = Math.round(dotOpacity(at.scale) * 64) / 64;
  prepareStamps(radius, opacity * (emphasis.mask ? 0.25 : 1), stride);
  const reachX = (width / 2 - insetX / size.dpr) / at.scale, reachY = (height / 2 - insetY / size.dpr) / at.scale;
  const c0 = grid.column(at.x - reachX), c1 = grid.column(at.x + reachX);
  let since = 0;
  for (let r = grid.row(at.y - reachY), last = grid.row(at.y + reachY); r <= last; r++) {
    const from = grid.start[r * grid.columns + c0], to = grid.start[r * grid.columns + c1 + 1];
    for (let k = from; k < to; k++) if (shown[grid.colour[k]]) stamp(grid.x[k], grid.y[k], colourOf[grid.colour[k]], grid.sizes[k]);
    since += to - from;
    if (since > 16384) {
      since = 0;
      yield;
    }
  }
  if (emphasis.ids.length) {
    prepareStamps(radius, emphasis.ids.length > 1000 ? opacity : 1, stride); // a whole class keeps its dense places
    for (const i of emphasis.ids) if (shown[colours[i]]) stamp(xs[i], ys[i], colourOf[colours[i]], classes[i]);
  }
  c.putImageData(image, 0, 0, insetX, insetY, stride - 2 * insetX, lines - 2 * insetY);
}
