// The controls around the map: mouse, touch and keyboard, search, the panel of neighbours, the legend.

const element = id => document.getElementById(id);
const main = document.querySelector('main');
const [heading, query, matches, panel, tip] = ['heading', 'query', 'matches', 'panel', 'tip'].map(element);
const number = new Intl.NumberFormat('en');
const calm = matchMedia('(prefers-reduced-motion: reduce)');
const state = { hover: -1, selected: -1, near: [], found: null, active: -1 };

// ---- Frames are drawn on demand.

let frameAsked = false, flight = null, lastZoom = -1e9, dueTimer = 0;

function ask() {
  if (frameAsked) return;
  frameAsked = true;
  requestAnimationFrame(frame);
}

function frame(now) {
  frameAsked = false;
  if (flight) {
    const t = clamp((now - flight.began) / flight.time, 0, 1), e = 1 - (1 - t) ** 3;
    const scale = Math.exp(Math.log(flight.from.scale) + e * Math.log(flight.to.scale / flight.from.scale));
    // The place moves in step with the scale, so that the target travels on a straight line.
    const share = flight.from.scale === flight.to.scale ? e : (1 / flight.from.scale - 1 / scale) / (1 / flight.from.scale - 1 / flight.to.scale);
    view.x = flight.from.x + share * (flight.to.x - flight.from.x);
    view.y = flight.from.y + share * (flight.to.y - flight.from.y);
    view.scale = t === 1 ? flight.to.scale : scale;
    if (flight.from.scale !== flight.to.scale) lastZoom = performance.now();
    if (t === 1) {
      flight = null;
      lastZoom = -1e9;
    }
    ask();
  }
  if (!placement.isReady(view.scale)) {
    // Little while something moves, most of the frame else.
    const busy = flight || pointers.size || performance.now() - lastZoom < 200;
    if (placement.work(view.scale, busy ? 5 : 13)) scene.valid = false;
    ask();
  }
  const due = draw(performance.now() - lastZoom);
  clearTimeout(dueTimer);
  if (due >= 0) dueTimer = setTimeout(ask, due + 5);
  drawOverlay();
  placeTip();
}

function drawOverlay() {
  state.boxes = [];
  if (state.found) {
    // Rings around a whole class would only cover it, and row numbers say nothing.
    for (const i of state.found.slice(0, named ? 400 : 1)) drawRing(i, 1.2, theme.text[colours[i]]);
    const first = state.found.slice(0, written ? 40 : 1);
    if (state.active >= 0) first.sort((a, b) => (b === state.active) - (a === state.active));
    state.boxes = drawChosen(first, state.active >= 0);
  } else if (state.selected >= 0) {
    const near = state.near.filter(i => shown[colours[i]]);
    drawLines(state.selected, near);
    for (const i of near) drawRing(i, 1.2, theme.text[colours[i]]);
    drawRing(state.selected, 2, theme.ink);
    state.boxes = drawChosen(written ? [state.selected, ...near] : [state.selected], true);
  }
  if (state.hover >= 0) drawRing(state.hover, 2, theme.ink);
}

function setEmphasis(ids) {
  emphasis.mask = ids ? new Uint8Array(count) : null;
  emphasis.ids = ids || [];
  for (const i of emphasis.ids) emphasis.mask[i] = 1;
  scene.valid = false;
  ask();
}

// A row without neighbours has only its ring: there is nothing to compare it with.
const emphasiseSelected = () => setEmphasis(state.selected >= 0 && (named || state.near.length) ? [state.selected, ...state.near] : null);

const hideHint = () => element('hint').classList.add('gone');

function fly(to, time = 420) {
  hideHint();
  const scale = clamp(to.scale, limits.least, limits.most);
  flight = { from: { ...view }, to: { x: to.x, y: to.y, scale }, began: performance.now(), time: calm.matches ? 0 : time };
  if (calm.matches) flight.time = 1e-9;
  ask();
}

