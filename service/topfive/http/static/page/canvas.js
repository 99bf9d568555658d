// A picture that this browser can show, made anew as a JPEG: for services that do not take the file itself.

const MOST_PIXELS = 4_000_000;
const LONGEST_SIDE = 4096;
const USUAL_SIDE = 512; // for drawings that state no size

/** The size in whole pixels at which a picture of this size is made anew. */
export function boundedSize({ width, height }) {
  const scale = Math.min(1, Math.sqrt(MOST_PIXELS / (width * height)), LONGEST_SIDE / Math.max(width, height));
  return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
}

/** The picture in `file` as { file, width, height }; null if this browser cannot show it either. */
export async function asJpeg(file) {
  const url = URL.createObjectURL(file);
  const image = new Image();
  try {
    image.src = url;
    const size = await image.decode().then(() => sizeOf(image), () => null);
    if (size === null) return null;
    const blob = await drawn(image, size);
    return blob && { ...size, file: new File([blob], `${stem(file.name)}.jpg`, { type: blob.type }) };
  } finally {
    URL.revokeObjectURL(url);
  }
}

function sizeOf({ naturalWidth, naturalHeight }) {
  return boundedSize({ width: naturalWidth || USUAL_SIDE, height: naturalHeight || USUAL_SIDE });
}

function drawn(image, { width, height }) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  context.fillStyle = "white"; // a JPEG has no transparency
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = "high";
  context.drawImage(image, 0, 0, width, height);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.92));
}

function stem(name) {
  return name.replace(/\.[^.]*$/, "") || "picture";
}
