// The legend hides and shows groups. The page begins here, when all its parts are there.

if (data.groups.length) {
  const list = element('groups'), title = element('shown');
  let before = shown.slice(); // what was shown before the last click, which may turn out to be the first of two

  const buttons = data.groups.map((_, g) => {
    const row = document.createElement('li'), button = document.createElement('button'), name = document.createElement('bdi');
    const points = document.createElement('span');
    button.type = 'button';
    button.title = 'Click hides or shows; double click, or click with Alt or Shift, shows only this one';
    name.textContent = groupName(g).slice(0, 200);
    points.textContent = number.format(tally[g]);
    button.append(dot(g), name, points);
    button.addEventListener('click', e => {
      if (e.detail === 2) {
        shown.set(before);
        isolate(g);
      } else if (e.altKey || e.shiftKey) {
        isolate(g);
      } else {
        before = shown.slice();
        shown[g] ^= 1;
        changed();
      }
    });
    row.append(button);
    list.append(row);
    return button;
  });

  /** Shows only one group, or all where it is the only one already. */
  function isolate(g) {
    const alone = shown.every((v, o) => (v === 1) === (o === g));
    shown.forEach((_, o) => { shown[o] = alone || o === g ? 1 : 0; });
    changed();
  }

  function changed() {
    const some = buttons.filter((_, g) => shown[g]).length, all = buttons.length;
    buttons.forEach((b, g) => b.setAttribute('aria-pressed', String(shown[g] === 1)));
    title.textContent = some === all ? `${number.format(all)} ${all === 1 ? 'class' : 'classes'}` : `${number.format(some)} of ${number.format(all)} classes`;
    element('all').disabled = some === all;
    element('none').disabled = some === 0;
    setHover(-1);
    if (state.selected >= 0 && !shown[colours[state.selected]]) select(-1);
    else if (state.selected >= 0) fillPanel(state.selected);
    if (state.found) search();
    placement.restart();
    placement.work(view.scale, 60);
    scene.valid = false;
    ask();
  }

  element('all').addEventListener('click', () => { shown.fill(1); changed(); });
  element('none').addEventListener('click', () => { shown.fill(0); changed(); });

  list.addEventListener('keydown', e => {
    const at = buttons.indexOf(document.activeElement);
    if (at < 0) return;
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: buttons.length - 1 }[e.key];
    if (to !== undefined) buttons[clamp(to, 0, buttons.length - 1)].focus();
    else if ((e.key === 'Enter' || e.key === ' ') && (e.altKey || e.shiftKey)) isolate(at);
    else return;
    e.preventDefault();
    e.stopPropagation();
  });

  changed();
  element('legend').hidden = false;
  element('legend').open = window.innerWidth > 700;
}

// ---- Beginning, and changes of the window.

let fitted = '';
function fit() {
  const now = `${canvas.clientWidth} ${canvas.clientHeight} ${window.devicePixelRatio}`;
  if (now === fitted) return;
  fitted = now;
  const small = window.innerWidth <= 700;
  main.style.setProperty('--under-heading', `${heading.offsetTop + heading.offsetHeight + 6}px`);
  resize(small
    ? { left: 16, right: 50, top: heading.offsetTop + heading.offsetHeight + 66, bottom: 56 }
    : { left: data.groups.length ? element('legend').offsetWidth + 40 : 48, right: 110, top: heading.offsetTop + heading.offsetHeight + 14, bottom: 62 });
  placement.work(view.scale, 80);
  ask();
}

canvas.setAttribute('aria-label', `${data.title}: a map of ${number.format(count)} ${data.nounPlural}`);
const aNoun = `${/^[aeiou]/i.test(data.noun) ? 'an' : 'a'} ${data.noun}`;
query.placeholder = `Find ${aNoun}`;
query.setAttribute('aria-label', query.placeholder);
element('hint').textContent = `Scroll to zoom, drag to move, click ${aNoun}`;
if (!count) element('hint').textContent = 'There is nothing on this map.';
dark.addEventListener('change', () => {
  readTheme();
  for (const mark of document.querySelectorAll('.dot')) mark.style.background = theme.dots[mark.dataset.colour];
  scene.valid = false;
  ask();
});
new ResizeObserver(fit).observe(canvas);
fit();

// For scripts on the page and for its tests.
globalThis.embeddingMap = {
  view, limits, select, goHome, state,
  frameCost: () => scene.cost,
  isReady: () => placement.isReady(view.scale) && scene.valid && scene.scale === view.scale && !painting && !flight,
  position: i => ({ x: toX(xs[i]), y: toY(ys[i]) }),
  labels: () => scene.labels.map(l => ({
    i: l.i, text: shortLabel(l.i), left: toX(xs[l.i]) + l.dx, top: toY(ys[l.i]) - l.height / 2, width: l.width, height: l.height,
  })),
};