/** Zooms by steps in an animation, towards a place of the canvas. */
function zoomTo(factor, x = size.width / 2, y = size.height / 2) {
  const before = { ...view }, from = flight ? flight.to : view;
  Object.assign(view, from);
  zoomAt(x, y, factor);
  const to = { ...view };
  Object.assign(view, before);
  fly(to, 260);
}

const goHome = () => fly(limits.home);

function goTo(i) {
  // On a small screen the panel covers the lower part.
  const lift = main.classList.contains('open') && size.width <= 700 ? size.height * 0.14 : 0;
  const scale = Math.max(view.scale, limits.home.scale * Math.min(4, limits.most / limits.home.scale));
  fly({ x: xs[i], y: ys[i] - lift / scale, scale }, 600);
}

// ---- What a point is.

function factsOf(i) {
  const facts = [];
  if (groupOf(i)) facts.push(groupOf(i));
  if (weights.length) facts.push(`${data.weightName} ${number.format(weights[i])}`);
  if (weights.length) facts.push(`rank ${number.format(rank[i] + 1)}`);
  return facts.join(' · ');
}

function placeTip() {
  const i = state.hover;
  tip.hidden = i < 0 || !state.tip;
  if (tip.hidden) return;
  if (tip.dataset.point !== String(i)) {
    tip.dataset.point = i;
    // A row number says less than the class.
    const byClass = !named && data.groups.length > 0;
    const [name, facts] = [tip.querySelector('b'), tip.querySelector('span')];
    name.textContent = byClass ? groupOf(i) : labelOf(i).slice(0, 400);
    facts.textContent = byClass ? labelOf(i) : factsOf(i);
    tip.classList.toggle('pictured', showPicture(tip.querySelector('canvas'), i, 96));
  }
  const x = toX(xs[i]), y = toY(ys[i]), wide = tip.offsetWidth, high = tip.offsetHeight;
  const left = clamp(x - wide / 2, 8, Math.max(8, size.width - wide - 8));
  const top = y - high - 12 < 8 ? y + 14 : y - high - 12;
  tip.style.transform = `translate(${Math.round(left)}px, ${Math.round(top)}px)`;
}

function setHover(i, withTip = true) {
  if (state.hover === i) return;
  state.hover = i;
  state.tip = withTip;
  canvas.classList.toggle('over', i >= 0);
  ask();
}

function select(i, go) {
  state.selected = i;
  state.found = null;
  state.active = -1;
  setHover(-1);
  showMatches(false);
  element('count').textContent = '';
  panel.hidden = i < 0;
  main.classList.toggle('open', i >= 0);
  if (i < 0) {
    state.near = [];
    setEmphasis(null);
    return;
  }
  const k = data.k;
  state.near = Array.from(neighbours.subarray(i * k, i * k + k)).filter(j => j !== i);
  emphasiseSelected();
  fillPanel(i);
  if (go) goTo(i);
  else reveal(i);
}

/** Moves the map where the panel covers a point. */
function reveal(i) {
  const box = panel.getBoundingClientRect(), x = toX(xs[i]), y = toY(ys[i]);
  if (x < box.left - 20 || y < box.top - 30 || y > box.bottom + 30) return;
  const dx = size.width > 700 ? x - box.left + 60 : 0, dy = size.width > 700 ? 0 : y - box.top + 90;
  fly({ x: view.x + dx / view.scale, y: view.y - dy / view.scale, scale: view.scale });
}

