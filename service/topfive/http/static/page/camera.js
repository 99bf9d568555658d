// The camera: open, look, take one picture, close. It is never left on.

/** Whether the browser lets this page ask for a camera at all: it does so over HTTPS and on this machine only. */
export const hasCamera = window.isSecureContext && Boolean(navigator.mediaDevices?.getUserMedia);

const REASONS = {
  NotAllowedError: "The camera may not be used. Allow it for this page in the browser's settings, or choose a file.",
  NotFoundError: "No camera was found. Choose a file instead.",
  NotReadableError: "The camera cannot be read; another program may be using it. Close that, or choose a file.",
  NoPicture: "The camera gives no picture. Is it covered, or switched off? Choose a file instead.",
  Ended: "The camera has stopped. Was it unplugged, or forbidden meanwhile? Connect it again, or choose a file.",
};

export class Camera {
  #video;
  #stream = null;
  #asked = 0;
  #whenEnded;

  /** `whenEnded` is called with an error if the camera stops by itself. */
  constructor(video, whenEnded) {
    this.#video = video;
    this.#whenEnded = whenEnded;
  }

  /** Show what the camera sees. False if it was closed before it could begin: a person may be asked meanwhile. */
  async open() {
    this.close();
    const asked = this.#asked;
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: { ideal: 1280 } } });
      if (asked !== this.#asked) {
        stop(stream);
        return false;
      }
      this.#stream = stream;
      for (const track of stream.getTracks()) {
        track.addEventListener("ended", () => {
          if (stream === this.#stream) this.#whenEnded(failure("Ended"));
        });
      }
      this.#video.srcObject = stream;
      await this.#video.play();
      return true;
    } catch (error) {
      if (asked !== this.#asked) return false;
      this.close();
      throw error;
    }
  }

  /** What it sees now, as a JPEG file; throws if it sees nothing. */
  async capture() {
    if (!this.#video.videoWidth) throw failure("NoPicture");
    const canvas = document.createElement("canvas");
    canvas.width = this.#video.videoWidth;
    canvas.height = this.#video.videoHeight;
    canvas.getContext("2d").drawImage(this.#video, 0, 0);
    const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.92));
    if (!blob) throw failure("NoPicture");
    return new File([blob], "camera.jpg", { type: blob.type });
  }

  close() {
    this.#asked += 1;
    if (this.#stream) stop(this.#stream);
    this.#stream = null;
    this.#video.srcObject = null;
  }
}

/** What to tell of an `error` of the camera. */
export function whyNoCamera(error) {
  return REASONS[error.name] ?? `The camera cannot be used (${error.message}). Choose a file instead.`;
}

function failure(name) {
  return Object.assign(new Error(REASONS[name]), { name });
}

function stop(stream) {
  for (const track of stream.getTracks()) track.stop();
}
