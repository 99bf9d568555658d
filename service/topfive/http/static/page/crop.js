// What the model sees of a photo, drawn over it.
//
// The graph says what it does to an image, and the service passes that on (the parameter `preprocessing` of a model's
// configuration). Where it says nothing, nothing is drawn.

const element = (id) => document.getElementById(id);

/** The rules in a model's configuration; null if it has none that this page knows. */
export function rulesOf(config) {
  const text = config.parameters?.preprocessing?.string_value;
  if (!text) return null;
  try {
    const rules = JSON.parse(text);
    const known = isSize(rules?.crop) && (rules.resize !== "squash" || isSize(rules.resize_to));
    return known ? rules : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

function isSize(sides) {
  return Array.isArray(sides) && sides.length === 2 && sides.every((side) => side > 0);
}

/** The seen part of an image of `width` x `height`, centred, as shares of both; null if the rules are not known. */
export function seenShare({ width, height }, { resize, short_side, resize_to, crop: [cropHeight, cropWidth] }) {
  const share = (crop, side) => Math.min(1, crop / side);
  switch (resize) {
    case "short-side": {
      const scale = short_side / Math.min(width, height);
      return { width: share(cropWidth, width * scale), height: share(cropHeight, height * scale) };
    }
    case "squash":
      return { width: share(cropWidth, resize_to[1]), height: share(cropHeight, resize_to[0]) };
    case "letterbox":
      return { width: 1, height: 1 };
    case "none":
      return { width: share(cropWidth, width), height: share(cropHeight, height) };
    default:
      return null;
  }
}

/** Draw over the photo in its frame what is seen by these `rules`; null for nothing. */
export function drawCrop(rules) {
  const { naturalWidth: width, naturalHeight: height } = element("photo");
  const seen = rules && width && height ? seenShare({ width, height }, rules) : null;
  element("crop").hidden = element("crop-note").hidden = seen === null;
  if (seen === null) return;
  const whole = seen.width > 0.995 && seen.height > 0.995;
  element("crop").hidden = whole;
  const [cropHeight, cropWidth] = rules.crop;
  element("crop-note").textContent = whole
    ? `The model sees the whole photo, at ${cropWidth} × ${cropHeight} pixels.`
    : `The model sees what is inside the frame, at ${cropWidth} × ${cropHeight} pixels.`;
  const shown = shownShare(width / height);
  const size = { width: seen.width * shown.width, height: seen.height * shown.height };
  const { style } = element("crop");
  style.width = percentage(size.width);
  style.height = percentage(size.height);
  style.left = percentage((1 - size.width) / 2);
  style.top = percentage((1 - size.height) / 2);
}

/** The part of the frame that a photo of this shape fills: all, unless it is very wide or tall. */
function shownShare(shape) {
  const frame = Number.parseFloat(element("frame").style.aspectRatio);
  return { width: Math.min(1, shape / frame), height: Math.min(1, frame / shape) };
}

function percentage(share) {
  return `${share * 100}%`;
}
