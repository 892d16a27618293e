// The map itself: the view, the choice of labels, drawing. What surrounds it is in map.js.

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

/** The point at a place of the canvas: the label there, or the nearest dot within reach; -1 if none. */
function pick(x, y, reach) {
  for (const l of scene.labels) {
    const left = toX(xs[l.i]) + l.dx, middle = toY(ys[l.i]);
    if (x >= left && x <= left + l.width && Math.abs(y - middle) <= l.height / 2) return l.i;
  }
  const wx = view.x + (x - size.width / 2) / view.scale, wy = view.y + (size.height / 2 - y) / view.scale;
  return nearestPoint(wx, wy, reach / view.scale);
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
  const widths = new Float32Array(written ? count : 0);
  const was = new Uint8Array(written ? count : 0); // shown on the rung below
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
    const all = written ? order.filter(i => shown[colours[i]]) : order.subarray(0, 0);
    let before = [];
    was.fill(0);
    for (let l = 0; l < wanted; l++) {
      const scale = base * STEP ** l, kept = [], added = [];
      // Of very many points only the most important are tried: the rest would be refused at this scale, one by one.
      const tried = Math.min(all.length, 4000 + Math.ceil(40 * 4 * data.width * data.height * scale * scale / (CELL_X * CELL_Y)));
      heads.fill(-1);
      used = 0;
      for (let o = 0, a = 0, steps = 1; o < before.length || a < tried; steps++) {
        if ((steps & 127) === 0) yield;
        const old = a >= tried || (o < before.length && rank[before[o]] <= LOYALTY * rank[all[a]]);
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
const scene = { canvas: document.createElement('canvas'), labels: [], valid: false, covers: true, cost: 0, x: 0, y: 0, scale: 1, marginX: 0, marginY: 0, insetX: 0, insetY: 0 };
const sceneContext = scene.canvas.getContext('2d', { alpha: false });

function drawLabels(c, width, height, at) {
  c.setTransform(size.dpr, 0, 0, size.dpr, 0, 0);
  c.textBaseline = 'middle';
  c.textAlign = 'left';
  c.lineJoin = 'round';
  c.lineWidth = 3;
  c.strokeStyle = theme.ground;
  const radius = baseRadius(at.scale);
  scene.labels = [];
  const byFont = FONTS.map(() => []);
  placement.forEach(at.scale, (i, opacity) => {
    const x = (xs[i] - at.x) * at.scale + width / 2, y = (at.y - ys[i]) * at.scale + height / 2;
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

/** The name of each shown class where it is densest, the largest class first, where one does not cover another. */
function drawClassNames(c, width, height, at) {
  const font = groupsBySize.length <= 20 ? 19 : groupsBySize.length <= 60 ? 15 : 12, taken = [];
  c.setTransform(size.dpr, 0, 0, size.dpr, 0, 0);
  c.font = fontOf(font, 650);
  c.textBaseline = 'middle';
  c.textAlign = 'center';
  c.lineJoin = 'round';
  c.lineWidth = 4;
  c.strokeStyle = theme.ground;
  c.globalAlpha = emphasis.mask ? 0.4 : 1;
  for (const g of groupsBySize) {
    if (!shown[g]) continue;
    const text = oneLine(groupName(g), 32), half = c.measureText(text).width / 2, high = font * 1.2;
    const x = (anchors[2 * g] - at.x) * at.scale + width / 2, y = (at.y - anchors[2 * g + 1]) * at.scale + height / 2;
    for (const middle of [y, y - high, y + high]) {
      const box = { left: x - half - 3, right: x + half + 3, top: middle - high / 2, bottom: middle + high / 2 };
      if (taken.some(t => t.left < box.right && box.left < t.right && t.top < box.bottom && box.top < t.bottom)) continue;
      taken.push(box);
      c.strokeText(text, x, middle);
      c.fillStyle = theme.text[g];
      c.fillText(text, x, middle);
      break;
    }
  }
  c.globalAlpha = 1;
}

/**
 * Draws the scene around a view in slices, to be shown when the last is done.
 * @param inView Whether to draw only what is in view, as while one zooms: the next frame draws afresh anyway.
 */
function* paintScene(inView, at) {
  let began = performance.now(), cost = 0;
  const roomX = Math.round(size.width * 0.16), roomY = Math.round(size.height * 0.16);
  const width = size.width + 2 * roomX, height = size.height + 2 * roomY;
  const pixelsX = Math.round(width * size.dpr), pixelsY = Math.round(height * size.dpr);
  if (scene.canvas.width !== pixelsX || scene.canvas.height !== pixelsY) {
    scene.canvas.width = pixelsX;
    scene.canvas.height = pixelsY;
  }
  const marginX = inView ? 16 : roomX, marginY = inView ? 16 : roomY;
  const insetX = Math.round((roomX - marginX) * size.dpr), insetY = Math.round((roomY - marginY) * size.dpr);
  for (const _ of paintDots(sceneContext, width, height, insetX, insetY, at)) {
    cost += performance.now() - began;
    yield;
    began = performance.now();
  }
  if (written) drawLabels(sceneContext, width, height, at);
  else drawClassNames(sceneContext, width, height, at);
  cost += performance.now() - began;
  // The cost of what is in view; the whole scene is larger.
  if (!inView) cost *= size.width * size.height / (width * height);
  Object.assign(scene, { x: at.x, y: at.y, scale: at.scale, marginX, marginY, insetX, insetY, cost, valid: true });
}

let painting = null; // a scene that is not finished yet

function drawScene(inView) {
  painting = null;
  for (const _ of paintScene(inView, { ...view })) continue;
}

/** Sees to it that the scene suits the view; returns the milliseconds after which there is more to do, or -1. */
function keepScene(sinceZoom) {
  const ratio = view.scale / scene.scale, isZooming = ratio !== 1 && sinceZoom <= 110;
  const awayX = Math.abs(scene.x - view.x) * view.scale, awayY = Math.abs(scene.y - view.y) * view.scale;
  // Dots on the very edge of the scene are left out.
  const covers = awayX + size.width / 2 <= (size.width / 2 + scene.marginX) * ratio - 12
    && awayY + size.height / 2 <= (size.height / 2 + scene.marginY) * ratio - 12;
  const isCostly = scene.cost >= 24;
  scene.covers = covers || !isCostly;
  if (!scene.valid || (!isCostly && (!covers || ratio !== 1))) {
    drawScene(isZooming && !isCostly);
    scene.covers = true;
    return -1;
  }
  if (!isCostly) return -1;

  // A costly scene is moved and stretched, and the next one painted meanwhile, a few milliseconds in each frame. Who moves
  // faster than that sees empty ground at the edge for some frames, not a standstill.
  const wearsOut = !covers || (ratio === 1 ? awayX > scene.marginX * 0.5 || awayY > scene.marginY * 0.5 : !isZooming || ratio > 1.5 || ratio < 0.87);
  if (!painting && wearsOut) painting = paintScene(false, { ...view });
  for (const until = performance.now() + 8; painting && performance.now() < until;) if (painting.next().done) painting = null;
  if (painting) return 0;
  return scene.scale === view.scale ? -1 : Math.max(0, 120 - sinceZoom);
}

/** Draws a frame; returns the milliseconds after which a sharper one is due, or -1. */
function draw(sinceZoom) {
  const due = keepScene(sinceZoom);
  const r = view.scale / scene.scale, { insetX, insetY } = scene;
  const wide = scene.canvas.width - 2 * insetX, high = scene.canvas.height - 2 * insetY; // the part that was drawn
  let left = ((scene.x - view.x) * view.scale + size.width / 2) * size.dpr - wide * r / 2;
  let top = ((view.y - scene.y) * view.scale + size.height / 2) * size.dpr - high * r / 2;
  if (r === 1) {
    left = Math.round(left); // whole pixels, or the picture would blur
    top = Math.round(top);
  }
  context.setTransform(1, 0, 0, 1, 0, 0);
  if (r !== 1 || !scene.covers) {
    context.fillStyle = theme.ground;
    context.fillRect(0, 0, canvas.width, canvas.height);
  }
  context.drawImage(scene.canvas, insetX, insetY, wide, high, left, top, wide * r, high * r);
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
