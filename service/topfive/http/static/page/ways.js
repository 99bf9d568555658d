// The ways in which photos come: chosen, dropped, pasted, taken by the camera, or one of the examples.

import { Camera, hasCamera, whyNoCamera } from "./camera.js";
import { showShape } from "./view.js";

const element = (id) => document.getElementById(id);
const frame = element("frame");
const camera = new Camera(element("preview"), (error) => fail(error));

/** Tell below the photo what has not worked, and leave the answer alone; nothing for an empty text. */
export function notice(text) {
  element("notice").textContent = text;
  element("notice").hidden = !text;
}

/** Call `one` with each photo that comes alone, `many` with several, and `example` with the name of an example's file. */
export function listen({ one, many, example }) {
  const take = (files, options) => {
    if (files.length > 1) many([...files]);
    else one(files[0], options);
  };

  element("choose").addEventListener("click", () => element("file").click());
  frame.addEventListener("click", () => {
    if (frame.dataset.state === "empty") element("file").click();
  });
  element("file").addEventListener("change", ({ target }) => {
    const files = [...target.files];
    target.value = ""; // so that the same file can be chosen again
    if (files.length) take(files, { isOnDisk: true });
  });

  const isForField = (event) => event.target instanceof HTMLInputElement;
  window.addEventListener("dragover", (event) => {
    if (isForField(event)) return;
    event.preventDefault();
    frame.dataset.drop = "true";
  });
  window.addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) delete frame.dataset.drop;
  });
  window.addEventListener("drop", (event) => {
    if (isForField(event)) return;
    event.preventDefault();
    delete frame.dataset.drop;
    const { files } = event.dataTransfer;
    if (files.length) take(files, { isOnDisk: true });
    else notice("That is not a file. Save the picture first, then drop the file here.");
  });
  window.addEventListener("paste", (event) => {
    const { files } = event.clipboardData;
    if (files.length) take(files, { isOnDisk: false });
  });

  element("examples").addEventListener("click", ({ target }) => {
    const name = target.closest("button")?.dataset.file;
    if (name) example(name);
  });

  element("capture").addEventListener("click", async () => {
    try {
      one(await camera.capture(), { isOnDisk: false });
    } catch (error) {
      fail(error);
      return;
    }
    element("camera").focus();
  });
}

// The camera

element("camera").hidden = !hasCamera;
element("camera").addEventListener("click", async () => {
  notice("");
  try {
    if (!(await camera.open())) return;
  } catch (error) {
    fail(error);
    return;
  }
  showShape({ width: element("preview").videoWidth, height: element("preview").videoHeight });
  frame.dataset.before = frame.dataset.state;
  frame.dataset.state = "camera";
  element("sources").hidden = element("examples").hidden = true;
  element("shutter").hidden = false;
  element("capture").focus();
});
element("cancel").addEventListener("click", () => {
  leaveCamera();
  element("camera").focus();
});
window.addEventListener("keydown", ({ key }) => {
  if (key === "Escape" && frame.dataset.state === "camera") element("cancel").click();
});
window.addEventListener("pagehide", leaveCamera);

/** Close the camera, and show what was there before. */
export function leaveCamera() {
  camera.close();
  if (frame.dataset.state === "camera") {
    frame.dataset.state = frame.dataset.before;
    const { naturalWidth: width, naturalHeight: height } = element("photo");
    if (frame.dataset.state === "photo" && width) showShape({ width, height });
  }
  element("sources").hidden = element("examples").hidden = false;
  element("shutter").hidden = true;
}

/** Tell of an `error` of the camera. */
function fail(error) {
  const wasOpen = frame.dataset.state === "camera";
  leaveCamera();
  notice(whyNoCamera(error));
  if (wasOpen) element("camera").focus();
}
