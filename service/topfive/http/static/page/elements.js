// Elements made by script. What they hold is text, never markup.

/** An element with its class, and children or text. */
export function made(tag, className, ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

/** 0.953 as "95.3 %". */
export function percent(probability) {
  const hundredths = probability * 100;
  return hundredths > 0 && hundredths < 0.05 ? "< 0.1 %" : `${hundredths.toFixed(1)} %`;
}

/** A label with its value and a bar of `width` hundredths, as an item of a list; `mark`: a further word. */
export function bar(label, value, width, mark = "") {
  const fill = made("span", "fill");
  setWidth(fill, width);
  const track = made("span", "track", fill);
  track.setAttribute("aria-hidden", "true");
  const marks = mark ? [" ", made("span", "mark", mark)] : [];
  return made("li", "", made("span", "label", label, ...marks), " ", made("span", "value", value), track);
}

export function setWidth(node, hundredths) {
  node.style.width = `${hundredths}%`;
}