function fillPanel(i) {
  const k = data.k;
  element('chosen').textContent = labelOf(i);
  element('chosen').dir = 'auto';
  showPicture(element('picture'), i, 144);
  const facts = element('facts');
  facts.textContent = factsOf(i);
  if (data.groups.length) facts.prepend(dot(colours[i]));
  element('nearest').hidden = state.near.length === 0;
  element('score-name').textContent = scores.length ? data.scoreName : '';
  const own = Array.from(scores.subarray(i * k, i * k + k));
  const highest = Math.max(...own.map(Math.abs), 1e-9);
  const list = element('list');
  list.replaceChildren();
  for (let n = 0; n < k; n++) {
    const j = neighbours[i * k + n];
    if (j === i) continue;
    const row = document.createElement('li'), button = document.createElement('button'), name = document.createElement('bdi');
    button.type = 'button';
    name.textContent = labelOf(j).slice(0, 200);
    if (data.groups.length) button.append(dot(colours[j]));
    if (pictures) {
      const picture = document.createElement('canvas');
      showPicture(picture, j, 24);
      button.append(picture);
    }
    button.append(name);
    const hidden = !shown[colours[j]];
    if (hidden) button.setAttribute('aria-disabled', 'true');
    if (scores.length) {
      const score = document.createElement('span');
      score.textContent = scoreText(own[n], highest);
      button.append(score);
    }
    button.addEventListener('click', () => {
      if (hidden) return;
      select(j, true);
      const first = list.querySelector('button');
      if (first) first.focus({ preventScroll: true });
    });
    button.addEventListener('pointerenter', e => e.pointerType === 'mouse' && !hidden && setHover(j, false));
    button.addEventListener('pointerleave', () => setHover(-1));
    button.addEventListener('focus', () => button.matches(':focus-visible') && !hidden && setHover(j, false));
    button.addEventListener('blur', () => setHover(-1));
    row.append(button);
    list.append(row);
  }
  list.scrollTop = 0;
  say(`${labelOf(i).slice(0, 100)}. ${state.near.length ? 'Nearest: ' + state.near.slice(0, 5).map(j => labelOf(j).slice(0, 60)).join(', ') : ''}`);
}

const scoreText = (score, highest) => (highest >= 1000 ? score.toPrecision(4) : score.toFixed(highest >= 100 ? 1 : highest >= 10 ? 2 : 3));
const say = text => { element('status').textContent = text; };

function dot(colour) {
  const mark = document.createElement('span');
  mark.className = 'dot';
  mark.dataset.colour = colour;
  mark.style.background = theme.dots[colour];
  return mark;
}

// ---- Search: labels that begin with the words typed, then those that contain them, each by importance. Points without
// labels are found by their row and by their class.

let folded = null;
const fold = text => text.toLowerCase().normalize('NFKD').replace(/[\u0300-\u036f]/g, '');

function findLabels(wanted) {
  folded ||= data.labels.map(fold);
  const first = [], rest = [];
  for (const i of order) {
    if (!shown[colours[i]]) continue;
    const at = folded[i].indexOf(wanted);
    if (at === 0) first.push(i);
    else if (at > 0) rest.push(i);
  }
  // The word itself comes before longer ones.
  const exact = first.findIndex(i => folded[i] === wanted);
  if (exact > 0) first.unshift(first.splice(exact, 1)[0]);
  return first.concat(rest);
}

function findRows(wanted) {
  const number = wanted.startsWith(fold(data.noun) + ' ') ? wanted.slice(data.noun.length + 1) : wanted;
  const row = /^\d{1,9}$/.test(number) && Number(number) < count && shown[colours[Number(number)]] ? Number(number) : -1;
  const hits = data.groups.map((_, g) => (shown[g] && fold(groupName(g)).includes(wanted) ? 1 : 0));
  const found = row < 0 ? [] : [row];
  if (hits.includes(1)) for (const i of order) if (hits[colours[i]] && i !== row) found.push(i);
  return found;
}

function search() {
  const wanted = fold(query.value.trim());
  if (!wanted) {
    state.found = null;
    state.active = -1;
    element('count').textContent = '';
    showMatches(false);
    emphasiseSelected();
    return;
  }
  state.found = named ? findLabels(wanted) : findRows(wanted);
  state.active = -1;
  element('count').textContent = number.format(state.found.length);
  setEmphasis(state.found);
  showMatches(true, wanted);
  say(`${number.format(state.found.length)} ${state.found.length === 1 ? data.noun : data.nounPlural} found`);
}

