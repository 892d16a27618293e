// Small pictures of the points: cells of one sheet, which lies in the page.

const pictures = data.pictures ? { ...data.pictures, sizes: null, image: new Image() } : null;
if (pictures) {
  pictures.sizes = Uint8Array.from(atob(data.pictures.sizes), c => c.charCodeAt(0));
  pictures.image.src = 'data:image/png;base64,' + data.pictures.sheet;
  data.pictures = null; // the text is larger than the picture
}

/** Draws a point's picture, its longer side at most so many pixels, or hides the canvas; whether there is one. */
function showPicture(canvas, i, most) {
  const wide = pictures ? pictures.sizes[2 * i] : 0, high = pictures ? pictures.sizes[2 * i + 1] : 0;
  canvas.hidden = wide === 0;
  if (!wide) return false;
  // Several times as large at most: beyond that one sees squares.
  const scale = Math.min(most / Math.max(wide, high), 4);
  canvas.width = Math.round(wide * scale * size.dpr);
  canvas.height = Math.round(high * scale * size.dpr);
  canvas.style.width = `${Math.round(wide * scale)}px`;
  canvas.style.height = `${Math.round(high * scale)}px`;
  canvas.dataset.point = i;
  const paint = () => {
    if (canvas.dataset.point !== String(i)) return; // it shows another one by now
    const x = i % pictures.columns * pictures.side, y = Math.floor(i / pictures.columns) * pictures.side, c = canvas.getContext('2d');
    c.imageSmoothingQuality = 'high';
    c.drawImage(pictures.image, x, y, wide, high, 0, 0, canvas.width, canvas.height);
  };
  if (pictures.image.complete) paint();
  else pictures.image.addEventListener('load', paint, { once: true });
  return true;
}