function showMatches(open, wanted = '') {
  const list = open && state.found ? state.found.slice(0, 8) : [];
  matches.hidden = list.length === 0;
  query.setAttribute('aria-expanded', String(!matches.hidden));
  query.removeAttribute('aria-activedescendant');
  matches.replaceChildren(...list.map((i, n) => {
    const row = document.createElement('li'), name = document.createElement('bdi'), weight = document.createElement('span');
    row.id = `match-${n}`;
    row.setAttribute('role', 'option');
    row.setAttribute('aria-selected', 'false');
    const label = labelOf(i).slice(0, 200), at = label.toLowerCase().indexOf(wanted);
    if (at >= 0) {
      const mark = document.createElement('mark');
      mark.textContent = label.slice(at, at + wanted.length);
      name.append(label.slice(0, at), mark, label.slice(at + wanted.length));
    } else {
      name.textContent = label;
    }
    weight.textContent = named ? (weights.length ? number.format(weights[i]) : '') : groupOf(i);
    row.append(name, weight);
    row.addEventListener('pointerdown', e => e.preventDefault()); // the box keeps the focus
    row.addEventListener('click', () => { select(i, true); query.blur(); });
    return row;
  }));
}

function activate(step) {
  const rows = matches.children;
  if (!rows.length) return;
  const now = Array.prototype.findIndex.call(rows, r => r.getAttribute('aria-selected') === 'true');
  const next = (now + step + rows.length + (now < 0 && step < 0 ? 1 : 0)) % rows.length;
  for (const row of rows) row.setAttribute('aria-selected', String(row === rows[next]));
  query.setAttribute('aria-activedescendant', rows[next].id);
  state.active = state.found[next];
  ask();
}

function clear() {
  query.value = '';
  if (state.found) search();
  else select(-1);
}

query.addEventListener('input', search);
query.addEventListener('focus', () => { if (query.value.trim() && !state.found) search(); });
query.addEventListener('keydown', e => {
  if (e.key === 'ArrowDown' || e.key === 'ArrowUp') {
    activate(e.key === 'ArrowDown' ? 1 : -1);
  } else if (e.key === 'Enter') {
    if (!state.found) search();
    const target = state.active >= 0 ? state.active : state.found && state.found.length ? state.found[0] : -1;
    if (target >= 0) select(target, true);
  } else if (e.key === 'Escape') {
    if (query.value) clear();
    else canvas.focus({ preventScroll: true });
    e.stopPropagation();
  } else {
    return;
  }
  e.preventDefault();
});

// ---- Mouse and touch.

const pointers = new Map();
let pressed = null, lastTap = { time: -1e9, x: 0, y: 0 };
const place = e => {
  const box = canvas.getBoundingClientRect();
  return { x: e.clientX - box.left, y: e.clientY - box.top };
};
const reachOf = e => (e.pointerType === 'touch' ? 24 : 12);

canvas.addEventListener('pointerdown', e => {
  if (e.button !== 0) return;
  canvas.setPointerCapture(e.pointerId);
  pointers.set(e.pointerId, place(e));
  pressed = pointers.size === 1 ? { ...place(e), moved: false } : null;
  flight = null;
  hideHint();
});

canvas.addEventListener('pointermove', e => {
  const now = place(e), before = pointers.get(e.pointerId);
  if (!before) {
    if (e.pointerType !== 'touch') setHover(pick(now.x, now.y, reachOf(e)));
    return;
  }
  if (pointers.size === 1) {
    if (pressed && !pressed.moved && Math.hypot(now.x - pressed.x, now.y - pressed.y) < (e.pointerType === 'touch' ? 9 : 4)) return;
    if (pressed) pressed.moved = true;
    setHover(-1);
    canvas.classList.add('dragging');
    view.x -= (now.x - before.x) / view.scale;
    view.y += (now.y - before.y) / view.scale;
    settle();
  } else if (pointers.size === 2) {
    const other = [...pointers].find(([id]) => id !== e.pointerId)[1];
    const factor = Math.hypot(now.x - other.x, now.y - other.y) / Math.max(1, Math.hypot(before.x - other.x, before.y - other.y));
    view.x -= (now.x - before.x) / 2 / view.scale;
    view.y += (now.y - before.y) / 2 / view.scale;
    zoomAt((now.x + other.x) / 2, (now.y + other.y) / 2, factor);
    lastZoom = performance.now();
  }
  pointers.set(e.pointerId, now);
  ask();
});

function release(e) {
  if (!pointers.delete(e.pointerId)) return;
  canvas.classList.remove('dragging');
  if (e.type === 'pointerup' && pressed && !pressed.moved) tap(e);
  pressed = null;
}
canvas.addEventListener('pointerup', release);
canvas.addEventListener('pointercancel', release);
canvas.addEventListener('pointerleave', () => setHover(-1));

function tap(e) {
  const at = place(e), now = performance.now();
  if (now - lastTap.time < 320 && Math.hypot(at.x - lastTap.x, at.y - lastTap.y) < 24) {
    lastTap.time = -1e9;
    zoomTo(e.shiftKey ? 0.5 : 2, at.x, at.y);
    return;
  }
  lastTap = { time: now, ...at };
  const chosen = state.boxes.find(b => at.x >= b.left && at.x <= b.right && at.y >= b.top && at.y <= b.bottom);
  const i = chosen ? chosen.i : pick(at.x, at.y, reachOf(e));
  if (i >= 0 ? i !== state.selected || state.found : state.selected >= 0 || state.found) {
    if (i < 0) query.value = '';
    select(i, false);
  }
}

canvas.addEventListener('wheel', e => {
  e.preventDefault();
  flight = null;
  const unit = e.deltaMode === 1 ? 20 : e.deltaMode === 2 ? 400 : 1;
  // A pinch on a touchpad arrives as a wheel with Ctrl and small steps.
  const factor = Math.exp(-clamp(e.deltaY * unit, -300, 300) * (e.ctrlKey ? 0.01 : 0.0022));
  const at = place(e);
  zoomAt(at.x, at.y, factor);
  lastZoom = performance.now();
  hideHint();
  setHover(-1);
  ask();
}, { passive: false });

element('zoom').addEventListener('click', e => {
  const button = e.target.closest('button');
  if (!button) return;
  if (button.dataset.zoom === 'all') goHome();
  else zoomTo(button.dataset.zoom === 'in' ? 1.8 : 1 / 1.8);
});

// ---- Keyboard.

document.addEventListener('keydown', e => {
  if (e.ctrlKey || e.metaKey || e.altKey || e.target === query) return;
  const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[e.key];
  if (e.key === '/') {
    query.focus();
    query.select();
  } else if (e.key === 'Escape') {
    clear();
  } else if (e.key === '+' || e.key === '=') {
    zoomTo(1.5);
  } else if (e.key === '-' || e.key === '_') {
    zoomTo(1 / 1.5);
  } else if (e.key === '0' || e.key === 'Home') {
    goHome();
  } else if (move && e.target === canvas) {
    const from = flight ? flight.to : view, step = 0.18 * Math.min(size.width, size.height) / from.scale;
    fly({ x: from.x + move[0] * step, y: from.y + move[1] * step, scale: from.scale }, 180);
  } else if (e.key === 'Enter' && e.target === canvas) {
    const i = pick(size.width / 2, size.height / 2, Math.max(size.width, size.height) / 4);
    if (i >= 0) select(i, false);
  } else {
    return;
  }
  e.preventDefault();
});

element('close').addEventListener('click', () => {
  query.value = '';
  select(-1);
  canvas.focus({ preventScroll: true });
});
